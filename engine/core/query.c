/* SPDX-License-Identifier: MIT */
/* query.c: queries by name: made, replaced, removed.
 *
 * Lock order: engine, query, run. A run's thread holds a reference to its run and its query.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/core/plan.h"
#include "engine/core/queries.h"

void query_log(struct query *q, const char *fmt, ...)
{
	struct text line = TEXT_INIT;
	char when[32], what[480];
	time_t t = time(NULL);
	struct tm tm;
	va_list ap;

	gmtime_r(&t, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	text_printf(&line, "%s %s\n", when, what);
	if (line.p)
		textlog_add(&q->log, line.p, line.len);
	text_release(&line);
}

struct query *query_ref(struct query *q)
{
	__atomic_add_fetch(&q->refs, 1, __ATOMIC_RELAXED);
	return q;
}

static void query_free(struct query *q)
{
	run_unref(q->run);
	textlog_release(&q->log);
	free(q->name);
	free(q->spec);
	pthread_cond_destroy(&q->ended);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

void query_unref(struct query *q)
{
	struct query **p;

	if (!q)
		return;
	/* the list is searched by serial for removed queries too: the last reference goes under
	 * its lock */
	pthread_mutex_lock(&q->e->lock);
	if (__atomic_sub_fetch(&q->refs, 1, __ATOMIC_ACQ_REL)) {
		pthread_mutex_unlock(&q->e->lock);
		return;
	}
	for (p = &q->e->queries; *p && *p != q; p = &(*p)->next)
		;
	if (*p)
		*p = q->next;
	pthread_mutex_unlock(&q->e->lock);
	query_free(q);
}

struct run *query_current(struct query *q)
{
	struct run *r;

	pthread_mutex_lock(&q->lock);
	r = q->run ? run_ref(q->run) : NULL;
	pthread_mutex_unlock(&q->lock);
	return r;
}

/* ---- making ---- */

struct query *query_listed(struct engine *e, const char *name)
{
	for (struct query *q = e->queries; q; q = q->next)
		if (q->listed && strcmp(q->name, name) == 0)
			return q;
	return NULL;
}

static int check_name(const char *name, uint32_t pos, uint32_t len, struct weir_err *err)
{
	if (!lang_is_name(name, strlen(name)))
		return weir_fail(err, WEIR_E_BAD_NAME, pos, len, name);
	if (strcmp(name, "new") == 0 || strcmp(name, "errors") == 0)
		return weir_fail(err, WEIR_E_RESERVED_NAME, pos, len, name);
	return 0;
}

/* Lists a new query under `name`, or a fresh one where that is NULL. */
static int list(struct engine *e, const char *name, const struct cred *who, uint32_t pos,
        uint32_t len, struct query **ret, struct weir_err *err)
{
	struct query *q = calloc(1, sizeof *q), **p;
	char made[32], limit[24];
	uint32_t max;
	int r = 0;

	if (!q)
		return -ENOMEM;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->ended, NULL);
	textlog_init(&q->log);
	q->refs = 2; /* the list's and the caller's */
	q->e = e;
	q->uid = who ? who->uid : geteuid();
	q->gid = who ? who->gid : getegid();
	q->created = now_ns(CLOCK_REALTIME);
	pthread_mutex_lock(&e->lock);
	if (!name) {
		do
			snprintf(made, sizeof made, "q%llu", (unsigned long long)e->next_name++);
		while (query_listed(e, made));
		name = made;
	}
	if (query_listed(e, name)) {
		r = weir_fail(err, WEIR_E_NAME_TAKEN, pos, len, name);
	} else if (queries_full(e, who, &max)) {
		snprintf(limit, sizeof limit, "%u", max);
		r = weir_fail(err, WEIR_E_TOO_MANY_QUERIES, WEIR_NOPOS, 0, limit);
	} else if (!(q->name = strdup(name))) {
		r = -ENOMEM;
	}
	if (r == 0) {
		q->serial = e->next_serial++;
		q->listed = true;
		for (p = &e->queries; *p; p = &(*p)->next)
			;
		*p = q;
		e->nqueries++;
		e->generation++;
	}
	pthread_mutex_unlock(&e->lock);
	if (r < 0) {
		query_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

void query_remove(struct query *q)
{
	struct engine *e = q->e;
	struct run *r;
	bool was;

	pthread_mutex_lock(&e->lock);
	was = q->listed;
	q->listed = false;
	if (was) {
		e->nqueries--;
		e->generation++;
	}
	pthread_mutex_unlock(&e->lock);
	r = query_current(q);
	if (r)
		run_stop(r);
	run_unref(r);
	if (was)
		query_unref(q);
}

/* What a query misses that came late to a source that is read only once. */
static void log_feeds(struct query *q, const struct run *r)
{
	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		const struct feed_link *l = &r->links[i];

		if (l->feed && l->ended)
			query_log(q, "%s: had ended after %llu records", l->name,
			        (unsigned long long)(l->begins - 1));
		else if (l->feed && l->begins > 1)
			query_log(q, "%s: begins at record %llu", l->name,
			        (unsigned long long)l->begins);
	}
}

/* From now on r is what q runs; *ret_old: what it ran before. `written`: when its spec was, 0 where
 * that is the one before. -ENOENT: it was removed, by somebody who will not see to this run. */
static int set_run(struct query *q, struct run *r, const char *spec, size_t len, int64_t written,
        const struct cred *who, struct run **ret_old)
{
	char *copy = malloc(len + 1);
	bool listed;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, spec, len);
	copy[len] = 0;
	pthread_mutex_lock(&q->e->lock);
	pthread_mutex_lock(&q->lock);
	listed = q->listed;
	if (listed) {
		*ret_old = q->run;
		q->run = run_ref(r);
		if (!q->nruns++)
			q->e->generation++;
		free(q->spec);
		q->spec = copy;
		q->spec_len = len;
		if (written)
			q->written = written;
		q->by = who ? *who : (struct cred){.uid = geteuid(), .gid = getegid()};
	}
	pthread_mutex_unlock(&q->lock);
	pthread_mutex_unlock(&q->e->lock);
	if (!listed)
		free(copy);
	return listed ? 0 : -ENOENT;
}

/* Starts `r` (taken) as what q runs now; the run before is told to stop. */
static int install(struct query *q, struct run *r, const char *spec, size_t len, int64_t written,
        const struct cred *who)
{
	struct run *old = NULL;
	int ret = run_join(r);

	if (ret == 0)
		ret = set_run(q, r, spec, len, written, who, &old);
	if (ret < 0) {
		run_unref(r);
		return ret;
	}
	if (old)
		run_stop(old);
	run_unref(old);
	query_log(q, "started");
	log_feeds(q, r);
	if (!r->sink.here) {
		query_ref(q); /* given back by query_run_changed() at the end */
		ret = run_start(r, query_run_changed, q);
	}
	if (ret < 0) {
		run_stop(r); /* no feed waits for it */
		query_unref(q);
	}
	run_unref(r);
	return ret;
}

static int prepare(struct engine *e, const char *spec, size_t len, const struct cred *who,
        const struct query_sink *sink, const char *name, struct run **ret, struct weir_err *err)
{
	struct rights rights;
	struct plan *plan;
	int r;

	rights_of(&rights, who);
	r = plan_make(e, spec, len, &rights, &plan, err);
	if (r < 0)
		return r;
	if (plan->name)
		r = check_name(plan->name, 0, (uint32_t)strlen(plan->name), err);
	if (r == 0 && name && plan->name && strcmp(plan->name, name) != 0)
		r = weir_fail(err, WEIR_E_BAD_VALUE, 0, (uint32_t)strlen(plan->name), plan->name,
		        "name", name);
	if (r < 0) {
		plan_unref(plan);
		return r;
	}
	return run_new(e, plan, &rights, sink, ret, err);
}

static int submit(struct engine *e, const char *spec, size_t len, const char *name,
        const struct cred *who, const struct query_sink *sink,
        int (*schema)(void *arg, const struct weir_schema *s, const uint32_t *shown, uint32_t n),
        struct query **ret, struct weir_err *err)
{
	struct query *q;
	struct run *run;
	int r = name ? check_name(name, WEIR_NOPOS, 0, err) : 0;

	if (r == 0)
		r = prepare(e, spec, len, who, sink, name, &run, err);
	if (r < 0)
		return r;
	if (!name)
		name = run->plan->name;
	if (schema)
		r = schema(sink->arg, run->plan->out, run->plan->shown, run->plan->nshown);
	if (r >= 0)
		r = list(e, name, who, 0, run->plan->name ? (uint32_t)strlen(run->plan->name) : 0,
		        &q, err);
	if (r < 0) {
		run_unref(run);
		return r;
	}
	r = install(q, run, spec, len, now_ns(CLOCK_REALTIME), who);
	if (r < 0) {
		query_remove(q);
		query_unref(q);
		return weir_fail_no(err, -r, WEIR_E_SYSTEM, WEIR_NOPOS, 0, "query", strerror(-r));
	}
	*ret = q;
	return 0;
}

int query_submit(struct engine *e, const char *spec, size_t len, const char *name,
        const struct cred *who, struct query **ret, struct weir_err *err)
{
	return submit(e, spec, len, name, who, NULL, NULL, ret, err);
}

int query_run_to(struct engine *e, const char *spec, size_t len, const struct cred *who,
        int (*schema)(void *arg, const struct weir_schema *s, const uint32_t *shown, uint32_t n),
        const struct query_sink *sink, struct query **ret, struct weir_err *err)
{
	return submit(e, spec, len, NULL, who, sink, schema, ret, err);
}

int query_check(struct engine *e, const char *spec, size_t len, const struct cred *who,
        struct text *plan, struct weir_err *err)
{
	struct rights rights;
	struct plan *p;
	int r;

	rights_of(&rights, who);
	r = plan_make(e, spec, len, &rights, &p, err);
	if (r < 0)
		return r;
	if (plan)
		plan_text(p, NULL, NULL, plan);
	plan_unref(p);
	return 0;
}

static int replace(struct query *q, const char *spec, size_t len, int64_t written,
        const struct cred *who, struct weir_err *err)
{
	struct run *run;
	int r = prepare(q->e, spec, len, who, NULL, q->name, &run, err);

	if (r < 0)
		return r;
	r = install(q, run, spec, len, written, who);
	if (r == -ENOENT)
		return weir_fail_no(err, ENOENT, WEIR_E_SYSTEM, WEIR_NOPOS, 0, q->name,
		        "the query was removed");
	return r;
}

int query_replace(
        struct query *q, const char *spec, size_t len, const struct cred *who, struct weir_err *err)
{
	return replace(q, spec, len, now_ns(CLOCK_REALTIME), who, err);
}

int query_rerun(
        struct query *q, const char *spec, size_t len, const struct cred *who, struct weir_err *err)
{
	return replace(q, spec, len, 0, who, err);
}

int query_mkdir(struct engine *e, const char *name, const struct cred *who, struct query **ret,
        struct weir_err *err)
{
	int r = check_name(name, WEIR_NOPOS, 0, err);

	return r < 0 ? r : list(e, name, who, WEIR_NOPOS, 0, ret, err);
}
