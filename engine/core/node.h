/* SPDX-License-Identifier: MIT */
/* node.h: graphs at work: instances of a plan's nodes, their counters, how batches reach them.
 *
 * A graph is used by one thread at a time. A scope's body is a graph of its own, whose output goes
 * to the consumers of the scope's node. Counters belong to the plan's nodes (struct run), since a
 * body may have any number of instances.
 */
#ifndef NODE_H
#define NODE_H

#include "engine/core/late_windows.h"
#include "engine/core/plan.h"
#include "engine/core/pool.h"
#include "engine/core/reader.h"

#define NODE_COUNTERS 8

/* Written by one thread with relaxed atomics, read by any. */
struct node_stats {
	uint64_t batches_in, records_in, batches_out, records_out;
	uint64_t ns; /* in the module itself, without what stands downstream */
	uint64_t counters[NODE_COUNTERS];
	/* what the module, which knows nothing of atomics, has counted since stats_publish() */
	uint64_t counting[NODE_COUNTERS];
};

static inline void stat_add(uint64_t *to, uint64_t n)
{
	__atomic_store_n(to, *to + n, __ATOMIC_RELAXED);
}

static inline uint64_t stat_get(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

/* Shows readers what the module has counted. */
static inline void stats_publish(struct node_stats *s)
{
	for (int i = 0; i < NODE_COUNTERS; i++)
		if (s->counting[i]) {
			stat_add(&s->counters[i], s->counting[i]);
			s->counting[i] = 0;
		}
}

struct graph;
struct spill;

/* Kept small: there may be a million instances of a body. */
struct node {
	struct weir_node pub; /* first */
	const struct plan_node *plan;
	struct graph *graph;
	struct spill *spill;  /* see spill.h; NULL: not of this node */
	struct queued *queue; /* breadth-first: the newest; its successor is the oldest */
	uint16_t queue_len;
	uint16_t live; /* targets that still want records */
	bool is_last;  /* its output is the graph's */
	bool opened, done, dirty;
	bool shows;       /* what it emits goes to its target's look() */
	bool again;       /* what comes has been looked at */
	uint64_t emitted; /* of a table: number of the last batch, see gather_number() */
};

/* How batches travel: one interface for all schedulers. */
struct scheduler {
	const char *name;
	/* Gives b (consumed) to input `input` of a node. 0 or -errno. */
	int (*deliver)(struct node *to, uint32_t input, struct weir_batch *b);
	/* Runs until nothing is queued. */
	int (*drain)(struct graph *g);
};

/* workers: see flow.h; where the plan cannot be cut, and in bodies, depth-first. */
extern const struct scheduler scheduler_depth, scheduler_breadth, scheduler_workers;

/* What was delivered to the node breadth-first and not yet processed goes. */
void node_drop_queue(struct node *n);

/* The clock of live sources: see weir_node_clock(). One thread sets it, any may read it. */
struct live_clock {
	int64_t now; /* atomic; ns of the records' time */
};

/* What all graphs of one run of a query share. */
struct run_context {
	const struct plan *plan;
	const struct scheduler *scheduler;
	struct weir_mem *mem;
	struct weir_pool *pool;
	uint32_t threads, tokens; /* for scheduler_workers: workers, tokens in flight */
	uint32_t fold_keys; /* in lanes whose keys are added up, before they are; 0: see fold.c */
	struct late_windows *late; /* NULL: nobody asks */
	struct live_clock *clock;  /* NULL: no source is live */
	struct rights rights;      /* of the query's writer */
	struct node_stats *stats;  /* one for each node of the plan */
	/* atomic: ns spent reading; bringing input into memory for that; filling, dealing and
	 * recombining batches; of the keyed lane that worked longest. Tasks stolen */
	uint64_t read_ns, fetch_ns, deal_ns, lane_ns, stolen;
	uint64_t read; /* atomic: records that graph_read() has read */
	/* atomic: bytes on disk now and at most; files made */
	uint64_t spilled, spill_peak, spill_files;
	/* where the query's rows go; consumes nothing */
	int (*rows)(void *arg, struct weir_batch *b);
	void *arg;
	struct weir_err err; /* of the module that failed */
	const char *failed;  /* its name */
};

/* One block of memory: this, the nodes, their states, the stamps. */
struct graph {
	const struct plan_graph *plan;
	struct run_context *run;
	struct weir_pool *pool;
	struct flow *flow;        /* scheduler_workers: the nodes are there, and n is 0 */
	struct node *scope;       /* a body's: the scope it stands behind; NULL: the root */
	struct firsts *firsts;    /* a lane's: where its keys first appeared; NULL: nobody asks */
	struct weir_value *stamp; /* values of scope->plan->stamps, where they are read */
	uint32_t size;            /* of the block */
	uint16_t n;
	uint8_t child; /* of the scope's bodies, its channel */
	bool is_stamped;
	struct node node[];
};

static inline struct node *node_of(struct weir_node *n)
{
	return (struct node *)n;
}

static inline struct node_stats *node_stats(const struct node *n)
{
	return (struct node_stats *)((char *)n->pub.counters -
	                             offsetof(struct node_stats, counting));
}

/* Makes and opens all nodes; a body (child number `child` of `scope`) or the root (NULL). 0 and
 * *ret, or -errno and run->err. */
int graph_new(struct run_context *run, const struct plan_graph *plan, struct node *scope,
        uint32_t child, struct graph **ret);
void graph_free(struct graph *g); /* NULL is fine */

/* Hands a batch from a source (or to a body's entry): what node `i` emits. Consumes b. 0,
 * WEIR_DONE when nothing that the node could send is wanted any more, or -errno. */
int graph_push(struct graph *g, uint32_t i, struct weir_batch *b);
/* The same in two steps, for several batches of one token: graph_settle() ends it. 0 or -errno. */
int graph_put(struct graph *g, uint32_t i, struct weir_batch *b);
int graph_settle(struct graph *g);
bool graph_wants(const struct graph *g, uint32_t i);

/* With several threads a graph may read its source by itself: true, then no batches are pushed, but
 * graph_read() goes one step on: 0, WEIR_DONE at the end or where nothing is wanted any more, or
 * -errno. Meanwhile others may work on. */
bool graph_reads(struct graph *g, struct reader *r);
int graph_read(struct graph *g);
/* Whether it takes nothing more from the source: while a mark is at work, until hold is false. */
void graph_hold(struct graph *g, bool hold);

/* Tables: everything behind the first blocking modules starts anew, these emit their answer so
 * far, and what follows ends on it. The caller clears and publishes the result around it. */
int graph_refresh(struct graph *g);

/* The clock has gone on: what has ended by it is emitted. Lowers *ret_due to the clock at which to
 * call again. 0 or -errno. */
int graph_clock(struct graph *g, int64_t *ret_due);
/* The same for the root, once all that was pushed is worked off: the clock is at `now`. */
int graph_tick(struct graph *g, int64_t now, int64_t *ret_due);

/* The end of the stream. */
int graph_end(struct graph *g);

/* All nodes begin anew, as if nothing had come yet; `answer`: what they have they emit first, as at
 * the end. WEIR_EFFECT nodes go on. 0 or -errno. */
int graph_cut(struct graph *g, bool answer);

/* These in two steps: everything behind the first blocking modules starts anew; the marks, END or
 * else REFRESH; what graph_cut() does. */
int graph_restart(struct graph *g);
int graph_mark(struct graph *g, bool end);
int graph_anew(struct graph *g, bool answer);

/* Sends what a body left to the consumers of its scope on the body's channel. Consumes b. */
int scope_emit(struct node *scope, uint32_t channel, struct weir_batch *b);

/* Has a module that answers by parts do so. 0 or -errno. */
int node_answer(struct weir_node *n, enum weir_mark mark);

/* For schedulers: runs the node's module on b (borrowed). */
int node_process(struct node *n, uint32_t input, struct weir_batch *b);

#endif
