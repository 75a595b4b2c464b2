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

/* See run_clock.c. Times are CLOCK_MONOTONIC ns but where they are the clock's. */
struct run_clock {
	struct live_clock live; /* what modules see */
	double pace;            /* of the records' time; 0: the sources are not live */
	int64_t held;           /* how long a record may be on its way */
	int64_t begun, at;      /* at: the clock */
	int64_t newest;         /* of the last record that came; INT64_MAX: none yet */
	int64_t waits;          /* since then the sources have had nothing; 0: they had */
	int64_t ticked, next;   /* next: 0: nothing is due */
	int64_t rest;           /* after the last tick, at least */
	bool fresh;             /* a batch has come since */
};

struct run {
	uint32_t refs; /* atomic */
	struct engine *e;
	struct plan *plan;
	struct weir_mem *mem; /* shared with the result, which may live on */
	struct run_context context;
	struct result *result; /* NULL: rows go to the sink */
	struct late_windows late;
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
	bool stop, pause;
	bool cancel;     /* with stop: nothing is answered any more */
	uint32_t asked;  /* bits of RUN_… */
	bool more;       /* a feed has handed something on since idle() */
	int event;       /* eventfd, readable: what idle() polls with; -1: not needed yet */
	int64_t watched; /* a table is kept fresh until then, CLOCK_MONOTONIC ns */
	enum query_state state;
	struct weir_err err;
	uint32_t attention; /* atomic: any of the above changed */

	bool rests;                     /* of the run's thread: its feeds are paused */
	int64_t hold;                   /* of the run's thread: until then a batch waits for another
	                                 * source, CLOCK_MONOTONIC ns; 0: none does, or for ever */
	struct run_clock clock;         /* of the run's thread */
	int64_t begun, ended;           /* CLOCK_MONOTONIC ns */
	int64_t refreshed;              /* atomic: last refresh, CLOCK_MONOTONIC ns */
	uint64_t versions, refreshes;   /* atomic */
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
/* Ends without a last answer. */
void run_cancel(struct run *r);

enum {
	RUN_REFRESH = 1, /* answer as things stand */
	RUN_FLUSH = 2,   /* answer as at the end, and begin anew */
	RUN_RESET = 4,   /* begin anew */
};
/* Between two batches, also while it is paused. */
void run_ask(struct run *r, uint32_t what);
/* Keeps the table fresh for a while; true where its current version is fresh enough now. */
bool run_watch(struct run *r, int64_t now);
enum query_state run_state(struct run *r);

#endif
