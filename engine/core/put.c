/* SPDX-License-Identifier: MIT */
/* put.c: tables of digits, IPv6 text (RFC 5952), shortest text of floating-point numbers.
 *
 * put_f64() is Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020): the interval
 * of decimals that read back as v is scaled by one 128-bit power of ten, and the shortest member
 * is found with three multiplications. The powers are made on first use by exact long arithmetic
 * (617 of them, some tens of microseconds) instead of being kept as a table in the text.
 */
#include "engine/core/put.h"
#include <pthread.h>

/* clang-format off */
#define TEN(h) #h "0" #h "1" #h "2" #h "3" #h "4" #h "5" #h "6" #h "7" #h "8" #h "9"
const char put_pairs[201] =
	TEN(0) TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9);

#define OCT(h, e) \
	#h "0" e #h "1" e #h "2" e #h "3" e #h "4" e #h "5" e #h "6" e #h "7" e #h "8" e #h "9" e
const char put_octets[256 * 4 + 1] =
	"0.  1.  2.  3.  4.  5.  6.  7.  8.  9.  "
	OCT(1, ". ") OCT(2, ". ") OCT(3, ". ") OCT(4, ". ") OCT(5, ". ")
	OCT(6, ". ") OCT(7, ". ") OCT(8, ". ") OCT(9, ". ")
	OCT(10, ".") OCT(11, ".") OCT(12, ".") OCT(13, ".") OCT(14, ".")
	OCT(15, ".") OCT(16, ".") OCT(17, ".") OCT(18, ".") OCT(19, ".")
	OCT(20, ".") OCT(21, ".") OCT(22, ".") OCT(23, ".") OCT(24, ".")
	"250.251.252.253.254.255.";

#define HEX(h) TEN(h) #h "a" #h "b" #h "c" #h "d" #h "e" #h "f"
const char put_hexes[513] =
	HEX(0) HEX(1) HEX(2) HEX(3) HEX(4) HEX(5) HEX(6) HEX(7)
	HEX(8) HEX(9) HEX(a) HEX(b) HEX(c) HEX(d) HEX(e) HEX(f);
/* clang-format on */

static char *put_hex16(char *to, unsigned v)
{
	static const char digit[] = "0123456789abcdef";

	if (v >= 0x1000)
		*to++ = digit[v >> 12];
	if (v >= 0x100)
		*to++ = digit[v >> 8 & 15];
	if (v >= 0x10)
		*to++ = digit[v >> 4 & 15];
	*to++ = digit[v & 15];
	return to;
}

char *put_ip6(char *to, const uint8_t b[16])
{
	unsigned w[8], groups = 8;
	int best = -1, best_len = 1; /* a single zero group is written out (4.2.2) */
	bool dots;

	for (int i = 0; i < 8; i++)
		w[i] = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && !w[i + n])
			n++;
		if (n > best_len) { /* the first of the longest (4.2.3) */
			best = i;
			best_len = n;
		}
		i += n;
	}
	dots = best == 0 && (best_len == 6 || (best_len == 5 && w[5] == 0xffff));
	if (dots)
		groups = 6;
	for (int i = 0; i < (int)groups; i++) {
		if (i == best) {
			*to++ = ':';
			*to++ = ':';
			i += best_len - 1;
			continue;
		}
		if (i && to[-1] != ':')
			*to++ = ':';
		to = put_hex16(to, w[i]);
	}
	if (dots) {
		if (to[-1] != ':')
			*to++ = ':';
		to = put_ip4(to, b + 12);
	}
	return to;
}

/* ---- shortest doubles ---- */

typedef unsigned __int128 u128;

#define POW_MIN (-292)
#define POW_MAX 324
#define LIMBS 40 /* 1,280 bits: 10^324 and 2^1203 / 10^292 to 127 bits */

/* 10^k = g * 2^(floor(log2(10^k)) - 127), rounded up. */
static struct power {
	uint64_t hi, lo;
} powers[POW_MAX - POW_MIN + 1];
static pthread_once_t powers_once = PTHREAD_ONCE_INIT;

static int floor_log2_pow10(int e)
{
	return (e * 1741647) >> 19;
}

/* The top 128 bits of the number in n[], plus one where bits below are lost or `inexact`. */
static struct power top_bits(const uint32_t n[LIMBS], bool inexact)
{
	int top = LIMBS - 1, shift;
	u128 v = 0;
	uint32_t next;

	while (!n[top])
		top--;
	shift = __builtin_clz(n[top]);
	for (int i = 0; i < 4; i++)
		v = v << 32 | (top - i >= 0 ? n[top - i] : 0);
	next = top >= 4 ? n[top - 4] : 0;
	if (shift) {
		v = v << shift | next >> (32 - shift);
		next <<= shift;
	}
	inexact |= next != 0;
	for (int i = 0; i < top - 4; i++)
		inexact |= n[i] != 0;
	v += inexact;
	return (struct power){(uint64_t)(v >> 64), (uint64_t)v};
}

static void make_powers(void)
{
	uint32_t n[LIMBS] = {1};

	for (int k = 0; k <= POW_MAX; k++) {
		uint64_t carry = 0;

		powers[k - POW_MIN] = top_bits(n, false);
		for (int i = 0; i < LIMBS; i++) {
			carry += (uint64_t)n[i] * 10;
			n[i] = (uint32_t)carry;
			carry >>= 32;
		}
	}
	/* floor(floor(x / 10) / 10) = floor(x / 100): repeated division loses nothing */
	memset(n, 0, sizeof n);
	n[LIMBS - 1] = 1u << 31;
	for (int k = -1; k >= POW_MIN; k--) {
		uint64_t rest = 0;

		for (int i = LIMBS - 1; i >= 0; i--) {
			rest = rest << 32 | n[i];
			n[i] = (uint32_t)(rest / 10);
			rest %= 10;
		}
		powers[k - POW_MIN] = top_bits(n, true);
	}
}

/* floor(g * c / 2^128), its last bit set where the division left a rest ("rounded to odd"). */
static uint64_t scale_odd(const struct power *g, uint64_t c)
{
	u128 low = (u128)g->lo * c, high = (u128)g->hi * c + (uint64_t)(low >> 64);

	return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The shortest m * 10^*exp that rounds to the positive finite double with these bits. */
static uint64_t shortest(uint64_t bits, int *exp)
{
	uint64_t fraction = bits & ((1ull << 52) - 1), c, lo, mid, hi, s;
	int e = (int)(bits >> 52 & 0x7ff), q, k, h, odd;
	bool closer = !fraction && e > 1; /* the neighbour below is half as far */
	const struct power *g;

	c = e ? fraction | 1ull << 52 : fraction;
	q = (e ? e : 1) - 1075;
	odd = c & 1;
	k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
	h = q + floor_log2_pow10(-k) + 1;
	g = &powers[-k - POW_MIN];
	lo = scale_odd(g, (4 * c - 2 + closer) << h) + odd;
	mid = scale_odd(g, 4 * c << h);
	hi = scale_odd(g, (4 * c + 2) << h) - odd;
	s = mid / 4;
	if (s >= 10) {
		uint64_t t = s / 10;
		bool down = lo <= 40 * t, up = 40 * t + 40 <= hi;

		if (down != up) {
			*exp = k + 1;
			return t + up;
		}
	}
	*exp = k;
	if ((lo <= 4 * s) != (4 * s + 4 <= hi))
		return s + (4 * s + 4 <= hi);
	return s + (mid > 4 * s + 2 || (mid == 4 * s + 2 && (s & 1)));
}

/* The digits in d[0..n) with the point behind digit `point` (which may lie outside). */
static char *put_digits(char *to, const char *d, int n, int point)
{
	int e = point - 1;

	if (point > 0 && point <= 16) {
		if (point >= n) {
			memcpy(to, d, n);
			memset(to + n, '0', point - n);
			return to + point;
		}
		memcpy(to, d, point);
		to[point] = '.';
		memcpy(to + point + 1, d + point, n - point);
		return to + n + 1;
	}
	if (point <= 0 && point > -4) {
		memcpy(to, "0.000", 5);
		memcpy(to + 2 - point, d, n);
		return to + 2 - point + n;
	}
	*to++ = *d;
	if (n > 1) {
		*to++ = '.';
		memcpy(to, d + 1, n - 1);
		to += n - 1;
	}
	*to++ = 'e';
	*to++ = e < 0 ? '-' : '+';
	e = e < 0 ? -e : e;
	return e < 100 ? put_2(to, (uint32_t)e) : put_u32(to, (uint32_t)e);
}

char *put_f64(char *to, double v)
{
	char d[24];
	uint64_t bits, m;
	int exp, n;

	memcpy(&bits, &v, 8);
	if (v != v) {
		memcpy(to, "nan", 3);
		return to + 3;
	}
	if (bits >> 63) {
		*to++ = '-';
		bits &= ~(1ull << 63);
		v = -v;
	}
	if (v < 9007199254740992.0 && v == (double)(uint64_t)v)
		return put_u64(to, (uint64_t)v);
	if (bits >> 52 == 0x7ff) {
		memcpy(to, "inf", 3);
		return to + 3;
	}
	pthread_once(&powers_once, make_powers);
	m = shortest(bits, &exp);
	n = (int)(put_u64(d, m) - d);
	exp += n;
	while (n > 1 && d[n - 1] == '0')
		n--;
	return put_digits(to, d, n, exp);
}
