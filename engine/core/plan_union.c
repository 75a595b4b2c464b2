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

/* What tells k from the other: there are several kinds of numbers. */
static const char *kind_beside(enum weir_kind k, enum weir_kind other)
{
	const char *article = weir_kind_article(k);

	return strcmp(article, weir_kind_article(other)) == 0 ? weir_kind_name(k) : article;
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
				        kind_beside(fields[k].kind, s->fields[f].kind),
				        fields[k].name,
				        kind_beside(s->fields[f].kind, fields[k].kind));
			if (s->fields[f].digits > fields[k].digits)
				fields[k].digits = s->fields[f].digits;
			if (!(s->fields[f].flags & WEIR_FIELD_ALWAYS))
				fields[k].flags &= ~(uint32_t)WEIR_FIELD_ALWAYS;
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

/* Takes node `i` out of the graph at hand; nobody is behind it. Whoever is still planning holds
 * indices of nodes before it, or is the caller, whose ins are changed here. */
static void take_out(struct plan_graph *g, uint32_t i, int *ins, uint32_t nins)
{
	memmove(g->nodes + i, g->nodes + i + 1, (--g->n - i) * sizeof *g->nodes);
	for (uint32_t k = i; k < g->n; k++)
		for (uint32_t j = 0; j < g->nodes[k]->nins; j++)
			g->nodes[k]->ins[j].node -= g->nodes[k]->ins[j].node > i;
	for (uint32_t k = 0; k < nins; k++)
		ins[k] -= ((uint32_t)ins[k] & PORT_NODE) > i;
}

/* Every input is looked at by whoever walks the plan. */
static int check_inputs(struct planner *pl, uint32_t n, const struct ast_stage *st)
{
	if (n <= PLAN_NODES_MAX)
		return 0;
	return weir_fail(pl->err, WEIR_E_OUT_OF_RANGE, st->pos, st->len, "number of united streams",
	        "at most 1000");
}

/* A union of streams among the inputs is one with this: the order of records would be lost between
 * the two. *ins is a new array where there are any. */
static int flatten(struct planner *pl, int **ins, uint32_t *nins, const struct ast_stage *st)
{
	for (uint32_t i = 0; i < *nins;) {
		const struct plan_node *n = planner_at(pl, (*ins)[i]);
		uint32_t at = (uint32_t)(*ins)[i] & PORT_NODE, total = *nins + n->nins - 1;
		int *more;

		if (n->module != &module_union || n->table) {
			i++;
			continue;
		}
		if (check_inputs(pl, total, st) < 0)
			return -EINVAL;
		more = arena_alloc(&pl->p->arena, total * sizeof *more);
		if (!more)
			return -ENOMEM;
		memcpy(more, *ins, i * sizeof *more);
		for (uint32_t k = 0; k < n->nins; k++)
			more[i + k] = PORT(n->ins[k].node, n->ins[k].channel);
		memcpy(more + i + n->nins, *ins + i + 1, (*nins - i - 1) * sizeof *more);
		take_out(pl->g, at, more, total);
		*ins = more;
		*nins = total;
	}
	return 0;
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
	r = check_inputs(pl, nins, st);
	if (r == 0 && !table)
		r = flatten(pl, &ins, &nins, st);
	if (r < 0)
		return r;
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
