/* SPDX-License-Identifier: MIT */
/* bloom.h: a set of hashes in fixed memory that may take a new one for a known one, never the other
 * way round: a blocked Bloom filter.
 *
 * A hash has its block of 32 bytes and in each of the block's eight words one bit, so that a probe
 * touches one cache line. The words' bits come from one multiplication each (AVX2 does the eight at
 * once; the portable way gives the same bits).
 *
 * Error: with n hashes in B blocks a block has j of them with Poisson's probability for n / B, and
 * then a new hash finds all of its eight bits set with probability (1 - (31/32)^j)^8. bloom_error()
 * is that sum: the probability that the next new hash is taken for a known one. It grows with n, so
 * it bounds the share of hashes lost so far.
 *
 * F. Putze, P. Sanders, J. Singler, Cache-, hash- and space-efficient Bloom filters (WEA 2007); the
 * block is that of Apache Parquet's split block filter.
 */
#ifndef SKETCH_BLOOM_H
#define SKETCH_BLOOM_H

#include <weir/module.h>

#define BLOOM_BLOCK 32
#define BLOOM_MIN 4096 /* bytes */

typedef uint32_t bloom_words[8];

struct bloom {
	struct weir_mem *mem;
	uint32_t nblocks;
	bloom_words *block;
	size_t size; /* bytes */
	uint64_t n;  /* hashes taken for new */
	uint32_t (*add)(struct bloom *, const uint64_t *hash, uint32_t n, uint16_t *fresh);
};

/* At most `size` bytes, at least BLOOM_MIN, at most 64 GiB. 0 or -ENOMEM. */
int bloom_init(struct bloom *b, struct weir_mem *mem, uint64_t size);
void bloom_release(struct bloom *b); /* a zeroed struct is fine */

/* Adds hash[0..n), in order, and writes to fresh[] the places of those that were new, in order.
 * Their number. */
uint32_t bloom_add(struct bloom *b, const uint64_t *hash, uint32_t n, uint16_t *fresh);

/* The probability that a new hash is taken for a known one where n are in. */
double bloom_error(const struct bloom *b, uint64_t n);

/* Adds what is in `from`, a filter of the same size, to `to`. -EINVAL: of another size. */
int bloom_merge(struct bloom *to, const struct bloom *from);

/* Takes the portable way from here on (for tests). */
void bloom_portable(struct bloom *b);

#endif
