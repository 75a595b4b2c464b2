/* SPDX-License-Identifier: MIT */
/* run.h: one execution of a plan on a thread of its own: readers, graph, result.
 *
 * The thread reads batches, pushes them through the graph, and between batches looks at `attention`
 * for what others ask: refresh, pause, stop. Whoever asks sets the flags under `lock` and signals.
 */
#ifndef RUN_H
#define RUN_H

#include "engine/core/engine.h"
#include "engine/core/node.h"

struct run {
	uint32_t refs; /* atomic */
	struct engine *e;
	struct plan *plan;
	struct weir_mem *mem; /* shared with the result, which may live on */
	struct run_context context;
	struct result *result; /* NULL: rows go to the sink */
	struct query_sink sink;
	pthread_mutex_t sink_lock; /* rows come from a worker, ticks from the run's thread */
	struct faults faults;
	struct rights rights;
	struct reader **readers; /* one for each source of the plan */
	uint32_t served;         /* of them that are served by the cache */
	uint32_t together;       /* atomic: queries that its joint pass was for; 0: it had none */
	uint64_t left_at; /* atomic: first packet that it read by itself, from 1, having left; 0: it
	                     did not */
	/* one for each source of the plan; .feed is NULL where the run has a pass of its own */
	struct feed_link *links;
	/* called from the run's thread: a version was published; the run ended. No lock is held. */
	void (*changed)(void *arg, struct run *r, bool ended);
	void *arg;
	bool started; /* of whoever starts it */

	pthread_mutex_t lock; /* protects what follows, up to `attention` */
	pthread_cond_t wake;
	bool stop, pause, refresh;
	bool more;       /* a feed has handed something on since idle() */
	int event;       /* eventfd, readable: what idle() polls with; -1: not needed yet */
	int64_t watched; /* a table is kept fresh until then, CLOCK_MONOTONIC ns */
	enum query_state state;
	struct weir_err err;
	uint32_t attention; /* atomic: any of the above changed */

	int64_t begun, ended;           /* CLOCK_MONOTONIC ns */
	int64_t refreshed;              /* atomic: last refresh, CLOCK_MONOTONIC ns */
	uint64_t versions;              /* atomic */
	uint64_t records, bytes, total; /* atomic: progress */
};

/* Takes the plan. Opens the sources' readers; nothing runs yet. 0 and *ret, or -errno and *err
 * (the plan is freed then). sink NULL: a result is made. */
int run_new(struct engine *e, struct plan *plan, const struct rights *rights,
        const struct query_sink *sink, struct run **ret, struct weir_err *err);
/* From now on nothing of a source that is read only once passes the run by. 0 or -errno. */
int run_join(struct run *r);
int run_start(struct run *r, void (*changed)(void *arg, struct run *r, bool ended), void *arg);
/* The same in the calling thread, to its end. */
void run_here(struct run *r, void (*changed)(void *arg, struct run *r, bool ended), void *arg);
struct run *run_ref(struct run *r);
void run_unref(struct run *r);

void run_stop(struct run *r); /* asks; the thread ends soon */
void run_pause(struct run *r, bool pause);
void run_refresh(struct run *r);
/* Keeps the table fresh for a while; true where its current version is fresh enough now. */
bool run_watch(struct run *r, int64_t now);
enum query_state run_state(struct run *r);

#endif
