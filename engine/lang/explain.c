/* SPDX-License-Identifier: MIT */
/* explain.c: an error as people read it: the message, the line of the spec, a caret.
 *
 * The caret must stand under the place on a terminal: tabs stay tabs in both lines, a wide
 * character counts two columns, a combining one none. What a terminal would act upon is replaced,
 * for the text is whatever somebody wrote into a file. A line longer than COLUMNS is cut on
 * either side of the place.
 */
#include "engine/core/text.h"
#include "engine/lang/parse.h"

#define COLUMNS 100

/* The character at s, U+FFFD for what is none; its length in *n. */
static uint32_t decode(const unsigned char *s, const unsigned char *end, uint32_t *n)
{
	uint32_t len = *s < 0x80   ? 1
	               : *s < 0xc2 ? 0
	               : *s < 0xe0 ? 2
	               : *s < 0xf0 ? 3
	               : *s < 0xf5 ? 4
	                           : 0;
	uint32_t c = len < 2 ? *s : *s & (0x7f >> len);

	*n = 1;
	if (!len || (size_t)(end - s) < len)
		return 0xfffd;
	for (uint32_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (s[i] & 0x3f);
	}
	*n = len;
	return c;
}

/* Columns on a terminal: the ranges that matter of Unicode's East Asian Width and of its
 * combining marks. */
static int width(uint32_t c)
{
	static const struct {
		uint32_t from, to;
		int width;
	} ranges[] = {
	        {0x0300, 0x036f, 0},
	        {0x0483, 0x0489, 0},
	        {0x0591, 0x05bd, 0},
	        {0x064b, 0x065f, 0},
	        {0x1100, 0x115f, 2},
	        {0x1ab0, 0x1aff, 0},
	        {0x1dc0, 0x1dff, 0},
	        {0x200b, 0x200f, 0},
	        {0x20d0, 0x20ff, 0},
	        {0x2e80, 0x303e, 2},
	        {0x3041, 0xa4cf, 2},
	        {0xac00, 0xd7a3, 2},
	        {0xf900, 0xfaff, 2},
	        {0xfe00, 0xfe0f, 0},
	        {0xfe20, 0xfe2f, 0},
	        {0xfe30, 0xfe6f, 2},
	        {0xff00, 0xff60, 2},
	        {0xffe0, 0xffe6, 2},
	        {0x1f300, 0x1f64f, 2},
	        {0x1f900, 0x1f9ff, 2},
	        {0x20000, 0x3fffd, 2},
	};

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (c >= ranges[i].from && c <= ranges[i].to)
			return ranges[i].width;
	return 1;
}

/* Adds s[0..n) with what a terminal would act upon replaced; returns its columns. With `blank`
 * only as many blanks, tabs kept. */
static int add(struct text *to, const char *s, uint32_t n, bool blank)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;
	int columns = 0;
	uint32_t len;

	for (; p < end; p += len) {
		uint32_t c = decode(p, end, &len);
		int w = width(c);

		columns += c == '\t' ? 8 : w;
		if (!to)
			continue;
		if (c == '\t')
			text_puts(to, "\t");
		else if (blank)
			text_add(to, "  ", (size_t)w);
		else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfffd ||
		         (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
			text_puts(to, "\xef\xbf\xbd");
		else
			text_add(to, (const char *)p, len);
	}
	return columns;
}

/* The line [*from, *to) of the spec around `pos`; one that ends there counts, an empty one behind
 * it does not. */
static uint32_t line_at(const char *s, uint32_t len, uint32_t pos, uint32_t *from, uint32_t *to)
{
	if (pos > len)
		pos = len;
	*from = pos;
	while (*from > 0 && s[*from - 1] != '\n')
		--*from;
	*to = pos;
	while (*to < len && s[*to] != '\n')
		++*to;
	if (*to > pos && s[*to - 1] == '\r')
		--*to;
	return pos;
}

/* "name:" at the beginning of a line is in the message already. */
static uint32_t behind_name(const char *s, uint32_t from, uint32_t pos, const char *name)
{
	size_t n = strlen(name);
	uint32_t i = from;

	if (from == 0 && memcmp(s, "\xef\xbb\xbf", pos < 3 ? pos : 3) == 0 && pos >= 3)
		i = 3;
	if (n == 0 || pos < i + n + 1 || memcmp(s + i, name, n) != 0)
		return i;
	for (n += i; n < pos && s[n] == ' ';)
		n++;
	if (n >= pos || s[n] != ':')
		return i;
	for (n++; n < pos && (s[n] == ' ' || s[n] == '\t');)
		n++;
	return (uint32_t)n;
}

/* Moves `at` by one character back or forth, within [from, to]. */
static uint32_t back(const char *s, uint32_t at, uint32_t from)
{
	do
		at--;
	while (at > from && ((unsigned char)s[at] & 0xc0) == 0x80);
	return at;
}

static uint32_t forth(const char *s, uint32_t at, uint32_t to)
{
	uint32_t n;

	decode((const unsigned char *)s + at, (const unsigned char *)s + to, &n);
	return at + n;
}

void lang_explain(struct text *to, const char *name, const char *spec, size_t size,
        const struct weir_err *err)
{
	uint32_t len = size > SPEC_MAX ? SPEC_MAX : (uint32_t)size, from, end, begin, pos;
	int columns;

	if (name && *name)
		text_printf(to, "%s: %s\n", name, err->text);
	else
		text_printf(to, "%s\n", err->text);
	if (err->pos == WEIR_NOPOS || !spec || !len)
		return;
	pos = line_at(spec, len, err->pos, &from, &end);
	begin = from = behind_name(spec, from, pos, name ? name : "");
	/* Sixty columns before the place, what is left behind it. */
	for (begin = pos, columns = 0; begin > from && columns < 60;) {
		uint32_t b = back(spec, begin, from);

		columns += add(NULL, spec + b, begin - b, false);
		begin = b;
	}
	for (len = end, end = pos; end < len && columns < COLUMNS;) {
		uint32_t f = forth(spec, end, len);

		columns += add(NULL, spec + end, f - end, false);
		end = f;
	}
	text_puts(to, begin > from ? "  …" : "  ");
	add(to, spec + begin, end - begin, false);
	text_puts(to, end < len ? "…\n" : "\n");
	text_puts(to, begin > from ? "   " : "  ");
	add(to, spec + begin, pos - begin, true);
	text_puts(to, "^\n");
}
