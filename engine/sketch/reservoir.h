/* SPDX-License-Identifier: MIT */
/* reservoir.h: k of all records that came, each set of k equally likely: reservoir sampling.
 *
 * The n-th record takes a place 0 … n - 1 at random and is in where that is one of the k; what
 * stood there leaves. A sketch has no place for records: it says where the caller puts them.
 *
 * J. Vitter, Random sampling with a reservoir (ACM TOMS 11, 1985), algorithm R.
 */
#ifndef SKETCH_RESERVOIR_H
#define SKETCH_RESERVOIR_H

#include <stdint.h>

struct reservoir {
	uint32_t k;
	uint64_t n; /* records that came */
	uint64_t random;
};

static inline void reservoir_init(struct reservoir *r, uint32_t k, uint64_t seed)
{
	*r = (struct reservoir){.k = k, .random = seed};
}

/* Places in use. */
static inline uint32_t reservoir_used(const struct reservoir *r)
{
	return r->n < r->k ? (uint32_t)r->n : r->k;
}

/* n records come: which[i] of them goes to place[i], in order, so that of several for one place the
 * last stays. How many. */
uint32_t reservoir_add(struct reservoir *r, uint32_t n, uint16_t *which, uint32_t *place);

/* Makes `to` a sample of the records of both, which have the same k: place i keeps its record, or
 * takes that of place from_place[i] of `from` where this is not UINT32_MAX. 0 to k places are in
 * use after it. from_place and `scratch`: k numbers each. The records of `to` that stay are those
 * at the places that keep theirs. */
void reservoir_merge(struct reservoir *to, const struct reservoir *from, uint32_t *from_place,
        uint32_t *scratch);

#endif
