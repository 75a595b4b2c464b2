/* SPDX-License-Identifier: MIT */
/* crew.h: worker threads that run tasks, and steal them from each other.
 *
 * Worker 0 is the thread that made them: it works while it waits (crew_wait()). The others are
 * started when there is enough to do, and sleep where there is nothing.
 *
 * A task is put by a worker, stands in one deque, and is run once for each put. What was written
 * before the put is seen by whoever runs it. A worker runs what it put last, then what is spare
 * (what would only bring more work), then steals.
 */
#ifndef CREW_H
#define CREW_H

#include "engine/core/deque.h"
#include <stdbool.h>

#define CREW_MAX 256

struct hand;

struct task {
	void (*run)(struct hand *w, struct task *t);
};

struct hand {
	struct crew *all;
	uint32_t id;
	struct deque deque;
	pthread_t thread;
	uint64_t tasks, stolen; /* run; those of them from another's deque. Its own, relaxed */
};

struct crew {
	uint32_t n, started; /* worker 0 counts as started, and writes it: atomic for others */
	struct hand *hand;
	struct deque spare;
	uint32_t queued;      /* atomic: in all deques; pairs with `asleep` */
	uint32_t asleep;      /* atomic: that wait for `wake` */
	pthread_mutex_t lock; /* protects quit */
	pthread_cond_t wake;
	bool quit;
	/* What a worker does before it rests, again until false: nothing was to be done. From all
	 * workers at once; set before crew_start(), NULL: none. */
	bool (*spare_time)(void *arg);
	void *spare_arg;
};

/* n workers, tasks: how many there can be at most. 0 or -ENOMEM. crew_release() is due. */
int crew_init(struct crew *c, uint32_t n, uint32_t tasks);
/* Starts those that are not; where the system gives no more threads, fewer must do. */
void crew_start(struct crew *c);
/* Ends the threads; no task may be left but spare ones, which are dropped. */
void crew_release(struct crew *c);

/* Any worker may put a task into the deque of w. */
void hand_put(struct hand *w, struct task *t);
/* To be run, oldest first, by who has no task of its own. */
void crew_put_spare(struct crew *c, struct task *t);
/* Runs one task; false: there is none. */
bool hand_help(struct hand *w);

static inline uint32_t crew_queued(const struct crew *c)
{
	return __atomic_load_n(&c->queued, __ATOMIC_RELAXED);
}

static inline uint32_t crew_started(const struct crew *c)
{
	return __atomic_load_n(&c->started, __ATOMIC_RELAXED);
}

/* Worker 0: runs tasks, or sleeps, until ready(arg). */
void crew_wait(struct crew *c, bool (*ready)(void *arg), void *arg);
/* Worker 0: runs a task, or sleeps once, unless ready(arg). */
void crew_step(struct crew *c, bool (*ready)(void *arg), void *arg);
/* What ready() looks at has changed (with __ATOMIC_SEQ_CST). */
void crew_notify(struct crew *c);

#endif
