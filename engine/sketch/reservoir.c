/* SPDX-License-Identifier: MIT */
/* reservoir.c: the draws of reservoir.h. */
#include "engine/sketch/reservoir.h"

#include "engine/sketch/random.h"

/* In 0 … n - 1; the bias is at most n / 2^64. */
static inline uint64_t below(struct reservoir *r, uint64_t n)
{
	return (uint64_t)((unsigned __int128)random_next(&r->random) * n >> 64);
}

uint32_t reservoir_add(struct reservoir *r, uint32_t n, uint16_t *which, uint32_t *place)
{
	uint32_t m = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = r->n < r->k ? r->n : below(r, r->n + 1);

		r->n++;
		if (at >= r->k)
			continue;
		which[m] = (uint16_t)i;
		place[m++] = (uint32_t)at;
	}
	return m;
}

/* Draws without putting back from both populations together: how many of `to` are among the k says
 * the hypergeometric distribution; which ones of a sample does not matter, so they are drawn at
 * random. */
void reservoir_merge(
        struct reservoir *to, const struct reservoir *from, uint32_t *from_place, uint32_t *scratch)
{
	uint64_t left_to = to->n, left_from = from->n;
	uint32_t used = reservoir_used(to), have = reservoir_used(from), take = 0, free = 0;

	for (uint32_t i = 0; i < to->k && left_to + left_from; i++)
		if (below(to, left_to + left_from) < left_to) {
			left_to--;
		} else {
			left_from--;
			take++;
		}
	for (uint32_t i = 0; i < to->k; i++)
		from_place[i] = UINT32_MAX;
	for (uint32_t i = 0; i < have; i++)
		scratch[i] = i;
	for (uint32_t i = 0; i < take; i++) { /* the first `take` of a shuffle */
		uint32_t j = i + (uint32_t)below(to, have - i), t = scratch[i];

		scratch[i] = scratch[j];
		scratch[j] = t;
	}
	/* free places first, then some of those in use, at random: a place is given once */
	for (uint32_t i = 0; i < take; i++) {
		uint32_t at;

		if (used + free < to->k) {
			at = used + free++;
		} else {
			do
				at = used ? (uint32_t)below(to, used) : i;
			while (from_place[at] != UINT32_MAX);
		}
		from_place[at] = scratch[i];
	}
	to->n += from->n;
}
