/* SPDX-License-Identifier: MIT */
/* keypart.c: the table of keypart.h: linear probing, from a slot or from a group of them. */
#include "engine/core/keypart.h"

#include <errno.h>
#include <stdbool.h>

#include "engine/core/grow.h"
#include "engine/core/keyslots.h"
#include "engine/core/mem.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define BLOCK KEYPART_BLOCK
#define GROUP KEYPART_GROUP
#define BITS_MIN 5     /* 32 slots: a split has a table for each of its keys */
#define LOAD 8         /* sixteenths of the slots that are taken at most … */
#define LOAD_GROUPS 13 /* … with groups */

void keypart_init(struct keypart *p, uint32_t key_size, uint32_t state_size)
{
	*p = (struct keypart){.key_size = key_size, .stride = key_size + state_size};
}

void keypart_release(struct keypart *p, struct weir_mem *m)
{
	grow_free(m, p->slot, p->slot_size);
	grow_free(m, p->hash, p->hash_size);
	grow_free(m, p->rec, p->rec_size);
}

void keypart_clear(struct keypart *p)
{
	if (!p->n)
		return;
	if (p->bits)
		memset(p->slot, 0, sizeof *p->slot << p->bits);
	memset(p->rec, 0, (size_t)p->n * p->stride);
	p->n = 0;
}

/* Whether n keys are more than 1 << bits slots take. */
static bool is_full(unsigned bits, uint64_t n)
{
	uint64_t slots = bits ? 1u << bits : 0;

	return n > slots * (bits < KEYSLOTS_GROUPS ? LOAD : LOAD_GROUPS) / 16;
}

/* The next size of a table with 1 << bits slots: four times as many, so that keys are put in again
 * a third of a time to four thirds each; with twice as many it would be one to two. */
static unsigned larger(unsigned bits)
{
	return !bits ? BITS_MIN : bits + (bits + 2 <= KEYSLOTS_MAX ? 2 : 1);
}

/* Bytes of n keys more in the arrays that are dense. */
static size_t dense(const struct keypart *p, uint32_t n, size_t each)
{
	return ((size_t)p->n + n) * each;
}

int keypart_reserve_records(struct keypart *p, struct weir_mem *m, uint32_t n)
{
	uint8_t *rec = grow(m, p->rec, &p->rec_size, dense(p, n, p->stride));

	if (!rec)
		return -ENOMEM;
	p->rec = rec;
	return 0;
}

static int reserve_hashes(struct keypart *p, struct weir_mem *m, uint32_t n)
{
	uint32_t *hash = grow(m, p->hash, &p->hash_size, dense(p, n, sizeof *hash));

	if (!hash)
		return -ENOMEM;
	p->hash = hash;
	return 0;
}

int keypart_reserve(struct keypart *p, struct weir_mem *m, uint32_t n)
{
	while (is_full(p->bits, (uint64_t)p->n + n))
		if (keyslots_make(p, m, larger(p->bits)) < 0)
			return -ENOMEM;
	if (reserve_hashes(p, m, n) < 0)
		return -ENOMEM;
	return keypart_reserve_records(p, m, n);
}

int keypart_reserve_hashes(struct keypart *p, struct weir_mem *m)
{
	return reserve_hashes(p, m, 0);
}

int keypart_index(struct keypart *p, struct weir_mem *m)
{
	unsigned bits = larger(0);

	while (is_full(bits, p->n))
		bits = larger(bits);
	return keyslots_make(p, m, bits);
}

size_t keypart_growth(const struct keypart *p, uint32_t n)
{
	return (is_full(p->bits, (uint64_t)p->n + n) ? 3 * p->slot_size : 0) +
	       (dense(p, n, sizeof *p->hash) > p->hash_size ? p->hash_size : 0) +
	       (dense(p, n, p->stride) > p->rec_size ? p->rec_size : 0);
}

static inline __attribute__((always_inline)) bool equal(
        const uint8_t *a, const uint8_t *b, uint32_t size)
{
	uint64_t x = 0;

	if (size > 32)
		return memcmp(a, b, size) == 0;
	for (uint32_t i = 0; i < size; i += 8)
		x |= keyhash_load(a + i) ^ keyhash_load(b + i);
	return x == 0;
}

uint32_t keypart_look(const struct keypart *p, const uint8_t *key, uint32_t hash)
{
	uint32_t mask = keypart_slots(p) - 1, v, number;

	if (!p->n)
		return KEYPART_NONE;
	for (uint32_t i = keypart_home(p, hash); (v = p->slot[i]); i = (i + 1) & mask) {
		number = keypart_number(p, v, hash);
		if (number && equal(keypart_rec(p, number - 1), key, p->key_size))
			return number - 1;
	}
	return KEYPART_NONE;
}

static inline __attribute__((always_inline)) void hash_block(
        const struct keypart *p, const uint8_t *keys, struct keypart_block *blk, uint32_t size)
{
	const struct keyhash_secret secret = *keyhash_secret();
	const uint32_t keep = ~p->families, n = blk->n;

	if (!p->bits) { /* not indexed */
		for (uint32_t k = 0; k < n; k++)
			blk->hash[k] = keyhash(&secret, keys + (size_t)k * size, size) & keep;
		return;
	}

	for (uint32_t k = 0; k < n; k++) {
		uint32_t h = keyhash(&secret, keys + (size_t)k * size, size) & keep;

		blk->hash[k] = h;
		__builtin_prefetch(&p->slot[keypart_home(p, h)]);
	}
}

void keypart_hash(const struct keypart *p, const uint8_t *keys, struct keypart_block *blk)
{
	if (p->key_size == 8)
		hash_block(p, keys, blk, 8);
	else if (p->key_size == 16)
		hash_block(p, keys, blk, 16);
	else if (p->key_size == 24)
		hash_block(p, keys, blk, 24);
	else
		hash_block(p, keys, blk, p->key_size);
}

void keypart_hashed(const struct keypart *p, const uint32_t *hash, struct keypart_block *blk)
{
	for (uint32_t k = 0; k < blk->n; k++) {
		blk->hash[k] = hash[k];
		__builtin_prefetch(&p->slot[keypart_home(p, hash[k])]);
	}
}

/* Those that are not where their search begins are searched on for behind all others: a fifth, and
 * no processor can guess which. */
void keypart_find_portable(const struct keypart *p, struct keypart_block *blk)
{
	const uint32_t *slot = p->slot;
	const size_t stride = p->stride;
	const unsigned bits = p->bits;
	const uint32_t mask = keypart_slots(p) - 1, n = blk->n;
	uint8_t *base = p->rec - stride, **rec = blk->rec; /* numbers in slots begin with 1 */
	uint8_t on[KEYPART_BLOCK + 1];
	uint32_t *num = blk->num, m = 0;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t h = blk->hash[k], i = keypart_home(p, h), v = slot[i];

		blk->at[k] = i;
		num[k] = v & mask;
		rec[k] = base + (size_t)(v & mask) * stride;
		__builtin_prefetch(rec[k]);
		on[m] = (uint8_t)k;
		m += ((v ^ h << bits) >> bits != 0) & (v != 0);
	}
	for (uint32_t j = 0; j < m; j++) {
		uint32_t k = on[j], h = blk->hash[k], i = blk->at[k], v;

		do {
			i = (i + 1) & mask;
			v = slot[i];
		} while ((v ^ h << bits) >> bits && v);
		v &= mask;
		blk->at[k] = i;
		num[k] = v;
		rec[k] = base + (size_t)v * stride;
		__builtin_prefetch(rec[k]);
	}
}

#ifdef __x86_64__
/* The first slot of a group that is empty or has this hash (tag: hash << bits); GROUP: none. */
static inline __attribute__((always_inline, target("avx2"))) uint32_t stop_avx2(
        const uint32_t *group, uint32_t tag, unsigned bits)
{
	__m256i v = _mm256_loadu_si256((const __m256i *)group), zero = _mm256_setzero_si256();
	__m256i other = _mm256_xor_si256(v, _mm256_set1_epi32((int)tag));
	__m256i like = _mm256_srl_epi32(other, _mm_cvtsi32_si128((int)bits));
	/* what is 0 in either */
	__m256i at = _mm256_cmpeq_epi32(_mm256_min_epu32(v, like), zero);

	return (uint32_t)__builtin_ctz(
	        (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(at)) | 1u << GROUP);
}

static __attribute__((target("avx2"))) void find_avx2(
        const struct keypart *p, struct keypart_block *blk)
{
	const uint32_t *slot = p->slot;
	const size_t stride = p->stride;
	const unsigned bits = p->bits;
	const uint32_t mask = keypart_slots(p) - 1, n = blk->n;
	uint8_t *base = p->rec - stride, **rec = blk->rec;
	uint32_t *num = blk->num;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t h = blk->hash[k], i = keypart_home(p, h), at, v;

		while (__builtin_expect((at = stop_avx2(slot + i, h << bits, bits)) == GROUP, 0))
			i = (i + GROUP) & mask;
		i += at;
		v = slot[i] & mask;
		blk->at[k] = i;
		num[k] = v;
		rec[k] = base + (size_t)v * stride;
		__builtin_prefetch(rec[k]);
	}
}
#endif

void keypart_find(const struct keypart *p, struct keypart_block *blk)
{
#ifdef __x86_64__
	if (p->in_group && __builtin_cpu_supports("avx2")) {
		find_avx2(p, blk);
		return;
	}
#endif
	keypart_find_portable(p, blk);
}

/* The number + 1 of a key that is not where its search first stopped; adds it if it is new. */
static inline __attribute__((always_inline)) uint32_t search_on(
        struct keypart *p, const uint8_t *key, struct keypart_block *blk, uint32_t k, uint32_t size)
{
	uint32_t i = blk->at[k], hash = blk->hash[k], mask = keypart_slots(p) - 1, v, number;

	for (; (v = p->slot[i]); i = (i + 1) & mask) {
		number = keypart_number(p, v, hash);
		if (number && equal(keypart_rec(p, number - 1), key, size))
			return number;
	}
	memcpy(keypart_rec(p, p->n), key, size);
	keypart_take(p, i, hash);
	blk->fresh[blk->nfresh++] = (uint8_t)k;
	return p->n;
}

static inline __attribute__((always_inline)) void insert_block(
        struct keypart *p, const uint8_t *keys, struct keypart_block *blk, uint32_t size)
{
	uint32_t *num = blk->num, n = blk->n;
	uint8_t **rec = blk->rec;

	for (uint32_t k = 0; k < n; k++, keys += size) {
		uint8_t *at = rec[k];
		uint32_t v = num[k];

		if (__builtin_expect(!v || !equal(at, keys, size), 0)) {
			v = search_on(p, keys, blk, k, size);
			at = keypart_rec(p, v - 1);
		}
		num[k] = v - 1;
		rec[k] = at + size;
	}
}

void keypart_insert(struct keypart *p, const uint8_t *keys, struct keypart_block *blk)
{
	blk->nfresh = 0;
	if (p->key_size == 8)
		insert_block(p, keys, blk, 8);
	else if (p->key_size == 16)
		insert_block(p, keys, blk, 16);
	else if (p->key_size == 24)
		insert_block(p, keys, blk, 24);
	else
		insert_block(p, keys, blk, p->key_size);
}
