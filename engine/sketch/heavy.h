/* SPDX-License-Identifier: MIT */
/* heavy.h: the hashes that come most often, in fixed memory: Space-Saving in sets.
 *
 * A hash belongs to one set of eight counters. It takes its own there, or a free one, or the
 *smallest: that keeps its count, now as the newcomer's error. So always
 *
 *	count - error <= how often the hash came <= count
 *
 * and what has no counter came at most as often as the smallest of its set says: on average over
 *the sets at most N / k for N hashes and k counters. Sets instead of one list of all counters, as
 *the paper has it, cost a newcomer two cache lines and the sets their differences.
 *
 * Of a hash its set and 32 bits more are kept; two that share all of these are one, with a
 * probability of 8 x 2^-32 for each pair of hash and set. Then the count is too high and the lower
 * bound may be.
 *
 * A. Metwally, D. Agrawal, A. El Abbadi, Efficient computation of frequent and top-k elements in
 *data streams (ICDT 2005); merging: P. Agarwal and others, Mergeable summaries (PODS 2012).
 */
#ifndef SKETCH_HEAVY_H
#define SKETCH_HEAVY_H

#include <weir/module.h>

#define HEAVY_WAYS 8
#define HEAVY_MIN 4096 /* bytes */

struct heavy_set {
	uint64_t count[HEAVY_WAYS]; /* 0: free */
	uint32_t tag[HEAVY_WAYS];
	uint32_t error[HEAVY_WAYS]; /* HEAVY_UNKNOWN: as large as the count */
};

#define HEAVY_UNKNOWN UINT32_MAX

struct heavy {
	struct weir_mem *mem;
	uint32_t nsets;
	struct heavy_set *set;
	size_t size;    /* bytes */
	uint64_t total; /* hashes added */
};

/* At most `size` bytes, at least HEAVY_MIN. 0 or -ENOMEM. */
int heavy_init(struct heavy *h, struct weir_mem *mem, uint64_t size);
void heavy_release(struct heavy *h); /* a zeroed struct is fine */

/* Counts hash[0..n), in order; count[k] and error[k] are those of hash[k] then. fresh[], where it
 * is not NULL: the places of hashes that had no counter, in order. Their number. */
uint32_t heavy_add(struct heavy *h, const uint64_t *hash, uint32_t n, uint64_t *count,
        uint64_t *error, uint16_t *fresh);

/* A hash came at least count - error times and at most count times. */
void heavy_get(const struct heavy *h, uint64_t hash, uint64_t *count, uint64_t *error);

/* Adds the counts of `from`, of the same size, to those of `to`. -EINVAL: of another. */
int heavy_merge(struct heavy *to, const struct heavy *from);

#endif
