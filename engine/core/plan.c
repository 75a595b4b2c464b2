/* SPDX-License-Identifier: MIT */
/* plan.c: from a parsed spec to a graph of bound modules.
 *
 * A pipe is walked stage by stage; the stages that follow a scope may go into its body, so the walk
 * carries what is left (`struct rest`) as a chain through definitions. Branches end in a union.
 * Where a union has both streams and tables, the streams are held back to be tables too, so that
 * every version of the result is whole.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/core/planner.h"
#include "engine/core/plugin.h"
#include "engine/core/settings.h"
#include "engine/expr/bind.h"
#include "engine/store/render.h"

int planner_where(struct planner *pl, const struct ast *cond, int input)
{
	const struct weir_module *where = registry_module("where", 5);
	struct ast_arg arg = {.pos = cond->pos, .len = cond->len, .expr = (struct ast *)cond};

	if (!where)
		return weir_fail(pl->err, WEIR_E_UNKNOWN_MODULE, cond->pos, cond->len, "where", "");
	arg.option = where->options;
	return planner_module(pl, where, "where", &arg, 1, cond->pos, cond->len, input);
}

/* ---- columns that stand for conversions and named expressions in field arguments ---- */

/* Of a module that keeps records by what its arguments say (group), a conversion in a free list is
 * a field too; others bind it as an expression. */
static bool needs_column(
        const struct weir_module *m, const struct ast_arg *a, const struct weir_schema *in)
{
	struct weir_err ignored = WEIR_ERR_INIT;
	bool list = a->option && a->option->type == WEIR_OPT_ARGS && (m->flags & WEIR_BLOCKING);
	enum weir_kind kind;

	if (!a->option || !a->expr ||
	        (a->option->type != WEIR_OPT_FIELD && a->option->type != WEIR_OPT_FIELDS && !list))
		return false;
	if (a->expr->as && !list)
		return true;
	return a->expr->type == AST_NAME &&
	       weir_schema_find(in, a->expr->text, a->expr->text_len) < 0 &&
	       expr_conversion(
	               in, a->expr->text, a->expr->text_len, a->expr->pos, &kind, &ignored) >= 0;
}

static void derive_use(void *arg, uint32_t field)
{
	bit_set(((struct plan_node *)arg)->uses, field);
}

static int add_columns(struct planner *pl, const struct ast_stage *st, int input)
{
	struct plan_node *from = planner_at(pl, input), *n;
	const struct weir_schema *in = from->outside, *out;
	struct derive_config *c;
	struct weir_field *fields;
	int32_t *origin;
	uint32_t want = 0;
	int r = 0;

	for (uint32_t i = 0; i < st->nargs; i++)
		want += needs_column(st->module, &st->args[i], in);
	if (!want)
		return input;
	n = planner_node(pl, "derive", st->pos, st->len, 1);
	if (!n)
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	n->module = &module_derive;
	n->flags = module_derive.flags;
	planner_connect(&n->ins[0], input);
	n->in = in;
	n->in_table = n->table = from->table;
	c = n->config = arena_alloc(&pl->p->arena, sizeof *c);
	fields = arena_alloc(&pl->p->arena, (in->nfields + want) * sizeof *fields);
	origin = arena_alloc(&pl->p->arena, (in->nfields + want) * sizeof *origin);
	n->uses = planner_bits(pl, in);
	if (!c || !fields || !origin || !n->uses)
		return -ENOMEM;
	c->first = in->nfields;
	c->expr = arena_alloc(&pl->p->arena, want * sizeof *c->expr);
	if (!c->expr)
		return -ENOMEM;
	for (uint32_t f = 0; f < in->nfields; f++) {
		fields[f] = in->fields[f];
		origin[f] = (int32_t)f;
	}
	for (uint32_t i = 0; i < st->nargs && r == 0; i++) {
		const struct ast *a = st->args[i].expr;
		struct weir_field *f = &fields[in->nfields + c->n];
		int plain;

		if (!needs_column(st->module, &st->args[i], in))
			continue;
		r = expr_bind(
		        a, in, WEIR_NONE, &pl->p->arena, derive_use, n, &c->expr[c->n], pl->err);
		if (r < 0)
			return r;
		planner_keep_expr(pl, c->expr[c->n]);
		plain = expr_field(c->expr[c->n]);
		if (plain >= 0)
			*f = in->fields[plain];
		f->name = a->as && st->args[i].option->type != WEIR_OPT_ARGS ? a->as : a->text;
		weir_expr_describe(c->expr[c->n], f);
		f->aliases = NULL;
		f->flags = (f->flags & ~(uint32_t)(WEIR_FIELD_DEFAULT | WEIR_FIELD_PACKET)) |
		           WEIR_FIELD_HIDDEN;
		origin[in->nfields + c->n++] = -1;
	}
	out = weir_schema_new(in->name, fields, in->nfields + c->n);
	r = planner_schema(pl, out);
	if (r < 0)
		return r;
	n->out = n->outside = out;
	n->origin = origin;
	n->needs = planner_bits(pl, out);
	return n->needs ? (int)(pl->g->n - 1) : -ENOMEM;
}

/* ---- names ---- */

/* What stands first: sources of the mount, all of a sort, kinds, and then definitions. */
struct first_names {
	const struct engine *e;
	const struct ast_definition *next;
	bool defined; /* all else is over */
};

static const char *next_name(void *arg, size_t i)
{
	struct first_names *f = arg;
	const struct ast_definition *d = f->next;
	const struct weir_source *s;

	if (i < f->e->nmounted)
		return f->e->mounted[i]->name;
	i -= f->e->nmounted;
	if (i < 2)
		return i ? "flows" : "packets";
	s = f->defined ? NULL : registry_source_at(i - 2);
	if (s)
		return s->name;
	f->defined = true;
	if (d)
		f->next = d->next;
	return d ? d->name : NULL;
}

static int unknown(struct planner *pl, const struct ast_stage *st, bool first)
{
	struct first_names names = {.e = pl->e, .next = pl->spec->definitions};
	char hint[320];

	if (plugin_hint(st->name, hint, sizeof hint)[0])
		first = false;
	else if (first)
		weir_did_you_mean(st->name, strlen(st->name), next_name, &names, hint, sizeof hint);
	else
		lang_stage_like(pl->spec, st->name, hint, sizeof hint);
	if (first && !hint[0] && st->nargs) {
		lang_stage_like(pl->spec, st->name, hint, sizeof hint);
		if (hint[0])
			first = false;
	}
	return weir_fail(pl->err, first ? WEIR_E_UNKNOWN_SOURCE : WEIR_E_UNKNOWN_MODULE,
	        st->name_pos, st->name_len, st->name, hint);
}

/* Goes into a definition, behind which `next` and then `rest` follow: what is left behind its own
 * stages. NULL: not possible, with the error in *ret. */
static const struct rest *open_definition(struct planner *pl, const struct ast_definition *d,
        const struct ast_stage *st, const struct ast_stage *next, const struct rest *rest, int *ret)
{
	struct rest *more;

	for (uint32_t i = 0; i < pl->nopen; i++)
		if (pl->open[i] == d) {
			*ret = weir_fail(
			        pl->err, WEIR_E_RECURSIVE, st->name_pos, st->name_len, st->name);
			return NULL;
		}
	if (pl->nopen == NEST_MAX) {
		*ret = weir_fail(pl->err, WEIR_E_TOO_DEEP, st->name_pos, st->name_len, "200");
		return NULL;
	}
	more = arena_alloc(&pl->p->arena, sizeof *more);
	if (!more) {
		*ret = -ENOMEM;
		return NULL;
	}
	*more = (struct rest){next, rest, pl->nopen};
	pl->open[pl->nopen++] = d;
	return more;
}

static int add_named(struct planner *pl, const struct ast_stage *st, int input)
{
	struct mounted *m = engine_find(pl->e, st->name, strlen(st->name));
	uint32_t flag = strcmp(st->name, "packets") == 0 ? WEIR_SOURCE_PACKETS
	                : strcmp(st->name, "flows") == 0 ? WEIR_SOURCE_FLOWS
	                                                 : 0;

	if (!m && !flag)
		return unknown(pl, st, input < 0);
	if (input >= 0)
		return weir_fail(
		        pl->err, WEIR_E_NEEDS_SOURCE, st->name_pos, st->name_len, st->name);
	if (st->nargs)
		return weir_fail(pl->err, WEIR_E_TOO_MANY_ARGUMENTS, st->args[0].pos,
		        st->args[0].len, st->name, "no arguments");
	return m ? planner_mounted(pl, m, st) : planner_all(pl, flag, st);
}

/* ---- branches ---- */

int planner_branches(struct planner *pl, const struct ast_stage *st, int input)
{
	int *ins = arena_alloc(&pl->p->arena, st->nbranches * sizeof *ins);

	if (!ins)
		return -ENOMEM;
	for (uint32_t i = 0; i < st->nbranches; i++) {
		int r = planner_walk(pl, st->branches[i]->first, NULL, input);

		if (r < 0)
			return r;
		ins[i] = r;
	}
	return planner_union(pl, ins, st->nbranches, st);
}

/* ---- stages ---- */

static int add_module(struct planner *pl, const struct ast_stage *st, int input)
{
	const struct weir_module *m = st->module;
	const struct plan_node *table, *scope;
	int r;

	if (input < 0)
		return weir_fail(pl->err, WEIR_E_NOT_A_SOURCE, st->name_pos, st->name_len, m->name);
	scope = (m->flags & WEIR_EFFECT) ? planner_instances(pl) : NULL;
	if (scope)
		return weir_fail(pl->err, WEIR_E_EFFECT_IN_INSTANCES, st->name_pos, st->name_len,
		        m->name, scope->name);
	table = (m->flags & WEIR_ORDERED) ? planner_table(pl, input) : NULL;
	if (table)
		return weir_fail(pl->err, WEIR_E_WINDOW_AFTER_TABLE, st->name_pos, st->name_len,
		        m->name, table->name);
	input = add_columns(pl, st, input);
	if (input < 0)
		return input;
	r = planner_module(pl, m, m->name, st->args, st->nargs, st->name_pos, st->name_len, input);
	if (r >= 0 && strcmp(m->name, "every") == 0)
		for (const struct weir_option *o = m->options; o->type != WEIR_OPT_END; o++)
			if (o->type == WEIR_OPT_DURATION)
				pl->p->set.refresh =
				        *(int64_t *)((char *)planner_at(pl, r)->config + o->offset);
	if (r >= 0 && (planner_at(pl, r)->flags & WEIR_BLOCKING))
		r = planner_stamps(pl, r);
	return r;
}

/* Walks the stages from `st`, then `rest`, behind node `input` (-1: none yet). The last node. */
int planner_walk(struct planner *pl, const struct ast_stage *st, const struct rest *rest, int input)
{
	const struct ast_definition *d;
	const struct ast_stage *next;
	const struct rest *more;

	for (;; st = next) {
		for (; !st && rest; rest = rest->up) {
			st = rest->stage;
			pl->nopen = rest->nopen;
		}
		if (!st)
			return input;
		next = st->next;
		switch (st->type) {
		case AST_SOURCE:
			if (input >= 0)
				return weir_fail(pl->err, WEIR_E_NEEDS_SOURCE, st->name_pos,
				        st->name_len, st->name);
			input = planner_source(pl, st);
			break;
		case AST_MODULE:
			input = add_module(pl, st, input);
			if (input >= 0 && planner_takes_blocks(st->module))
				input = planner_blocks(pl, input, st);
			else if (input >= 0 && (st->module->flags & WEIR_SCOPE))
				return planner_body(pl, input, st, rest);
			break;
		case AST_REF:
			d = ast_definition(pl->spec, st->name, st->name_len);
			if (!d) {
				input = add_named(pl, st, input);
				break;
			}
			more = st->where ? open_definition(pl, d, st, NULL, NULL, &input)
			                 : open_definition(pl, d, st, next, rest, &input);
			if (!more)
				return input;
			if (st->where) {
				input = planner_walk(pl, d->pipe->first, more, input);
				break;
			}
			rest = more;
			next = d->pipe->first;
			continue;
		case AST_WHERE:
			if (input < 0)
				return weir_fail(
				        pl->err, WEIR_E_NOT_A_SOURCE, st->pos, st->len, "where");
			break;
		case AST_BRANCHES:
			input = planner_branches(pl, st, input);
			break;
		}
		if (input >= 0 && st->where)
			input = planner_where(pl, st->where, input);
		if (input < 0)
			return input;
	}
}

static int read_settings(struct planner *pl)
{
	struct option_scope scope = {
	        "set", 0, 0, NULL, &pl->p->arena, planner_no_use, planner_no_keep, NULL};
	const char *names[32];
	int n = 0;

	for (const struct weir_option *o = settings_rows; o->type != WEIR_OPT_END; o++)
		names[n++] = o->name;
	for (const struct ast_setting *s = pl->spec->settings; s; s = s->next) {
		int r = options_set(settings_rows, s->key, s->value, s->value_pos, &scope,
		        &pl->p->set, pl->err);
		char hint[80] = "";
		size_t best = 0;

		if (r == 0 && s->size) {
			pl->p->set.spill_pos = s->value_pos;
			r = planner_rooted(pl, s->value, s->value_pos, s->value_len);
			if (r < 0)
				return r;
			r = options_set(settings_spill, s->key, s->size, s->size_pos, &scope,
			        &pl->p->set, pl->err);
		}
		if (r != -ENOENT) {
			if (r < 0)
				return r;
			continue;
		}
		for (int i = 0; i < n; i++) { /* same first letters: a short list needs no more */
			size_t k = 0;

			while (s->key[k] && s->key[k] == names[i][k])
				k++;
			if (k > best) {
				best = k;
				snprintf(hint, sizeof hint, " (did you mean '%s'?)", names[i]);
			}
		}
		return weir_fail(pl->err, WEIR_E_UNKNOWN_SETTING, s->pos, s->len, s->key, hint);
	}
	return 0;
}

/* `sort … | head N` keeps N rows only. */
static void fuse(struct plan_graph *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		struct plan_node *n = g->nodes[i], *from;
		const struct weir_option *o, *limit;
		uint32_t users = 0;

		for (uint32_t k = 0; k < n->nbodies; k++)
			fuse(&n->bodies[k]);
		if (!n->module || strcmp(n->module->name, "head") != 0)
			continue;
		from = g->nodes[n->ins[0].node];
		if (!from->module)
			continue;
		limit = options_find(from->module->options, "limit");
		for (uint32_t k = 0; k < g->n; k++)
			for (uint32_t j = 0; j < g->nodes[k]->nins; j++)
				users += g->nodes[k]->ins[j].node == n->ins[0].node;
		o = n->module->options;
		while (o->type != WEIR_OPT_END && o->type != WEIR_OPT_U64)
			o++;
		if (limit && users == 1 && o->type == WEIR_OPT_U64 &&
		        strcmp(from->module->name, "sort") == 0) {
			uint64_t *to = (uint64_t *)((char *)from->config + limit->offset);
			uint64_t count = *(uint64_t *)((char *)n->config + o->offset);

			if (!*to || count < *to)
				*to = count;
		}
	}
}

static int no_versions(struct planner *pl)
{
	const struct ast_setting *s = pl->spec->settings;

	while (strcmp(s->key, "keep") != 0)
		s = s->next;
	return weir_fail(pl->err, WEIR_E_NO_VERSIONS, s->pos, s->len);
}

static int build(struct planner *pl)
{
	struct plan *p = pl->p;
	int *ins = arena_alloc(&p->arena, (pl->spec->nqueries + 1) * sizeof *ins);
	struct ast_stage whole = {.pos = 0, .len = 0, .name = "queries"};
	int r = read_settings(pl);

	if (!ins)
		return -ENOMEM;
	for (uint32_t i = 0; i < pl->spec->nqueries && r >= 0; i++) {
		r = planner_walk(pl, pl->spec->queries[i]->first, NULL, -1);
		if (r >= 0)
			ins[i] = r;
	}
	if (r < 0)
		return r;
	if (!pl->spec->nqueries)
		return weir_fail(pl->err, WEIR_E_SPEC_EMPTY, 0, 0);
	r = planner_union(pl, ins, pl->spec->nqueries, &whole);
	if (r < 0)
		return r;
	p->root.last = (uint32_t)r;
	p->out = p->root.nodes[r]->outside;
	p->table = p->root.nodes[r]->table;
	if (p->set.keep && !p->table)
		return no_versions(pl);
	fuse(&p->root);
	r = planner_targets(pl, &p->root);
	if (r == 0)
		r = planner_needs(pl);
	if (r == 0)
		planner_spills(pl);
	if (r == 0)
		planner_panes(&p->root);
	return r < 0 ? r : planner_stretches(pl);
}

int plan_make(struct engine *e, const char *text, size_t len, const struct rights *rights,
        struct plan **ret, struct weir_err *err)
{
	struct plan *p = calloc(1, sizeof *p);
	struct planner pl = {.e = e, .p = p, .err = err, .rights = *rights};
	int r;

	if (!p)
		return -ENOMEM;
	p->refs = 1;
	arena_init(&p->arena, NULL);
	pl.g = &p->root;
	p->set = (struct settings){.refresh = e->options.refresh,
	        .retain = e->options.retain,
	        .memory = e->options.memory,
	        .threads = e->options.threads,
	        .tokens = e->options.tokens,
	        .late = 0};
	r = lang_parse(text, len, &p->arena, &pl.spec, err);
	if (r == 0) {
		p->text = pl.spec->text;
		p->text_len = pl.spec->text_len;
		p->name = pl.spec->name;
		r = build(&pl);
	}
	if (r < 0) {
		if (err && err->id == WEIR_E_NONE)
			weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, "");
		plan_unref(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct plan *plan_ref(struct plan *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

void plan_unref(struct plan *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (struct plan_release *k = p->releases; k; k = k->next) {
		if (k->expr)
			expr_release(k->expr);
		if (k->module)
			k->module->release(k->config);
	}
	for (struct plan_schema *s = p->schemas; s; s = s->next)
		weir_schema_unref(s->schema);
	arena_release(&p->arena);
	free(p);
}
