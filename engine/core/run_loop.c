/* SPDX-License-Identifier: MIT */
/* run_loop.c: the loop that every run is: a batch from a source, through the graph, the next one;
 * and between two batches a look at what others ask.
 *
 * There are two: where the graph fetches its batches itself (worker threads that read in parallel)
 * the run only stands beside it.
 */
#include "engine/core/run_parts.h"

#include <stdlib.h>

#define RESERVE (64ull << 20) /* beyond the limit, to let a full query answer */
#define TICK_BATCHES 16       /* between two looks at the sink's clock */

/* With the lock held, given up meanwhile: feeds wake with theirs held. */
static void pause_feeds(struct run *r, bool pause)
{
	if (r->rests == pause)
		return;
	pthread_mutex_unlock(&r->lock);
	run_pause_feeds(r, pause);
	pthread_mutex_lock(&r->lock);
	r->rests = pause;
}

/* Waits while paused, or until something is asked for, which is done with the feeds paused still;
 * with the lock held. */
static void rest(struct run *r)
{
	pause_feeds(r, true);
	while (r->pause && !r->stop && !r->asked) {
		r->state = QUERY_PAUSED;
		pthread_cond_wait(&r->wake, &r->lock);
	}
	if (r->pause && !r->stop) {
		__atomic_store_n(&r->attention, 1, __ATOMIC_RELAXED); /* it rests again */
		return;
	}
	pause_feeds(r, false);
}

/* Waits while paused; whether to go on. *ret_asked: what somebody asked for. */
static bool attention(struct run *r, uint32_t *ret_asked, bool *ret_watched)
{
	int64_t now = now_ns(CLOCK_MONOTONIC);
	bool go;

	pthread_mutex_lock(&r->lock);
	__atomic_store_n(&r->attention, 0, __ATOMIC_RELAXED);
	if (r->pause && !r->stop)
		rest(r);
	else
		pause_feeds(r, false);
	if (r->state == QUERY_PAUSED && !r->pause)
		r->state = QUERY_RUNNING;
	*ret_asked = r->asked;
	r->asked = 0;
	*ret_watched = r->watched > now;
	go = !r->stop;
	pthread_mutex_unlock(&r->lock);
	return go;
}

/* What the last of a flush and a reset left is what counts, so a reset goes first. */
static int answer(struct run *r, struct graph *g, uint32_t asked)
{
	int ret = 0;

	if (asked & RUN_RESET)
		ret = run_begin_anew(r, g, false);
	if (ret == 0 && (asked & RUN_FLUSH))
		ret = run_begin_anew(r, g, true);
	else if (ret == 0)
		ret = run_answer(r, g);
	return ret;
}

/* Between batches: 0 to go on, 1 to stop, -errno. *refreshed is set where a mark went through. */
static int look_up(struct run *r, struct graph *g, bool *watched, bool *refreshed)
{
	uint32_t asked = 0;

	for (;;) {
		bool due = __atomic_load_n(&r->attention, __ATOMIC_ACQUIRE), due_now = false;
		int ret;

		if (!due && *watched && r->plan->table)
			due_now = now_ns(CLOCK_MONOTONIC) >= r->refreshed + r->plan->set.refresh;
		if (!due && !due_now)
			return 0;
		if (!attention(r, &asked, watched))
			return 1;
		if (due_now && *watched)
			asked |= RUN_REFRESH;
		ret = asked ? answer(r, g, asked) : 0;
		*refreshed |= asked != 0;
		if (ret < 0)
			return ret;
	}
}

/* The earlier of two times, of which each may be 0: never. */
static int64_t earlier(int64_t a, int64_t b)
{
	return a && (!b || a < b) ? a : b;
}

static int loop(struct run *r, struct graph *g, struct run_head *head, bool *ret_stopped)
{
	bool watched = false, refreshed;
	uint32_t i = 0, batches = 0;
	int ret;

	while (run_wanted(r, g, head)) {
		ret = look_up(r, g, &watched, &refreshed);
		if (ret) {
			*ret_stopped = ret > 0;
			return ret < 0 ? ret : 0;
		}
		ret = run_read(r, head, &i);
		if (r->sink.tick && (ret == -EAGAIN || ++batches % TICK_BATCHES == 0))
			run_tick(r, ret == -EAGAIN);
		if (ret == -EAGAIN) {
			int64_t refresh =
			        watched && r->plan->table ? r->refreshed + r->plan->set.refresh : 0;

			run_took(r, i, NULL);
			run_clock_wait(r);
			ret = run_clock_tick(r, g);
			if (ret < 0)
				return ret;
			run_idle(r, head, earlier(earlier(refresh, r->hold), run_clock_next(r)));
			continue;
		}
		if (ret <= 0)
			return ret;
		run_took(r, i, head[i].batch);
		ret = graph_push(g, run_entry(r, i, &head[i]), head[i].batch);
		head[i].batch = NULL;
		if (ret < 0)
			return ret;
		if (ret == WEIR_DONE) {
			head[i].end = true;
			if (r->links[i].feed)
				feed_leave(&r->links[i]);
		}
		ret = run_clock_tick(r, g);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The same where the graph reads by itself. While the run rests, so does that. */
static int loop_beside(struct run *r, struct graph *g, bool *ret_stopped)
{
	bool watched = false, held = false;
	uint32_t steps = 0;
	int ret;

	do {
		if (__atomic_load_n(&r->attention, __ATOMIC_ACQUIRE)) {
			graph_hold(g, true);
			held = true;
		}
		ret = look_up(r, g, &watched, &held);
		if (ret) {
			*ret_stopped = ret > 0;
			return ret < 0 ? ret : 0;
		}
		if (held)
			graph_hold(g, false);
		held = false;
		ret = graph_read(g);
		if (r->sink.tick && ++steps % TICK_BATCHES == 0)
			run_tick(r, false);
		run_progress(r, stat_get(&r->context.read));
	} while (ret == 0);
	return ret < 0 ? ret : 0;
}

static bool is_cancelled(struct run *r)
{
	bool is;

	pthread_mutex_lock(&r->lock);
	is = r->cancel;
	pthread_mutex_unlock(&r->lock);
	return is;
}

enum query_state run_execute(struct run *r)
{
	struct run_head *head = calloc(r->plan->nsources + 1, sizeof *head);
	struct graph *g = NULL;
	bool stopped = false;
	int ret = head ? graph_new(&r->context, &r->plan->root, NULL, 0, &g) : -ENOMEM;

	for (uint32_t i = 0; ret == 0 && i < r->plan->root.n; i++)
		if (r->plan->root.nodes[i]->source)
			head[r->plan->root.nodes[i]->reader].node = i;
	if (ret == 0 && r->plan->nsources == 1 && graph_reads(g, r->readers[0]))
		ret = loop_beside(r, g, &stopped);
	else if (ret == 0)
		ret = loop(r, g, head, &stopped);
	for (uint32_t i = 0; head && i < r->plan->nsources; i++)
		if (r->links[i].feed && !head[i].batch && ret >= 0)
			feed_took(&r->links[i]);
	run_leave_feeds(r);
	if (ret < 0) {
		run_fail(r, ret);
		/* what there is stays readable: a last version, with some memory to make it */
		__atomic_store_n(&r->mem->limit, r->mem->limit + RESERVE, __ATOMIC_RELAXED);
		if (g && r->result && r->plan->table)
			run_answer(r, g);
		__atomic_store_n(&r->mem->limit, r->plan->set.memory, __ATOMIC_RELAXED);
	} else if (stopped) {
		if (!is_cancelled(r))
			run_answer(r, g);
	} else {
		ret = run_finish(r, g);
		if (ret < 0)
			run_fail(r, ret);
	}
	run_progress(r, run_taken(r));
	run_count_sources(r);
	for (uint32_t i = 0; head && i < r->plan->nsources; i++)
		weir_batch_unref(head[i].batch);
	free(head);
	graph_free(g);
	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		reader_close(r->readers[i]);
		r->readers[i] = NULL;
	}
	return ret < 0 ? QUERY_FAILED : stopped ? QUERY_STOPPED : QUERY_DONE;
}
