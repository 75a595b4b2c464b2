/* SPDX-License-Identifier: MIT */
/* bodies.h: a body of a scope for each value of some fields: the instances of split, the sessions
 * of window.
 *
 * They stand in a list, in the order in which they were opened or, where the module renews them, by
 * last record; so those to be ended are its first. The records of a batch are chained by body and
 * pushed once for each:
 *
 *   bodies_begin      finds the body's place for each record of the batch
 *   for each record   bodies_at; the module ends some, opens this one, renews it; bodies_add
 *   bodies_settle     pushes what waits, and forgets the keys that were left without a body
 */
#ifndef BODIES_H
#define BODIES_H

#include "engine/core/keymap.h"
#include "engine/core/stream_time.h"

/* The value of a keymap entry, or the first member of it. Without a body it is only a key of the
 * batch at hand. */
struct keyed_body {
	struct weir_body *body;
	struct keyed_body *older, *newer;
	int64_t last;  /* time of its last record, kept by the module */
	uint16_t slot; /* 1 + its chain in the batch at hand; 0: none */
	bool here;     /* in the batch at hand */
	bool done;     /* it wants no more */
};

struct bodies {
	struct keymap map;
	struct keyed_body *oldest, *newest;
	uint64_t n;
	struct stream_time time;
};

/* The batch at hand. Not on the stack: scopes can be nested deeply. */
struct bodies_batch {
	struct weir_batch *b; /* with the node's output schema */
	uint32_t nrows, n;    /* rows that count; chains */
	struct bodies_chain {
		struct keyed_body *x;
		uint16_t head, tail, count; /* places in row[] */
	} chain[WEIR_BATCH_ROWS];
	uint16_t row[WEIR_BATCH_ROWS], next[WEIR_BATCH_ROWS];
	struct keymap_entry *entry[WEIR_BATCH_ROWS];
};

/* Values are `size` zeroed bytes, a struct keyed_body first. 0 or -ENOMEM. */
int bodies_init(struct bodies *s, struct weir_mem *mem, struct weir_fields by, size_t size);
void bodies_release(struct bodies *s); /* closes all; a zeroed one is fine */

/* Borrows b. Records that lack the time (NULL: none is needed) or a field of the key are counted as
 * missing and left out. 0 or -ENOMEM. */
int bodies_begin(struct bodies *s, struct weir_node *n, struct weir_batch *b,
        const struct weir_col *time, uint64_t *missing, struct bodies_batch **ret);
/* What belongs to the key of row[i]; NULL: the record is left out. */
static inline void *bodies_at(const struct bodies_batch *bb, uint32_t i)
{
	return bb->entry[i] ? keymap_value(bb->entry[i]) : NULL;
}
/* Chains row[i] to x, which has a body. */
void bodies_add(struct bodies_batch *bb, struct keyed_body *x, uint32_t i);
/* All that waits, in the order in which the keys came. After a failure r nothing waits either. */
int bodies_push(struct weir_node *n, struct bodies_batch *bb, int r);
/* Ends the batch, which came to r, and frees bb: r, or what fails now. */
int bodies_settle(struct bodies *s, struct weir_node *n, struct bodies_batch *bb, int r);

/* Opens a body of child `child` for x, as the newest. 0 or -ENOMEM. */
int bodies_open(struct bodies *s, struct weir_node *n, struct keyed_body *x, uint32_t child);
void bodies_renew(struct bodies *s, struct keyed_body *x); /* it is the newest now */
/* Pushes what waits for x, and ends it. */
int bodies_end(
        struct bodies *s, struct weir_node *n, struct bodies_batch *bb, struct keyed_body *x);
int bodies_end_all(struct bodies *s); /* the oldest first; no batch is at hand */

/* A record of time t comes, of any key. True: the clock was set back (stream_time.h), and so are
 * the times of all bodies, to t. */
bool bodies_time(struct bodies *s, struct weir_node *n, int64_t t, int64_t step);
/* Which body to end before that record, of x: one that had none for longer than `gap`, by its own
 * records or, with `late` on top, by all; NULL: none. Ask until then. */
struct keyed_body *bodies_idle(
        struct bodies *s, struct keyed_body *x, int64_t t, int64_t gap, int64_t late);
/* For the module's clock(): ends those that are idle so by the clock, counts them in *ended, if
 * that is not NULL, and tells the others. */
int bodies_clock(struct bodies *s, struct weir_node *n, int64_t gap, int64_t late, uint64_t *ended,
        int64_t *ret_due);

#endif
