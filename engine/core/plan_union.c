/* SPDX-License-Identifier: MIT */
/* plan_union.c: one schema for several branches, and streams held back where tables join them. */
#include "engine/core/planner.h"

static int hold(struct planner *pl, int input)
{
	struct plan_node *from = planner_at(pl, input);

	return planner_module(
	        pl, &module_hold, "hold", NULL, 0, from->pos, from->len, (uint32_t)input);
}

static bool same_field(const struct weir_field *a, const struct weir_field *b)
{
	return strcmp(a->name, b->name) == 0;
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
		total += planner_at(pl, (int)n->ins[i].node)->outside->nfields;
	fields = arena_alloc(&pl->p->arena, (total + 1) * sizeof *fields);
	c->map = arena_alloc(&pl->p->arena, n->nins * sizeof *c->map);
	if (!fields || !c->map)
		return -ENOMEM;
	for (uint32_t i = 0; i < n->nins && r == 0; i++) {
		const struct weir_schema *s = planner_at(pl, (int)n->ins[i].node)->outside;
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
				        "( … + … )", weir_kind_article(fields[k].kind),
				        fields[k].name, weir_kind_article(s->fields[f].kind));
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
	out = weir_schema_new(planner_at(pl, (int)n->ins[0].node)->outside->name, fields, nf);
	r = planner_schema(pl, out);
	n->out = n->outside = out;
	return r;
}

int planner_union(struct planner *pl, uint32_t *ins, uint32_t nins, const struct ast_stage *st)
{
	bool table = false;
	struct plan_node *n;
	int r;

	if (nins == 1)
		return (int)ins[0];
	for (uint32_t i = 0; i < nins; i++)
		table |= planner_at(pl, (int)ins[i])->table;
	for (uint32_t i = 0; i < nins && table; i++)
		if (!planner_at(pl, (int)ins[i])->table) {
			r = hold(pl, (int)ins[i]);
			if (r < 0)
				return r;
			ins[i] = (uint32_t)r;
		}
	n = planner_node(pl, "union", st->pos, st->len, nins);
	if (!n)
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	n->module = &module_union;
	n->flags = module_union.flags;
	n->in_table = n->table = table;
	for (uint32_t i = 0; i < nins; i++)
		n->ins[i].node = ins[i];
	n->in = planner_at(pl, (int)ins[0])->outside;
	n->config = arena_alloc(&pl->p->arena, sizeof(struct union_config));
	if (!n->config)
		return -ENOMEM;
	((struct union_config *)n->config)->nins = nins;
	r = unite(pl, n, st);
	if (r < 0)
		return r;
	n->uses = planner_bits(pl, n->in);
	n->needs = planner_bits(pl, n->out);
	return n->uses && n->needs ? (int)(pl->g->n - 1) : -ENOMEM;
}
