/* SPDX-License-Identifier: MIT */
/* error.c: the catalogue of errors, and the nearest name for a mistyped one. */
#include <weir/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *text;
	int no;
} rows[] = {[WEIR_E_NONE] = {"NONE", "", 0},
#define X(id, no, text) [WEIR_E_##id] = {#id, text, no},
        WEIR_ERRORS(X)
#undef X
};

static int fill(
        struct weir_err *err, int no, enum weir_error_id id, uint32_t pos, uint32_t len, va_list ap)
{
	size_t n;

	if (!err || err->id != WEIR_E_NONE)
		return -no;
	err->id = id;
	err->no = no;
	err->pos = pos;
	err->len = len;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(err->text, sizeof err->text, rows[id].text, ap);
#pragma GCC diagnostic pop
	n = strlen(err->text);
	if (n + 1 == sizeof err->text) { /* cut: not within a character */
		while (n && ((unsigned char)err->text[n - 1] & 0xc0) == 0x80)
			n--;
		if (n && (unsigned char)err->text[n - 1] >= 0xc0)
			n--;
		err->text[n] = 0;
	}
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)err->text[i] < ' ' || err->text[i] == 127)
			err->text[i] = '?';
	return -no;
}

int weir_fail(struct weir_err *err, enum weir_error_id id, uint32_t pos, uint32_t len, ...)
{
	va_list ap;
	int r;

	va_start(ap, len);
	r = fill(err, rows[id].no, id, pos, len, ap);
	va_end(ap);
	return r;
}

int weir_fail_no(
        struct weir_err *err, int no, enum weir_error_id id, uint32_t pos, uint32_t len, ...)
{
	va_list ap;
	int r;

	va_start(ap, len);
	r = fill(err, no, id, pos, len, ap);
	va_end(ap);
	return r;
}

const char *weir_error_name(enum weir_error_id id)
{
	return id < WEIR_E_COUNT ? rows[id].name : NULL;
}

const char *weir_error_text(enum weir_error_id id)
{
	return id < WEIR_E_COUNT ? rows[id].text : NULL;
}

#define WORD 32
#define NAMES_MAX 1000 /* looked at for a word */

/* Edits (insert, delete, replace, swap of neighbours) from a to b: Damerau-Levenshtein with
 * restricted transpositions. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned d[3][WORD + 1];

	if (na > WORD || nb > WORD)
		return WORD;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			        before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return d[na % 3][nb];
}

const char *weir_did_you_mean(const char *word, size_t len, const char *(*next)(void *, size_t),
        void *arg, char *buf, size_t size)
{
	unsigned best = (unsigned)(len + 2) / 3 + (len > 1);
	const char *found = NULL, *under = NULL, *c;

	for (size_t i = 0; i < NAMES_MAX && (c = next(arg, i)); i++) {
		size_t n = strlen(c);
		unsigned d = distance(word, len, c, n);

		if (d < best) {
			best = d;
			found = c;
		}
		if (!under && len && n > len + 1 && c[n - len - 1] == '.' &&
		        memcmp(c + n - len, word, len) == 0)
			under = c;
	}
	if (!found)
		found = under;
	if (found)
		snprintf(buf, size, " (did you mean '%s'?)", found);
	else if (size)
		buf[0] = 0;
	return buf;
}
