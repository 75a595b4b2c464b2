/* SPDX-License-Identifier: MIT */
/* flow.h: a query at work on several threads: the third scheduler.
 *
 * The plan is cut into stretches (stretch.h). A batch of the source is a *token*; it goes through
 * the stretches one after the other.
 *
 * - A parallel stretch is one task for each token, run by any worker in the worker's own instance
 *   of the stretch's nodes.
 * - A keyed stretch is split over lanes, each with its own instance: the token's batches are dealt
 *   by the hash of the key (split.h), and what the lanes leave is put back into the order of rows
 *   (recombine.h). A lane is a queue, worked off by one worker at a time: what idle workers steal.
 *   Two workers deal nothing to tables: they share a lane for each key in the chain, which gets its
 *   keys packed and hashed (ready.h). Where keys can be added up of parts so do three; more have a
 *   lane each then, see fold.h.
 * - The serial stretch at the end is one lane, whose output is the query's.
 *
 * Tokens enter the lanes of a stretch in the order of the source: who brings one that is not next
 * leaves it waiting, and who brings the next one enters those that wait behind it. So each lane
 * sees, for each key, what it would see on one thread, and the answer does not depend on the number
 * of threads or lanes. Where the source can be read by several threads the workers do that, too
 * (intake.h); else the calling thread pushes batches. At a mark all tokens are worked off first;
 * then the calling thread is alone, and what lanes answer is merged by where their keys first
 * appeared.
 *
 * Counters are kept with each token and added up when it leaves, in order, and only while the last
 * stretch wants any: so they, too, are those of one thread, with `head` as well.
 *
 * Tokens in flight are bounded, and each has its share of the memory limit. When the tables have
 * taken half of that, tokens come one by one: a query that one thread has the memory for does not
 * fail because of batches in flight.
 *
 * Who fills columns: all that the lanes may read is filled, and decoded, before a batch is dealt,
 * by the one worker that has it. What is missed there still (a module that reads more than it said)
 * is filled under a lock; see batch_share().
 *
 * A lane has a worker at home with it, whose cache has its tables as a rule; others steal it.
 *
 * Locks, none held while a module runs: a stage's gate or the intake's, then a lane's, then a
 * deque's or the crew's; `lock` alone. Modules share work (aid.h): its lock, then a deque's or the
 * crew's.
 */
#ifndef FLOW_H
#define FLOW_H

#include "engine/core/aid.h"
#include "engine/core/crew.h"
#include "engine/core/firsts.h"
#include "engine/core/node.h"
#include "engine/core/split.h"
#include "engine/core/stretch.h"
#include "engine/core/tails.h"

#define FLOW_LANES 1         /* for each worker */
#define FLOW_FEW 3           /* workers that one lane of a table that adds up keeps busy */
#define FLOW_TOKENS_MAX 4096 /* in flight */

struct answer;

struct batches {
	struct weir_batch **batch;
	uint32_t n, room;
};

/* A stretch's nodes, for a worker or a lane. */
struct instance {
	struct run_context run; /* scheduler, pool, error: its own */
	struct graph *graph;
	struct batches out;    /* what it has emitted */
	struct answer *answer; /* at a mark: it goes there */
};

struct lane {
	struct task task; /* first */
	struct stage *stage;
	uint32_t number;
	struct instance *instance;
	struct firsts firsts;
	uint32_t keys; /* atomic: that stage->whole has not; where the stage folds, as below */
	uint32_t taken, run;  /* keys, and runs of firsts, that it has, since the lane began anew */
	uint64_t ns;          /* at work; written by who runs it, relaxed */
	pthread_mutex_t lock; /* protects what follows */
	struct slot **queue;  /* as many places as there are tokens */
	uint32_t at, n;
	bool scheduled; /* its task is in a deque, or runs */
};

struct stage {
	struct flow *flow;
	const struct plan_stretch *plan;
	struct split split;        /* keyed */
	uint32_t nlanes;           /* 0: parallel */
	bool folds;                /* each worker has a lane of its own, see fold.h */
	struct lane *lane;         /* nlanes */
	struct instance *instance; /* one for each lane, or worker */
	uint32_t ninstances;
	struct instance whole; /* where it folds: what the lanes had */
	pthread_mutex_t gate;  /* protects what follows */
	uint64_t next;         /* token that enters next */
	uint64_t entered;      /* batches that have: their places in the order of keys */
	struct slot **waiting; /* by token */
};

/* A token in flight: used by one worker at a time, but for its lanes' parts. */
struct slot {
	struct task task; /* first */
	struct flow *flow;
	uint64_t token;
	uint32_t stage;    /* that it is in, or waits for */
	uint32_t pending;  /* atomic: lanes that have not done with it */
	struct slot *next; /* of those that a gate let pass at once */
	int64_t ns;        /* spent on it between the stretches */
	struct batches in; /* of the stage */
	struct batches
	        cut; /* keyed: of in.batch[k], lane l's part: at k * lanes + l; then its output */
	struct node_stats *stats; /* of the plan's nodes */
	struct node_stats *part;  /* keyed: of node i in lane l: at l * nodes + i */
};

struct flow {
	struct run_context *run;
	struct crew crew;
	struct tails tails;
	struct aid aid;
	uint32_t nstages, window; /* window: tokens in flight at most */
	struct stage *stage;
	struct slot *slot;
	struct weir_pool **pool; /* by worker */
	struct intake *intake;   /* NULL: tokens are pushed by the calling thread */
	uint64_t pushed;         /* atomic: tokens that have entered; by one thread at a time */
	uint64_t left;           /* atomic: tokens that have left */
	bool done;               /* atomic: nothing more is wanted */
	int error;               /* atomic: 0 or -errno; what is in flight is dropped then */
	pthread_mutex_t lock;    /* protects run->err and run->failed until `error` is set */
};

/* For a plan that could be cut. run->scheduler is not used. 0 and *ret, or -errno and run->err. */
int flow_new(struct run_context *run, struct flow **ret);
void flow_free(struct flow *f); /* NULL is fine; what is in flight is dropped */

/* As graph_push(), of the source's node. */
int flow_push(struct flow *f, struct weir_batch *b);
/* As graph_reads(), graph_read() and graph_hold(). */
bool flow_reads(struct flow *f, struct reader *r);
int flow_read(struct flow *f);
void flow_hold(struct flow *f, bool hold);
bool flow_wants(const struct flow *f);
/* As graph_refresh() and graph_end(). */
int flow_mark(struct flow *f, bool end);
int flow_cut(struct flow *f, bool answer);                    /* as graph_cut() */
int flow_tick(struct flow *f, int64_t now, int64_t *ret_due); /* as graph_tick() */

/* ---- flow.c, for fold.c ---- */

void instance_close(struct instance *in);

/* ---- stages.c ---- */

/* Token `number`, whose batch is in s->in, is about to be put. */
void slot_begin(struct slot *s, uint64_t number);
/* Takes a token on from its stage. */
void slot_run(struct hand *w, struct task *t);
void lane_run(struct hand *w, struct task *t);
int batches_add(struct batches *to, struct weir_batch *b); /* takes b, on failure too */
void batches_drop(struct batches *b);
/* Remembers the first failure. */
void flow_fail(struct flow *f, const struct run_context *from, int error);
/* Adds one set of counters to another. */
void stats_add(struct node_stats *to, const struct node_stats *from);

/* Whether another token may enter. While more than half of the query's memory is taken, only when
 * none is in flight; what is kept for batches to come is given back then. */
bool flow_has_room(const struct flow *f);

static inline int flow_error(const struct flow *f)
{
	return __atomic_load_n(&f->error, __ATOMIC_ACQUIRE);
}

static inline struct stage *flow_last(const struct flow *f)
{
	return &f->stage[f->nstages - 1];
}

#endif
