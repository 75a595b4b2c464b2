/* SPDX-License-Identifier: MIT */
/* query_text.c: what a query says of itself: spec, status, plan, graph.dot, log. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/core/plugin.h"
#include "engine/core/queries.h"
#include "engine/core/stretch.h"

const char *query_state_name(enum query_state s)
{
	static const char *const names[] = {"running", "paused", "done", "failed", "stopped"};

	return names[s];
}

/* Of a source: whose pass it is. */
static void joint(const struct run *r, struct text *to)
{
	uint32_t together = __atomic_load_n(&r->together, __ATOMIC_RELAXED);
	uint64_t left_at = stat_get(&r->left_at);

	if (together)
		text_printf(to, " joint pass of %u", together);
	if (left_at)
		text_printf(to, " left after %llu", (unsigned long long)(left_at - 1));
}

/* Of a stage at the beginning: for how many queries it runs at once. */
static void together(const struct run *r, const struct plan_node *n, struct text *to)
{
	const struct plan *p = r->plan;

	for (uint32_t i = 0; i < p->nlead && i < TRUNK_STAGES; i++) {
		uint32_t queries = __atomic_load_n(&r->links[0].end.together[i], __ATOMIC_RELAXED);

		if (queries && p->root.nodes[p->lead[i]] == n)
			text_printf(to, " shared by %u", queries);
	}
}

static void node_counters(void *arg, const struct plan_node *n, struct text *to)
{
	struct run *r = arg;
	const struct node_stats *s = &r->context.stats[n->id];

	text_printf(to, "in %llu out %llu batches %llu ms %.3f",
	        (unsigned long long)stat_get(&s->records_in),
	        (unsigned long long)stat_get(&s->records_out),
	        (unsigned long long)stat_get(n->source ? &s->batches_out : &s->batches_in),
	        (double)stat_get(&s->ns) / 1e6);
	if (n->source)
		joint(r, to);
	for (int i = 0; n->module && n->module->counters && n->module->counters[i]; i++)
		text_printf(to, " %s %llu", n->module->counters[i],
		        (unsigned long long)stat_get(&s->counters[i]));
	together(r, n, to);
}

static void drops(struct run *r, const struct plan_graph *g, struct text *to)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];
		const struct node_stats *s = &r->context.stats[n->id];

		for (int k = 0; n->module && n->module->counters && n->module->counters[k]; k++)
			if (stat_get(&s->counters[k]))
				text_printf(to, "%s.%s: %llu\n", n->name, n->module->counters[k],
				        (unsigned long long)stat_get(&s->counters[k]));
		if (n->nbodies)
			late_windows_text(&r->late, n, to);
		for (uint32_t k = 0; k < n->nbodies; k++)
			drops(r, &n->bodies[k], to);
	}
}

/* Sources that are read only once: what the query has missed. */
static void feeds(const struct run *r, struct text *to)
{
	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		struct feed_link *l = &r->links[i];
		uint64_t skipped = __atomic_load_n(&l->skipped, __ATOMIC_RELAXED);
		struct weir_counts lost;

		if (!l->feed)
			continue;
		if (l->ended)
			text_printf(to, "%s: had ended after %llu records\n", l->name,
			        (unsigned long long)(l->begins - 1));
		else if (l->begins > 1)
			text_printf(to, "%s: begins at record %llu\n", l->name,
			        (unsigned long long)l->begins);
		if (skipped)
			text_printf(to, "%s.skipped: %llu\n", l->name, (unsigned long long)skipped);
		feed_shed_text(l, to);
		if (feed_lost(l, &lost))
			text_printf(to,
			        "%s.kernel_drops: %llu\n%s.interface_drops: %llu\n"
			        "%s.own_drops: %llu\n",
			        l->name, (unsigned long long)lost.kernel, l->name,
			        (unsigned long long)lost.interface, l->name,
			        (unsigned long long)lost.own);
	}
}

/* Module runs and ns of the nodes of a stretch, bodies included. */
static void add_up(const struct run *r, const struct plan_graph *g, uint64_t *batches, uint64_t *ns)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct node_stats *s = &r->context.stats[g->nodes[i]->id];

		*batches += stat_get(&s->batches_in);
		*ns += stat_get(&s->ns);
		for (uint32_t k = 0; k < g->nodes[i]->nbodies; k++)
			add_up(r, &g->nodes[i]->bodies[k], batches, ns);
	}
}

/* Worker threads: how much of the work can go on at once. What bounds it is the longest lane:
 * reading, the serial stretch, or a lane of keys. */
static void lanes(const struct run *r, struct text *to)
{
	static const char *const names[] = {"read", "serial", "keyed"};
	uint64_t batches[2] = {0}, ns[2] = {0}, lane[3], all;
	int longest = 0;

	text_printf(to, "scheduler: %s\n", r->context.scheduler->name);
	if (r->plan->set.spill && !r->plan->nspills)
		text_puts(to, "spill: no stage can\n");
	else if (r->plan->set.spill)
		text_printf(to,
		        "spill: %llu\nspill_peak: %llu\nspill_limit: %llu\nspill_files: %llu\n",
		        (unsigned long long)stat_get(&r->context.spilled),
		        (unsigned long long)stat_get(&r->context.spill_peak),
		        (unsigned long long)r->plan->set.spill_size,
		        (unsigned long long)stat_get(&r->context.spill_files));
	if (r->context.scheduler != &scheduler_workers || !r->plan->nstretches)
		return;
	for (uint32_t i = 0; i < r->plan->nstretches; i++) {
		bool serial = r->plan->stretch[i].kind == STRETCH_SERIAL;

		add_up(r, &r->plan->stretch[i].graph, &batches[serial], &ns[serial]);
	}
	lane[0] = stat_get(&r->context.read_ns);
	lane[1] = ns[1];
	lane[2] = stat_get(&r->context.lane_ns);
	for (int i = 1; i < 3; i++)
		longest = lane[i] > lane[longest] ? i : longest;
	all = lane[0] + stat_get(&r->context.fetch_ns) + stat_get(&r->context.deal_ns) + ns[0] +
	      ns[1];
	text_printf(to, "threads: %u\ntokens: %u\nstolen: %llu\n", r->context.threads,
	        r->context.tokens, (unsigned long long)stat_get(&r->context.stolen));
	text_printf(to, "outside_locks: %.4f\nlongest_lane: %.4f %s\n",
	        batches[0] + batches[1] ? (double)batches[0] / (double)(batches[0] + batches[1])
	                                : 0,
	        all ? (double)lane[longest] / (double)all : 0, names[longest]);
}

static void nodes(struct run *r, const struct plan_graph *g, int indent, struct text *to)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];

		if (!n->module && !n->source)
			continue;
		text_printf(to, "node: %*s%s ", indent, "", n->name);
		node_counters(r, n, to);
		text_puts(to, "\n");
		for (uint32_t k = 0; k < n->nbodies; k++)
			nodes(r, &n->bodies[k], indent + 2, to);
	}
}

static void result_lines(struct result *res, struct text *to)
{
	if (result_is_log(res)) {
		text_printf(to, "result: log\nrows: %llu\nretained: %llu\n",
		        (unsigned long long)log_end(res),
		        (unsigned long long)(log_end(res) - log_first(res)));
	} else {
		struct snapshot *s = result_snapshot(res);

		text_printf(to, "result: table\nrows: %llu\nversion: %llu\n",
		        (unsigned long long)(s ? snapshot_rows(s) : 0),
		        (unsigned long long)(s ? snapshot_number(s) : 0));
		if (result_keeps(res))
			text_printf(to, "kept: %u\n", result_kept_count(res));
		snapshot_unref(s);
	}
}

/* What a live source brings to all its queries. */
static void kernel_filters(const struct run *r, struct text *to)
{
	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		struct text wants = TEXT_INIT;

		if (r->links[i].feed)
			feed_wants(r->links[i].feed, &wants);
		if (wants.len)
			text_printf(to, "kernel: %s: %s\n", r->links[i].name, wants.p);
		text_release(&wants);
	}
}

static void status(struct query *q, struct text *to)
{
	struct run *r = query_current(q);
	enum query_state s;
	int64_t end;
	uint64_t records;
	double seconds;

	text_printf(to, "name: %s\nserial: %llu\n", q->name, (unsigned long long)q->serial);
	if (!r) {
		text_puts(to, "state: empty\n");
		return;
	}
	s = run_state(r);
	end = s > QUERY_PAUSED ? r->ended : now_ns(CLOCK_MONOTONIC);
	records = __atomic_load_n(&r->records, __ATOMIC_RELAXED);
	seconds = (double)(end - r->begun) / 1e9;
	text_printf(to, "state: %s\n", query_state_name(s));
	if (s == QUERY_FAILED)
		text_printf(to, "error: %s\n", r->err.text);
	text_printf(to, "runs: %llu\nseconds: %.3f\nrecords: %llu\nrate: %.0f\n",
	        (unsigned long long)query_run(q), seconds, (unsigned long long)records,
	        seconds > 0 ? (double)records / seconds : 0);
	text_printf(to, "bytes: %llu\ntotal: %llu\n",
	        (unsigned long long)__atomic_load_n(&r->bytes, __ATOMIC_RELAXED),
	        (unsigned long long)__atomic_load_n(&r->total, __ATOMIC_RELAXED));
	if (q->e->cache)
		text_printf(to, "from_cache: %u\n", r->served);
	if (r->result)
		result_lines(r->result, to);
	text_printf(to, "memory: %zu\nmemory_peak: %zu\nmemory_limit: %zu\n",
	        __atomic_load_n(&r->mem->used, __ATOMIC_RELAXED),
	        __atomic_load_n(&r->mem->peak, __ATOMIC_RELAXED),
	        __atomic_load_n(&r->mem->limit, __ATOMIC_RELAXED));
	lanes(r, to);
	feeds(r, to);
	drops(r, &r->plan->root, to);
	faults_text(&r->faults, to);
	nodes(r, &r->plan->root, 0, to);
	run_unref(r);
}

struct textlog *query_textlog(struct query *q)
{
	return &q->log;
}

int query_text(struct query *q, const char *what, struct text *to)
{
	struct run *r;

	if (strcmp(what, "status") == 0) {
		status(q, to);
		return 0;
	}
	if (strcmp(what, "spec") == 0) {
		pthread_mutex_lock(&q->lock);
		if (q->spec)
			text_add(to, q->spec, q->spec_len);
		pthread_mutex_unlock(&q->lock);
		return 0;
	}
	if (strcmp(what, "plan") != 0 && strcmp(what, "graph.dot") != 0)
		return -ENOENT;
	r = query_current(q);
	if (r && what[0] == 'p') {
		plan_text(r->plan, node_counters, r, to);
		kernel_filters(r, to);
	} else if (r)
		plan_dot(r->plan, node_counters, r, to);
	run_unref(r);
	return 0;
}

uint64_t query_text_version(struct query *q, const char *what)
{
	uint64_t v;
	struct run *r;

	if (strcmp(what, "spec") == 0)
		return query_run(q);
	/* counters move all the time while it runs: a version each quarter of a second */
	r = query_current(q);
	v = query_run(q) << 24;
	if (r && run_state(r) <= QUERY_PAUSED)
		v += 1 + (uint64_t)(now_ns(CLOCK_MONOTONIC) - r->begun) / 250000000;
	else if (r)
		v += 2 + (uint64_t)(r->ended - r->begun) / 250000000 + 1;
	run_unref(r);
	return v;
}

/* Counted, and named: what was loaded and what was not. */
static void plugins(struct text *to)
{
	const struct plugin *p;
	size_t loaded = 0, n;

	for (n = 0; (p = plugin_at(n)); n++)
		loaded += p->module != NULL;
	if (n)
		text_printf(to, "plugins: %zu\nplugins_refused: %zu\n", loaded, n - loaded);
	for (n = 0; (p = plugin_at(n)); n++)
		text_printf(to, "%s: %s %s%s%s\n", p->module ? "plugin" : "refused", p->name,
		        p->path, p->why ? ": " : "", p->why ? p->why : "");
}

void engine_status(struct engine *e, struct text *to)
{
	uint64_t memory = 0;
	struct query *q, *next;
	unsigned running = 0;

	text_printf(to, "version: %s\nuptime: %lld\n", WEIR_VERSION,
	        (long long)((now_ns(CLOCK_REALTIME) - e->started) / 1000000000));
	for (size_t i = 0; i < e->nmounted; i++)
		text_printf(to, "source: %s %s\n", e->mounted[i]->name, e->mounted[i]->spec);
	plugins(to);
	cache_text(e->cache, to);
	joints_text(e->joints, to);
	for (q = query_next(e, 0); q; q = next) {
		struct run *r = query_current(q);

		if (r) {
			memory += __atomic_load_n(&r->mem->used, __ATOMIC_RELAXED);
			running += run_state(r) == QUERY_RUNNING;
		}
		run_unref(r);
		next = query_next(e, q->serial);
		query_unref(q);
	}
	pthread_mutex_lock(&e->lock);
	text_printf(to, "queries: %u\nrunning: %u\nthreads: %u\nmemory: %llu\n", e->nqueries,
	        running, e->nthreads, (unsigned long long)memory);
	pthread_mutex_unlock(&e->lock);
}
