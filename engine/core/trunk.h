/* SPDX-License-Identifier: MIT */
/* trunk.h: stages that several queries on one feed begin with, run once for all of them.
 *
 * The queries of a feed stand in a tree by the stages that they begin with (struct plan, `lead`):
 * equal stages behind equal stages are one node of it. A node that two queries or more go through
 * has an instance of its stage and *runs*, in the feed's thread, on each batch; what it leaves is
 * handed to the queries in place of the batch, and they go on behind it (their *level* is how many
 * of their stages the trunk has run). A node that only one query goes through does not run: that
 * query does it by itself, in its own thread, as all queries do that have no part in a trunk. Such
 * stages keep nothing from batch to batch, so who shares them, and from when on, makes no
 * difference to any answer.
 *
 * Stages are equal that have the same module, were told the same (plan_said.c), and have equal ones
 * before them: what they read then has the same schema.
 *
 * What a stage counts for a batch goes to each query along with what it left (trunk_take()), so
 * that the counters of a query are those of the query alone; only the time is spent once, and
 * shown by all.
 *
 * Not locked: the feed has a lock for the tree, under which all of this is called but
 * trunk_stage_unref().
 */
#ifndef TRUNK_H
#define TRUNK_H

#include "engine/core/node.h"

#define TRUNK_STAGES 16 /* that a query shares at most */

struct trunk;
struct trunk_node;  /* of the tree */
struct trunk_stage; /* a stage at work */

/* A query's end. The caller fills the first part; zeroed, it takes no part. */
struct trunk_end {
	struct plan *plan;
	struct node_stats *stats; /* of its nodes */
	bool passed_over;         /* it gets nothing now */

	struct trunk_end *next;
	bool is_in;
	uint32_t n;     /* stages that it could share */
	uint32_t level; /* the first so many run */
	struct trunk_node *node[TRUNK_STAGES];
	uint32_t together[TRUNK_STAGES]; /* atomic: most queries that stage i ran for; stays */
};

/* mem: what the stages' batches are counted with. NULL: out of memory. */
struct trunk *trunk_new(struct weir_mem *mem);
void trunk_free(struct trunk *t); /* no end is in it; NULL is fine */

/* 0 or -ENOMEM. */
int trunk_add(struct trunk *t, struct trunk_end *e);
void trunk_remove(struct trunk *t, struct trunk_end *e); /* one that is not in it is fine */

/* Runs the stages that anybody wants on b (borrowed), with `records` records of the source. What
 * they leave is there until trunk_rest(). */
void trunk_run(struct trunk *t, struct weir_batch *b);
void trunk_rest(struct trunk *t);

/* What query e gets in place of the batch: behind *ret_level of its stages; NULL: nothing is left.
 * Borrowed. At level 0: the batch itself. */
struct weir_batch *trunk_out(const struct trunk *t, const struct trunk_end *e, struct weir_batch *b,
        uint32_t *ret_level);
/* What is due to e's counters for the batch, of the source and `level` stages, is added to to[0 ..
 * level]. What leaves the last of them is counted by who takes it on. */
void trunk_count(const struct trunk_end *e, const struct weir_batch *b, uint32_t level,
        struct node_stats *to);
/* Adds such counts to the query's, and clears them; by the query's thread. The source's records. */
uint64_t trunk_take(const struct trunk_end *e, struct node_stats *from);

/* A stage's batches have its schema and maps: who holds one holds the stage. NULL is fine. */
struct trunk_stage *trunk_stage_ref(const struct trunk_end *e, uint32_t level);
void trunk_stage_unref(struct trunk_stage *s);

/* "shared: …" lines. */
void trunk_text(const struct trunk *t, struct text *to);

#endif
