/* SPDX-License-Identifier: MIT */
/* lex.c: white space, comments, words, names and strings, and what is wrong with them.
 *
 * How a word is read is the caller's choice; nothing is looked at twice but the word at hand, so
 * that a spec of a megabyte is read in linear time.
 */
#include "engine/lang/parse.h"

#include <stdio.h>
#include <strings.h>

static bool first_on_line(const struct parse *p)
{
	uint32_t i = p->at;

	while (i > 0 && (p->text[i - 1] == ' ' || p->text[i - 1] == '\t'))
		i--;
	return i == 0 || p->text[i - 1] == '\n' || (i == 3 && p->text[0] == '\xef');
}

void lex_blank(struct parse *p)
{
	if (p->at != p->skipped)
		p->last = p->at;
	for (;;) {
		unsigned char c = lex_peek(p, 0);

		if (lex_is_blank(c)) {
			p->at++;
		} else if (c == '#' || (c == '%' && first_on_line(p))) {
			const char *nl = memchr(p->text + p->at, '\n', p->end - p->at);

			p->at = nl ? (uint32_t)(nl - p->text) : p->end;
		} else {
			break;
		}
	}
	p->skipped = p->at;
}

uint32_t lex_name(const struct parse *p)
{
	uint32_t n = 0;

	while (lex_is_alnum(lex_peek(p, n)) || lex_peek(p, n) == '-' || lex_peek(p, n) == '.')
		n++;
	return n;
}

uint32_t lex_field(const struct parse *p)
{
	uint32_t n = 0;

	if (!lex_is_letter(lex_peek(p, 0)))
		return 0;
	for (;;) {
		while (lex_is_alnum(lex_peek(p, n)))
			n++;
		if (lex_peek(p, n) != '.' || !lex_is_letter(lex_peek(p, n + 1)))
			return n;
		n++;
	}
}

uint32_t lex_word(const struct parse *p)
{
	uint32_t n = 0;
	unsigned char c;

	while ((c = lex_peek(p, n)) && !lex_is_blank(c) && !strchr("|;(),\"'", c))
		n++;
	return n;
}

bool lex_keyword(const struct parse *p, const char *word)
{
	size_t n = strlen(word);
	unsigned char c;

	if (p->end - p->at < n || strncasecmp(p->text + p->at, word, n) != 0)
		return false;
	c = lex_peek(p, (uint32_t)n);
	return !lex_is_alnum(c) && c != '.';
}

static const char *const clauses[] = {"where", "from", "until", "having", NULL};
static const char *const operators[] = {
        "and", "or", "not", "in", "like", "as", "true", "false", "set", NULL};

bool lex_clause(const struct parse *p)
{
	for (int i = 0; clauses[i]; i++)
		if (lex_keyword(p, clauses[i]))
			return true;
	return false;
}

static bool listed(const char *const *list, const char *s, uint32_t len)
{
	for (; *list; list++)
		if (strlen(*list) == len && strncasecmp(*list, s, len) == 0)
			return true;
	return false;
}

bool lex_reserved(const char *s, uint32_t len)
{
	return listed(clauses, s, len) || listed(operators, s, len);
}

static int hex_digit(unsigned char c)
{
	return lex_is_digit(c) ? c - '0' : (c | 32) - 'a' + 10;
}

/* One escape behind the backslash at `in`; writes to *out, returns the bytes read. */
static uint32_t unescape(const char *in, const char *end, char **out)
{
	static const char from[] = "nrt0\\\"'", to[] = "\n\r\t\0\\\"'";
	const char *f = in + 1 < end && in[1] ? strchr(from, in[1]) : NULL;

	if (f) {
		*(*out)++ = to[f - from];
		return 2;
	}
	if (in + 3 < end && in[1] == 'x' && lex_is_hex((unsigned char)in[2]) &&
	        lex_is_hex((unsigned char)in[3])) {
		*(*out)++ = (char)(hex_digit((unsigned char)in[2]) << 4 |
		                   hex_digit((unsigned char)in[3]));
		return 4;
	}
	*(*out)++ = '\\';
	return 1;
}

int lex_string(struct parse *p, const char **ret, uint32_t *ret_len)
{
	unsigned char quote = lex_peek(p, 0);
	uint32_t begin = p->at + 1, i = begin;
	char *to, *out;

	while (i < p->end && p->text[i] != '\n' && (unsigned char)p->text[i] != quote) {
		if (quote == '"' && p->text[i] == '\\' && i + 1 < p->end && p->text[i + 1] != '\n')
			i++;
		i++;
	}
	if (i >= p->end || p->text[i] == '\n') {
		p->open = i >= p->end;
		return weir_fail(p->err, WEIR_E_UNCLOSED_STRING, p->at, 1);
	}
	to = out = lex_alloc(p, i - begin + 1);
	if (!to)
		return -ENOMEM;
	for (uint32_t k = begin; k < i;) {
		if (quote == '"' && p->text[k] == '\\')
			k += unescape(p->text + k, p->text + i, &out);
		else
			*out++ = p->text[k++];
	}
	*ret = to;
	*ret_len = (uint32_t)(out - to);
	p->at = i + 1;
	return 0;
}

void *lex_alloc(struct parse *p, size_t size)
{
	void *m = arena_alloc(p->arena, size);

	if (!m)
		weir_fail(p->err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, "");
	return m;
}

const char *lex_copy(struct parse *p, uint32_t pos, uint32_t len)
{
	char *s = arena_copy(p->arena, p->text + pos, len);

	if (!s)
		weir_fail(p->err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, "");
	return s;
}

void *lex_more(struct parse *p, void *array, uint32_t n, size_t size)
{
	void *m;

	if (n > 0 && (n < 4 || (n & (n - 1)) != 0))
		return array;
	m = lex_alloc(p, size * (n ? 2 * (size_t)n : 4));
	if (m && n)
		memcpy(m, array, n * size);
	return m;
}

/* The text at fault for a message: at most 60 bytes, cut between characters. */
static const char *excerpt(struct parse *p, uint32_t pos, uint32_t len, char *buf, size_t size)
{
	uint32_t n = len;

	if (n > 60) {
		n = 60;
		while (n > 0 && (p->text[pos + n] & 0xc0) == 0x80)
			n--;
	}
	snprintf(buf, size, "%.*s%s", (int)n, p->text + pos, n < len ? "…" : "");
	return buf;
}

int lex_fail_at(struct parse *p, enum weir_error_id id, uint32_t pos, uint32_t len)
{
	char buf[80];

	return weir_fail(p->err, id, pos, len, excerpt(p, pos, len, buf, sizeof buf));
}

/* Length of what a reader would call the token at p->at; 0: no token begins with this byte. */
static uint32_t token(const struct parse *p)
{
	static const char *const two[] = {
	        "==", "!=", "<>", "<=", ">=", "&&", "||", ":-", "--", NULL};
	unsigned char c = lex_peek(p, 0);

	if (lex_is_alnum(c))
		return lex_name(p);
	if (c == '"' || c == '\'')
		return 1;
	for (int i = 0; two[i]; i++)
		if (c == (unsigned char)two[i][0] && lex_peek(p, 1) == (unsigned char)two[i][1])
			return 2;
	return strchr(".:|;()[],+-*/%=!<>~&", c) ? 1 : 0;
}

static uint32_t utf8_length(unsigned char c)
{
	return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

int lex_unexpected(struct parse *p, const char *expected)
{
	char buf[80];
	uint32_t n;

	lex_blank(p);
	if (lex_at_end(p)) {
		p->open = true;
		return weir_fail(p->err, WEIR_E_UNEXPECTED_END, p->last, 0, expected);
	}
	n = token(p);
	if (!n)
		return lex_fail_at(p, WEIR_E_BAD_CHARACTER, p->at, utf8_length(lex_peek(p, 0)));
	return weir_fail(p->err, WEIR_E_UNEXPECTED, p->at, n, excerpt(p, p->at, n, buf, sizeof buf),
	        expected);
}

int lex_unclosed(struct parse *p, uint32_t pos, const char *expected)
{
	lex_blank(p);
	if (!lex_at_end(p))
		return lex_unexpected(p, expected);
	p->open = true;
	return weir_fail(p->err, WEIR_E_UNCLOSED_PAREN, pos, 1);
}

int lex_deeper(struct parse *p)
{
	char buf[16];

	if (p->depth >= NEST_MAX) {
		snprintf(buf, sizeof buf, "%u", NEST_MAX);
		return weir_fail(p->err, WEIR_E_TOO_DEEP, p->at, 1, buf);
	}
	p->depth++;
	return 0;
}
