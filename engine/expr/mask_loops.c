/* SPDX-License-Identifier: MIT */
/* mask_loops.c: the loops of mask.h over a column, portable, for AVX2 and for AVX-512.
 *
 * A vector compare and a move of its signs yield the bits of 4 rows; with AVX-512 it is one
 * compare for 8. Nothing behind the last value is read: what does not fill a word is left to the
 * portable loop.
 *
 * To lists: a table has the places of the bits of a byte (after D. Lemire, L. Boytsov, N. Kurz,
 * SIMD Compression and the Intersection of Sorted Integers, 2016); where there is VBMI2, an
 * instruction does it.
 */
#include "engine/expr/mask.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* A word from the last row to the first, so that no shift depends on the row. */
#define PORTABLE_WORDS(n, mask, i, ...)                                                            \
	do {                                                                                       \
		for (uint32_t first_ = 0; first_ < (n); first_ += 64) {                            \
			uint32_t i = (n)-first_ < 64 ? (n) : first_ + 64;                          \
			uint64_t word_ = 0;                                                        \
                                                                                                   \
			while (i-- > first_)                                                       \
				word_ = 2 * word_ + (__VA_ARGS__);                                 \
			*(mask)++ = word_;                                                         \
		}                                                                                  \
	} while (0)

static void range_portable(
        const uint64_t *p, uint32_t n, uint64_t lo, uint64_t span, uint64_t *mask)
{
	PORTABLE_WORDS(n, mask, i, p[i] - lo <= span);
}

static void narrow_portable(
        const uint64_t *p, uint32_t n, uint64_t lo, uint64_t set, uint64_t *mask)
{
	PORTABLE_WORDS(n, mask, i, set >> ((p[i] - lo) & 63) & (p[i] - lo < 64));
}

static void few_portable(const uint64_t *p, uint32_t n, const uint64_t *few, uint64_t *mask)
{
	uint64_t a = few[0], b = few[1], c = few[2], d = few[3];

	PORTABLE_WORDS(n, mask, i, (p[i] == a) | (p[i] == b) | (p[i] == c) | (p[i] == d));
}

static void between_portable(const double *p, uint32_t n, double lo, double hi, uint64_t *mask)
{
	PORTABLE_WORDS(n, mask, i, (p[i] >= lo) & (p[i] <= hi));
}

static inline uint64_t first_word(const struct weir_ip *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof w);
	return w;
}

static void net4_portable(
        const struct weir_ip *p, uint32_t n, uint64_t bits, uint64_t net, uint64_t *mask)
{
	PORTABLE_WORDS(n, mask, i, (first_word(&p[i]) & bits) == net);
}

static inline uint32_t rows_of_word(uint64_t word, uint32_t first, uint16_t *rows)
{
	uint32_t m = 0;

	for (; word; word &= word - 1)
		rows[m++] = (uint16_t)(first + (uint32_t)__builtin_ctzll(word));
	return m;
}

/* clang-format off */
#define L0
#define L1 0,
#define L2 1,
#define L3 0, 1,
#define L4 2,
#define L5 0, 2,
#define L6 1, 2,
#define L7 0, 1, 2,
#define L8 3,
#define L9 0, 3,
#define LA 1, 3,
#define LB 0, 1, 3,
#define LC 2, 3,
#define LD 0, 2, 3,
#define LE 1, 2, 3,
#define LF 0, 1, 2, 3,
#define WITH(...) {L0 __VA_ARGS__}, {L1 __VA_ARGS__}, {L2 __VA_ARGS__}, {L3 __VA_ARGS__}, \
	{L4 __VA_ARGS__}, {L5 __VA_ARGS__}, {L6 __VA_ARGS__}, {L7 __VA_ARGS__}, \
	{L8 __VA_ARGS__}, {L9 __VA_ARGS__}, {LA __VA_ARGS__}, {LB __VA_ARGS__}, \
	{LC __VA_ARGS__}, {LD __VA_ARGS__}, {LE __VA_ARGS__}, {LF __VA_ARGS__}

/* Where the bits of a byte stand. */
static const uint16_t places[256][8] __attribute__((aligned(64))) = {
	WITH(), WITH(4), WITH(5), WITH(4, 5), WITH(6), WITH(4, 6), WITH(5, 6), WITH(4, 5, 6),
	WITH(7), WITH(4, 7), WITH(5, 7), WITH(4, 5, 7), WITH(6, 7), WITH(4, 6, 7), WITH(5, 6, 7),
	WITH(4, 5, 6, 7),
};
/* clang-format on */

typedef uint16_t eight_rows __attribute__((vector_size(16)));

/* Byte i is the number of bits in bytes 0..i. */
static inline uint64_t bits_up_to(uint64_t w)
{
	w -= w >> 1 & 0x5555555555555555;
	w = (w & 0x3333333333333333) + (w >> 2 & 0x3333333333333333);
	return ((w + (w >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101;
}

/* Of each byte of a whole word 8 rows are written, however many there are: from at most the row
 * of its first bit on, so that no store goes beyond rows[n). */
static uint32_t rows_by_table(const uint64_t *mask, uint32_t n, uint16_t *rows)
{
	uint32_t m = 0, first = 0;

	for (; first + 64 <= n; first += 64) {
		uint64_t word = mask[first / 64], sums = bits_up_to(word), before = sums << 8;

		if (!word)
			continue;
#pragma GCC unroll 8
		for (uint32_t i = 0; i < 64; i += 8) {
			eight_rows at;

			memcpy(&at, places[word >> i & 255], sizeof at);
			at += (uint16_t)(first + i);
			memcpy(rows + m + (before >> i & 255), &at, sizeof at);
		}
		m += (uint32_t)(sums >> 56);
	}
	return first < n ? m + rows_of_word(mask[first / 64], first, rows + m) : m;
}

static const struct mask_loops portable = {"portable", range_portable, narrow_portable,
        few_portable, between_portable, net4_portable, rows_by_table};

#ifdef __x86_64__

#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx2,popcnt,avx512f,avx512bw,avx512vbmi2")))

/* Whole words, `lanes` bits at a time; p and n are left at what remains. */
#define VECTOR_WORDS(p, n, mask, lanes, i, ...)                                                    \
	do {                                                                                       \
		for (; (n) >= 64; (n) -= 64, (p) += 64) {                                          \
			uint64_t word_ = 0;                                                        \
                                                                                                   \
			_Pragma("GCC unroll 16") for (uint32_t i = 0; i < 64; i += (lanes))        \
			        word_ |= (uint64_t)(__VA_ARGS__) << i;                             \
			*(mask)++ = word_;                                                         \
		}                                                                                  \
	} while (0)

#define LOAD4(p) _mm256_loadu_si256((const __m256i *)(p))
#define SIGNS4(v) (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(v))

/* There is no unsigned compare of 64 bits: both sides are moved by half of all numbers. */
AVX2 static void range_avx2(
        const uint64_t *p, uint32_t n, uint64_t lo, uint64_t span, uint64_t *mask)
{
	const __m256i less = _mm256_set1_epi64x((long long)(INT64_MIN - lo));
	const __m256i most = _mm256_set1_epi64x((long long)(span ^ (uint64_t)INT64_MIN));

	VECTOR_WORDS(p, n, mask, 4, i,
	        SIGNS4(_mm256_cmpgt_epi64(_mm256_add_epi64(LOAD4(p + i), less), most)) ^ 15);
	range_portable(p, n, lo, span, mask);
}

/* The set moved up until the bit asked for comes to the sign; a shift by more than 63, of what is
 * below lo or above, leaves none. */
AVX2 static void narrow_avx2(
        const uint64_t *p, uint32_t n, uint64_t lo, uint64_t set, uint64_t *mask)
{
	const __m256i last = _mm256_set1_epi64x((long long)(lo + 63));
	const __m256i bits = _mm256_set1_epi64x((long long)set);

	VECTOR_WORDS(p, n, mask, 4, i,
	        SIGNS4(_mm256_sllv_epi64(bits, _mm256_sub_epi64(last, LOAD4(p + i)))));
	narrow_portable(p, n, lo, set, mask);
}

AVX2 static inline __m256i same4(const uint64_t *p, const __m256i few[SET_FEW])
{
	const __m256i v = LOAD4(p);

	return _mm256_or_si256(
	        _mm256_or_si256(_mm256_cmpeq_epi64(v, few[0]), _mm256_cmpeq_epi64(v, few[1])),
	        _mm256_or_si256(_mm256_cmpeq_epi64(v, few[2]), _mm256_cmpeq_epi64(v, few[3])));
}

AVX2 static void few_avx2(const uint64_t *p, uint32_t n, const uint64_t *few, uint64_t *mask)
{
	__m256i v[SET_FEW];

	for (int i = 0; i < SET_FEW; i++)
		v[i] = _mm256_set1_epi64x((long long)few[i]);
	VECTOR_WORDS(p, n, mask, 4, i, SIGNS4(same4(p + i, v)));
	few_portable(p, n, few, mask);
}

AVX2 static void between_avx2(const double *p, uint32_t n, double lo, double hi, uint64_t *mask)
{
	const __m256d least = _mm256_set1_pd(lo), most = _mm256_set1_pd(hi);

	VECTOR_WORDS(p, n, mask, 4, i,
	        (unsigned)_mm256_movemask_pd(
	                _mm256_and_pd(_mm256_cmp_pd(_mm256_loadu_pd(p + i), least, _CMP_GE_OQ),
	                        _mm256_cmp_pd(_mm256_loadu_pd(p + i), most, _CMP_LE_OQ))));
	between_portable(p, n, lo, hi, mask);
}

AVX2 static inline __m256i heads4(const struct weir_ip *p)
{
	__m128i a = _mm_loadl_epi64((const __m128i *)&p[0]);
	__m128i b = _mm_loadl_epi64((const __m128i *)&p[2]);

	a = _mm_castpd_si128(
	        _mm_loadh_pd(_mm_castsi128_pd(a), (const double *)(const void *)&p[1]));
	b = _mm_castpd_si128(
	        _mm_loadh_pd(_mm_castsi128_pd(b), (const double *)(const void *)&p[3]));
	return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
}

AVX2 static void net4_avx2(
        const struct weir_ip *p, uint32_t n, uint64_t bits, uint64_t net, uint64_t *mask)
{
	const __m256i under = _mm256_set1_epi64x((long long)bits);
	const __m256i want = _mm256_set1_epi64x((long long)net);

	VECTOR_WORDS(p, n, mask, 4, i,
	        SIGNS4(_mm256_cmpeq_epi64(_mm256_and_si256(heads4(p + i), under), want)));
	net4_portable(p, n, bits, net, mask);
}

static const struct mask_loops avx2 = {
        "AVX2", range_avx2, narrow_avx2, few_avx2, between_avx2, net4_avx2, rows_by_table};

#define LOAD8(p) _mm512_loadu_si512(p)

AVX512 static void range_avx512(
        const uint64_t *p, uint32_t n, uint64_t lo, uint64_t span, uint64_t *mask)
{
	const __m512i from = _mm512_set1_epi64((long long)lo);
	const __m512i most = _mm512_set1_epi64((long long)span);

	VECTOR_WORDS(p, n, mask, 8, i,
	        _mm512_cmple_epu64_mask(_mm512_sub_epi64(LOAD8(p + i), from), most));
	range_portable(p, n, lo, span, mask);
}

AVX512 static void narrow_avx512(
        const uint64_t *p, uint32_t n, uint64_t lo, uint64_t set, uint64_t *mask)
{
	const __m512i from = _mm512_set1_epi64((long long)lo), one = _mm512_set1_epi64(1);
	const __m512i bits = _mm512_set1_epi64((long long)set);

	VECTOR_WORDS(p, n, mask, 8, i,
	        _mm512_test_epi64_mask(
	                _mm512_srlv_epi64(bits, _mm512_sub_epi64(LOAD8(p + i), from)), one));
	narrow_portable(p, n, lo, set, mask);
}

AVX512 static void few_avx512(const uint64_t *p, uint32_t n, const uint64_t *few, uint64_t *mask)
{
	const __m512i a = _mm512_set1_epi64((long long)few[0]);
	const __m512i b = _mm512_set1_epi64((long long)few[1]);
	const __m512i c = _mm512_set1_epi64((long long)few[2]);
	const __m512i d = _mm512_set1_epi64((long long)few[3]);

	VECTOR_WORDS(p, n, mask, 8, i,
	        _mm512_cmpeq_epi64_mask(LOAD8(p + i), a) |
	                _mm512_cmpeq_epi64_mask(LOAD8(p + i), b) |
	                _mm512_cmpeq_epi64_mask(LOAD8(p + i), c) |
	                _mm512_cmpeq_epi64_mask(LOAD8(p + i), d));
	few_portable(p, n, few, mask);
}

AVX512 static void between_avx512(const double *p, uint32_t n, double lo, double hi, uint64_t *mask)
{
	const __m512d least = _mm512_set1_pd(lo), most = _mm512_set1_pd(hi);

	VECTOR_WORDS(p, n, mask, 8, i,
	        _mm512_cmp_pd_mask(_mm512_loadu_pd(p + i), least, _CMP_GE_OQ) &
	                _mm512_cmp_pd_mask(_mm512_loadu_pd(p + i), most, _CMP_LE_OQ));
	between_portable(p, n, lo, hi, mask);
}

/* 32 rows at a time, which stay within rows[n) as the 8 of a byte do. */
AVX512 static uint32_t rows_avx512(const uint64_t *mask, uint32_t n, uint16_t *rows)
{
	__m512i at = _mm512_set_epi16(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17,
	        16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	uint32_t m = 0, first = 0;

	for (; first + 32 <= n; first += 32) {
		uint32_t bits = (uint32_t)(mask[first / 64] >> first % 64);

		_mm512_storeu_si512(rows + m, _mm512_maskz_compress_epi16(bits, at));
		m += (uint32_t)__builtin_popcount(bits);
		at = _mm512_add_epi16(at, _mm512_set1_epi16(32));
	}
	if (first < n)
		m += rows_of_word(mask[first / 64] >> first % 64, first, rows + m);
	return m;
}

static const struct mask_loops avx512 = {
        "AVX-512", range_avx512, narrow_avx512, few_avx512, between_avx512, net4_avx2, rows_avx512};

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2");
}
#endif

const struct mask_loops *mask_loops_at(uint32_t i)
{
	const struct mask_loops *have[3] = {&portable};
#ifdef __x86_64__
	uint32_t n = 1;

	if (__builtin_cpu_supports("avx2"))
		have[n++] = &avx2;
	if (has_avx512())
		have[n++] = &avx512;
#endif
	return i < 3 ? have[i] : NULL;
}

const struct mask_loops *mask_loops_best(void)
{
#ifdef __x86_64__
	if (has_avx512())
		return &avx512;
	if (__builtin_cpu_supports("avx2"))
		return &avx2;
#endif
	return &portable;
}
