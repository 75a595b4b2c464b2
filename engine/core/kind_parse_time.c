/* SPDX-License-Identifier: MIT */
/* kind_parse_time.c: durations and times from text.
 *
 * Durations: parts with units (1h30m, "5 minutes"), the number alone is seconds.
 * Times: epoch seconds, ISO 8601 (UTC where no zone is given), "now", "DURATION ago".
 * Decimal fractions of seconds are read digit by digit, so that no nanosecond is lost.
 */
#include "engine/core/kind_parse.h"

#include "engine/core/civil.h"
#include "engine/core/now.h"
#include "engine/core/put.h"

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

int kind_parse_duration(const char *s, size_t len, int64_t *ret)
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

int kind_parse_time(const char *s, size_t len, int64_t *ret)
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
		r = kind_parse_duration(s, (size_t)(c.end - s), &back);
		if (r < 0)
			return r;
		return __builtin_sub_overflow(now_ns(CLOCK_REALTIME), back, ret) ? -ERANGE : 0;
	}
	if (len >= 8 && s[4] == '-')
		return parse_iso(c, ret);
	return parse_epoch(c, ret);
}
