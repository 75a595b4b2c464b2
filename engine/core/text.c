/* SPDX-License-Identifier: MIT */
/* text.c: a growing piece of text. Doubles, so that n appends cost O(n). */
#include "engine/core/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_release(struct text *t)
{
	free(t->p);
	*t = (struct text)TEXT_INIT;
}

void text_clear(struct text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->p)
		t->p[0] = 0;
}

void text_cut(struct text *t, size_t len)
{
	if (len >= t->len)
		return;
	t->len = len;
	t->p[len] = 0;
}

char *text_reserve(struct text *t, size_t n)
{
	size_t cap = t->cap ? t->cap : 64;
	char *p;

	if (t->failed)
		return NULL;
	if (t->cap > t->len && t->cap - t->len > n)
		return t->p + t->len;
	if (n > SIZE_MAX / 4 || t->len > SIZE_MAX / 4) {
		t->failed = true;
		return NULL;
	}
	while (cap - t->len <= n)
		cap *= 2;
	p = realloc(t->p, cap);
	if (!p) {
		t->failed = true;
		return NULL;
	}
	t->p = p;
	t->cap = cap;
	p[t->len] = 0;
	return p + t->len;
}

void text_grown(struct text *t, size_t n)
{
	t->len += n;
	t->p[t->len] = 0;
}

void text_add(struct text *t, const char *s, size_t n)
{
	char *to = text_reserve(t, n);

	if (!to)
		return;
	if (n)
		memcpy(to, s, n);
	text_grown(t, n);
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

char *text_print_to(
        char *(*room)(void *arg, size_t n), void *arg, const char *fmt, va_list ap, size_t *ret)
{
	va_list again;
	char *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	to = n < 0 ? NULL : room(arg, (size_t)n + 1);
	if (!to)
		return NULL;
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	*ret = (size_t)n;
	return to;
}

static char *room(void *arg, size_t n)
{
	return text_reserve(arg, n);
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	if (text_print_to(room, t, fmt, ap, &n))
		text_grown(t, n);
	else
		t->failed = true;
	va_end(ap);
}
