/* SPDX-License-Identifier: MIT */
/* panes.c: see panes.h. */
#include "engine/core/panes.h"

#include "engine/core/node.h"
#include "engine/core/planner.h"

void panes_bind(struct weir_bind *b, int64_t pane)
{
	((struct binding *)b)->node->pane = pane;
}

bool panes_shared(const struct weir_node *n)
{
	return ((const struct node *)n)->plan->shares;
}

/* ---- plan ---- */

/* The table of the body that its panes add up; 0: there is none. */
static uint32_t table_of(const struct plan_graph *g)
{
	uint32_t i = 0;

	for (;;) {
		const struct plan_node *n = g->nodes[i];
		const struct plan_target *t = n->targets;

		if (n->ntargets != 1 || t->channel || i == g->last)
			return 0;
		i = t->node;
		n = g->nodes[i];
		if (n->nins != 1 || n->ins[0].map || n->nbodies || n->spills)
			return 0;
		if ((n->flags & WEIR_BLOCKING) && (n->flags & WEIR_ADDS))
			return i;
		if (!planner_is_parallel(n))
			return 0;
	}
}

void planner_panes(struct plan_graph *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		struct plan_node *n = g->nodes[i];

		for (uint32_t k = 0; k < n->nbodies; k++)
			planner_panes(&n->bodies[k]);
		if (!n->pane || n->nbodies != 1 || n->nstamps != 1)
			continue;
		n->bodies->sum = table_of(n->bodies);
		n->shares = n->bodies->sum && !bit_get(n->needs, n->stamps[0]);
	}
}

/* ---- run ---- */

static struct graph *graph_of(const struct weir_body *body)
{
	return (struct graph *)(uintptr_t)body; /* its first member */
}

int body_absorb(struct weir_body *to, const struct weir_body *from)
{
	struct graph *g = graph_of(to), *f = graph_of(from);
	struct node *a = &g->node[g->plan->sum], *b = &f->node[f->plan->sum];
	const struct weir_module *m = a->plan->module;
	uint32_t keys = 0, at = 0;
	int r = m->begin(&b->pub, WEIR_REFRESH, &keys);

	if (m->end)
		m->end(&b->pub);
	while (r >= 0 && at < keys) {
		uint32_t left = keys - at, took = 0;

		r = m->absorb(&a->pub, &b->pub, at, left < WEIR_BATCH_ROWS ? left : WEIR_BATCH_ROWS,
		        &took);
		at += took;
	}
	if (r < 0 && !g->run->failed)
		g->run->failed = a->plan->name;
	return r < 0 ? r : 0;
}

void body_stamp(struct weir_body *body, struct weir_value v)
{
	struct graph *g = graph_of(body);

	if (!g->stamp)
		return;
	g->stamp[0] = v;
	g->is_stamped = true;
}
