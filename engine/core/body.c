/* SPDX-License-Identifier: MIT */
/* body.c: instances of what a scope stands before, one for each window or key.
 *
 * An instance is a graph in one block of memory; the plan, which all instances share, says how its
 * nodes are joined. What it leaves goes to the consumers of the scope, on the channel of the child
 * that it is an instance of.
 *
 * A scope that is a loop calls these on its small stack; they are done on that of whoever resumed
 * it. While such a loop is closed its bodies can only be closed too.
 */
#include "engine/core/fiber.h"
#include "engine/core/node.h"

struct weir_body {
	struct graph graph;
};

struct on_host {
	struct weir_node *node;
	uint32_t child;
	struct weir_err *err;
	struct weir_body *body;
	struct weir_batch *batch;
};

static int open_on_host(void *arg)
{
	struct on_host *c = arg;

	c->body = weir_body_open(c->node, c->child, c->err);
	return 0;
}

static int push_on_host(void *arg)
{
	struct on_host *c = arg;

	return weir_body_push(c->body, c->batch);
}

static int refresh_on_host(void *arg)
{
	return weir_body_refresh(arg);
}

struct to_clock {
	struct weir_body *body;
	int64_t *due;
};

static int clock_on_host(void *arg)
{
	struct to_clock *c = arg;

	return weir_body_clock(c->body, c->due);
}

static int end_on_host(void *arg)
{
	return weir_body_end(arg);
}

static int close_on_host(void *arg)
{
	weir_body_close(arg);
	return 0;
}

struct weir_body *weir_body_open(struct weir_node *n, uint32_t child, struct weir_err *err)
{
	struct node *scope = node_of(n);
	struct fiber *f = fiber_here();
	struct graph *g;

	if (f) {
		struct on_host c = {.node = n, .child = child, .err = err};

		fiber_call(f, open_on_host, &c);
		return c.body;
	}
	if (graph_new(scope->graph->run, plan_body(scope->plan, child), scope, child, &g) < 0)
		return NULL;
	return (struct weir_body *)g;
}

/* Remembers what the scope says of all records of the body, from the first of them. */
static int stamp(struct graph *g, struct weir_batch *b)
{
	const struct plan_node *scope = g->scope->plan;

	for (uint32_t i = 0; i < scope->nstamps; i++) {
		struct weir_value *v = &g->stamp[i];
		struct weir_str s;
		int r = weir_batch_value(b, scope->stamps[i], weir_batch_row(b, 0), v);

		if (r == 0 && weir_storage_of(v->kind) == WEIR_VAR) {
			s = v->d.s;
			v->d.s.p = weir_alloc(g->run->mem, s.len);
			if (!v->d.s.p)
				v->d.s.len = 0, r = -ENOMEM;
			else if (s.len)
				memcpy((void *)v->d.s.p, s.p, s.len);
		}
		if (r < 0)
			return r;
	}
	g->is_stamped = true;
	return 0;
}

int weir_body_push(struct weir_body *body, struct weir_batch *b)
{
	struct graph *g = &body->graph;
	struct fiber *f = fiber_here();
	int r = 0;

	if (f && !f->shut)
		return fiber_call(f, push_on_host, &(struct on_host){.body = body, .batch = b});
	if (f)
		r = -ECANCELED;
	else if (g->stamp && !g->is_stamped && weir_batch_count(b))
		r = stamp(g, b);
	if (r < 0) {
		weir_batch_unref(b);
		return r;
	}
	return graph_push(g, 0, b);
}

int weir_body_refresh(struct weir_body *body)
{
	struct fiber *f = fiber_here();

	if (f)
		return f->shut ? -ECANCELED : fiber_call(f, refresh_on_host, body);
	return graph_refresh(&body->graph);
}

int weir_body_clock(struct weir_body *body, int64_t *ret_due)
{
	struct fiber *f = fiber_here();

	if (f && f->shut)
		return -ECANCELED;
	return f ? fiber_call(f, clock_on_host, &(struct to_clock){body, ret_due})
	         : graph_clock(&body->graph, ret_due);
}

bool weir_body_clocked(const struct weir_body *body)
{
	return body->graph.plan->clocked;
}

int weir_body_end(struct weir_body *body)
{
	struct fiber *f = fiber_here();
	int r;

	if (f && !f->shut)
		return fiber_call(f, end_on_host, body);
	if (f) {
		weir_body_close(body);
		return -ECANCELED;
	}
	r = graph_end(&body->graph);
	graph_free(&body->graph);
	return r;
}

void weir_body_close(struct weir_body *body)
{
	struct fiber *f = fiber_here();

	if (f)
		fiber_call(f, close_on_host, body);
	else if (body)
		graph_free(&body->graph);
}
