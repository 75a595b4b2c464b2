/* SPDX-License-Identifier: MIT */
/* recombine.h: what lanes leave, in the order that one lane would have left it in.
 *
 * Streaming lanes leave views of one batch, of which no two have a row in common: they become one
 * view of it with the rows of all, ascending, and the columns that the lanes made put together.
 *
 * Blocking lanes answer with a row for each key, in the order in which the keys first came to the
 * lane. The positions of those first records (firsts.h: token, then row) merge them. A merged
 * batch takes from each lane a range of its answer, so the lanes make theirs range by range, and
 * what was left lazy stays so: a column is put together when somebody asks for it.
 */
#ifndef RECOMBINE_H
#define RECOMBINE_H

#include "engine/core/firsts.h"
#include "engine/core/node.h"

/* Takes views out[0 .. lanes) (NULL: nothing) of views of b (borrowed) with output fields that
 * `map` leads back to b's, -1: the lanes' own. The united batch in *ret, NULL where no row is
 * left. `needs`: fields that anybody reads. 0 or -ENOMEM; consumes out[] either way. */
int recombine(struct weir_pool *pool, struct weir_batch *b, struct weir_batch **out, uint32_t lanes,
        const struct weir_schema *schema, const int32_t *map, const uint64_t *needs,
        struct weir_batch **ret);

/* One lane's share in an answer. */
struct answer_lane {
	struct node *node;
	const struct firsts *firsts;
	struct weir_batch *batch; /* its rows of the batch at hand, borrowed */
	uint32_t rows;            /* of its answer */
	uint32_t next, run;       /* key and run of firsts at hand */
	uint32_t first, n;        /* its range in the batch at hand … */
	uint16_t *place;          /* … and where each row of it goes, WEIR_BATCH_ROWS */
};

struct answer {
	uint32_t nlanes;
	struct answer_lane *lane;
	uint32_t at; /* lane that is asked */
	uint32_t n;  /* rows in the batch at hand */
	const struct weir_schema *schema;
	const uint64_t *needs;
	struct weir_pool *pool;
	uint64_t batches, records; /* handed on */
	/* takes a batch (consumes it). 0 or -errno */
	int (*emit)(void *arg, struct weir_batch *b);
	void *arg;
};

/* Asks all lanes for their answers, from begin to end, and emits them merged. The nodes' output
 * must come back by answer_part(). 0 or -errno. */
int answer_merge(struct answer *a, enum weir_mark mark);

/* A lane has emitted what it was asked for (borrowed). */
int answer_part(struct answer *a, struct weir_batch *b);

#endif
