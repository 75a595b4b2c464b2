/* SPDX-License-Identifier: MIT */
/* split.h: the records of a batch dealt to lanes by the hash of some fields.
 *
 * Columns are hashed one after the other, rows dealt by a counting sort, and each lane gets a view
 * with its rows: no record is copied, and nothing is done for a record but its hash. Equal values
 * meet in one lane, as equal as any table of keys takes them (-0.0 is 0.0, one NaN, a missing
 * value is a value). The hash is seeded at process start (keyhash.h) and has nothing in common
 * with that of the tables, whose slots would else be used in part only.
 */
#ifndef SPLIT_H
#define SPLIT_H

#include "engine/core/pool.h"

#define SPLIT_LANES_MAX 256

/* Views of b, one for each lane that gets a record, NULL for others: to views[0 .. lanes). All
 * columns that the lanes will read should be filled before. 0 or -ENOMEM; then there are none. */
int split_batch(struct weir_pool *pool, struct weir_batch *b, const uint32_t *key, uint32_t nkeys,
        uint32_t lanes, struct weir_batch **views);

#endif
