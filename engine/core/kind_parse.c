/* SPDX-License-Identifier: MIT */
/* kind_parse.c: values from text. The whole text must be one value; nothing is guessed.
 *
 * Numbers: decimal, or 0x…; a size unit K M G T (also KB, KiB; powers of 1,024) multiplies.
 */
#include "engine/core/kind_parse.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>

static int hex_number(struct cursor *c, uint64_t *ret)
{
	uint64_t v = 0;
	const char *start = c->p;
	bool over = false;
	int d;

	for (; c->p < c->end && (d = hex_digit(*c->p)) >= 0; c->p++) {
		over |= v >> 60 != 0;
		v = v << 4 | (unsigned)d;
	}
	if (c->p == start)
		return -EINVAL;
	*ret = v;
	return over ? -ERANGE : 0;
}

/* The size unit that is all of s[0..len), as a power of 2; -1: none. */
static int size_shift(const char *s, size_t len)
{
	static const char letters[] = "kmgtpe";
	const char *at;

	if (!len)
		return 0;
	if (len == 1 && lower(*s) == 'b')
		return 0;
	at = strchr(letters, lower(*s));
	if (!at || !*at)
		return -1;
	if (len > 1 && !word_is(s + 1, len - 1, "b") && !word_is(s + 1, len - 1, "ib"))
		return -1;
	return 10 * (int)(at - letters + 1);
}

static int parse_u64(const char *s, size_t len, uint64_t *ret)
{
	struct cursor c = {s, s + len};
	int r, shift;

	if (len > 2 && s[0] == '0' && lower(s[1]) == 'x') {
		c.p += 2;
		r = hex_number(&c, ret);
		return c.p == c.end ? r : -EINVAL;
	}
	r = digits(&c, ret);
	if (r == -EINVAL)
		return r;
	shift = size_shift(c.p, (size_t)(c.end - c.p));
	if (shift < 0)
		return -EINVAL;
	if (r < 0 || (shift && *ret >> (64 - shift)))
		return -ERANGE;
	*ret <<= shift;
	return 0;
}

static int parse_i64(const char *s, size_t len, int64_t *ret)
{
	bool minus = len && *s == '-';
	uint64_t v;
	int r;

	if (len && (*s == '-' || *s == '+')) {
		s++;
		len--;
	}
	r = parse_u64(s, len, &v);
	if (r < 0)
		return r;
	if (v > (uint64_t)INT64_MAX + minus)
		return -ERANGE;
	*ret = (int64_t)(minus ? 0 - v : v);
	return 0;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", NULL);
}

static int parse_f64_slow(const char *s, size_t len, double *ret)
{
	char buf[512], *end;
	int shift;
	double v;

	if (len >= sizeof buf || !len || (unsigned char)*s <= ' ')
		return -EINVAL;
	memcpy(buf, s, len);
	buf[len] = 0;
	pthread_once(&c_locale_once, make_locale);
	v = c_locale ? strtod_l(buf, &end, c_locale) : strtod(buf, &end);
	if (end == buf)
		return -EINVAL;
	shift = size_shift(end, len - (size_t)(end - buf));
	if (shift < 0 || memchr(buf, '(', len)) /* no nan(…) */
		return -EINVAL;
	v *= (double)(1ull << shift);
	if (v - v != 0 && is_digit(buf[*buf == '-' || *buf == '+']))
		return -ERANGE; /* overflowed, and not the word "inf" */
	*ret = v;
	return 0;
}

/* [-]digits[.digits]: exact where the digits make an integer below 2^53 and the divisor is one of
 * the powers of ten that a double holds exactly; strtod() has the rest. */
static int parse_f64(const char *s, size_t len, double *ret)
{
	static const double pow10[] = {
	        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
	const char *p = s, *end = s + len, *point = NULL;
	uint64_t v = 0;
	bool minus = false;

	if (p < end && (*p == '-' || *p == '+'))
		minus = *p++ == '-';
	if (p == end || !is_digit(*p) || end - p > 16)
		return parse_f64_slow(s, len, ret);
	for (; p < end; p++) {
		if (is_digit(*p))
			v = v * 10 + (unsigned)(*p - '0');
		else if (*p == '.' && !point)
			point = p;
		else
			return parse_f64_slow(s, len, ret);
	}
	if (v >> 53)
		return parse_f64_slow(s, len, ret);
	*ret = (double)v / pow10[point ? end - point - 1 : 0];
	if (minus)
		*ret = -*ret;
	return 0;
}

static int parse_bool(const char *s, size_t len, uint64_t *ret)
{
	*ret = word_is(s, len, "true") || word_is(s, len, "yes") || word_is(s, len, "1");
	if (*ret || word_is(s, len, "false") || word_is(s, len, "no") || word_is(s, len, "0"))
		return 0;
	return -EINVAL;
}

int weir_kind_parse(enum weir_kind k, const char *s, size_t len, union weir_datum *ret)
{
	union weir_datum d;
	int r = -EINVAL;

	memset(&d, 0, sizeof d);
	switch (k) {
	case WEIR_NONE:
	case WEIR_KINDS:
		break;
	case WEIR_BOOL:
		r = parse_bool(s, len, &d.u);
		break;
	case WEIR_U64:
		r = parse_u64(s, len, &d.u);
		break;
	case WEIR_I64:
		r = parse_i64(s, len, &d.i);
		break;
	case WEIR_F64:
		r = parse_f64(s, len, &d.f);
		break;
	case WEIR_TIME:
		r = kind_parse_time(s, len, &d.i);
		break;
	case WEIR_DURATION:
		r = kind_parse_duration(s, len, &d.i);
		break;
	case WEIR_IP:
		r = kind_parse_ip(s, len, &d.ip);
		break;
	case WEIR_SUBNET:
		r = kind_parse_subnet(s, len, &d.ip);
		break;
	case WEIR_MAC:
		r = kind_parse_mac(s, len, &d.u);
		break;
	case WEIR_STR:
	case WEIR_BYTES:
		d.s.p = (const uint8_t *)s;
		d.s.len = len;
		r = 0;
		break;
	}
	if (r == 0)
		*ret = d;
	return r;
}
