/* SPDX-License-Identifier: MIT */
/* split.h: the records of a batch dealt to lanes by the hash of some fields.
 *
 * Keys are packed as tables pack them, by the source where it can, so that no column is made for
 * the sake of the split; keys with text are hashed column by column. Rows are dealt by a counting
 * sort, and each lane gets a view with its rows: no record is copied. One lane alone gets all rows,
 * with their keys (ready.h). Equal values meet in one lane, as equal as any table of keys takes
 * them (-0.0 is 0.0, one NaN, a missing value is a value). The hash is seeded at process start
 * (keyhash.h) and has nothing in common with that of the tables, whose slots would else be used in
 * part only.
 */
#ifndef SPLIT_H
#define SPLIT_H

#include "engine/core/keypack.h"
#include "engine/core/pool.h"

#define SPLIT_LANES_MAX 256

/* How to split by `key`: fields of schema s. After a failure too, split_release(). */
struct split {
	const uint32_t *key;
	uint32_t nkeys, lanes;
	struct keypack pack;
	struct keypack lead;                   /* n 0: not told of, or of no use */
	bool alike;                            /* it is packed as `pack` is */
	uint32_t lead_field[WEIR_PACK_FIELDS]; /* by field of pack: the one of lead */
};

int split_init(struct split *s, struct weir_mem *mem, const struct weir_schema *schema,
        const uint32_t *key, uint32_t nkeys, uint32_t lanes);
/* What the lanes pack first: a key that has the split's fields. It goes with the batches. */
int split_lead(struct split *s, const struct weir_schema *schema, const uint32_t *lead,
        uint32_t nlead, bool nulls);
void split_release(struct split *s);

/* Views of b, one for each lane that gets a record, NULL for others: to views[0 .. lanes). All
 * columns that the lanes will read should be filled before. 0 or -ENOMEM; then there are none. */
int split_batch(const struct split *s, struct weir_pool *pool, struct weir_batch *b,
        struct weir_batch **views);

/* Rows rows[0 .. n) of b, sorted by lane, each lane's in their order, to to[0 .. n); lane l's begin
 * at start[l], start[lanes] is n. turn, below 64: another hash for each, by which what one of them
 * dealt to one lane is dealt to all. 0 or -ENOMEM. */
int split_rows(const struct split *s, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        unsigned turn, uint16_t *to, uint16_t *start);

#endif
