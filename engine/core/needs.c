/* SPDX-License-Identifier: MIT */
/* needs.c: which fields anybody reads, from the result back to the sources. */
#include "engine/core/planner.h"
#include "engine/store/render.h"

/* Where the needs of a node's consumers on a channel stand: of a scope, at the end of the body. */
static uint64_t *needs_of(const struct plan_node *n, uint32_t channel)
{
	while (n->nbodies) {
		const struct plan_graph *body = plan_body(n, channel);

		n = body->nodes[body->last];
		channel = 0;
	}
	return n->needs;
}

static void back(struct plan_graph *g)
{
	for (uint32_t i = g->n; i-- > 0;) {
		struct plan_node *n = g->nodes[i];

		/* the bodies' entries share their needs with n */
		for (uint32_t k = 0; k < n->nbodies; k++)
			back(&n->bodies[k]);
		for (uint32_t k = 0; k < n->nins; k++) {
			struct plan_node *from = g->nodes[n->ins[k].node];
			const int32_t *map = n->ins[k].map ? n->ins[k].map : n->origin;
			uint64_t *to = needs_of(from, n->ins[k].channel);

			for (uint32_t f = 0; f < n->out->nfields; f++)
				if (bit_get(n->needs, f) && map[f] >= 0)
					bit_set(to, (uint32_t)map[f]);
			for (uint32_t f = 0; k == 0 && f < n->in->nfields; f++)
				if (bit_get(n->uses, f))
					bit_set(to, f);
		}
	}
}

static void need(uint64_t *bits, const struct weir_schema *s, const char *name)
{
	int f = weir_schema_find(s, name, strlen(name));

	if (f >= 0)
		bit_set(bits, (uint32_t)f);
}

int planner_needs(struct planner *pl)
{
	struct plan *p = pl->p;
	struct plan_node *last = p->root.nodes[p->root.last];
	const struct weir_schema *s = p->out;
	uint64_t *bits = needs_of(last, 0);
	uint32_t *shown = arena_alloc(&p->arena, (s->nfields + 1) * sizeof *shown);
	uint32_t n;

	if (!shown)
		return -ENOMEM;
	n = render_shown(s, shown);
	for (uint32_t i = 0; i < n; i++)
		bit_set(bits, shown[i]);
	p->shown = shown;
	p->nshown = n;
	for (uint32_t f = 0; f < s->nfields; f++)
		if (s->fields[f].flags & WEIR_FIELD_PACKET) {
			bit_set(bits, f);
			need(bits, s, "ts");
			need(bits, s, "len");
			need(bits, s, "linktype");
		}
	back(&p->root);
	return 0;
}
