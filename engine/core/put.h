/* SPDX-License-Identifier: MIT */
/* put.h: values as text without printf, for the renderers' hot path.
 *
 * Every function writes at `to`, without a terminator, and returns the end. None writes past
 * WEIR_PRINT_MAX bytes, but some scribble up to 8 bytes past the end that they return, inside that
 * room: reserve WEIR_PRINT_MAX for each value. Digits come in pairs from a table, so that the
 * divisions are few and by constants.
 */
#ifndef PUT_H
#define PUT_H

#include <weir/kind.h>

extern const char put_pairs[201];          /* "000102…99" */
extern const char put_octets[256 * 4 + 1]; /* "0.  1.  …255." */
extern const char put_hexes[513];          /* "000102…ff" */

static inline char *put_2(char *to, uint32_t v)
{
	memcpy(to, put_pairs + 2 * v, 2);
	return to + 2;
}

/* Exactly four, exactly eight digits. */
static inline char *put_4(char *to, uint32_t v)
{
	put_2(to, v / 100);
	put_2(to + 2, v % 100);
	return to + 4;
}

static inline char *put_8(char *to, uint32_t v)
{
	put_4(to, v / 10000);
	put_4(to + 4, v % 10000);
	return to + 8;
}

/* v below 10,000 without leading zeros. */
static inline char *put_upto4(char *to, uint32_t v)
{
	if (v < 100) {
		if (v < 10) {
			*to = (char)('0' + v);
			return to + 1;
		}
		return put_2(to, v);
	}
	if (v < 1000) {
		*to = (char)('0' + v / 100);
		return put_2(to + 1, v % 100);
	}
	return put_4(to, v);
}

static inline char *put_u32(char *to, uint32_t v)
{
	if (v < 10000)
		return put_upto4(to, v);
	if (v < 100000000)
		return put_4(put_upto4(to, v / 10000), v % 10000);
	return put_8(put_upto4(to, v / 100000000), v % 100000000);
}

/* v below 10^8 without a branch on its length: lengths in traces are as good as random, and a wrong
 * guess costs more than all of this. Digits are split in three steps, four and two at a time, in
 * the lanes of one word (P. Khuong, "How to print integers really fast", 2017); the first digit is
 * the lowest byte. Writes 8 bytes. */
static inline char *put_below8(char *to, uint32_t v)
{
	uint64_t four = v / 10000 | (uint64_t)(v % 10000) << 32, two, one, high;
	unsigned blank;

	high = (four * 10486 >> 20) & 0x7f0000007full;
	two = ((four - 100 * high) << 16) + high;
	high = (two * 103 >> 10) & 0x000f000f000f000full;
	one = ((two - 10 * high) << 8) + high;
	blank = (unsigned)__builtin_ctzll(one | 1ull << 56) & 56;
	one = (one + 0x3030303030303030ull) >> blank;
	memcpy(to, &one, 8);
	return to + 8 - blank / 8;
}

static inline char *put_u64(char *to, uint64_t v)
{
	uint64_t high;

	if (v < 100000000)
		return put_below8(to, (uint32_t)v);
	if (v <= UINT32_MAX)
		return put_u32(to, (uint32_t)v);
	if (v < 10000000000000000ull)
		return put_8(put_u32(to, (uint32_t)(v / 100000000)), (uint32_t)(v % 100000000));
	high = v / 10000000000000000ull;
	v %= 10000000000000000ull;
	to = put_upto4(to, (uint32_t)high);
	to = put_8(to, (uint32_t)(v / 100000000));
	return put_8(to, (uint32_t)(v % 100000000));
}

static inline char *put_i64(char *to, int64_t v)
{
	if (v < 0) {
		*to++ = '-';
		return put_u64(to, 0 - (uint64_t)v);
	}
	return put_u64(to, (uint64_t)v);
}

static inline char *put_ip4(char *to, const uint8_t b[4])
{
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		memcpy(to, put_octets + 4 * b[i], 4);
		to += 2 + (b[i] > 9) + (b[i] > 99);
	}
	return to - 1;
}

/* RFC 5952; IPv4-mapped and IPv4-compatible addresses end in dots, as inet_ntop() has it. */
char *put_ip6(char *to, const uint8_t b[16]);

static inline char *put_ip(char *to, const struct weir_ip *ip)
{
	if (__builtin_expect(ip->family == 4, 1))
		return put_ip4(to, ip->b);
	return ip->family == 6 ? put_ip6(to, ip->b) : to;
}

static inline char *put_subnet(char *to, const struct weir_ip *ip)
{
	to = put_ip(to, ip);
	*to++ = '/';
	return put_u32(to, ip->prefix);
}

static inline char *put_hex2(char *to, uint8_t v)
{
	memcpy(to, put_hexes + 2 * v, 2);
	return to + 2;
}

static inline char *put_mac(char *to, uint64_t v)
{
	for (int shift = 40; shift >= 0; shift -= 8) {
		to = put_hex2(to, (uint8_t)(v >> shift));
		*to++ = ':';
	}
	return to - 1;
}

/* 2 * n bytes. */
static inline char *put_hex(char *to, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to = put_hex2(to, p[i]);
	return to;
}

/* Nine digits, cut (not rounded) to `digits`. */
static inline char *put_fraction(char *to, uint32_t ns, unsigned digits)
{
	if (digits >= 9) {
		*to = (char)('0' + ns / 100000000);
		put_8(to + 1, ns % 100000000);
		return to + 9;
	}
	put_8(to, ns / 10);
	return to + digits;
}

/* Nanoseconds as seconds with `digits` fractional digits (0 to 9): times since the epoch, and
 * durations. What lies beyond the digits is cut off. */
static inline char *put_time(char *to, int64_t ns, unsigned digits)
{
	uint64_t v = (uint64_t)ns, s;

	if (ns < 0) {
		*to++ = '-';
		v = 0 - v;
	}
	s = v / 1000000000;
	to = s < 10000000000ull && s >= 100000000
	             ? put_8(put_u32(to, (uint32_t)(s / 100000000)), (uint32_t)(s % 100000000))
	             : put_u64(to, s);
	if (!digits)
		return to;
	*to++ = '.';
	return put_fraction(to, (uint32_t)(v - s * 1000000000), digits);
}

/* The shortest decimal that reads back as v, and of those the nearest: 0.1, 100, 1e+22, 5e-324,
 * nan, inf. Plain between 1e-4 and 1e16, else with an exponent, as Python's repr() without the
 * ".0". */
char *put_f64(char *to, double v);

#endif
