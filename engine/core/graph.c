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

#include "engine/core/engine.h"
#include "engine/core/fiber.h"
#include "engine/core/flow.h"
#include "engine/core/gather.h"
#include "engine/core/planner.h"
#include "engine/core/spill.h"
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
	if (n->plan->spills)
		r = spill_open(n);
	if (r == 0 && m->open)
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
	spill_close(n);
}

static int node_reset(struct node *n)
{
	node_close(n);
	return node_open(n);
}

static size_t aligned(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

static size_t block_size(const struct plan_graph *p, const struct node *scope)
{
	size_t size = aligned(sizeof(struct graph) + p->n * sizeof(struct node));

	for (uint32_t i = 0; i < p->n; i++)
		if (p->nodes[i]->module)
			size += aligned(p->nodes[i]->module->state_size);
	if (p->stamped)
		size += scope->plan->nstamps * sizeof(struct weir_value);
	return size;
}

static void init_node(struct node *n, struct graph *g, const struct plan_node *p, char **state)
{
	struct run_context *run = g->run;

	n->plan = p;
	n->graph = g;
	n->live = (uint16_t)p->ntargets;
	n->pub = (struct weir_node){.config = p->config,
	        .in = p->in,
	        .out = p->out,
	        .mem = run->mem,
	        .counters = run->stats[p->id].counting};
	if (!p->module)
		return;
	n->pub.state = *state;
	*state += aligned(p->module->state_size);
}

/* A graph in name only. */
static int new_flow(struct run_context *run, const struct plan_graph *plan, struct graph **ret)
{
	struct graph *g = weir_calloc(run->mem, sizeof *g);
	int r = g ? flow_new(run, &g->flow) : -ENOMEM;

	if (r < 0) {
		weir_free(run->mem, g, sizeof *g);
		return r;
	}
	g->plan = plan;
	g->run = run;
	g->pool = run->pool;
	g->size = sizeof *g;
	*ret = g;
	return 0;
}

int graph_new(struct run_context *run, const struct plan_graph *plan, struct node *scope,
        uint32_t child, struct graph **ret)
{
	size_t size = block_size(plan, scope);
	struct graph *g;
	char *state;
	int r = 0;

	if (!scope && run->scheduler == &scheduler_workers && run->plan->nstretches)
		return new_flow(run, plan, ret);
	g = size <= UINT32_MAX ? weir_calloc(run->mem, size) : NULL;
	if (!g)
		return -ENOMEM;
	g->plan = plan;
	g->run = run;
	g->pool = run->pool;
	g->scope = scope;
	g->child = (uint8_t)child;
	g->size = (uint32_t)size;
	g->n = (uint16_t)plan->n;
	state = (char *)g + aligned(sizeof *g + plan->n * sizeof g->node[0]);
	for (uint32_t i = 0; i < g->n; i++)
		init_node(&g->node[i], g, plan->nodes[i], &state);
	g->node[plan->last].is_last = true;
	if (plan->stamped)
		g->stamp = (struct weir_value *)state;
	for (uint32_t i = 0; i < g->n && r == 0; i++)
		if (plan->nodes[i]->module)
			r = node_open(&g->node[i]);
	if (r < 0) {
		graph_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

void graph_free(struct graph *g)
{
	if (!g)
		return;
	flow_free(g->flow);
	for (uint32_t i = 0; i < g->n; i++) {
		struct node *n = &g->node[i];

		node_drop_queue(n);
		if (n->plan->module)
			node_close(n);
	}
	for (uint32_t i = 0; g->stamp && i < g->scope->plan->nstamps; i++)
		if (weir_storage_of(g->stamp[i].kind) == WEIR_VAR)
			weir_free(g->run->mem, (void *)g->stamp[i].d.s.p, g->stamp[i].d.s.len);
	weir_free(g->run->mem, g, g->size);
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

/* process, look or again, timed and counted. */
static int run(struct node *n, uint32_t input, struct weir_batch *b,
        int (*what)(struct weir_node *n, uint32_t input, struct weir_batch *b))
{
	struct node_stats *stats = node_stats(n);
	int64_t start, outer = nested;
	int r;

	n->dirty = true;
	nested = 0;
	start = now_ns(CLOCK_MONOTONIC);
	r = what(&n->pub, input, b);
	start = now_ns(CLOCK_MONOTONIC) - start;
	stat_add(&stats->ns, (uint64_t)(start - nested));
	nested = outer + start;
	if (n->plan->module->counters)
		stats_publish(stats);
	if (r < 0)
		fail(n, r);
	else if (r == WEIR_DONE && !n->done) /* it may have lost all that listen meanwhile */
		lose_interest(n);
	return r < 0 ? r : 0;
}

int node_process(struct node *n, uint32_t input, struct weir_batch *b)
{
	const struct weir_module *m = n->plan->module;
	struct node_stats *stats = node_stats(n);

	if (n->done)
		return 0;
	stat_add(&stats->batches_in, 1);
	stat_add(&stats->records_in, weir_batch_count(b));
	return run(n, input, b, n->again ? m->again : m->process);
}

static int output(struct graph *g, struct weir_batch *b)
{
	int r;

	if (g->scope)
		return scope_emit(g->scope, g->child, b);
	r = g->run->rows(g->run->arg, b);
	weir_batch_unref(b);
	return r;
}

static int send(struct node *n, uint32_t channel, struct weir_batch *b)
{
	const struct scheduler *s = n->graph->run->scheduler;
	const struct plan_target *t = n->plan->targets, *end = t + n->plan->ntargets;
	int r = 0;

	while (t < end && t->channel < channel)
		t++;
	if (n->is_last && channel == 0) {
		if (t == end)
			return output(n->graph, b);
		r = output(n->graph, weir_batch_ref(b));
	}
	for (; t < end && t->channel == channel && r == 0; t++) {
		struct node *to = &n->graph->node[t->node];

		if (!to->done)
			r = s->deliver(to, t->input, weir_batch_ref(b));
	}
	weir_batch_unref(b);
	return r;
}

static struct node *first_target(struct node *n)
{
	return &n->graph->node[n->plan->targets[0].node];
}

/* Counts a batch that leaves a node, and sends it. */
static int leave(struct node *n, uint32_t channel, struct weir_batch *b)
{
	struct node_stats *stats = node_stats(n);

	if (n->shows) {
		struct node *to = first_target(n);
		int r = run(to, n->plan->targets[0].input, b, to->plan->module->look);

		weir_batch_unref(b);
		return r;
	}
	stat_add(&stats->batches_out, 1);
	stat_add(&stats->records_out, weir_batch_count(b));
	if (n->plan->table)
		gather_number(b, &n->emitted);
	return send(n, channel, b);
}

int scope_emit(struct node *scope, uint32_t channel, struct weir_batch *b)
{
	return leave(scope, channel, b);
}

struct emission {
	struct weir_node *node;
	uint32_t channel;
	struct weir_batch *batch;
};

static int emit_on_host(void *arg)
{
	struct emission *c = arg;

	return weir_emit(c->node, c->channel, c->batch);
}

/* All that stands downstream runs within it: not on the small stack of a module's loop. One that is
 * closed emits nothing any more. */
static int emit_from_loop(
        struct fiber *f, struct weir_node *n, uint32_t channel, struct weir_batch *b)
{
	int r;

	if (f->shut) {
		weir_batch_unref(b);
		return -ECANCELED;
	}
	r = fiber_call(f, emit_on_host, &(struct emission){n, channel, b});
	if (r < 0 && !f->error)
		f->error = r;
	return r;
}

int weir_emit(struct weir_node *pub, uint32_t channel, struct weir_batch *b)
{
	struct fiber *f = fiber_here();

	if (f)
		return emit_from_loop(f, pub, channel, b);
	if (weir_batch_count(b))
		return spill_keeps(node_of(pub)) ? spill_keep(node_of(pub), b)
		                                 : leave(node_of(pub), channel, b);
	weir_batch_unref(b);
	return 0;
}

bool graph_wants(const struct graph *g, uint32_t i)
{
	return g->flow ? flow_wants(g->flow) : g->node[i].live > 0 || g->node[i].is_last;
}

/* All that the source's batch brings about is done: what waited for it goes on. */
static int settle(struct node *n)
{
	if (n->plan->module == &module_union)
		return union_settle(&n->pub);
	return n->plan->module == &module_collect ? collect_settle(&n->pub) : 0;
}

int graph_put(struct graph *g, uint32_t i, struct weir_batch *b)
{
	struct node *n = &g->node[i];
	int r;

	n->dirty = true;
	r = leave(n, 0, b);
	return r < 0 ? r : g->run->scheduler->drain(g);
}

int graph_settle(struct graph *g)
{
	int r = 0;

	for (uint32_t k = 0; g->plan->settles && k < g->n && r >= 0; k++)
		if (!g->plan->nodes[k]->in_table) {
			r = settle(&g->node[k]);
			if (r == 0)
				r = g->run->scheduler->drain(g);
		}
	return r;
}

int graph_push(struct graph *g, uint32_t i, struct weir_batch *b)
{
	int r;

	if (g->flow)
		return flow_push(g->flow, b);
	r = graph_put(g, i, b);
	if (r >= 0)
		r = graph_settle(g);
	return r < 0 ? r : graph_wants(g, i) ? 0 : WEIR_DONE;
}

bool graph_reads(struct graph *g, struct reader *r)
{
	return g->flow && flow_reads(g->flow, r);
}

int graph_read(struct graph *g)
{
	return flow_read(g->flow);
}

void graph_hold(struct graph *g, bool hold)
{
	if (g->flow)
		flow_hold(g->flow, hold);
}

/* The only one that gets what n answers, if it wants to look at it first. What is on disk is read
 * once. */
static struct node *onlooker(struct node *n)
{
	const struct plan_node *p = n->plan, *to;

	if (n->is_last || n->spill || p->ntargets != 1 || p->targets[0].channel)
		return NULL;
	to = first_target(n)->plan;
	return to->module && to->module->look && to->nins == 1 && !first_target(n)->done
	               ? first_target(n)
	               : NULL;
}

static int emit_parts(struct weir_node *n, uint32_t rows)
{
	int r = 0;

	for (uint32_t at = 0; at < rows && r >= 0; at += WEIR_BATCH_ROWS)
		r = node_of(n)->plan->module->part(
		        n, at, rows - at < WEIR_BATCH_ROWS ? rows - at : WEIR_BATCH_ROWS);
	return r;
}

int node_answer(struct weir_node *n, enum weir_mark mark)
{
	const struct weir_module *m = node_of(n)->plan->module;
	struct node *to = onlooker(node_of(n));
	uint32_t rows = 0;
	int r = m->begin(n, mark, &rows);

	if (to && r >= 0) {
		node_of(n)->shows = true;
		r = emit_parts(n, rows);
		node_of(n)->shows = false;
	}
	if (to)
		to->again = true;
	if (r >= 0)
		r = emit_parts(n, rows);
	if (to && r >= 0)
		r = to->graph->run->scheduler->drain(to->graph);
	if (to)
		to->again = false;
	if (m->end)
		m->end(n);
	return r;
}

static int at_mark(struct node *n, enum weir_mark mark)
{
	const struct weir_module *m = n->plan->module;
	int r = 0;

	if (m->begin)
		r = node_answer(&n->pub, mark);
	else if (m->flush)
		r = m->flush(&n->pub, mark);
	return r >= 0 && n->spill ? spill_flush(n, mark) : r;
}

/* The mark or, where due is not NULL, the clock. Timed and counted as the module's. */
static int flush(struct node *n, enum weir_mark mark, int64_t *due)
{
	const struct weir_module *m = n->plan->module;
	int64_t start, outer = nested;
	int r = n->graph->run->scheduler->drain(n->graph);

	if (r < 0 || !m || (!due && !m->flush && !m->begin && !n->spill))
		return r;
	nested = 0;
	start = now_ns(CLOCK_MONOTONIC);
	r = due ? m->clock(&n->pub, due) : at_mark(n, mark);
	start = now_ns(CLOCK_MONOTONIC) - start;
	stat_add(&node_stats(n)->ns, (uint64_t)(start - nested));
	nested = outer + start;
	if (m->counters)
		stats_publish(node_stats(n));
	if (r < 0)
		fail(n, r);
	return r < 0 ? r : 0;
}

int graph_restart(struct graph *g)
{
	int r = g->run->scheduler->drain(g);

	for (uint32_t i = 0; i < g->n && r == 0; i++) {
		struct node *n = &g->node[i];

		if (n->plan->in_table && n->dirty)
			r = node_reset(n);
	}
	return r;
}

int graph_mark(struct graph *g, bool end)
{
	int r = 0;

	for (uint32_t i = 0; i < g->n && r == 0; i++) {
		struct node *n = &g->node[i];

		if (end || n->plan->in_table)
			r = flush(n, WEIR_END, NULL);
		else if (n->plan->table || n->spill)
			r = flush(n, WEIR_REFRESH, NULL);
		n->dirty |= !end && n->plan->in_table;
		/* what stands behind it can have its memory */
		if (r == 0 && end && !g->scope && n->plan->module)
			node_close(n);
	}
	return r < 0 ? r : g->run->scheduler->drain(g);
}

int graph_clock(struct graph *g, int64_t *ret_due)
{
	int r = 0;

	for (uint32_t i = 0; i < g->n && r == 0; i++) {
		struct node *n = &g->node[i];

		if (n->plan->module && n->plan->module->clock && !n->plan->in_table && !n->done)
			r = flush(n, WEIR_REFRESH, ret_due);
	}
	if (r == 0)
		r = g->run->scheduler->drain(g);
	return r < 0 ? r : graph_settle(g);
}

int graph_tick(struct graph *g, int64_t now, int64_t *ret_due)
{
	if (g->flow)
		return flow_tick(g->flow, now, ret_due);
	__atomic_store_n(&g->run->clock->now, now, __ATOMIC_RELAXED);
	return graph_clock(g, ret_due);
}

int graph_refresh(struct graph *g)
{
	int r;

	if (g->flow)
		return flow_mark(g->flow, false);
	r = graph_restart(g);
	return r < 0 ? r : graph_mark(g, false);
}

int graph_end(struct graph *g)
{
	int r;

	if (g->flow)
		return flow_mark(g->flow, true);
	r = graph_restart(g);
	return r < 0 ? r : graph_mark(g, true);
}

/* What does something in the world goes on with it, whatever is forgotten before it. */
static bool stays(const struct node *n)
{
	return !n->plan->module || ((n->plan->flags & WEIR_EFFECT) && !n->plan->in_table);
}

int graph_cut(struct graph *g, bool answer)
{
	int r;

	if (g->flow)
		return flow_cut(g->flow, answer);
	r = graph_restart(g);
	return r < 0 ? r : graph_anew(g, answer);
}

int graph_anew(struct graph *g, bool answer)
{
	int r = 0;

	for (uint32_t i = 0; answer && i < g->n && r >= 0; i++)
		if (!stays(&g->node[i]))
			r = flush(&g->node[i], WEIR_END, NULL);
	if (r >= 0)
		r = g->run->scheduler->drain(g);
	for (uint32_t i = 0; i < g->n && r >= 0; i++) {
		struct node *n = &g->node[i];

		n->live = (uint16_t)n->plan->ntargets;
		if (!stays(n))
			r = node_reset(n);
		else
			n->done = false;
	}
	return r < 0 ? r : 0;
}
