/* SPDX-License-Identifier: MIT */
/* plan_union.c: one schema for several branches, and streams held back where tables join them. */
#include "engine/core/planner.h"

static int hold(struct planner *pl, int input)
{
	struct plan_node *from = planner_at(pl, input);

	return planner_module(pl, &module_hold, "hold", NULL, 0, from->pos, from->len, input);
}

static bool same_field(const struct weir_field *a, const struct weir_field *b)
{
	return strcmp(a->name, b->name) == 0;
}

static const struct weir_schema *edge_schema(struct planner *pl, const struct plan_edge *e)
{
	const struct plan_node *n = planner_at(pl, (int)e->node);

	if (n->nbodies) {
		const struct plan_graph *body = plan_body(n, e->channel);

		n = body->nodes[body->last];
	}
	return n->outside;
}

/* Fields by name, in order of first appearance; later ones of a name in one schema shadow. */
static int unite(struct planner *pl, struct plan_node *n, const struct ast_stage *st)
{
	struct union_config *c = n->config;
	struct weir_field *fields = NULL;
	struct weir_schema *out;
	uint32_t total = 0, nf = 0;
	int r = 0;

	for (uint32_t i = 0; i < n->nins; i++)
		total += edge_schema(pl, &n->ins[i])->nfields;
	fields = arena_alloc(&pl->p->arena, (total + 1) * sizeof *fields);
	c->map = arena_alloc(&pl->p->arena, n->nins * sizeof *c->map);
	if (!fields || !c->map)
		return -ENOMEM;
	for (uint32_t i = 0; i < n->nins && r == 0; i++) {
		const struct weir_schema *s = edge_schema(pl, &n->ins[i]);
		int32_t *map = arena_alloc(&pl->p->arena, (total + 1) * sizeof *map);

		if (!map)
			return -ENOMEM;
		memset(map, 0xff, (total + 1) * sizeof *map);
		for (uint32_t f = 0; f < s->nfields; f++) {
			uint32_t k = 0;

			if (weir_schema_shadowed(s, f))
				continue;
			while (k < nf && !same_field(&fields[k], &s->fields[f]))
				k++;
			if (k == nf)
				fields[nf++] = s->fields[f];
			else if (fields[k].kind != s->fields[f].kind)
				r = weir_fail(pl->err, WEIR_E_KIND_MISMATCH, st->pos, st->len,
				        st->type == AST_MODULE ? st->name : "( … + … )",
				        weir_kind_article(fields[k].kind), fields[k].name,
				        weir_kind_article(s->fields[f].kind));
			fields[k].flags |= s->fields[f].flags & WEIR_FIELD_DEFAULT;
			if (s->fields[f].bits == 0 || s->fields[f].bits > fields[k].bits)
				fields[k].bits = fields[k].bits ? s->fields[f].bits : 0;
			map[k] = (int32_t)f;
		}
		c->map[i] = map;
		n->ins[i].map = map;
	}
	if (r < 0)
		return r;
	for (uint32_t k = 0; k < nf; k++)
		for (uint32_t i = 0; i < n->nins; i++)
			if (c->map[i][k] < 0)
				fields[k].flags &= ~(uint32_t)WEIR_FIELD_ALWAYS;
	out = weir_schema_new(edge_schema(pl, &n->ins[0])->name, fields, nf);
	r = planner_schema(pl, out);
	n->out = n->outside = out;
	return r;
}

static int finish(struct planner *pl, struct plan_node *n, const struct ast_stage *st)
{
	struct union_config *c = n->config = arena_alloc(&pl->p->arena, sizeof *c);
	int r;

	if (!c)
		return -ENOMEM;
	c->nins = n->nins;
	n->flags = n->module->flags;
	n->in = edge_schema(pl, &n->ins[0]);
	r = unite(pl, n, st);
	if (r < 0)
		return r;
	n->uses = planner_bits(pl, n->in);
	n->needs = planner_bits(pl, n->out);
	return n->uses && n->needs ? (int)(pl->g->n - 1) : -ENOMEM;
}

int planner_union(struct planner *pl, int *ins, uint32_t nins, const struct ast_stage *st)
{
	bool table = false;
	struct plan_node *n;
	int r;

	if (nins == 1)
		return ins[0];
	for (uint32_t i = 0; i < nins; i++)
		table |= planner_at(pl, ins[i])->table;
	for (uint32_t i = 0; i < nins && table; i++)
		if (!planner_at(pl, ins[i])->table) {
			r = hold(pl, ins[i]);
			if (r < 0)
				return r;
			ins[i] = r;
		}
	n = planner_node(pl, "union", st->pos, st->len, nins);
	if (!n)
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	n->module = &module_union;
	n->in_table = n->table = table;
	for (uint32_t i = 0; i < nins; i++)
		planner_connect(&n->ins[i], ins[i]);
	return finish(pl, n, st);
}

int planner_collect(struct planner *pl, int scope, const struct ast_stage *st)
{
	struct plan_node *from = planner_at(pl, scope);
	struct plan_node *n =
	        planner_node(pl, "collect", st->name_pos, st->name_len, from->nbodies);

	if (!n)
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	n->module = &module_collect;
	n->in_table = n->table = from->table;
	for (uint32_t k = 0; k < from->nbodies; k++)
		planner_connect(&n->ins[k], PORT(scope, k + 1));
	return finish(pl, n, st);
}
