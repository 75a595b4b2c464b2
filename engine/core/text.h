/* SPDX-License-Identifier: MIT */
/* text.h: a growing piece of text.
 *
 * Invariant: p is NULL or holds cap > len bytes, with p[len] == 0. A failed allocation sets
 * `failed`, and later appends do nothing: check once, at the end.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
	char *p;
	size_t len, cap;
	bool failed;
};

#define TEXT_INIT                                                                                  \
	{                                                                                          \
		0                                                                                  \
	}

void text_release(struct text *t); /* frees, back to TEXT_INIT */
void text_clear(struct text *t);   /* empty, keeps the memory */
/* What is behind the first `len` bytes goes. */
void text_cut(struct text *t, size_t len);
/* Room for `n` more bytes; where to write them, or NULL. Then text_grown(). */
char *text_reserve(struct text *t, size_t n);
void text_grown(struct text *t, size_t n);
void text_add(struct text *t, const char *s, size_t n);
void text_puts(struct text *t, const char *s);
/* Prints to what room(arg, n) gives for n bytes, the final 0 among them. Where that is, or NULL;
 * its length in *ret. */
char *text_print_to(
        char *(*room)(void *arg, size_t n), void *arg, const char *fmt, va_list ap, size_t *ret);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
