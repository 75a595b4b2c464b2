/* SPDX-License-Identifier: MIT */
/* Values: printing against inet_ntop() and printf(), doubles by reading them back, parsing against
 * written-down values, order. */
#include "engine/core/civil.h"
#include "engine/core/put.h"
#include "tests/unit/rnd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const char *print(enum weir_kind k, union weir_datum d, unsigned digits)
{
	static char buf[WEIR_PRINT_MAX + 1];

	*weir_kind_print(k, &d, digits, buf) = 0;
	return buf;
}

static void integers(void **state)
{
	static const uint64_t edges[] = {0, 1, 9, 10, 99, 100, 999, 1000, 9999, 10000, 99999999,
	        100000000, UINT32_MAX, UINT32_MAX + 1ull, 9999999999999999ull, 10000000000000000ull,
	        UINT64_MAX, INT64_MAX, 1ull << 63};
	char want[32];

	for (int i = 0; i < 200000; i++) {
		union weir_datum d, back;
		const char *got;

		d.u = i < 19 ? edges[i] : rnd64() >> (rnd64() & 63);
		snprintf(want, sizeof want, "%llu", (unsigned long long)d.u);
		got = print(WEIR_U64, d, 0);
		assert_string_equal(got, want);
		assert_int_equal(weir_kind_parse(WEIR_U64, got, strlen(got), &back), 0);
		assert_true(back.u == d.u);
		snprintf(want, sizeof want, "%lld", (long long)d.i);
		got = print(WEIR_I64, d, 0);
		assert_string_equal(got, want);
		assert_int_equal(weir_kind_parse(WEIR_I64, got, strlen(got), &back), 0);
		assert_true(back.u == d.u);
	}
}

static void addresses(void **state)
{
	for (int i = 0; i < 100000; i++) {
		union weir_datum d = {0}, back;
		char want[INET6_ADDRSTRLEN];
		const char *got;
		uint64_t mask = rnd64();

		d.ip.family = i & 1 ? 4 : 6;
		d.ip.prefix = i & 1 ? 32 : 128;
		for (int j = 0; j < (i & 1 ? 4 : 16); j++) /* runs of zero groups are common */
			d.ip.b[j] =
			        mask >> (j / 2 * 3) & 4 ? 0 : (uint8_t)(rnd64() >> (rnd64() & 7));
		if (i % 100 == 0)
			memset(d.ip.b, 0, 10 + i / 100 % 6);
		if (i % 200 == 0)
			d.ip.b[10] = d.ip.b[11] = 0xff;
		inet_ntop(i & 1 ? AF_INET : AF_INET6, d.ip.b, want, sizeof want);
		got = print(WEIR_IP, d, 0);
		assert_string_equal(got, want);
		assert_int_equal(weir_kind_parse(WEIR_IP, got, strlen(got), &back), 0);
		assert_memory_equal(&back.ip, &d.ip, sizeof d.ip);
	}
}

static void mac_bytes_bool(void **state)
{
	union weir_datum d;

	d.u = 0x00010203aBfFull;
	assert_string_equal(print(WEIR_MAC, d, 0), "00:01:02:03:ab:ff");
	d.u = 1;
	assert_string_equal(print(WEIR_BOOL, d, 0), "true");
	d.u = 0;
	assert_string_equal(print(WEIR_BOOL, d, 0), "false");
	d.s.p = (const uint8_t *)"GET \xff";
	d.s.len = 5;
	assert_string_equal(print(WEIR_BYTES, d, 0), "47455420ff");
	assert_string_equal(print(WEIR_NONE, d, 0), "");
}

/* The fewest digits with which printf() writes a text that reads back. */
static int fewest_digits(double v)
{
	char buf[64];
	int n;

	for (n = 1; n < 17; n++) {
		snprintf(buf, sizeof buf, "%.*e", n - 1, v);
		if (strtod(buf, NULL) == v)
			break;
	}
	return n;
}

static int significant(const char *s)
{
	int n = 0, zeros = 0;

	for (; *s && *s != 'e'; s++) {
		if (*s < '0' || *s > '9')
			continue;
		if (*s == '0') {
			zeros += n > 0;
		} else {
			n += zeros + 1;
			zeros = 0;
		}
	}
	return n;
}

static void check_double(double v)
{
	union weir_datum d = {.f = v}, back;
	const char *got = print(WEIR_F64, d, 0);

	assert_true(strtod(got, NULL) == v);
	assert_int_equal(weir_kind_parse(WEIR_F64, got, strlen(got), &back), 0);
	assert_true(back.u == d.u);
	if (v != 0 && (fabs(v) >= 9007199254740992.0 || v != floor(v)))
		/* printf() tries only the nearest decimal of each length: below a power of two a
		 * farther one may read back too */
		assert_true(significant(got) <= fewest_digits(v));
}

static void doubles(void **state)
{
	static const struct {
		double v;
		const char *text;
	} row[] = {{0, "0"}, {-0.0, "-0"}, {1, "1"}, {0.1, "0.1"}, {100, "100"}, {1.5, "1.5"},
	        {0.0001, "0.0001"}, {0.00001, "1e-05"}, {1e22, "1e+22"}, {1e16, "1e+16"},
	        {9007199254740991.0, "9007199254740991"}, {5e-324, "5e-324"},
	        {1.7976931348623157e308, "1.7976931348623157e+308"},
	        {2.2250738585072014e-308, "2.2250738585072014e-308"},
	        {1. / 3, "0.3333333333333333"}, {-123.456, "-123.456"}, {1e23, "1e+23"},
	        {INFINITY, "inf"}, {-INFINITY, "-inf"}, {9007199254740993.0, "9007199254740992"},
	        {7.75e-7, "7.75e-07"}};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		union weir_datum d = {.f = row[i].v};

		assert_string_equal(print(WEIR_F64, d, 0), row[i].text);
	}
	for (int e = -1074; e < 1024; e++) { /* the neighbour below is nearer */
		check_double(ldexp(1, e));
		check_double(nextafter(ldexp(1, e), 0));
		check_double(nextafter(ldexp(1, e), INFINITY));
	}
	for (int i = 0; i < 100000; i++) {
		union weir_datum d = {.u = rnd64()};

		if (isfinite(d.f))
			check_double(d.f);
		check_double((double)(rnd64() % 1000000) / (double)(1 + rnd64() % 1000000));
		check_double((double)(int64_t)rnd64() / 1000);
	}
}

static void times(void **state)
{
	static const struct {
		int64_t ns;
		unsigned digits;
		const char *text;
	} row[] = {{0, 0, "0"}, {0, 6, "0.000000"}, {1500000000, 9, "1.500000000"},
	        {1234567890123456789, 6, "1234567890.123456"},
	        {1234567890123456789, 9, "1234567890.123456789"},
	        {1234567890123456789, 0, "1234567890"}, {-1500000000, 1, "-1.5"},
	        {999999999, 8, "0.99999999"}, {100000000, 1, "0.1"},
	        {INT64_MAX, 9, "9223372036.854775807"}, {INT64_MIN, 9, "-9223372036.854775808"},
	        {99999999 * NS_PER_SEC, 3, "99999999.000"},
	        {100000000 * NS_PER_SEC, 3, "100000000.000"}};
	union weir_datum d;

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		d.i = row[i].ns;
		assert_string_equal(print(WEIR_TIME, d, row[i].digits), row[i].text);
	}
	for (int i = 0; i < 100000; i++) {
		char want[40];

		d.u = rnd64() >> (1 + (rnd64() & 31));
		snprintf(want, sizeof want, "%lld.%09lld", (long long)(d.i / NS_PER_SEC),
		        (long long)(d.i % NS_PER_SEC));
		assert_string_equal(print(WEIR_TIME, d, 9), want);
		want[strlen(want) - 3] = 0;
		assert_string_equal(print(WEIR_DURATION, d, 6), want);
	}
}

static void calendar(void **state)
{
	for (int i = 0; i < 100000; i++) {
		int64_t s = (int64_t)(rnd64() >> 31) - (1ll << 32); /* 1833 to 2106 */
		time_t t = s;
		struct tm tm;
		struct civil c;

		gmtime_r(&t, &tm);
		civil_from_time(s * NS_PER_SEC, &c);
		assert_int_equal(c.year, tm.tm_year + 1900);
		assert_int_equal(c.month, tm.tm_mon + 1);
		assert_int_equal(c.day, tm.tm_mday);
		assert_int_equal(c.hour, tm.tm_hour);
		assert_int_equal(c.minute, tm.tm_min);
		assert_int_equal(c.second, tm.tm_sec);
		assert_int_equal(c.weekday, tm.tm_wday);
		assert_int_equal(civil_days(c.year, c.month, c.day), civil_floor(s, 86400));
	}
}

#define OK 0
static void parse(void **state)
{
	static const struct {
		enum weir_kind kind;
		const char *text;
		int r;
		uint64_t u;
	} row[] = {
	        {WEIR_U64, "64MB", OK, 64 << 20},
	        {WEIR_U64, "1GiB", OK, 1 << 30},
	        {WEIR_U64, "2k", OK, 2048},
	        {WEIR_U64, "0x1F", OK, 31},
	        {WEIR_U64, "18446744073709551615", OK, UINT64_MAX},
	        {WEIR_U64, "18446744073709551616", -ERANGE, 0},
	        {WEIR_U64, "16EB", -ERANGE, 0},
	        {WEIR_U64, "0x10000000000000000", -ERANGE, 0},
	        {WEIR_U64, "", -EINVAL, 0},
	        {WEIR_U64, "-1", -EINVAL, 0},
	        {WEIR_U64, "1 ", -EINVAL, 0},
	        {WEIR_U64, "1x", -EINVAL, 0},
	        {WEIR_U64, "10.0.0.1", -EINVAL, 0},
	        {WEIR_I64, "-9223372036854775808", OK, 1ull << 63},
	        {WEIR_I64, "-9223372036854775809", -ERANGE, 0},
	        {WEIR_I64, "9223372036854775808", -ERANGE, 0},
	        {WEIR_I64, "+7", OK, 7},
	        {WEIR_F64, "1e999", -ERANGE, 0},
	        {WEIR_F64, "1.5.5", -EINVAL, 0},
	        {WEIR_F64, " 1", -EINVAL, 0},
	        {WEIR_F64, "nan(1)", -EINVAL, 0},
	        {WEIR_F64, "", -EINVAL, 0},
	        {WEIR_BOOL, "true", OK, 1},
	        {WEIR_BOOL, "0", OK, 0},
	        {WEIR_BOOL, "maybe", -EINVAL, 0},
	        {WEIR_DURATION, "10s", OK, 10000000000},
	        {WEIR_DURATION, "5m", OK, 300000000000},
	        {WEIR_DURATION, "1h30m", OK, 5400000000000},
	        {WEIR_DURATION, "5 minutes", OK, 300000000000},
	        {WEIR_DURATION, "1 day 2 hours", OK, 93600000000000},
	        {WEIR_DURATION, "0.000000001s", OK, 1},
	        {WEIR_DURATION, "1.5ms", OK, 1500000},
	        {WEIR_DURATION, "0.1", OK, 100000000},
	        {WEIR_DURATION, "-2us", OK, -2000ull},
	        {WEIR_DURATION, "1h30", -EINVAL, 0},
	        {WEIR_DURATION, "s", -EINVAL, 0},
	        {WEIR_DURATION, "1.s", -EINVAL, 0},
	        {WEIR_DURATION, "5 lightyears", -EINVAL, 0},
	        {WEIR_DURATION, "300y", -EINVAL, 0},
	        {WEIR_DURATION, "20000w", -ERANGE, 0},
	        {WEIR_TIME, "1234567890.123456", OK, 1234567890123456000},
	        {WEIR_TIME, "1234567890.1234567899", OK, 1234567890123456789},
	        {WEIR_TIME, "-0.5", OK, -500000000ull},
	        {WEIR_TIME, "2026-11-21", OK, 1795219200000000000},
	        {WEIR_TIME, "2026-11-21T10:00", OK, 1795255200000000000},
	        {WEIR_TIME, "2026-11-21 10:00:01.5Z", OK, 1795255201500000000},
	        {WEIR_TIME, "2026-11-21T10:00+02:00", OK, 1795248000000000000},
	        {WEIR_TIME, "2026-11-21T10:00:00 -0130", OK, 1795260600000000000},
	        {WEIR_TIME, "2024-02-29", OK, 1709164800000000000},
	        {WEIR_TIME, "2023-02-29", -EINVAL, 0},
	        {WEIR_TIME, "2026-13-01", -EINVAL, 0},
	        {WEIR_TIME, "2026-11-21T24:00", -EINVAL, 0},
	        {WEIR_TIME, "2026-11-21T10:00x", -EINVAL, 0},
	        {WEIR_TIME, "2026-11-21x", -EINVAL, 0},
	        {WEIR_TIME, "9999-01-01", -ERANGE, 0},
	        {WEIR_TIME, "9223372037", -ERANGE, 0},
	        {WEIR_TIME, "yesterday", -EINVAL, 0},
	        {WEIR_TIME, "5 ago", -EINVAL, 0},
	        {WEIR_MAC, "00:01:02:03:04:05", OK, 0x000102030405},
	        {WEIR_MAC, "0:1:2:A:b:ff", OK, 0x0001020a0bff},
	        {WEIR_MAC, "00-01-02-03-04-05", OK, 0x000102030405},
	        {WEIR_MAC, "0001.0203.0405", OK, 0x000102030405},
	        {WEIR_MAC, "00:01-02:03:04:05", -EINVAL, 0},
	        {WEIR_MAC, "00:01:02:03:04", -EINVAL, 0},
	        {WEIR_MAC, "00:01:02:03:04:05:06", -EINVAL, 0},
	        {WEIR_MAC, "00:01:02:03:04:005", -EINVAL, 0},
	        {WEIR_IP, "10.0.0.256", -EINVAL, 0},
	        {WEIR_IP, "10.0.0", -EINVAL, 0},
	        {WEIR_IP, "10.0.0.1.", -EINVAL, 0},
	        {WEIR_IP, "::1%lo", -EINVAL, 0},
	        {WEIR_IP, "1:2:3", -EINVAL, 0},
	        {WEIR_SUBNET, "10.0.0.0/33", -ERANGE, 0},
	        {WEIR_SUBNET, "10.0.0.0/", -EINVAL, 0},
	        {WEIR_SUBNET, "::/129", -ERANGE, 0},
	        {WEIR_NONE, "1", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		union weir_datum d = {.u = 0x5555};
		int r = weir_kind_parse(row[i].kind, row[i].text, strlen(row[i].text), &d);

		if (r != row[i].r || d.u != (r ? 0x5555 : row[i].u))
			fail_msg("%s '%s': %d %lld", weir_kind_name(row[i].kind), row[i].text, r,
			        (long long)d.i);
	}
}

static void relative_time(void **state)
{
	union weir_datum a, b, now;

	assert_int_equal(weir_kind_parse(WEIR_TIME, "now", 3, &now), 0);
	assert_int_equal(weir_kind_parse(WEIR_TIME, "5 minutes ago", 13, &a), 0);
	assert_int_equal(weir_kind_parse(WEIR_TIME, "1h30m ago", 9, &b), 0);
	assert_true(llabs(now.i - a.i - 300 * NS_PER_SEC) < 60 * NS_PER_SEC);
	assert_true(llabs(now.i - b.i - 5400 * NS_PER_SEC) < 60 * NS_PER_SEC);
	assert_true(llabs(now.i / NS_PER_SEC - time(NULL)) < 60);
}

static union weir_datum datum(enum weir_kind k, const char *s)
{
	union weir_datum d;

	assert_int_equal(weir_kind_parse(k, s, strlen(s), &d), 0);
	return d;
}

static void subnets(void **state)
{
	static const struct {
		const char *ip, *net;
		bool in;
	} row[] = {{"10.1.2.3", "10.0.0.0/8", true}, {"11.1.2.3", "10.0.0.0/8", false},
	        {"10.1.2.3", "0.0.0.0/0", true}, {"::1", "0.0.0.0/0", false},
	        {"10.1.2.3", "10.1.2.2/31", true}, {"10.1.2.4", "10.1.2.2/31", false},
	        {"2001:db8::1", "2001:db8::/33", true},
	        {"2001:db8:8000::1", "2001:db8::/33", false}, {"2001:db8::1", "2001:db8::1", true},
	        {"2001:db8::1", "2001:db8::/128", false}};
	union weir_datum d = datum(WEIR_SUBNET, "10.1.2.3/12");

	assert_string_equal(print(WEIR_SUBNET, d, 0), "10.0.0.0/12");
	d = datum(WEIR_SUBNET, "2001:db8:ffff::/33");
	assert_string_equal(print(WEIR_SUBNET, d, 0), "2001:db8:8000::/33");
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		union weir_datum ip = datum(WEIR_IP, row[i].ip),
		                 net = datum(WEIR_SUBNET, row[i].net);

		assert_int_equal(weir_ip_in(&ip.ip, &net.ip), row[i].in);
	}
}

static void order(void **state)
{
	static const struct {
		enum weir_kind kind;
		const char *text[4];
	} row[] = {{WEIR_U64, {"0", "1", "9223372036854775808", "18446744073709551615"}},
	        {WEIR_I64, {"-5", "-1", "0", "7"}}, {WEIR_F64, {"-inf", "-0.5", "inf", "nan"}},
	        {WEIR_TIME, {"-1", "0", "1", "2"}},
	        {WEIR_IP, {"9.255.255.255", "10.0.0.0", "255.0.0.0", "::"}},
	        {WEIR_SUBNET, {"10.0.0.0/8", "10.0.0.0/9", "10.1.0.0/16", "::/0"}},
	        {WEIR_STR, {"", "a", "aa", "b"}}, {WEIR_BYTES, {"", "a", "aa", "b"}},
	        {WEIR_MAC, {"0:0:0:0:0:1", "0:0:0:0:1:0", "1:0:0:0:0:0", "ff:0:0:0:0:0"}}};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		for (int a = 0; a < 4; a++) {
			for (int b = 0; b < 4; b++) {
				union weir_datum x = datum(row[i].kind, row[i].text[a]),
				                 y = datum(row[i].kind, row[i].text[b]);

				assert_int_equal(
				        weir_kind_compare(row[i].kind, &x, &y), (a > b) - (a < b));
			}
		}
	}
}

static void names(void **state)
{
	for (enum weir_kind k = WEIR_BOOL; k < WEIR_KINDS; k++) {
		const char *s = weir_kind_name(k);

		assert_int_equal(weir_kind_by_name(s, strlen(s)), k);
		assert_non_null(weir_kind_article(k));
	}
	assert_int_equal(weir_kind_by_name("none", 4), WEIR_NONE);
	assert_int_equal(weir_kind_by_name("u6", 2), WEIR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(integers),
	        cmocka_unit_test(addresses),
	        cmocka_unit_test(mac_bytes_bool),
	        cmocka_unit_test(doubles),
	        cmocka_unit_test(times),
	        cmocka_unit_test(calendar),
	        cmocka_unit_test(parse),
	        cmocka_unit_test(relative_time),
	        cmocka_unit_test(subnets),
	        cmocka_unit_test(order),
	        cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
