/* SPDX-License-Identifier: MIT */
/* run_parts.h: what the files of a run share. Not for others; see run.h.
 *
 * run.c is its life, run_open.c what is settled before it starts, run_loop.c what its thread does,
 * run_read.c its sources, run_wait.c its sleep, run_clock.c its clock, run_answer.c what it says.
 */
#ifndef RUN_PARTS_H
#define RUN_PARTS_H

#include "engine/core/run.h"

/* A reader, and the next batch of it. */
struct run_head {
	struct weir_batch *batch;
	int64_t ts;    /* of its first record, where there are several readers */
	int64_t since; /* it waits: CLOCK_MONOTONIC ns */
	bool end;
	bool waits; /* it has none yet */
	uint32_t node;
};

/* run_open.c */
int run_open_sources(struct run *r, struct weir_err *err);
void run_choose_scheduler(struct run *r); /* once the sources are open */

/* run_loop.c: all of it, on the thread that calls */
enum query_state run_execute(struct run *r);

/* run_read.c */
/* The next batch is at head[*ret]: 1; 0 at the end of all. -EAGAIN: a source has none yet. */
int run_read(struct run *r, struct run_head *head, uint32_t *ret);
/* Where it goes: behind the stages of the query that a feed has done. */
uint32_t run_entry(const struct run *r, uint32_t i, const struct run_head *h);
/* Batch b of source i is about to go there; NULL: there is none, but the feed may have gone on. */
void run_took(struct run *r, uint32_t i, struct weir_batch *b);
/* Whether anything that is not at its end is asked for still. */
bool run_wanted(const struct run *r, const struct graph *g, const struct run_head *head);
/* Records that the query has had: with worker threads some were read that it no longer wanted. */
uint64_t run_taken(const struct run *r);
/* How far it is: so many records have been read. */
void run_progress(struct run *r, uint64_t records);
/* Adds the run's own passes to what its mounted sources have read. */
void run_count_sources(struct run *r);
void run_leave_feeds(struct run *r);
void run_pause_feeds(struct run *r, bool pause);

/* run_wait.c */
/* Sleeps until a source has more, somebody wants something, or `until` (0: no such time). */
void run_idle(struct run *r, const struct run_head *head, int64_t until);
void run_nudge(struct run *r); /* ends that sleep; with the lock held */
void run_wake(void *arg);      /* a feed has something for the run `arg` */

/* run_clock.c */
void run_clock_open(struct run *r); /* once the sources are open */
/* The time of a batch's last record; INT64_MAX: it has none. */
int64_t run_clock_time(struct weir_batch *b);
void run_clock_batch(struct run *r, int64_t time); /* before it is pushed */
void run_clock_wait(struct run *r);                /* the sources have nothing */
/* When run_clock_tick() has something to do, CLOCK_MONOTONIC ns; 0: it has not. */
int64_t run_clock_next(const struct run *r);
int run_clock_tick(struct run *r, struct graph *g); /* 0 or -errno */
int64_t run_clock_held(const struct run *r);        /* ns that records may be on their way */

/* run_answer.c */
int run_rows_to_result(void *arg, struct weir_batch *b);
int run_rows_to_sink(void *arg, struct weir_batch *b);
void run_tick(struct run *r, bool waits); /* the sink's clock */
/* A new version of a table. 0 or -errno. */
int run_answer(struct run *r, struct graph *g);
/* Forgets what has come. `answer`: its rows, or a version, first, as at the end. 0 or -errno. */
int run_begin_anew(struct run *r, struct graph *g, bool answer);
/* The last rows, and the last version. 0 or -errno. */
int run_finish(struct run *r, struct graph *g);
/* Puts -errno `ret` in words where nobody has; returns it. */
int run_fail(struct run *r, int ret);
/* The same for the memory limit, which `where` met. */
int run_at_limit(
        struct run *r, struct weir_err *err, uint32_t pos, uint32_t len, const char *where);

#endif
