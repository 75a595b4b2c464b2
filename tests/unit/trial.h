/* SPDX-License-Identifier: MIT */
/* trial.h: a query over a made trace, at work without the engine's threads around it: the test
 * pushes the batches, sets the marks, and sees the rows as CSV.
 */
#ifndef TRIAL_H
#define TRIAL_H

#include "engine/core/engine.h"
#include "engine/core/node.h"
#include "engine/store/render.h"
#include "tests/unit/trace_maker.h"

/* An engine whose only source is the trace. */
static inline struct engine *trace_engine(const struct made_trace *t)
{
	struct engine *e = engine_new(&(struct engine_options){0});

	assert_non_null(e);
	assert_int_equal(engine_add_source(e, "t", t->path, NULL), 0);
	return e;
}

struct trial {
	struct plan *plan;
	struct weir_mem mem, input; /* accounts of the query, and of its reader */
	struct run_context context;
	struct graph *graph;
	uint32_t source; /* node of the plan's root that the reader feeds */
	struct reader *reader;
	struct render render;
	struct text out;
};

static const struct rights trial_rights = {.all = true};

static inline int trial_rows(void *arg, struct weir_batch *b)
{
	struct trial *t = arg;

	return render_batch(&t->render, b, &t->out);
}

/* The first half of trial_new(); what the query is refused for, or 0. Then there is nothing to
 * free. */
static inline int trial_plan(
        struct trial *t, struct engine *e, const char *query, struct weir_err *err)
{
	*t = (struct trial){0};
	return plan_make(e, query, strlen(query), &trial_rights, &t->plan, err);
}

/* The second: what plan_make() made may have been changed in between. */
static inline void trial_start(struct trial *t, struct engine *e, const struct scheduler *s,
        uint32_t threads, uint32_t tokens)
{
	struct plan *p = t->plan;
	const struct plan_node *n;

	t->context = (struct run_context){.plan = p,
	        .scheduler = s,
	        .mem = &t->mem,
	        .pool = pool_new(&t->mem),
	        .threads = threads,
	        .tokens = tokens,
	        .rights = trial_rights,
	        .stats = calloc(p->nnodes + 1, sizeof(struct node_stats)),
	        .rows = trial_rows,
	        .arg = t,
	        .err = WEIR_ERR_INIT};
	assert_int_equal(render_init(&t->render, FORMAT_CSV, p->out, p->shown, p->nshown), 0);
	assert_int_equal(graph_new(&t->context, &p->root, NULL, 0, &t->graph), 0);
	while (!p->root.nodes[t->source]->source) {
		t->source++;
		assert_true(t->source < p->root.n);
	}
	n = p->root.nodes[t->source];
	assert_int_equal(reader_open(n->source, n->config, &trial_rights, e, &t->input, NULL,
	                         &t->reader, NULL),
	        0);
}

/* A query that is right, before its first batch. Workers are three. */
static inline void trial_new(
        struct trial *t, struct engine *e, const char *query, const struct scheduler *s)
{
	struct weir_err err = WEIR_ERR_INIT;

	if (trial_plan(t, e, query, &err) < 0)
		fail_msg("%s: %s", query, err.text);
	trial_start(t, e, s, 3, 12);
}

/* The next batch of the trace, which the caller owns; false: there is none. */
static inline bool trial_read(struct trial *t, struct weir_batch **b)
{
	return t->reader->source->read(&t->reader->pub, b, NULL) == 1;
}

/* Pushes `m` rows of a batch from the `at`-th on, as a batch of their own. */
static inline int trial_push_piece(struct trial *t, struct weir_batch *b, uint32_t at, uint32_t m)
{
	struct weir_batch *v = pool_view(t->reader->pool, b, b->schema, batch_identity);
	uint16_t *sel;

	assert_non_null(v);
	sel = weir_batch_sel(v, m);
	for (uint32_t i = 0; i < m; i++)
		sel[i] = (uint16_t)(at + i);
	weir_batch_select(v, sel, m);
	return graph_push(t->graph, t->source, v);
}

/* Everything that the query took has been given back. */
static inline void trial_free(struct trial *t)
{
	graph_free(t->graph);
	pool_unref(t->context.pool);
	reader_close(t->reader);
	assert_int_equal(t->mem.used, 0);
	assert_int_equal(t->input.used, 0);
	assert_int_equal(t->context.spilled, 0);
	free(t->context.stats);
	render_release(&t->render);
	text_release(&t->out);
	plan_unref(t->plan);
}

/* Fails where the texts differ, with what stands there in both; `format` says whose they are. */
static inline __attribute__((format(printf, 3, 4))) void same_text(
        const struct text *got, const struct text *want, const char *format, ...)
{
	size_t at = 0;
	char whose[1200];
	va_list ap;

	while (at < got->len && at < want->len && got->p[at] == want->p[at])
		at++;
	if (at == got->len && at == want->len)
		return;
	at = at > 200 ? at - 200 : 0;
	va_start(ap, format);
	vsnprintf(whose, sizeof whose, format, ap);
	va_end(ap);
	fail_msg("%s:\n%.600s\ninstead of:\n%.600s", whose, got->p ? got->p + at : "",
	        want->p ? want->p + at : "");
}

#endif
