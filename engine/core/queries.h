/* SPDX-License-Identifier: MIT */
/* queries.h: what the files behind query.h share: query.c makes them, query_list.c looks them up,
 * query_wait.c waits, query_control.c steers, query_text.c says what a query is about. */
#ifndef QUERIES_H
#define QUERIES_H

#include "engine/core/engine.h"
#include "engine/core/run.h"

struct waiter {
	struct waiter *next;
	int64_t until; /* CLOCK_MONOTONIC ns */
	void (*done)(void *arg);
	void *arg;
};

struct query {
	uint32_t refs; /* atomic; the engine's list holds one until removal */
	struct engine *e;
	struct query *next; /* protected by e->lock */
	bool listed;        /* protected by e->lock */
	uint64_t serial;
	char *name;
	uid_t uid;
	gid_t gid;
	int64_t created;

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t ended; /* a run ended */
	struct run *run;      /* NULL: no spec yet */
	uint64_t nruns;
	char *spec;
	size_t spec_len;
	int64_t written; /* when that was, ns since the epoch; 0: never */
	struct cred by;  /* who wrote it */
	struct waiter *waiters;
	struct textlog log; /* has its own lock */
};

void query_log(struct query *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A reference to the current run, NULL where there is none. */
struct run *query_current(struct query *q);

/* query_replace() with the spec that it has, as it was written before. */
int query_rerun(struct query *q, const char *spec, size_t len, const struct cred *who,
        struct weir_err *err);

/* See engine_is_full(); with the engine's lock held. */
bool queries_full(const struct engine *e, const struct cred *who, uint32_t *limit);
/* The query of that name; with the engine's lock held. NULL: there is none. */
struct query *query_listed(struct engine *e, const char *name);
/* What a run of q, `arg`, calls (struct run). At the end it gives the run's reference to q back. */
void query_run_changed(void *arg, struct run *r, bool ended);

/* Asks all to stop and waits until their threads are gone. */
void queries_stop(struct engine *e);
void queries_release(struct engine *e);

#endif
