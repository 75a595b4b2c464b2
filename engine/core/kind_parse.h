/* SPDX-License-Identifier: MIT */
/* kind_parse.h: what the parsers of values share. All take the whole text: 0, -EINVAL where it is
 * no such value, -ERANGE where it is none that fits. For others: weir_kind_parse().
 */
#ifndef KIND_PARSE_H
#define KIND_PARSE_H

#include <errno.h>
#include <string.h>
#include <weir/kind.h>

/* kind_parse_time.c; the results are ns */
int kind_parse_duration(const char *s, size_t len, int64_t *ret);
int kind_parse_time(const char *s, size_t len, int64_t *ret);
/* kind_parse_address.c */
int kind_parse_ip(const char *s, size_t len, struct weir_ip *ret);
int kind_parse_subnet(const char *s, size_t len, struct weir_ip *ret);
int kind_parse_mac(const char *s, size_t len, uint64_t *ret);

struct cursor {
	const char *p, *end;
};

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

static inline int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline bool word_is(const char *p, size_t len, const char *word)
{
	if (strlen(word) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (lower(p[i]) != word[i])
			return false;
	return true;
}

static inline bool take(struct cursor *c, char ch)
{
	if (c->p < c->end && *c->p == ch) {
		c->p++;
		return true;
	}
	return false;
}

static inline void skip_space(struct cursor *c)
{
	while (c->p < c->end && *c->p == ' ')
		c->p++;
}

/* Decimal digits, at least one. */
static inline int digits(struct cursor *c, uint64_t *ret)
{
	uint64_t v = 0;
	const char *start = c->p;
	bool over = false;

	for (; c->p < c->end && is_digit(*c->p); c->p++)
		over |= __builtin_mul_overflow(v, 10, &v) ||
		        __builtin_add_overflow(v, (uint64_t)(*c->p - '0'), &v);
	if (c->p == start)
		return -EINVAL;
	*ret = v;
	return over ? -ERANGE : 0;
}

#endif
