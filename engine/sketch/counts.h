/* SPDX-License-Identifier: MIT */
/* counts.h: running counts of tuples by a sketch: how often each came (Count-Min), or how many
 * different ones there were (HyperLogLog++). What count's sketch modes stand on. */
#ifndef SKETCH_COUNTS_H
#define SKETCH_COUNTS_H

#include "engine/sketch/countmin.h"
#include "engine/sketch/hll.h"
#include "engine/sketch/keys.h"

#define COUNTS_PRECISION 14

struct counts_config {
	uint64_t memory; /* bytes of a Count-Min sketch, 0: none */
	bool distinct;
	uint64_t precision; /* of HyperLogLog++, 0: COUNTS_PRECISION */
	uint64_t seed;
};

struct counts {
	struct sketch_keys keys;
	struct countmin countmin;
	struct heap heap; /* of hll */
	struct heap_cell *hll;
	uint64_t distinct; /* the estimate as it is */
};

static inline bool counts_wanted(const struct counts_config *c)
{
	return c->memory || c->distinct;
}

/* Checks the options against each other and completes them. */
int counts_bind(struct counts_config *c, struct weir_bind *b, uint32_t nfields, bool bytes,
        struct weir_err *err);

/* After a failure too, counts_release(). */
int counts_open(struct counts *s, const struct counts_config *c, struct weir_node *n,
        struct weir_fields fields);
void counts_release(struct counts *s); /* a zeroed struct is fine */

/* Writes to rows[] the selected rows of b that have all fields, in order, and to ret[k] the count
 * at row[k], to error[k], where that is not NULL, its bound: a whole number for Count-Min, a double
 * for HyperLogLog++. by[row], where it is not NULL, is added instead of 1. Their number or -ENOMEM.
 */
int counts_rows(struct counts *s, const struct counts_config *c, struct weir_batch *b,
        const struct weir_col *by, uint16_t *rows, uint64_t *ret, uint64_t *error);

uint64_t counts_memory(const struct counts *s);

#endif
