/* SPDX-License-Identifier: MIT */
/* countmin.h: counts of hashes in fixed memory, never too low: a Count-Min sketch with conservative
 * update.
 *
 * Four rows of w counters; a hash has one in each, and its count is the smallest of them. An
 * addition raises only counters that are below the new count. With N added in all, a count is too
 * high by more than e N / w with a probability of at most e^-4 (1.8 %), e being Euler's number;
 * what conservative update saves is not in that bound.
 *
 * G. Cormode, S. Muthukrishnan, An improved data stream summary: the Count-Min sketch (J.
 * Algorithms 55, 2005); C. Estan, G. Varghese, New directions in traffic measurement (SIGCOMM
 * 2002).
 */
#ifndef SKETCH_COUNTMIN_H
#define SKETCH_COUNTMIN_H

#include <weir/module.h>

#define COUNTMIN_ROWS 4
#define COUNTMIN_MIN 4096 /* bytes */

struct countmin {
	struct weir_mem *mem;
	uint32_t width; /* counters of a row */
	uint64_t *at;   /* rows one behind the other */
	size_t size;    /* bytes */
	uint64_t total; /* added in all; stays at the largest number */
};

/* At most `size` bytes, at least COUNTMIN_MIN. 0 or -ENOMEM. */
int countmin_init(struct countmin *c, struct weir_mem *mem, uint64_t size);
void countmin_release(struct countmin *c); /* a zeroed struct is fine */

/* Adds by[k] (NULL: 1) to the count of hash[k], in order, and writes each new count to ret[k];
 * error[k], where error is not NULL, becomes countmin_error() as it is then. Counts stay at the
 * largest number. */
void countmin_add(struct countmin *c, const uint64_t *hash, const uint64_t *by, uint32_t n,
        uint64_t *ret, uint64_t *error);

uint64_t countmin_get(const struct countmin *c, uint64_t hash);

/* e N / w: a count is too high by more than this with a probability of at most e^-4. */
uint64_t countmin_error(const struct countmin *c);

/* Adds the counts of `from`, a sketch of the same size, to those of `to`. -EINVAL: of another. */
int countmin_merge(struct countmin *to, const struct countmin *from);

#endif
