/* SPDX-License-Identifier: MIT */
/* flow_numbers.h: numbers for the flows of a trace that is made compact, see
 * weir_batch_ops.numbers.
 *
 * A table of keys as queries use it; the numbers are the ids, 0, 1, 2 … in order of first
 * appearance. Where flows are short, numbers save nothing; where the table has no room, it is not
 * worth that others go for it. Then there are none from there on.
 */
#ifndef FLOW_NUMBERS_H
#define FLOW_NUMBERS_H

#include "engine/proto/compact.h"

#define FLOW_LEAST 3 /* packets of a flow, on average */

struct keytab;

struct flow_numbers {
	struct weir_mem *mem; /* set by who has it, the rest is zero */
	struct keytab *table;
	uint64_t packets; /* numbered, or to be */
	bool off;         /* given up */
};

/* Of a batch with all its rows, in `room`, as compact.flow; NULL: there are none. */
const uint32_t *flow_numbers(
        struct flow_numbers *f, struct weir_batch *b, compact_room *room, void *arg);
/* All are below this. */
uint32_t flow_numbers_most(const struct flow_numbers *f);
/* Gives them up, and the room of the table; false: there was none. */
bool flow_numbers_drop(struct flow_numbers *f);

#endif
