/* SPDX-License-Identifier: MIT */
/* runs.h: sorted rows on disk: an external merge sort (Knuth, volume 3, 5.4).
 *
 * A run is a sorted part of the rows; runs stand in the order in which their rows came. Merging
 * takes the row of the earlier run where keys are equal, so that the sort is stable. A merge takes
 * at most RUNS_MERGED runs, fewer where there is little memory; that many runs of one level become
 * one of the next, so that a row is written once for each level.
 */
#ifndef RUNS_H
#define RUNS_H

#include "engine/core/coltab.h"
#include "engine/core/spill_file.h"

#define RUNS_MERGED 64
#define RUNS_MAX 256
#define RUNS_LIMIT ((uint64_t)1 << 20) /* first rows wanted, that are kept in memory still */

struct runs {
	struct weir_node *node;
	uint32_t *fields; /* of the records: the keys, and what is read behind */
	size_t fields_size;
	uint32_t nfields;
	const struct weir_fields *key;
	bool reverse;
	struct spill_file *run[RUNS_MAX];
	uint8_t level[RUNS_MAX]; /* descending */
	uint32_t n, merged;      /* merged: most runs of a merge */
};

/* For a node whose output has all fields of its input, in their places. 0 or -ENOMEM. */
int runs_init(struct runs *r, struct weir_node *n, const struct weir_fields *key, bool reverse);
void runs_release(struct runs *r);

/* Adds rows ids[0..t->n) of a table as a run. It has all the fields. 0 or -errno. */
int runs_add(struct runs *r, const struct coltab *t, const uint32_t *ids);

/* Emits the first `limit` rows of all (0: all), in order; they stay. 0 or -errno. */
int runs_emit(struct runs *r, uint64_t limit);

#endif
