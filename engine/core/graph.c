/* SPDX-License-Identifier: MIT */
/* graph.c: nodes made, fed and ended.
 *
 * Marks. A graph's *frontier* is its blocking nodes that no other stands before. On a refresh
 * the frontier emits what it has and keeps it; everything behind starts anew with each version
 * and gets END when the version is out, in topological order. At the end of the stream all
 * nodes get END, those behind the frontier after starting anew once more. So the answer at any
 * refresh is what a run over the records so far would give.
 */
#include "engine/core/node.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "engine/core/engine.h"
#include "engine/core/firsts.h"
#include "engine/core/planner.h"
#include "engine/core/union.h"

/* ns spent downstream of the module that runs now, on this thread. */
static _Thread_local int64_t nested;

static int node_open(struct node *n)
{
	const struct weir_module *m = n->plan->module;
	int r = 0;

	n->opened = true;
	n->done = n->dirty = false;
	if (m->state_size)
		memset(n->pub.state, 0, m->state_size);
	if (m->open)
		r = m->open(&n->pub, &n->graph->run->err);
	if (r < 0)
		n->graph->run->failed = n->plan->name;
	return r;
}

static void node_close(struct node *n)
{
	if (n->opened && n->plan->module->close)
		n->plan->module->close(&n->pub);
	n->opened = false;
}

static int node_reset(struct node *n)
{
	node_close(n);
	return node_open(n);
}

/* Consumers, counted before they are listed. */
static int connect(struct graph *g)
{
	const struct plan_graph *p = g->plan;
	uint32_t total = 0;
	struct target *t;

	for (uint32_t i = 0; i < p->n; i++)
		total += p->nodes[i]->nins;
	t = calloc(total + 1, sizeof *t);
	if (!t)
		return -ENOMEM;
	g->node[0].targets = t;
	for (uint32_t i = 0; i < g->n; i++) {
		struct node *n = &g->node[i];

		n->targets = t;
		for (uint32_t k = 0; k < p->n; k++)
			for (uint32_t j = 0; j < p->nodes[k]->nins; j++)
				if (p->nodes[k]->ins[j].node == i)
					n->targets[n->ntargets++] = (struct target){&g->node[k], j};
		t += n->ntargets;
		n->live = n->ntargets;
		n->is_last = i == p->last;
	}
	return 0;
}

int graph_new(struct run_context *run, const struct plan_graph *plan, struct node *scope,
        struct graph **ret)
{
	size_t size = sizeof(struct graph) + plan->n * sizeof(struct node);
	struct graph *g = weir_calloc(run->mem, size);
	int r = g ? 0 : -ENOMEM;

	if (!g)
		return r;
	g->plan = plan;
	g->run = run;
	g->pool = run->pool;
	g->scope = scope;
	g->n = plan->n;
	r = connect(g);
	for (uint32_t i = 0; i < g->n && r == 0; i++) {
		struct node *n = &g->node[i];
		const struct plan_node *p = plan->nodes[i];

		n->plan = p;
		n->graph = g;
		n->stats = &run->stats[p->id];
		n->queue_end = &n->queue;
		n->pub = (struct weir_node){.config = p->config,
		        .in = p->in,
		        .out = p->out,
		        .mem = run->mem,
		        .counters = n->stats->counters};
		if (!p->module)
			continue;
		n->pub.state = weir_calloc(run->mem, p->module->state_size);
		r = n->pub.state ? node_open(n) : -ENOMEM;
	}
	if (r < 0) {
		graph_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

struct queued {
	struct queued *next;
	struct weir_batch *batch;
	uint32_t input;
};

void graph_free(struct graph *g)
{
	if (!g)
		return;
	for (uint32_t i = 0; i < g->n; i++) {
		struct node *n = &g->node[i];

		while (n->queue) {
			struct queued *q = n->queue;

			n->queue = q->next;
			weir_batch_unref(q->batch);
			free(q);
		}
		if (n->plan && n->plan->module) {
			node_close(n);
			weir_free(g->run->mem, n->pub.state, n->plan->module->state_size);
		}
	}
	free(g->node[0].targets);
	weir_free(g->run->mem, g, sizeof *g + g->n * sizeof g->node[0]);
}

/* A node that nobody listens to any more needs no input either; tables must stay whole for the
 * next version. */
static void lose_interest(struct node *n)
{
	const struct plan_node *p = n->plan;

	n->done = true;
	if (p->in_table)
		return;
	for (uint32_t k = 0; k < p->nins; k++) {
		struct node *from = &n->graph->node[p->ins[k].node];

		if (from->live && --from->live == 0 && !from->is_last && !from->done &&
		        !(from->plan->flags & WEIR_EFFECT))
			lose_interest(from);
	}
}

static void fail(struct node *n, int r)
{
	struct run_context *run = n->graph->run;

	if (!run->failed)
		run->failed = n->plan->name;
	(void)r;
}

int node_process(struct node *n, uint32_t input, struct weir_batch *b)
{
	int64_t start, outer = nested;
	int r;

	if (n->done)
		return 0;
	n->dirty = true;
	stat_add(&n->stats->batches_in, 1);
	stat_add(&n->stats->records_in, weir_batch_count(b));
	nested = 0;
	start = now_ns(CLOCK_MONOTONIC);
	r = n->plan->module->process(&n->pub, input, b);
	start = now_ns(CLOCK_MONOTONIC) - start;
	stat_add(&n->stats->ns, (uint64_t)(start - nested));
	nested = outer + start;
	if (r < 0)
		fail(n, r);
	else if (r == WEIR_DONE)
		lose_interest(n);
	return r < 0 ? r : 0;
}

static int output(struct graph *g, struct weir_batch *b)
{
	int r;

	if (g->scope)
		return scope_emit(g->scope, b);
	r = g->run->rows(g->run->arg, b);
	weir_batch_unref(b);
	return r;
}

static int send(struct node *n, struct weir_batch *b)
{
	const struct scheduler *s = n->graph->run->scheduler;
	int r = 0;

	if (n->is_last) {
		if (!n->ntargets)
			return output(n->graph, b);
		r = output(n->graph, weir_batch_ref(b));
	}
	for (uint32_t i = 0; i < n->ntargets && r == 0; i++) {
		if (n->targets[i].node->done)
			continue;
		r = s->deliver(n->targets[i].node, n->targets[i].input, weir_batch_ref(b));
	}
	weir_batch_unref(b);
	return r;
}

int scope_emit(struct node *scope, struct weir_batch *b)
{
	stat_add(&scope->stats->batches_out, 1);
	stat_add(&scope->stats->records_out, weir_batch_count(b));
	return send(scope, b);
}

int weir_emit(struct weir_node *pub, uint32_t channel, struct weir_batch *b)
{
	struct node *n = node_of(pub);

	if (!weir_batch_count(b)) {
		weir_batch_unref(b);
		return 0;
	}
	stat_add(&n->stats->batches_out, 1);
	stat_add(&n->stats->records_out, weir_batch_count(b));
	return send(n, b);
}

bool graph_wants(const struct graph *g, uint32_t i)
{
	return g->node[i].live > 0 || g->node[i].is_last;
}

int graph_push(struct graph *g, uint32_t i, struct weir_batch *b)
{
	struct node *n = &g->node[i];
	int r;

	n->dirty = true;
	stat_add(&n->stats->batches_out, 1);
	stat_add(&n->stats->records_out, weir_batch_count(b));
	r = send(n, b);
	if (r == 0)
		r = g->run->scheduler->drain(g);
	for (uint32_t k = 0; k < g->n && r >= 0; k++)
		if (g->plan->nodes[k]->module == &module_union && !g->plan->nodes[k]->in_table) {
			r = union_settle(&g->node[k].pub);
			if (r == 0)
				r = g->run->scheduler->drain(g);
		}
	return r < 0 ? r : graph_wants(g, i) ? 0 : WEIR_DONE;
}

static int answer(struct weir_node *n, const struct weir_module *m, enum weir_mark mark)
{
	uint32_t rows = 0;
	int r = m->begin(n, mark, &rows);

	for (uint32_t at = 0; at < rows && r >= 0; at += WEIR_BATCH_ROWS)
		r = m->part(n, at, rows - at < WEIR_BATCH_ROWS ? rows - at : WEIR_BATCH_ROWS);
	if (m->end)
		m->end(n);
	return r;
}

static int flush(struct node *n, enum weir_mark mark)
{
	const struct weir_module *m = n->plan->module;
	int64_t start, outer = nested;
	int r = n->graph->run->scheduler->drain(n->graph);

	if (r < 0 || !m || (!m->flush && !m->begin))
		return r;
	nested = 0;
	start = now_ns(CLOCK_MONOTONIC);
	r = m->begin ? answer(&n->pub, m, mark) : m->flush(&n->pub, mark);
	start = now_ns(CLOCK_MONOTONIC) - start;
	stat_add(&n->stats->ns, (uint64_t)(start - nested));
	nested = outer + start;
	if (r < 0)
		fail(n, r);
	return r < 0 ? r : 0;
}

/* Every node behind the frontier starts anew. */
static int restart_tables(struct graph *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		struct node *n = &g->node[i];

		if (n->plan->in_table && n->dirty) {
			int r = node_reset(n);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int graph_refresh(struct graph *g)
{
	int r = g->run->scheduler->drain(g);

	if (r == 0)
		r = restart_tables(g);
	for (uint32_t i = 0; i < g->n && r == 0; i++) {
		struct node *n = &g->node[i];

		if (n->plan->in_table)
			r = flush(n, WEIR_END);
		else if (n->plan->flags & WEIR_BLOCKING)
			r = flush(n, WEIR_REFRESH);
		n->dirty |= n->plan->in_table;
	}
	return r < 0 ? r : g->run->scheduler->drain(g);
}

int graph_end(struct graph *g)
{
	int r = g->run->scheduler->drain(g);

	if (r == 0)
		r = restart_tables(g);
	for (uint32_t i = 0; i < g->n && r == 0; i++)
		r = flush(&g->node[i], WEIR_END);
	return r < 0 ? r : g->run->scheduler->drain(g);
}

/* ---- what modules call ---- */

struct weir_batch *weir_view(struct weir_node *n, struct weir_batch *parent)
{
	return pool_view(node_of(n)->graph->pool, parent, n->out, node_of(n)->plan->origin);
}

/* The map of a view that has its parent's fields: 0, 1, 2 … */
static int32_t identity[WEIR_FIELDS_MAX];

__attribute__((constructor)) static void make_identity(void)
{
	for (int32_t i = 0; i < WEIR_FIELDS_MAX; i++)
		identity[i] = i;
}

struct weir_batch *weir_narrow(struct weir_node *n, struct weir_batch *b)
{
	return pool_view(node_of(n)->graph->pool, b, n->out, identity);
}

struct weir_batch *weir_build(struct weir_node *n, uint32_t rows)
{
	return pool_batch(node_of(n)->graph->pool, n->out, rows);
}

bool weir_node_needs(const struct weir_node *n, uint32_t field)
{
	return bit_get(((const struct node *)n)->plan->needs, field);
}

int weir_node_origin(const struct weir_node *n, uint32_t field)
{
	return ((const struct node *)n)->plan->origin[field];
}

int weir_node_fresh(struct weir_node *n, const struct weir_batch *b, const uint16_t *row,
        const uint16_t *fresh, uint32_t nfresh)
{
	struct firsts *f = node_of(n)->firsts;

	return f ? firsts_add(f, b->token, row, fresh, nfresh) : 0;
}

int weir_node_fail(struct weir_node *n, int no, const char *text)
{
	struct run_context *run = node_of(n)->graph->run;

	run->failed = node_of(n)->plan->name;
	return weir_fail_no(&run->err, no, WEIR_E_BAD_TRACE, WEIR_NOPOS, 0, text);
}

int weir_node_create_file(struct weir_node *n, const char *path, struct weir_err *err)
{
	struct run_context *run = node_of(n)->graph->run;
	int fd = rights_open(&run->rights, path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0666);

	if (fd < 0) {
		run->failed = node_of(n)->plan->name;
		return weir_fail_no(
		        err, -fd, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, path, strerror(-fd));
	}
	fcntl(fd, F_SETFL, 0);
	return fd;
}

struct weir_body {
	struct graph graph;
};

struct weir_body *weir_body_open(struct weir_node *n, struct weir_err *err)
{
	struct node *scope = node_of(n);
	struct graph *g;

	if (graph_new(scope->graph->run, scope->plan->body, scope, &g) < 0)
		return NULL;
	return (struct weir_body *)g;
}

int weir_body_push(struct weir_body *body, struct weir_batch *b)
{
	struct graph *g = &body->graph;
	uint32_t f = b->schema->nfields - 1;

	if (g->stamp.kind == WEIR_NONE && weir_batch_count(b) && g->scope->plan->origin[f] < 0) {
		int r = weir_batch_value(b, f, weir_batch_row(b, 0), &g->stamp);

		if (r < 0) {
			weir_batch_unref(b);
			return r;
		}
	}
	return graph_push(&body->graph, 0, b);
}

int weir_body_end(struct weir_body *body)
{
	int r = graph_end(&body->graph);

	graph_free(&body->graph);
	return r;
}

void weir_body_close(struct weir_body *body)
{
	if (body)
		graph_free(&body->graph);
}

/* ---- depth-first: a batch runs to the end of the graph before the next ---- */

static int depth_deliver(struct node *to, uint32_t input, struct weir_batch *b)
{
	int r = node_process(to, input, b);

	weir_batch_unref(b);
	return r;
}

static int depth_drain(struct graph *g)
{
	return 0;
}

const struct scheduler scheduler_depth = {"depth", depth_deliver, depth_drain};

/* ---- breadth-first: a queue before every node, worked off in topological order ---- */

#define QUEUE_MAX 64

static int work(struct node *n)
{
	struct queued *q = n->queue;
	int r;

	n->queue = q->next;
	if (!n->queue)
		n->queue_end = &n->queue;
	n->queue_len--;
	r = node_process(n, q->input, q->batch);
	weir_batch_unref(q->batch);
	free(q);
	return r;
}

static int breadth_deliver(struct node *to, uint32_t input, struct weir_batch *b)
{
	struct queued *q = malloc(sizeof *q);
	int r = 0;

	if (!q) {
		weir_batch_unref(b);
		return -ENOMEM;
	}
	*q = (struct queued){NULL, b, input};
	*to->queue_end = q;
	to->queue_end = &q->next;
	to->queue_len++;
	/* full: make room by running the consumer first; its own queue is bounded alike */
	while (r == 0 && to->queue_len > QUEUE_MAX)
		r = work(to);
	return r;
}

static int breadth_drain(struct graph *g)
{
	bool any = true;
	int r = 0;

	while (any && r == 0) {
		any = false;
		for (uint32_t i = 0; i < g->n && r == 0; i++)
			while (g->node[i].queue && r == 0) {
				any = true;
				r = work(&g->node[i]);
			}
	}
	return r;
}

const struct scheduler scheduler_breadth = {"breadth", breadth_deliver, breadth_drain};
