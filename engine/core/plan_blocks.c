/* SPDX-License-Identifier: MIT */
/* plan_blocks.c: stages that belong to a module: scopes' bodies, and what stands behind channels.
 *
 * A module that takes blocks ("filter … --else ( … )", "split … ( … )") has each of them behind a
 * channel of its own, numbered from 1; of a scope, each is a body, and the channel is where its
 * instances leave what they leave. All of it is united behind the stage.
 */
#include "engine/core/planner.h"

#define BLOCKS_MAX 250

bool planner_takes_blocks(const struct weir_module *m)
{
	for (const struct weir_option *o = m->options; o && o->type != WEIR_OPT_END; o++)
		if (o->type == WEIR_OPT_BLOCK)
			return true;
	return false;
}

static void scope_late(struct planner *pl, struct plan_node *n)
{
	const struct weir_option *row = options_find(n->module->options, "late");

	if (row && row->type == WEIR_OPT_DURATION) {
		int64_t *late = (int64_t *)((char *)n->config + row->offset);

		if (!*late)
			*late = pl->p->set.late;
	}
}

/* Nodes go into `body` from here on. */
static int enter(struct planner *pl, struct plan_node *scope, struct plan_graph *body)
{
	struct plan_node *entry;

	body->scope = scope;
	body->outer = pl->g;
	pl->g = body;
	entry = planner_node(pl, "entry", scope->pos, scope->len, 0);
	if (!entry)
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	entry->in = entry->out = entry->outside = scope->out;
	entry->needs = scope->needs;
	return 0;
}

/* r: the body's last node, or what went wrong, which it passes on. */
static int leave(struct planner *pl, struct plan_graph *body, int r)
{
	if (r >= 0)
		body->last = (uint32_t)r;
	pl->g = body->outer;
	return r < 0 ? r : 0;
}

int planner_body(struct planner *pl, int scope, const struct ast_stage *st, const struct rest *rest)
{
	struct plan_node *n = planner_at(pl, scope);
	int r;

	scope_late(pl, n);
	n->bodies = arena_alloc(&pl->p->arena, sizeof *n->bodies);
	if (!n->bodies)
		return -ENOMEM;
	r = enter(pl, n, n->bodies);
	if (r >= 0 && st->where)
		r = planner_where(pl, st->where, 0);
	if (r >= 0)
		r = planner_walk(pl, st->next, rest, r);
	r = leave(pl, n->bodies, r);
	if (r < 0)
		return r;
	n->nbodies = 1;
	n->outside = n->bodies->nodes[n->bodies->last]->outside;
	return scope;
}

/* A block of a stage, and the row of the option table that takes it. */
struct block {
	const struct ast_stage *stage;
	const struct weir_option *row;
};

static int list_blocks(struct planner *pl, const struct ast_stage *st, struct block **ret)
{
	struct block *b = arena_alloc(&pl->p->arena, (st->nargs + 1) * sizeof *b);
	uint32_t n = 0;

	if (!b)
		return -ENOMEM;
	for (const struct weir_option *o = st->module->options; o->type != WEIR_OPT_END; o++)
		for (uint32_t i = 0; o->type == WEIR_OPT_BLOCK && i < st->nargs; i++)
			if (st->args[i].option == o)
				b[n++] = (struct block){st->args[i].block, o};
	if (n > BLOCKS_MAX)
		return weir_fail(pl->err, WEIR_E_OUT_OF_RANGE, st->name_pos, st->name_len,
		        "number of ( … )", "at most 250");
	*ret = b;
	return (int)n;
}

/* Whether the answers of all bodies are tables that can be asked for at a refresh. */
static bool rolls(const struct plan_node *n)
{
	for (uint32_t k = 0; k < n->nbodies; k++)
		if (!n->bodies[k].nodes[n->bodies[k].last]->table)
			return false;
	return n->rolling;
}

static int add_bodies(struct planner *pl, int scope, const struct ast_stage *st,
        const struct block *block, uint32_t nblocks)
{
	struct plan_node *n = planner_at(pl, scope);
	struct plan_graph *bodies = arena_alloc(&pl->p->arena, (nblocks + 1) * sizeof *bodies);
	int r = 0;

	if (!bodies)
		return -ENOMEM;
	scope_late(pl, n);
	for (uint32_t k = 0; k < nblocks; k++) {
		r = enter(pl, n, &bodies[k]);
		if (r >= 0)
			r = planner_branches(pl, block[k].stage, 0);
		r = leave(pl, &bodies[k], r);
		if (r < 0)
			return r;
	}
	n->bodies = bodies;
	n->nbodies = nblocks;
	n->table |= rolls(n);
	return planner_collect(pl, scope, st);
}

int planner_blocks(struct planner *pl, int node, const struct ast_stage *st)
{
	struct plan_node *n = planner_at(pl, node);
	struct block *block = NULL;
	int nblocks = list_blocks(pl, st, &block), *ins;
	uint32_t copies = 1, channel = 1, nins = 0;

	if (nblocks < 0)
		return nblocks;
	if (n->flags & WEIR_SCOPE)
		return add_bodies(pl, node, st, block, (uint32_t)nblocks);
	if (nblocks == 1 && n->copies)
		copies = n->copies;
	ins = arena_alloc(&pl->p->arena, ((uint32_t)nblocks * copies + 1) * sizeof *ins);
	if (!ins)
		return -ENOMEM;
	if (!n->blocks_only)
		ins[nins++] = node;
	for (uint32_t k = 0; k < (uint32_t)nblocks; k++)
		for (uint32_t i = 0; i < copies; i++) {
			int r = planner_branches(pl, block[k].stage, PORT(node, channel++));

			if (r < 0)
				return r;
			if (!(block[k].row->flags & WEIR_OPT_ASIDE))
				ins[nins++] = r;
		}
	return planner_union(pl, ins, nins, st);
}

int planner_stamps(struct planner *pl, int input)
{
	uint32_t pos = planner_at(pl, input)->pos, len = planner_at(pl, input)->len;

	for (struct plan_graph *g = pl->g; g->scope && input >= 0; g = g->outer) {
		const struct weir_schema *have = planner_at(pl, input)->outside;
		bool lacks = false;

		for (uint32_t i = 0; i < g->scope->nstamps; i++) {
			const char *name = g->scope->out->fields[g->scope->stamps[i]].name;

			lacks |= weir_schema_find(have, name, strlen(name)) < 0;
		}
		if (!lacks)
			continue;
		pl->stamping = g;
		input = planner_module(pl, &module_stamp, "stamp", NULL, 0, pos, len, input);
	}
	return input;
}

const struct plan_node *planner_instances(struct planner *pl)
{
	for (const struct plan_graph *g = pl->g; g->scope; g = g->outer)
		if (planner_takes_blocks(g->scope->module))
			return g->scope;
	return NULL;
}

const struct plan_node *planner_table(struct planner *pl, int input)
{
	if (planner_at(pl, input)->table)
		return planner_at(pl, input);
	for (const struct plan_graph *g = pl->g; g->scope; g = g->outer)
		if (g->scope->in_table)
			return g->scope;
	return NULL;
}
