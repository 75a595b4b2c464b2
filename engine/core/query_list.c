/* SPDX-License-Identifier: MIT */
/* query_list.c: queries looked up in the engine's list, and what can be asked of one. */
#include "engine/core/queries.h"

#include <stdlib.h>

struct query *query_by_name(struct engine *e, const char *name)
{
	struct query *q;

	pthread_mutex_lock(&e->lock);
	q = query_listed(e, name);
	if (q)
		query_ref(q);
	pthread_mutex_unlock(&e->lock);
	return q;
}

struct query *query_by_serial(struct engine *e, uint64_t serial)
{
	struct query *q;

	pthread_mutex_lock(&e->lock);
	for (q = e->queries; q && q->serial != serial; q = q->next)
		;
	if (q)
		query_ref(q);
	pthread_mutex_unlock(&e->lock);
	return q;
}

struct query *query_next(struct engine *e, uint64_t after)
{
	struct query *q;

	pthread_mutex_lock(&e->lock);
	for (q = e->queries; q && (q->serial <= after || !q->listed); q = q->next)
		;
	if (q)
		query_ref(q);
	pthread_mutex_unlock(&e->lock);
	return q;
}

bool queries_full(const struct engine *e, const struct cred *who, uint32_t *limit)
{
	uint32_t max = e->options.max_queries, kept = max / 8 < 4 ? 4 : max / 8;

	if (kept > max / 2)
		kept = max / 2;
	*limit = cred_has_all(who) ? max : max - kept;
	return e->nqueries >= *limit;
}

bool engine_is_full(struct engine *e, const struct cred *who, uint32_t *limit)
{
	bool full;

	pthread_mutex_lock(&e->lock);
	full = queries_full(e, who, limit);
	pthread_mutex_unlock(&e->lock);
	return full;
}

int64_t query_serials(struct engine *e, bool removed, uint64_t **ret, uint64_t *next)
{
	int64_t n = 0;

	pthread_mutex_lock(&e->lock);
	for (struct query *q = e->queries; q; q = q->next)
		n++;
	*ret = malloc((size_t)(n + !n) * sizeof **ret);
	*next = e->next_serial;
	n = 0;
	for (struct query *q = e->queries; q && *ret; q = q->next) /* new ones go to the end */
		if (removed || q->listed)
			(*ret)[n++] = q->serial;
	pthread_mutex_unlock(&e->lock);
	return *ret ? n : -ENOMEM;
}

const char *query_name(const struct query *q)
{
	return q->name;
}

uint64_t query_serial(const struct query *q)
{
	return q->serial;
}

void query_owner(const struct query *q, uid_t *uid, gid_t *gid)
{
	*uid = q->uid;
	*gid = q->gid;
}

int64_t query_created(const struct query *q)
{
	return q->created;
}

int64_t query_written(struct query *q)
{
	int64_t time;

	pthread_mutex_lock(&q->lock);
	time = q->written ? q->written : q->created;
	pthread_mutex_unlock(&q->lock);
	return time;
}

enum query_state query_state(struct query *q)
{
	struct run *r = query_current(q);
	enum query_state s = r ? run_state(r) : QUERY_STOPPED;

	run_unref(r);
	return s;
}

struct result *query_result(struct query *q)
{
	struct run *r = query_current(q);
	struct result *res = r && r->result ? result_ref(r->result) : NULL;

	run_unref(r);
	return res;
}

uint64_t query_run(struct query *q)
{
	uint64_t n;

	pthread_mutex_lock(&q->lock);
	n = q->nruns;
	pthread_mutex_unlock(&q->lock);
	return n;
}

uint64_t engine_generation(struct engine *e)
{
	uint64_t n;

	pthread_mutex_lock(&e->lock);
	n = e->generation;
	pthread_mutex_unlock(&e->lock);
	return n;
}

void query_faults(struct query *q, struct text *to)
{
	struct run *r = query_current(q);

	if (r)
		faults_text(&r->faults, to);
	run_unref(r);
}

static void late(const struct run *r, const struct plan_graph *g, struct text *to)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];
		const char *const *c = n->module ? n->module->counters : NULL;

		for (int k = 0; c && c[k]; k++) {
			uint64_t v = stat_get(&r->context.stats[n->id].counters[k]);

			if (v && strcmp(c[k], "late") == 0)
				text_printf(to, "%s: %llu records came late\n", n->name,
				        (unsigned long long)v);
		}
		for (uint32_t k = 0; k < n->nbodies; k++)
			late(r, &n->bodies[k], to);
	}
}

void query_late(struct query *q, struct text *to)
{
	struct run *r = query_current(q);

	if (r)
		late(r, &r->plan->root, to);
	run_unref(r);
}

void query_error(struct query *q, struct text *to)
{
	struct run *r = query_current(q);

	if (r && run_state(r) == QUERY_FAILED)
		text_puts(to, r->err.text);
	run_unref(r);
}

void query_progress(struct query *q, struct query_progress *ret)
{
	struct run *r = query_current(q);

	*ret = (struct query_progress){.now = now_ns(CLOCK_MONOTONIC)};
	if (!r)
		return;
	ret->records = __atomic_load_n(&r->records, __ATOMIC_RELAXED);
	ret->bytes = __atomic_load_n(&r->bytes, __ATOMIC_RELAXED);
	ret->total = __atomic_load_n(&r->total, __ATOMIC_RELAXED);
	ret->started = r->begun;
	run_unref(r);
}

void queries_stop(struct engine *e)
{
	for (struct query *q = query_next(e, 0), *next; q; q = next) {
		struct run *r = query_current(q);

		if (r)
			run_stop(r);
		run_unref(r);
		next = query_next(e, q->serial);
		query_unref(q);
	}
	pthread_mutex_lock(&e->lock);
	while (e->nthreads)
		pthread_cond_wait(&e->idle, &e->lock);
	pthread_mutex_unlock(&e->lock);
}

void queries_release(struct engine *e)
{
	struct query *q;

	while ((q = query_next(e, 0))) {
		query_remove(q);
		query_unref(q);
	}
}
