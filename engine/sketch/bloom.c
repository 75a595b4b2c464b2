/* SPDX-License-Identifier: MIT */
/* bloom.c: the filter of bloom.h. A block is prefetched some probes before it is tested and set. */
#include "engine/sketch/bloom.h"

#include <math.h>

#include "engine/core/libm.h"
#include "engine/sketch/table.h"

#define AHEAD 192 /* probes under way: by turns 0.88 of the time that 64 in a row take */
#define BLOCKS_MAX ((uint64_t)1 << 31)

/* Odd, of Parquet's definition: each spreads the hash's low half over 32 values of its word. */
static const uint32_t salt[8] = {0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7,
        0x2df1424b, 0x9efc4947, 0x5c6bfb31};

/* High half: the block; low half: its bits. */
static inline uint32_t block_of(uint64_t hash, uint32_t nblocks)
{
	return (uint32_t)((hash >> 32) * nblocks >> 32);
}

static inline void prefetch(const struct bloom *b, uint64_t hash)
{
	__builtin_prefetch(b->block[block_of(hash, b->nblocks)], 1);
}

static uint32_t add_portable(struct bloom *b, const uint64_t *hash, uint32_t n, uint16_t *fresh)
{
	uint32_t m = 0;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t *w = b->block[block_of(hash[k], b->nblocks)], low = (uint32_t)hash[k];
		uint32_t missing = 0;

		if (k + AHEAD < n)
			prefetch(b, hash[k + AHEAD]);
		for (int i = 0; i < 8; i++) {
			uint32_t bit = (uint32_t)1 << (low * salt[i] >> 27);

			missing |= ~w[i] & bit;
			w[i] |= bit;
		}
		fresh[m] = (uint16_t)k;
		m += missing != 0;
	}
	return m;
}

#if defined __x86_64__
#include <immintrin.h>

__attribute__((target("avx2"))) static uint32_t add_avx2(
        struct bloom *b, const uint64_t *hash, uint32_t n, uint16_t *fresh)
{
	const __m256i salts = _mm256_loadu_si256((const __m256i *)salt);
	const __m256i one = _mm256_set1_epi32(1);
	uint32_t m = 0;

	for (uint32_t k = 0; k < n; k++) {
		__m256i *at = (__m256i *)b->block[block_of(hash[k], b->nblocks)];
		__m256i low = _mm256_set1_epi32((int)(uint32_t)hash[k]);
		__m256i bits = _mm256_sllv_epi32(
		        one, _mm256_srli_epi32(_mm256_mullo_epi32(low, salts), 27));
		__m256i old = _mm256_loadu_si256(at);

		if (k + AHEAD < n)
			prefetch(b, hash[k + AHEAD]);
		fresh[m] = (uint16_t)k;
		m += !_mm256_testc_si256(old, bits);
		_mm256_storeu_si256(at, _mm256_or_si256(old, bits));
	}
	return m;
}
#endif

void bloom_portable(struct bloom *b)
{
	b->add = add_portable;
}

int bloom_init(struct bloom *b, struct weir_mem *mem, uint64_t size)
{
	uint64_t nblocks = size / BLOOM_BLOCK;

	*b = (struct bloom){.mem = mem, .add = add_portable};
	if (nblocks < 1)
		nblocks = 1;
	if (nblocks > BLOCKS_MAX)
		nblocks = BLOCKS_MAX;
#if defined __x86_64__
	if (__builtin_cpu_supports("avx2"))
		b->add = add_avx2;
#endif
	b->size = nblocks * BLOOM_BLOCK;
	b->block = table_new(mem, b->size);
	b->nblocks = (uint32_t)nblocks;
	return b->block ? 0 : -ENOMEM;
}

void bloom_release(struct bloom *b)
{
	table_free(b->mem, b->block, b->size);
	*b = (struct bloom){.mem = b->mem};
}

uint32_t bloom_add(struct bloom *b, const uint64_t *hash, uint32_t n, uint16_t *fresh)
{
	uint32_t m;

	for (uint32_t k = 0; k < n && k < AHEAD; k++)
		prefetch(b, hash[k]);
	m = b->add(b, hash, n, fresh);
	b->n += m;
	return m;
}

double bloom_error(const struct bloom *b, uint64_t n)
{
	double mean = (double)n / b->nblocks, deviation = sqrt(mean), error = 0, all = 0;
	double from = floor(mean - 8 * deviation);
	int sign; /* lgamma() alone would put it in a global */

	for (double j = from > 0 ? from : 0; j <= mean + 8 * deviation + 8; j++) {
		double share = libm_exp(
		        j * libm_log(mean > 0 ? mean : 1) - mean - libm_lgamma_r(j + 1, &sign));

		if (mean == 0)
			share = j == 0;
		all += share;
		error += share * libm_pow(1 - libm_pow(31.0 / 32, j), 8);
	}
	return error / all;
}

int bloom_merge(struct bloom *to, const struct bloom *from)
{
	if (to->nblocks != from->nblocks)
		return -EINVAL;
	for (uint32_t i = 0; i < to->nblocks; i++)
		for (int k = 0; k < 8; k++)
			to->block[i][k] |= from->block[i][k];
	to->n += from->n;
	return 0;
}
