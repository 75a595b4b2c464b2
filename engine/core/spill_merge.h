/* SPDX-License-Identifier: MIT */
/* spill_merge.h: ranges of files whose records stand by their places, as one.
 *
 * The places in each range ascend, and no two records have the same. They are merged a stretch of
 * places at a time: a record's place in the stretch is its place in a map, so that a record costs a
 * store and a bit, however many ranges there are. A stretch ends with the first block that ends.
 */
#ifndef SPILL_MERGE_H
#define SPILL_MERGE_H

#include "engine/core/spill_file.h"

#define SPILL_MERGED 66 /* ranges at most */
#define SPILL_BLOCK 64  /* records of a block at most: all that a merge has of a range in memory */

/* The records of ranges[0..n), all of one layout, which holds fields of the output of node `n`:
 * emitted, or appended to a file. 0 or -errno. read: bytes of a range in memory, about. */
int spill_merge(struct node *n, const struct spill_range *ranges, uint32_t nranges, size_t read,
        struct spill_file *to);

#endif
