/* SPDX-License-Identifier: MIT */
/* history.h: the last records of a source that can be read only once, for queries that come later
 * and want to begin before now (`set history`).
 *
 * Bounded by bytes, and by time where only running queries want it. Packets are copied: what they
 * lie in is the source's (blocks of a pipe, a ring of the kernel), and would be held up for
 * minutes. A query that begins takes the list as it is then (history_begin()); what is handed on
 * from then on comes to it through its queue, so that there is no record twice, and none is
 * missing.
 *
 * Who reads holds each batch that it has not read yet, for itself: of what comes later nothing is
 * kept for it.
 *
 * The span is counted back from how far the records' time has come. A record that is far from
 * there, whichever way, says nothing about that, unless STREAM_STEP_RECORDS in a row are (see
 * stream_time.h): then time has made a step, and it is not one record that has a wrong one.
 *
 * Not locked but for past_unref(): the feed's lock is.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include "engine/core/pool.h"
#include <weir/source.h>

#define HISTORY_BYTES (64ull << 20) /* where it is not said how many */

struct past; /* a batch's records */

struct history {
	uint64_t most; /* bytes */
	bool always;   /* kept whoever runs */
	int64_t span;  /* ns that running queries want; 0: none does */
	struct past *first, *last;
	uint64_t bytes, records;
	int64_t time; /* how far it has come; INT64_MIN: no record has had one */
	uint32_t far; /* records in a row that were far from there */
};

/* b was handed on; size: its columns. Without memory it is not kept, nor what came before. */
void history_add(struct history *h, struct weir_batch *b, size_t size);
/* Lets go what is too much, or not wanted any more. */
void history_trim(struct history *h);
void history_release(struct history *h);

/* What a query begins with. */
struct past_end {
	struct past *next, *last; /* references to all from … to; next NULL: there is no more */
	int64_t from;             /* records from this time on */
};

/* The last `ns`. The records. */
uint64_t history_begin(const struct history *h, int64_t ns, struct past_end *ret);
/* The next batch of the query's own, of reader r: 1; 0: there is none; -ENOMEM. */
int past_read(
        struct past_end *e, struct weir_reader *r, struct weir_batch **ret, int64_t *ret_newest);
void past_release(struct past_end *e);

#endif
