/* SPDX-License-Identifier: MIT */
/* run.c: the life of a run: made, started, asked for something by others, ended, freed.
 *
 * What it does on its thread stands in run_loop.c.
 */
#include "engine/core/run_parts.h"

#include <stdlib.h>
#include <unistd.h>

#include "engine/core/spill_file.h"

#define WATCH_NS (120ll * 1000000000) /* a look keeps a table fresh for two minutes */

static void run_free(struct run *r)
{
	for (uint32_t i = 0; r->readers && i < r->plan->nsources; i++)
		reader_close(r->readers[i]);
	free(r->readers);
	for (uint32_t i = 0; r->links && i < r->plan->nsources; i++)
		if (r->links[i].feed)
			feed_link_release(&r->links[i]);
	free(r->links);
	if (r->event >= 0)
		close(r->event);
	result_unref(r->result);
	pool_unref(r->context.pool);
	free(r->context.stats);
	faults_release(&r->faults);
	late_windows_release(&r->late);
	mem_unref(r->mem);
	plan_unref(r->plan);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->sink_lock);
	free(r);
}

int run_new(struct engine *e, struct plan *plan, const struct rights *rights,
        const struct query_sink *sink, struct run **ret, struct weir_err *err)
{
	struct run *r = calloc(1, sizeof *r);
	int res;

	if (!r) {
		plan_unref(plan);
		return -ENOMEM;
	}
	r->begun = r->refreshed = now_ns(CLOCK_MONOTONIC); /* others see it before it starts */
	r->refs = 1;
	r->event = -1;
	r->e = e;
	r->plan = plan;
	r->rights = *rights;
	r->mem = mem_new(plan->set.memory);
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->sink_lock, NULL);
	now_cond_init(&r->wake);
	faults_init(&r->faults);
	late_windows_init(&r->late);
	r->err = (struct weir_err)WEIR_ERR_INIT;
	r->context = (struct run_context){.plan = plan,
	        .scheduler = &scheduler_depth,
	        .mem = r->mem,
	        .pool = pool_new(r->mem),
	        .rights = *rights,
	        .late = &r->late,
	        .stats = calloc(plan->nnodes + 1, sizeof(struct node_stats)),
	        .rows = sink ? run_rows_to_sink : run_rows_to_result,
	        .arg = r,
	        .err = WEIR_ERR_INIT};
	if (sink)
		r->sink = *sink;
	else
		r->result = result_new(plan->out, !plan->table, plan->set.retain, r->mem);
	if (r->result && plan->set.keep) { /* its versions are looked at later */
		result_keep(r->result, (uint32_t)plan->set.keep);
		r->watched = INT64_MAX;
		r->attention = 1;
	}
	res = r->mem && r->context.pool && r->context.stats && (sink || r->result) ? 0 : -ENOMEM;
	if (res == 0 && plan->nspills)
		res = spill_try(plan, rights, err);
	if (res == 0)
		res = run_open_sources(r, err);
	if (res < 0) {
		run_free(r);
		return res;
	}
	run_choose_scheduler(r);
	run_clock_open(r);
	*ret = r;
	return 0;
}

struct run *run_ref(struct run *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void run_unref(struct run *r)
{
	if (r && __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) == 0)
		run_free(r);
}

static void attend(struct run *r)
{
	__atomic_store_n(&r->attention, 1, __ATOMIC_RELEASE);
	run_nudge(r);
}

static void stop(struct run *r, bool cancel)
{
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	r->cancel |= cancel;
	attend(r);
	pthread_mutex_unlock(&r->lock);
	run_leave_feeds(r); /* whatever it works on still, nobody waits for it */
}

void run_stop(struct run *r)
{
	stop(r, false);
}

void run_cancel(struct run *r)
{
	stop(r, true);
}

void run_pause(struct run *r, bool pause)
{
	pthread_mutex_lock(&r->lock);
	if (r->state == QUERY_RUNNING || r->state == QUERY_PAUSED) {
		r->pause = pause;
		attend(r);
	}
	pthread_mutex_unlock(&r->lock);
}

void run_ask(struct run *r, uint32_t what)
{
	pthread_mutex_lock(&r->lock);
	r->asked |= what;
	attend(r);
	pthread_mutex_unlock(&r->lock);
}

bool run_watch(struct run *r, int64_t now)
{
	bool fresh;

	pthread_mutex_lock(&r->lock);
	if (r->watched < now + WATCH_NS)
		r->watched = now + WATCH_NS;
	fresh = r->state != QUERY_RUNNING;
	if (!fresh)
		attend(r);
	pthread_mutex_unlock(&r->lock);
	return fresh;
}

enum query_state run_state(struct run *r)
{
	enum query_state s;

	pthread_mutex_lock(&r->lock);
	s = r->state;
	pthread_mutex_unlock(&r->lock);
	return s;
}

static void *thread(void *arg)
{
	struct run *r = arg;
	struct engine *e = r->e;
	enum query_state state;

	state = run_execute(r);
	if (r->result)
		result_end(r->result);
	pthread_mutex_lock(&r->lock);
	r->state = state;
	r->err = r->context.err;
	r->ended = now_ns(CLOCK_MONOTONIC);
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->lock);
	r->changed(r->arg, r, true);
	run_unref(r);
	pthread_mutex_lock(&e->lock);
	if (--e->nthreads == 0)
		pthread_cond_broadcast(&e->idle);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* Counts the thread that will execute it. */
static void begin(struct run *r, void (*changed)(void *arg, struct run *r, bool ended), void *arg)
{
	r->started = true;
	r->changed = changed;
	r->arg = arg;
	pthread_mutex_lock(&r->e->lock);
	r->e->nthreads++;
	pthread_mutex_unlock(&r->e->lock);
	run_ref(r); /* the thread's */
}

void run_here(struct run *r, void (*changed)(void *arg, struct run *r, bool ended), void *arg)
{
	begin(r, changed, arg);
	thread(r);
}

int run_start(struct run *r, void (*changed)(void *arg, struct run *r, bool ended), void *arg)
{
	pthread_attr_t attr;
	pthread_t id;
	int ret;

	begin(r, changed, arg);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&id, &attr, thread, r);
	pthread_attr_destroy(&attr);
	if (ret) {
		pthread_mutex_lock(&r->e->lock);
		r->e->nthreads--;
		pthread_mutex_unlock(&r->e->lock);
		if (r->result)
			result_end(r->result);
		run_unref(r);
	}
	return -ret;
}
