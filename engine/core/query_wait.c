/* SPDX-License-Identifier: MIT */
/* query_wait.c: who waits for a query: for its end, or, without a thread, for an answer that is
 * fresh enough.
 *
 * A waiter is called when the current run has a new version or ends, or at its deadline.
 */
#include <stdlib.h>

#include "engine/core/plan.h"
#include "engine/core/queries.h"

static void fire(struct waiter *w)
{
	while (w) {
		struct waiter *next = w->next;

		w->done(w->arg);
		free(w);
		w = next;
	}
}

/* Takes those whose time has come (all: every one) off the list. */
static struct waiter *due(struct query *q, int64_t now, bool all)
{
	struct waiter *out = NULL, **p;

	pthread_mutex_lock(&q->lock);
	for (p = &q->waiters; *p;) {
		struct waiter *w = *p;

		if (!all && w->until > now) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		w->next = out;
		out = w;
	}
	pthread_mutex_unlock(&q->lock);
	return out;
}

static void deadline(void *arg)
{
	struct query *q = arg;

	fire(due(q, now_ns(CLOCK_MONOTONIC), false));
	query_unref(q);
}

void query_run_changed(void *arg, struct run *r, bool ended)
{
	struct query *q = arg;
	bool current;

	pthread_mutex_lock(&q->lock);
	current = q->run == r;
	if (ended)
		pthread_cond_broadcast(&q->ended);
	pthread_mutex_unlock(&q->lock);
	if (ended) {
		enum query_state s = run_state(r);

		query_log(q, "%s after %llu records%s%s", query_state_name(s),
		        (unsigned long long)__atomic_load_n(&r->records, __ATOMIC_RELAXED),
		        s == QUERY_FAILED ? ": " : "", s == QUERY_FAILED ? r->err.text : "");
	}
	if (current)
		fire(due(q, 0, true));
	if (ended)
		query_unref(q);
}

void query_look(struct query *q, int64_t wait, void (*done)(void *arg), void *arg)
{
	int64_t now = now_ns(CLOCK_MONOTONIC);
	struct run *r = query_current(q);
	struct waiter *w;
	bool fresh = !r || run_watch(r, now);

	if (!fresh && r->result && result_is_log(r->result))
		fresh = now >= r->begun + wait;
	else if (!fresh)
		fresh = __atomic_load_n(&r->versions, __ATOMIC_RELAXED) &&
		        now < __atomic_load_n(&r->refreshed, __ATOMIC_RELAXED) +
		                        r->plan->set.refresh;
	w = fresh ? NULL : malloc(sizeof *w);
	if (!w) {
		run_unref(r);
		done(arg);
		return;
	}
	*w = (struct waiter){NULL, now + wait, done, arg};
	pthread_mutex_lock(&q->lock);
	w->next = q->waiters;
	q->waiters = w;
	pthread_mutex_unlock(&q->lock);
	/* it may have ended before the waiter was in the list */
	if (run_state(r) > QUERY_PAUSED) {
		fire(due(q, 0, true));
	} else {
		query_ref(q);
		if (engine_call_at(q->e, now + wait, deadline, q) < 0) {
			query_unref(q);
			fire(due(q, 0, true));
		}
	}
	run_unref(r);
}

enum query_state query_wait(struct query *q)
{
	enum query_state s = QUERY_STOPPED;
	struct run *r = query_current(q);

	if (r && r->sink.here && !r->started)
		run_here(r, query_run_changed, query_ref(q));
	run_unref(r);
	pthread_mutex_lock(&q->lock);
	while (q->run && (s = run_state(q->run)) <= QUERY_PAUSED)
		pthread_cond_wait(&q->ended, &q->lock);
	pthread_mutex_unlock(&q->lock);
	return s;
}
