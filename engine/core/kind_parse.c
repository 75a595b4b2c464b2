/* SPDX-License-Identifier: MIT */
/* kind_parse.c: values from text. The whole text must be one value; nothing is guessed.
 *
 * Numbers: decimal, or 0x…; a size unit K M G T (also KB, KiB; powers of 1,024) multiplies.
 * Durations: parts with units (1h30m, "5 minutes"), the number alone is seconds.
 * Times: epoch seconds, ISO 8601 (UTC where no zone is given), "now", "DURATION ago".
 * Decimal fractions of seconds are read digit by digit, so that no nanosecond is lost.
 */
#include "engine/core/civil.h"
#include "engine/core/now.h"
#include "engine/core/put.h"
#include <arpa/inet.h>
#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct cursor {
	const char *p, *end;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool word_is(const char *p, size_t len, const char *word)
{
	if (strlen(word) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (lower(p[i]) != word[i])
			return false;
	return true;
}

static bool take(struct cursor *c, char ch)
{
	if (c->p < c->end && *c->p == ch) {
		c->p++;
		return true;
	}
	return false;
}

static void skip_space(struct cursor *c)
{
	while (c->p < c->end && *c->p == ' ')
		c->p++;
}

/* Decimal digits, at least one. */
static int digits(struct cursor *c, uint64_t *ret)
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

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
        {"s", NS_PER_SEC},
        {"sec", NS_PER_SEC},
        {"secs", NS_PER_SEC},
        {"second", NS_PER_SEC},
        {"seconds", NS_PER_SEC},
        {"ms", 1000000},
        {"msec", 1000000},
        {"millisecond", 1000000},
        {"milliseconds", 1000000},
        {"us", 1000},
        {"usec", 1000},
        {"\xc2\xb5s", 1000},
        {"\xce\xbcs", 1000},
        {"microsecond", 1000},
        {"microseconds", 1000},
        {"ns", 1},
        {"nsec", 1},
        {"nanosecond", 1},
        {"nanoseconds", 1},
        {"m", 60 * NS_PER_SEC},
        {"min", 60 * NS_PER_SEC},
        {"mins", 60 * NS_PER_SEC},
        {"minute", 60 * NS_PER_SEC},
        {"minutes", 60 * NS_PER_SEC},
        {"h", 3600 * NS_PER_SEC},
        {"hour", 3600 * NS_PER_SEC},
        {"hours", 3600 * NS_PER_SEC},
        {"d", 86400 * NS_PER_SEC},
        {"day", 86400 * NS_PER_SEC},
        {"days", 86400 * NS_PER_SEC},
        {"w", 7 * 86400 * NS_PER_SEC},
        {"week", 7 * 86400 * NS_PER_SEC},
        {"weeks", 7 * 86400 * NS_PER_SEC},
};

static int64_t unit_ns(const char *s, size_t len)
{
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (word_is(s, len, units[i].name))
			return units[i].ns;
	return 0;
}

/* One "1.5h": digits with an optional fraction, then a unit. Adds to *sum. */
static int duration_part(struct cursor *c, bool only, int64_t *sum)
{
	uint64_t whole = 0, part = 0, scale = 1;
	const char *unit;
	int64_t ns, v;
	int r = digits(c, &whole);

	if (r == -EINVAL)
		return r;
	if (take(c, '.')) {
		if (c->p == c->end || !is_digit(*c->p))
			return -EINVAL;
		for (; c->p < c->end && is_digit(*c->p); c->p++)
			if (scale < 1000000000) {
				part = part * 10 + (unsigned)(*c->p - '0');
				scale *= 10;
			}
	}
	skip_space(c);
	unit = c->p;
	while (c->p < c->end && !is_digit(*c->p) && *c->p != ' ')
		c->p++;
	ns = unit == c->p && only && c->p == c->end ? NS_PER_SEC
	                                            : unit_ns(unit, (size_t)(c->p - unit));
	if (!ns)
		return -EINVAL;
	if (r < 0 || whole > INT64_MAX || __builtin_mul_overflow((int64_t)whole, ns, &v) ||
	        __builtin_add_overflow(
	                v, (int64_t)((unsigned __int128)part * (uint64_t)ns / scale), &v) ||
	        __builtin_add_overflow(*sum, v, sum))
		return -ERANGE;
	return 0;
}

static int parse_duration(const char *s, size_t len, int64_t *ret)
{
	struct cursor c = {s, s + len};
	bool minus = take(&c, '-'), first = true;
	int64_t sum = 0;
	int r;

	if (!minus)
		take(&c, '+');
	do {
		r = duration_part(&c, first, &sum);
		if (r < 0)
			return r;
		first = false;
		skip_space(&c);
	} while (c.p < c.end);
	*ret = minus ? -sum : sum;
	return 0;
}

/* ".123456789": nanoseconds; what is beyond is cut off. */
static int fraction(struct cursor *c, int64_t *ret)
{
	int64_t ns = 0, unit = NS_PER_SEC;

	*ret = 0;
	if (!take(c, '.'))
		return 0;
	if (c->p == c->end || !is_digit(*c->p))
		return -EINVAL;
	for (; c->p < c->end && is_digit(*c->p); c->p++) {
		unit /= 10;
		ns += unit * (*c->p - '0');
	}
	*ret = ns;
	return 0;
}

static int parse_epoch(struct cursor c, int64_t *ret)
{
	bool minus = take(&c, '-');
	uint64_t s;
	int64_t ns, v;
	int r = digits(&c, &s);

	if (r == -EINVAL || fraction(&c, &ns) < 0 || c.p != c.end)
		return -EINVAL;
	if (r < 0 || s > INT64_MAX || __builtin_mul_overflow((int64_t)s, NS_PER_SEC, &v) ||
	        __builtin_add_overflow(v, ns, &v))
		return -ERANGE;
	*ret = minus ? -v : v;
	return 0;
}

/* Exactly n digits, at most max. */
static bool fixed(struct cursor *c, int n, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint32_t v = 0;

	if (c->end - c->p < n)
		return false;
	while (n--) {
		if (!is_digit(*c->p))
			return false;
		v = v * 10 + (uint32_t)(*c->p++ - '0');
	}
	*ret = v;
	return v >= min && v <= max;
}

/* Z, +02, +0200, +02:00: seconds east of Greenwich. */
static bool zone(struct cursor *c, int64_t *ret)
{
	uint32_t h, m = 0;
	bool west;

	skip_space(c);
	*ret = 0;
	if (c->p == c->end || take(c, 'Z') || take(c, 'z'))
		return c->p == c->end;
	west = *c->p == '-';
	if (!west && *c->p != '+')
		return false;
	c->p++;
	if (!fixed(c, 2, 0, 23, &h))
		return false;
	if (c->p < c->end) {
		take(c, ':');
		if (!fixed(c, 2, 0, 59, &m))
			return false;
	}
	*ret = (int64_t)(h * 3600 + m * 60) * (west ? -1 : 1);
	return c->p == c->end;
}

static int parse_iso(struct cursor c, int64_t *ret)
{
	uint32_t year, month, day, h = 0, m = 0, s = 0;
	int64_t ns = 0, east = 0, v;

	if (!fixed(&c, 4, 0, 9999, &year) || !take(&c, '-') || !fixed(&c, 2, 1, 12, &month) ||
	        !take(&c, '-') || !fixed(&c, 2, 1, civil_month_days(year, month), &day))
		return -EINVAL;
	if (c.p < c.end && (take(&c, 'T') || take(&c, 't') || take(&c, ' '))) {
		if (!fixed(&c, 2, 0, 23, &h) || !take(&c, ':') || !fixed(&c, 2, 0, 59, &m))
			return -EINVAL;
		if (take(&c, ':') && (!fixed(&c, 2, 0, 60, &s) || fraction(&c, &ns) < 0))
			return -EINVAL;
		if (!zone(&c, &east))
			return -EINVAL;
	}
	if (c.p != c.end)
		return -EINVAL;
	v = civil_days(year, month, day) * 86400 + h * 3600 + m * 60 + s - east;
	if (__builtin_mul_overflow(v, NS_PER_SEC, &v) || __builtin_add_overflow(v, ns, &v))
		return -ERANGE;
	*ret = v;
	return 0;
}

static int parse_time(const char *s, size_t len, int64_t *ret)
{
	struct cursor c = {s, s + len};
	int64_t back;
	int r;

	if (word_is(s, len, "now")) {
		*ret = now_ns(CLOCK_REALTIME);
		return 0;
	}
	if (len > 4 && word_is(s + len - 3, 3, "ago")) {
		c.end -= 3;
		while (c.end > c.p && c.end[-1] == ' ')
			c.end--;
		if (c.end == c.p || is_digit(c.end[-1])) /* "5 ago" */
			return -EINVAL;
		r = parse_duration(s, (size_t)(c.end - s), &back);
		if (r < 0)
			return r;
		return __builtin_sub_overflow(now_ns(CLOCK_REALTIME), back, ret) ? -ERANGE : 0;
	}
	if (len >= 8 && s[4] == '-')
		return parse_iso(c, ret);
	return parse_epoch(c, ret);
}

static int parse_ip4(const char *s, size_t len, uint8_t b[4])
{
	struct cursor c = {s, s + len};

	for (int i = 0; i < 4; i++) {
		uint32_t v = 0, n = 0;

		if (i && !take(&c, '.'))
			return -EINVAL;
		for (; c.p < c.end && is_digit(*c.p) && n < 4; n++)
			v = v * 10 + (uint32_t)(*c.p++ - '0');
		if (!n || v > 255 || n > 3)
			return -EINVAL;
		b[i] = (uint8_t)v;
	}
	return c.p == c.end ? 0 : -EINVAL;
}

static int parse_ip(const char *s, size_t len, struct weir_ip *ret)
{
	struct weir_ip ip = {0};
	char buf[INET6_ADDRSTRLEN];

	if (parse_ip4(s, len, ip.b) == 0) {
		ip.family = 4;
		ip.prefix = 32;
	} else {
		memset(ip.b, 0, sizeof ip.b);
		if (len >= sizeof buf || !memchr(s, ':', len) || memchr(s, 0, len))
			return -EINVAL;
		memcpy(buf, s, len);
		buf[len] = 0;
		if (inet_pton(AF_INET6, buf, ip.b) != 1)
			return -EINVAL;
		ip.family = 6;
		ip.prefix = 128;
	}
	*ret = ip;
	return 0;
}

static int parse_subnet(const char *s, size_t len, struct weir_ip *ret)
{
	const char *slash = memchr(s, '/', len);
	struct weir_ip ip;
	struct cursor c;
	uint64_t prefix;
	int r = parse_ip(s, slash ? (size_t)(slash - s) : len, &ip);

	if (r < 0)
		return r;
	if (slash) {
		c = (struct cursor){slash + 1, s + len};
		r = digits(&c, &prefix);
		if (r == -EINVAL || c.p != c.end)
			return -EINVAL;
		if (r < 0 || prefix > ip.prefix)
			return -ERANGE;
		ip.prefix = (uint8_t)prefix;
		for (unsigned i = 0; i < 16; i++) {
			if (8 * i >= prefix)
				ip.b[i] = 0;
			else if (8 * i + 8 > prefix)
				ip.b[i] &= (uint8_t)(0xff00 >> (prefix - 8 * i));
		}
	}
	*ret = ip;
	return 0;
}

/* aa:bb:cc:dd:ee:ff with ':' or '-' and one or two digits, or aabb.ccdd.eeff. */
static int parse_mac(const char *s, size_t len, uint64_t *ret)
{
	const char *p = s, *end = s + len;
	bool dots = len == 14 && s[4] == '.';
	int parts = dots ? 3 : 6, width = dots ? 4 : 2;
	char between = dots ? '.' : 0;
	uint64_t v = 0;

	for (int i = 0; i < parts; i++) {
		uint64_t part = 0;
		int n = 0, d;

		if (i) {
			if (p == end || (*p != ':' && *p != '-' && *p != '.') ||
			        (between && *p != between))
				return -EINVAL;
			between = *p++;
			if (!dots && between == '.')
				return -EINVAL;
		}
		for (; p < end && n < width && (d = hex_digit(*p)) >= 0; p++, n++)
			part = part << 4 | (unsigned)d;
		if (!n || (dots && n != 4))
			return -EINVAL;
		v = v << (4 * width) | part;
	}
	if (p != end)
		return -EINVAL;
	*ret = v;
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
		r = parse_time(s, len, &d.i);
		break;
	case WEIR_DURATION:
		r = parse_duration(s, len, &d.i);
		break;
	case WEIR_IP:
		r = parse_ip(s, len, &d.ip);
		break;
	case WEIR_SUBNET:
		r = parse_subnet(s, len, &d.ip);
		break;
	case WEIR_MAC:
		r = parse_mac(s, len, &d.u);
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
