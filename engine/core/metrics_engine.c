/* SPDX-License-Identifier: MIT */
/* metrics_engine.c: what an engine counts, as OpenMetrics families: of sources, of queries, of the
 * nodes of their plans.
 *
 * Nothing is counted for this: it reads what the sources' stats and the queries' status read. The
 * queries and their runs are taken once, so that all families tell of the same ones.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/core/metrics.h"
#include "engine/core/queries.h"

/* A query, its current run, and the text that it runs. */
struct subject {
	struct query *q;
	struct run *r;
	char *spec;
};

struct subjects {
	struct engine *e;
	struct subject *s;
	size_t n, cap;
};

static void take(struct subjects *all, struct query *q)
{
	struct subject *s = &all->s[all->n];

	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 16;

		s = realloc(all->s, cap * sizeof *s);
		if (!s)
			return;
		all->s = s;
		all->cap = cap;
		s += all->n;
	}
	*s = (struct subject){.q = query_ref(q)};
	pthread_mutex_lock(&q->lock);
	s->r = q->run ? run_ref(q->run) : NULL;
	s->spec = q->spec ? strdup(q->spec) : NULL;
	pthread_mutex_unlock(&q->lock);
	all->n++;
}

static void take_all(struct subjects *all)
{
	struct query *next;

	for (struct query *q = query_next(all->e, 0); q; q = next) {
		take(all, q);
		next = query_next(all->e, q->serial);
		query_unref(q);
	}
}

static void let_go(struct subjects *all)
{
	for (size_t i = 0; i < all->n; i++) {
		run_unref(all->s[i].r);
		query_unref(all->s[i].q);
		free(all->s[i].spec);
	}
	free(all->s);
}

/* ---- sources ---- */

enum { RECORDS, PACKETS, BYTES, PASSES, FAULTS, MEMORY, SOURCE_METRICS };

static const struct metric source_metrics[SOURCE_METRICS] = {
        {"weir_source_records", METRIC_COUNTER, NULL, "Records that queries were given."},
        {"weir_source_packets", METRIC_COUNTER, NULL,
                "Packets that came, those included that were lost then."},
        {"weir_source_bytes", METRIC_COUNTER, "bytes", "Bytes read."},
        {"weir_source_passes", METRIC_COUNTER, NULL, "Passes over it."},
        {"weir_source_faults", METRIC_COUNTER, NULL, "What was wrong in the input."},
        {"weir_source_memory_bytes", METRIC_GAUGE, "bytes", "Memory that no query accounts for."},
};

static uint64_t source_value(struct mounted *m, int metric)
{
	uint64_t records = stat_get64(&m->records), bytes = stat_get64(&m->bytes);
	struct weir_counts c;

	if (m->feed)
		feed_count(m->feed, &records, &bytes);
	switch (metric) {
	case PACKETS:
		return m->feed && feed_losses(m->feed, &c) ? c.packets : records;
	case BYTES:
		return bytes;
	case PASSES:
		return m->feed ? 1 : stat_get64(&m->passes);
	case FAULTS:
		return m->faults.count;
	case MEMORY:
		return __atomic_load_n(&m->mem.used, __ATOMIC_RELAXED);
	default:
		return records;
	}
}

static void drops(const struct metric *m, const char *kind, const char *name,
        const struct weir_counts *c, struct text *to)
{
	const char *kernel[] = {kind, name, "by", "kernel", NULL};
	const char *interface[] = {kind, name, "by", "interface", NULL};
	const char *own[] = {kind, name, "by", "weir", NULL};

	metric_u64(m, kernel, c->kernel, to);
	metric_u64(m, interface, c->interface, to);
	metric_u64(m, own, c->own, to);
}

static void sources(struct engine *e, struct text *to)
{
	static const struct metric info = {
	        "weir_source_info", METRIC_GAUGE, NULL, "1; its labels say what is mounted."};
	static const struct metric lost = {
	        "weir_source_drops", METRIC_COUNTER, NULL, "Packets lost, by who lost them."};
	struct weir_counts c;

	metric_head(&info, to);
	for (size_t i = 0; i < e->nmounted; i++) {
		struct mounted *m = e->mounted[i];
		const char *labels[] = {
		        "source", m->name, "kind", m->source->name, "spec", m->spec, NULL};

		metric_u64(&info, labels, 1, to);
	}
	for (int k = 0; k < SOURCE_METRICS; k++) {
		metric_head(&source_metrics[k], to);
		for (size_t i = 0; i < e->nmounted; i++) {
			const char *labels[] = {"source", e->mounted[i]->name, NULL};

			metric_u64(&source_metrics[k], labels, source_value(e->mounted[i], k), to);
		}
	}
	metric_head(&lost, to);
	for (size_t i = 0; i < e->nmounted; i++)
		if (e->mounted[i]->feed && feed_losses(e->mounted[i]->feed, &c))
			drops(&lost, "source", e->mounted[i]->name, &c, to);
}

/* ---- queries ---- */

static uint64_t get_records(const struct subject *s)
{
	return stat_get(&s->r->records);
}

static uint64_t get_bytes(const struct subject *s)
{
	return stat_get(&s->r->bytes);
}

static uint64_t get_rows(const struct subject *s)
{
	struct snapshot *v;
	uint64_t n;

	if (!s->r->result)
		return 0;
	if (result_is_log(s->r->result))
		return log_end(s->r->result);
	v = result_snapshot(s->r->result);
	n = v ? snapshot_rows(v) : 0;
	snapshot_unref(v);
	return n;
}

static uint64_t get_refreshes(const struct subject *s)
{
	return stat_get(&s->r->refreshes);
}

static uint64_t get_versions(const struct subject *s)
{
	return stat_get(&s->r->versions);
}

static uint64_t get_runs(const struct subject *s)
{
	return query_run(s->q);
}

static uint64_t get_memory(const struct subject *s)
{
	return __atomic_load_n(&s->r->mem->used, __ATOMIC_RELAXED);
}

static uint64_t get_peak(const struct subject *s)
{
	return __atomic_load_n(&s->r->mem->peak, __ATOMIC_RELAXED);
}

static uint64_t get_limit(const struct subject *s)
{
	return __atomic_load_n(&s->r->mem->limit, __ATOMIC_RELAXED);
}

static const struct query_metric {
	struct metric m;
	uint64_t (*get)(const struct subject *s);
} query_metrics[] = {
        {{"weir_query_records", METRIC_COUNTER, NULL, "Records that it has had."}, get_records},
        {{"weir_query_bytes", METRIC_COUNTER, "bytes", "Bytes of its sources read."}, get_bytes},
        {{"weir_query_rows", METRIC_GAUGE, NULL,
                 "Rows of its answer: of a table those it has now, of a log all that came."},
                get_rows},
        {{"weir_query_refreshes", METRIC_COUNTER, NULL, "How often its table was made anew."},
                get_refreshes},
        {{"weir_query_versions", METRIC_COUNTER, NULL,
                 "How often that gave another one than before."},
                get_versions},
        {{"weir_query_runs", METRIC_COUNTER, NULL, "How often it was started."}, get_runs},
        {{"weir_query_memory_bytes", METRIC_GAUGE, "bytes", "Memory that it takes."}, get_memory},
        {{"weir_query_memory_peak_bytes", METRIC_GAUGE, "bytes", "The most that it took."},
                get_peak},
        {{"weir_query_memory_limit_bytes", METRIC_GAUGE, "bytes", "The most that it may take."},
                get_limit},
};

/* ns that all modules of the graph took. */
static int64_t work(const struct run *r, const struct plan_graph *g)
{
	int64_t ns = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		ns += (int64_t)stat_get(&r->context.stats[g->nodes[i]->id].ns);
		for (uint32_t k = 0; k < g->nodes[i]->nbodies; k++)
			ns += work(r, &g->nodes[i]->bodies[k]);
	}
	return ns;
}

static void query_times(const struct subjects *all, struct text *to)
{
	static const struct metric ran = {"weir_query_run_seconds", METRIC_COUNTER, "seconds",
	        "How long its run has been there."};
	static const struct metric worked = {
	        "weir_query_work_seconds", METRIC_COUNTER, "seconds", "Time that its stages took."};

	metric_head(&ran, to);
	for (size_t i = 0; i < all->n; i++) {
		const struct subject *s = &all->s[i];
		const char *labels[] = {"query", s->q->name, NULL};
		int64_t end;

		if (!s->r)
			continue;
		end = run_state(s->r) > QUERY_PAUSED ? s->r->ended : now_ns(CLOCK_MONOTONIC);
		metric_ns(&ran, labels, end - s->r->begun, to);
	}
	metric_head(&worked, to);
	for (size_t i = 0; i < all->n; i++) {
		const struct subject *s = &all->s[i];
		const char *labels[] = {"query", s->q->name, NULL};

		if (s->r)
			metric_ns(&worked, labels, work(s->r, &s->r->plan->root), to);
	}
}

/* Of sources that are read only once: what was lost or passed over while the query was there. */
static void query_drops(const struct subjects *all, struct text *to)
{
	static const struct metric lost = {"weir_query_drops", METRIC_COUNTER, NULL,
	        "Packets of its source lost while it ran, and those it was not given, by who lost "
	        "them."};

	metric_head(&lost, to);
	for (size_t i = 0; i < all->n; i++) {
		const struct subject *s = &all->s[i];
		const char *paused[] = {"query", s->q->name, "by", "pause", NULL};
		const char *by_shed[] = {"query", s->q->name, "by", "shed", NULL};
		struct weir_counts c, sum = {0};
		uint64_t skipped = 0, shed = 0;
		bool some = false;

		for (uint32_t k = 0; s->r && k < s->r->plan->nsources; k++) {
			struct feed_link *l = &s->r->links[k];

			if (!l->feed)
				continue;
			skipped += __atomic_load_n(&l->skipped, __ATOMIC_RELAXED);
			shed += feed_shed(l);
			some = true;
			if (feed_lost(l, &c)) {
				sum.kernel += c.kernel;
				sum.interface += c.interface;
				sum.own += c.own;
			}
		}
		if (some) {
			drops(&lost, "query", s->q->name, &sum, to);
			metric_u64(&lost, paused, skipped, to);
			metric_u64(&lost, by_shed, shed, to);
		}
	}
}

static void queries(const struct subjects *all, struct text *to)
{
	static const struct metric count = {"weir_queries", METRIC_GAUGE, NULL, "Queries."};
	static const struct metric info = {
	        "weir_query_info", METRIC_GAUGE, NULL, "1; its labels say what the query is."};

	static const struct metric state = {
	        "weir_query_state", METRIC_GAUGE, NULL, "1; its label is the query's state."};

	metric_head(&count, to);
	metric_u64(&count, NULL, all->n, to);
	metric_head(&info, to);
	for (size_t i = 0; i < all->n; i++) {
		const struct subject *s = &all->s[i];
		const char *labels[] = {"query", s->q->name, "spec", s->spec, NULL};

		metric_u64(&info, labels, 1, to);
	}
	metric_head(&state, to);
	for (size_t i = 0; i < all->n; i++) {
		const struct subject *s = &all->s[i];
		const char *labels[] = {"query", s->q->name, "state",
		        s->r ? query_state_name(run_state(s->r)) : "empty", NULL};

		metric_u64(&state, labels, 1, to);
	}
	for (size_t k = 0; k < sizeof query_metrics / sizeof *query_metrics; k++) {
		metric_head(&query_metrics[k].m, to);
		for (size_t i = 0; i < all->n; i++) {
			const char *labels[] = {"query", all->s[i].q->name, NULL};

			if (all->s[i].r)
				metric_u64(&query_metrics[k].m, labels,
				        query_metrics[k].get(&all->s[i]), to);
		}
	}
	query_times(all, to);
	query_drops(all, to);
}

/* ---- nodes ---- */

enum { IN, OUT, BATCHES, WORK, COUNTER, NODE_METRICS };

static const struct metric node_metrics[NODE_METRICS] = {
        {"weir_node_records_in", METRIC_COUNTER, NULL, "Records that a stage was given."},
        {"weir_node_records_out", METRIC_COUNTER, NULL, "Records that it passed on."},
        {"weir_node_batches", METRIC_COUNTER, NULL, "Batches that it was given; a source's: gave."},
        {"weir_node_work_seconds", METRIC_COUNTER, "seconds", "Time that it took."},
        {"weir_node_counter", METRIC_COUNTER, NULL, "What else it counts, by its own names."},
};

/* What stands in the spec: the stage's own words. */
static void stage(const struct subject *s, const struct plan_node *n, struct text *to)
{
	size_t len = s->spec ? strlen(s->spec) : 0;

	text_clear(to);
	if (n->pos < len && n->len <= len - n->pos)
		text_add(to, s->spec + n->pos, n->len);
	else
		text_puts(to, n->name);
}

static void node(const struct subject *s, const struct plan_node *n, int metric,
        const char **labels, struct text *to)
{
	const struct node_stats *st = &s->r->context.stats[n->id];
	const struct metric *m = &node_metrics[metric];

	switch (metric) {
	case IN:
		metric_u64(m, labels, stat_get(&st->records_in), to);
		break;
	case OUT:
		metric_u64(m, labels, stat_get(&st->records_out), to);
		break;
	case BATCHES:
		metric_u64(m, labels, stat_get(n->source ? &st->batches_out : &st->batches_in), to);
		break;
	case WORK:
		metric_ns(m, labels, (int64_t)stat_get(&st->ns), to);
		break;
	default:
		labels[8] = "counter";
		for (int k = 0; n->module && n->module->counters && n->module->counters[k]; k++) {
			labels[9] = n->module->counters[k];
			metric_u64(m, labels, stat_get(&st->counters[k]), to);
		}
	}
}

static void nodes(const struct subject *s, const struct plan_graph *g, int metric,
        struct text *words, struct text *to)
{
	char id[16];

	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];
		const char *labels[11] = {
		        "query", s->q->name, "node", id, "module", n->name, "stage", NULL};

		if (n->module || n->source) {
			snprintf(id, sizeof id, "%u", n->id);
			stage(s, n, words);
			labels[7] = words->p ? words->p : "";
			node(s, n, metric, labels, to);
		}
		for (uint32_t k = 0; k < n->nbodies; k++)
			nodes(s, &n->bodies[k], metric, words, to);
	}
}

void engine_metrics(struct engine *e, struct text *to)
{
	static const struct metric build = {
	        "weir_build_info", METRIC_GAUGE, NULL, "1; its label is the version."};
	static const struct metric start = {"weir_start_time_seconds", METRIC_GAUGE, "seconds",
	        "When the mount began, since the epoch."};
	const char *version[] = {"version", WEIR_VERSION, NULL};
	struct subjects all = {.e = e};
	struct text words = TEXT_INIT;

	metric_head(&build, to);
	metric_u64(&build, version, 1, to);
	metric_head(&start, to);
	metric_ns(&start, NULL, e->started, to);
	sources(e, to);
	take_all(&all);
	queries(&all, to);
	for (int k = 0; k < NODE_METRICS; k++) {
		metric_head(&node_metrics[k], to);
		for (size_t i = 0; i < all.n; i++)
			if (all.s[i].r)
				nodes(&all.s[i], &all.s[i].r->plan->root, k, &words, to);
	}
	text_release(&words);
	let_go(&all);
}
