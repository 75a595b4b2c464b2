/* SPDX-License-Identifier: MIT */
/* plan_targets.c: edges seen from their other end, and what else instances of a graph share. */
#include "engine/core/planner.h"

/* Consumers by channel, in the order of the graph. */
static int list(struct planner *pl, struct plan_graph *g, uint32_t i)
{
	struct plan_node *n = g->nodes[i];
	struct plan_target *t;
	uint32_t total = 0;

	for (uint32_t k = i + 1; k < g->n; k++)
		for (uint32_t j = 0; j < g->nodes[k]->nins; j++)
			total += g->nodes[k]->ins[j].node == i;
	t = arena_alloc(&pl->p->arena, (total + 1) * sizeof *t);
	if (!t)
		return -ENOMEM;
	n->targets = t;
	n->ntargets = total;
	for (uint32_t k = i + 1, m = 0; k < g->n; k++)
		for (uint32_t j = 0; j < g->nodes[k]->nins; j++) {
			const struct plan_edge *e = &g->nodes[k]->ins[j];
			uint32_t at = m;

			if (e->node != i)
				continue;
			for (; at && t[at - 1].channel > e->channel; at--)
				t[at] = t[at - 1];
			t[at] = (struct plan_target){k, j, e->channel};
			m++;
		}
	return 0;
}

int planner_targets(struct planner *pl, struct plan_graph *g)
{
	int r = 0;

	for (uint32_t i = 0; i < g->n && r == 0; i++) {
		struct plan_node *n = g->nodes[i];

		r = list(pl, g, i);
		g->settles |= !n->in_table &&
		              (n->module == &module_union || n->module == &module_collect);
		for (uint32_t k = 0; k < n->nbodies && r == 0; k++) {
			r = planner_targets(pl, &n->bodies[k]);
			g->clocked |= n->bodies[k].clocked;
		}
		g->clocked |= n->module && n->module->clock && !n->in_table;
	}
	return r;
}
