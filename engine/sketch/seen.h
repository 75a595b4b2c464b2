/* SPDX-License-Identifier: MIT */
/* seen.h: whether a tuple was there before, by a filter: a Bloom filter of fixed memory whose error
 * grows, or a cuckoo filter that keeps an error and grows. What uniq's sketch modes stand on. */
#ifndef SKETCH_SEEN_H
#define SKETCH_SEEN_H

#include "engine/sketch/bloom.h"
#include "engine/sketch/cuckoo.h"
#include "engine/sketch/keys.h"

struct seen_config {
	uint64_t memory; /* bytes, 0: what it takes */
	double error;    /* 0: Bloom */
	uint64_t seed;
};

struct seen {
	struct sketch_keys keys;
	struct bloom bloom;
	struct cuckoo cuckoo;
	double error;      /* of the Bloom filter, good … */
	uint64_t error_to; /* … up to so many tuples */
};

static inline bool seen_wanted(const struct seen_config *c)
{
	return c->memory || c->error > 0;
}

int seen_bind(const struct seen_config *c, struct weir_bind *b, struct weir_err *err);

/* After a failure too, seen_release(). */
int seen_open(struct seen *s, const struct seen_config *c, struct weir_node *n,
        struct weir_fields fields);
void seen_release(struct seen *s); /* a zeroed struct is fine */

/* Writes to rows[] the selected rows of b whose tuple is new, in order: their number. *missing
 * grows by the rows that lack a field, *unkept by the new tuples that a full filter did not keep.
 * -ENOMEM; -EOVERFLOW: the error cannot be kept for more tuples. */
int seen_rows(struct seen *s, const struct seen_config *c, struct weir_batch *b, uint16_t *rows,
        uint64_t *missing, uint64_t *unkept);

/* The probability that the next new tuple is taken for a known one; bytes of the filter. */
double seen_error(struct seen *s, const struct seen_config *c);
uint64_t seen_memory(const struct seen *s);

#endif
