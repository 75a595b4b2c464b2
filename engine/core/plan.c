/* SPDX-License-Identifier: MIT */
/* plan.c: from a parsed spec to a graph of bound modules.
 *
 * A pipe is walked stage by stage; the stages that follow a scope go into its body, so the walk
 * carries what is left (`struct rest`) as a chain through definitions. Branches end in a union.
 * Where a union has both streams and tables, the streams are held back to be tables too, so that
 * every version of the result is whole.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/core/planner.h"
#include "engine/core/settings.h"
#include "engine/expr/bind.h"
#include "engine/store/render.h"

/* Stages still to come. */
struct rest {
	const struct ast_stage *stage;
	const struct rest *up;
};

static int walk(struct planner *pl, const struct ast_stage *st, const struct rest *rest, int input);

static struct plan_node *node_at(struct planner *pl, int i)
{
	return pl->g->nodes[i];
}

static int add_where(struct planner *pl, const struct ast *cond, int input)
{
	const struct weir_module *where = registry_module("where", 5);
	struct ast_arg arg = {.pos = cond->pos, .len = cond->len, .expr = (struct ast *)cond};

	if (!where)
		return weir_fail(pl->err, WEIR_E_UNKNOWN_MODULE, cond->pos, cond->len, "where", "");
	arg.option = where->options;
	return planner_module(pl, where, "where", &arg, 1, cond->pos, cond->len, (uint32_t)input);
}

/* ---- columns that stand for conversions and named expressions in field arguments ---- */

static bool needs_column(struct planner *pl, const struct ast_arg *a, const struct weir_schema *in)
{
	struct weir_err ignored = WEIR_ERR_INIT;
	enum weir_kind kind;

	if (!a->option || !a->expr ||
	        (a->option->type != WEIR_OPT_FIELD && a->option->type != WEIR_OPT_FIELDS))
		return false;
	if (a->expr->as)
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
	struct plan_node *from = node_at(pl, input), *n;
	const struct weir_schema *in = from->outside, *out;
	struct derive_config *c;
	struct weir_field *fields;
	int32_t *origin;
	uint32_t want = 0;
	int r = 0;

	for (uint32_t i = 0; i < st->nargs; i++)
		want += needs_column(pl, &st->args[i], in);
	if (!want)
		return input;
	n = planner_node(pl, "derive", st->pos, st->len, 1);
	if (!n)
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	n->module = &module_derive;
	n->ins[0].node = (uint32_t)input;
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

		if (!needs_column(pl, &st->args[i], in))
			continue;
		r = expr_bind(
		        a, in, WEIR_NONE, &pl->p->arena, derive_use, n, &c->expr[c->n], pl->err);
		if (r < 0)
			return r;
		planner_keep_expr(pl, c->expr[c->n]);
		plain = expr_field(c->expr[c->n]);
		if (plain >= 0)
			*f = in->fields[plain];
		f->name = a->as ? a->as : a->text;
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

/* ---- sources ---- */

static int add_source(struct planner *pl, const struct weir_source *source, void *config, bool own,
        const struct weir_schema *schema, struct mounted *mounted, const struct ast_stage *st)
{
	struct plan_node *n;
	int r;

	for (uint32_t i = 0; i < pl->g->n; i++)
		if (pl->g->nodes[i]->source == source && pl->g->nodes[i]->config == config)
			return (int)i;
	n = planner_node(pl, st->name, st->pos, st->len, 0);
	if (!n) {
		weir_schema_unref(schema);
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	}
	r = planner_schema(pl, schema);
	if (r < 0)
		return r;
	n->source = source;
	n->config = config;
	n->own = own;
	n->mounted = mounted;
	n->reader = pl->p->nsources++;
	n->out = n->outside = schema;
	n->needs = planner_bits(pl, schema);
	return n->needs ? (int)(pl->g->n - 1) : -ENOMEM;
}

/* Opens the source to learn its schema. */
static int learn(struct planner *pl, const struct weir_source *source, void *config, bool own,
        const struct ast_stage *st, const struct weir_schema **ret)
{
	struct rights all = {.all = true};
	struct weir_mem mem = {.limit = 256u << 20};
	struct weir_err err = WEIR_ERR_INIT;
	struct reader *reader;
	int r = reader_open(
	        source, config, own ? &pl->rights : &all, pl->e, &mem, NULL, &reader, &err);

	if (r < 0)
		return err.id ? weir_fail_no(pl->err, err.no, WEIR_E_BAD_TRACE, st->pos, st->len,
		                        err.text)
		              : r;
	*ret = weir_schema_ref(reader->pub.schema);
	reader_close(reader);
	return 0;
}

static int add_mounted(struct planner *pl, struct mounted *m, const struct ast_stage *st)
{
	return add_source(pl, m->source, m->config, false, weir_schema_ref(m->schema), m, st);
}

/* `packets`, `flows`: every source of the mount with this flag, in time order. */
static int add_all(struct planner *pl, uint32_t flag, const struct ast_stage *st)
{
	const char *specs[SOURCES_MAX];
	const struct weir_schema *schema = NULL;
	struct mounted *first = NULL;
	uint32_t n = 0;
	void *config;
	int r;

	for (size_t i = 0; i < pl->e->nmounted; i++) {
		struct mounted *m = pl->e->mounted[i];

		if (!(m->source->flags & flag))
			continue;
		if (first && (first->source != m->source || first->feed || m->feed))
			return weir_fail(pl->err, WEIR_E_UNKNOWN_SOURCE, st->pos, st->len, st->name,
			        ": sources of different kinds cannot be merged, name one");
		if (!first)
			first = m;
		specs[n++] = m->spec;
	}
	if (!first)
		return weir_fail(pl->err, WEIR_E_UNKNOWN_SOURCE, st->name_pos, st->name_len,
		        st->name, ": there is no such source here");
	if (n == 1)
		return add_mounted(pl, first, st);
	if (pl->all_config[flag & 1]) {
		config = pl->all_config[flag & 1];
	} else {
		r = source_config(pl->e, first->source, specs, n, &pl->p->arena, &config, pl->err);
		if (r < 0)
			return r;
		pl->all_config[flag & 1] = config;
	}
	r = learn(pl, first->source, config, false, st, &schema);
	return r < 0 ? r : add_source(pl, first->source, config, false, schema, NULL, st);
}

static void no_use(void *arg, uint32_t field)
{
}

static void no_keep(void *arg, struct weir_expr *e)
{
}

static bool names_input(const struct ast_stage *st)
{
	return st->nargs == 0 ||
	       (st->nargs == 1 && st->args[0].word && strcmp(st->args[0].word, "-") == 0);
}

/* '-' among the files, beside options: the mount's own sources stand for it, with the mount's
 * rights. Standard input was opened with the options of the command line. */
static int name_input(struct planner *pl, const struct ast_stage *st, void *config, bool *ret_own)
{
	const struct weir_option *row = st->source->options;
	struct weir_words *files;
	const char **specs;
	uint32_t at = 0, n = 0;
	const char *option = "-";
	bool once = false;

	while (row->type != WEIR_OPT_END && row->type != WEIR_OPT_FILES)
		row++;
	files = row->type == WEIR_OPT_FILES ? (void *)((char *)config + row->offset) : NULL;
	while (files && at < files->n && strcmp(files->word[at], "-") != 0)
		at++;
	if (!files || at == files->n)
		return 0;
	if (files->n > 1)
		return weir_fail(pl->err, WEIR_E_BAD_VALUE, st->pos, st->len, "-", row->name,
		        "it alone, or files");
	specs = arena_alloc(&pl->p->arena, (pl->e->nmounted + 1) * sizeof *specs);
	if (!specs)
		return -ENOMEM;
	for (uint32_t i = 0; i < st->nargs; i++)
		if (st->args[i].option != row)
			option = st->args[i].option->name;
	for (size_t i = 0; i < pl->e->nmounted; i++) {
		const struct mounted *m = pl->e->mounted[i];

		if (m->source == st->source && !m->feed)
			specs[n++] = m->spec;
		once |= m->feed != NULL;
	}
	if (once || !n)
		return weir_fail(pl->err, WEIR_E_OPTION_CONFLICT, st->pos, st->len, option,
		        "standard input");
	*files = (struct weir_words){.n = n, .word = specs};
	*ret_own = false;
	return 0;
}

static int add_ast_source(struct planner *pl, const struct ast_stage *st)
{
	bool own = true;
	struct option_scope scope = {
	        st->name, st->pos, st->len, NULL, &pl->p->arena, no_use, no_keep, NULL};
	const struct weir_schema *schema = NULL;
	void *config;
	int r;

	if (names_input(st) && (st->source->flags & WEIR_SOURCE_PACKETS)) {
		if (!pl->e->nmounted && pl->e->input >= 0) {
			r = engine_add_source(pl->e, "stdin", "-", pl->err);
			if (r < 0)
				return r;
		}
		return add_all(pl, WEIR_SOURCE_PACKETS, st);
	}
	config = arena_alloc(&pl->p->arena, st->source->config_size + 1);
	if (!config)
		return -ENOMEM;
	r = options_bind(st->source->options, st->args, st->nargs, &scope, config, pl->err);
	if (r == 0)
		r = name_input(pl, st, config, &own);
	if (r == 0)
		r = learn(pl, st->source, config, own, st, &schema);
	return r < 0 ? r : add_source(pl, st->source, config, own, schema, NULL, st);
}

/* ---- names ---- */

static const char *next_name(void *arg, size_t i)
{
	struct planner *pl = arg;
	size_t n = pl->e->nmounted;

	if (i < n)
		return pl->e->mounted[i]->name;
	i -= n;
	for (const struct ast_definition *d = pl->spec->definitions; d; d = d->next)
		if (i-- == 0)
			return d->name;
	if (i < 2)
		return i ? "flows" : "packets";
	i -= 2;
	for (n = 0; registry_source_at(n); n++)
		if (i-- == 0)
			return registry_source_at(n)->name;
	return NULL;
}

static const char *next_stage(void *arg, size_t i)
{
	struct planner *pl = arg;
	size_t n;

	for (n = 0; registry_module_at(n); n++)
		if (i-- == 0)
			return registry_module_at(n)->name;
	for (const struct ast_definition *d = pl->spec->definitions; d; d = d->next)
		if (i-- == 0)
			return d->name;
	return NULL;
}

static int unknown(struct planner *pl, const struct ast_stage *st, bool first)
{
	char hint[128];

	weir_did_you_mean(
	        st->name, strlen(st->name), first ? next_name : next_stage, pl, hint, sizeof hint);
	if (first && !hint[0] && st->nargs) {
		weir_did_you_mean(st->name, strlen(st->name), next_stage, pl, hint, sizeof hint);
		if (hint[0])
			first = false;
	}
	return weir_fail(pl->err, first ? WEIR_E_UNKNOWN_SOURCE : WEIR_E_UNKNOWN_MODULE,
	        st->name_pos, st->name_len, st->name, hint);
}

static int follow(struct planner *pl, const struct ast_definition *d, const struct ast_stage *st,
        const struct rest *rest, int input)
{
	struct rest more = {st->next, rest};
	int r;

	for (uint32_t i = 0; i < pl->nopen; i++)
		if (pl->open[i] == d)
			return weir_fail(
			        pl->err, WEIR_E_RECURSIVE, st->name_pos, st->name_len, st->name);
	if (pl->nopen == NEST_MAX)
		return weir_fail(pl->err, WEIR_E_TOO_DEEP, st->name_pos, st->name_len, "200");
	pl->open[pl->nopen++] = d;
	r = walk(pl, d->pipe->first, &more, input);
	pl->nopen--;
	return r;
}

static const struct ast_definition *definition(struct planner *pl, const char *name)
{
	const struct ast_definition *d = pl->spec->definitions;

	while (d && strcmp(d->name, name) != 0)
		d = d->next;
	return d;
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
	return m ? add_mounted(pl, m, st) : add_all(pl, flag, st);
}

/* ---- unions ---- */

static int hold(struct planner *pl, int input)
{
	struct plan_node *from = node_at(pl, input);

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
		total += node_at(pl, (int)n->ins[i].node)->outside->nfields;
	fields = arena_alloc(&pl->p->arena, (total + 1) * sizeof *fields);
	c->map = arena_alloc(&pl->p->arena, n->nins * sizeof *c->map);
	if (!fields || !c->map)
		return -ENOMEM;
	for (uint32_t i = 0; i < n->nins && r == 0; i++) {
		const struct weir_schema *s = node_at(pl, (int)n->ins[i].node)->outside;
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
	out = weir_schema_new(node_at(pl, (int)n->ins[0].node)->outside->name, fields, nf);
	r = planner_schema(pl, out);
	n->out = n->outside = out;
	return r;
}

static int add_union(struct planner *pl, uint32_t *ins, uint32_t nins, const struct ast_stage *st)
{
	bool table = false;
	struct plan_node *n;
	int r;

	if (nins == 1)
		return (int)ins[0];
	for (uint32_t i = 0; i < nins; i++)
		table |= node_at(pl, (int)ins[i])->table;
	for (uint32_t i = 0; i < nins && table; i++)
		if (!node_at(pl, (int)ins[i])->table) {
			r = hold(pl, (int)ins[i]);
			if (r < 0)
				return r;
			ins[i] = (uint32_t)r;
		}
	n = planner_node(pl, "union", st->pos, st->len, nins);
	if (!n)
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	n->module = &module_union;
	n->in_table = n->table = table;
	for (uint32_t i = 0; i < nins; i++)
		n->ins[i].node = ins[i];
	n->in = node_at(pl, (int)ins[0])->outside;
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

static int add_branches(struct planner *pl, const struct ast_stage *st, int input)
{
	uint32_t *ins = arena_alloc(&pl->p->arena, st->nbranches * sizeof *ins);

	if (!ins)
		return -ENOMEM;
	for (uint32_t i = 0; i < st->nbranches; i++) {
		int r = walk(pl, st->branches[i]->first, NULL, input);

		if (r < 0)
			return r;
		ins[i] = (uint32_t)r;
	}
	return add_union(pl, ins, st->nbranches, st);
}

/* ---- stages ---- */

static void scope_late(struct planner *pl, struct plan_node *n)
{
	const struct weir_option *row = options_find(n->module->options, "late");

	if (row && row->type == WEIR_OPT_DURATION) {
		int64_t *late = (int64_t *)((char *)n->config + row->offset);

		if (!*late)
			*late = pl->p->set.late;
	}
}

/* Everything behind a scope goes into its body. */
static int add_body(
        struct planner *pl, int scope, const struct ast_stage *st, const struct rest *rest)
{
	struct plan_node *n = node_at(pl, scope), *entry;
	struct plan_graph *outer = pl->g;
	const struct plan_node *outer_scope = pl->scope;
	int r;

	scope_late(pl, n);
	n->body = arena_alloc(&pl->p->arena, sizeof *n->body);
	if (!n->body)
		return -ENOMEM;
	pl->g = n->body;
	pl->scope = n;
	entry = planner_node(pl, "entry", n->pos, n->len, 0);
	if (!entry) {
		pl->g = outer;
		pl->scope = outer_scope;
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	}
	entry->in = entry->out = entry->outside = n->out;
	entry->needs = n->needs;
	r = st->where ? add_where(pl, st->where, 0) : 0;
	if (r >= 0)
		r = walk(pl, st->next, rest, r);
	if (r >= 0) {
		const struct plan_node *last = pl->g->nodes[r];

		n->body->last = (uint32_t)r;
		n->outside = last->outside;
		n->outside_needs = last->body ? last->outside_needs : last->needs;
	}
	pl->g = outer;
	pl->scope = outer_scope;
	return r < 0 ? r : scope;
}

/* Behind a module that makes records of its own, those of a scope's body are annotated anew: rows
 * keep their window. */
static int add_stamp(struct planner *pl, int input)
{
	const struct plan_node *n = node_at(pl, input);
	uint32_t f = pl->scope->out->nfields - 1;
	const struct weir_field *added = &pl->scope->out->fields[f];

	if (pl->scope->origin[f] >= 0 || weir_storage_of(added->kind) != WEIR_WORD ||
	        weir_schema_find(n->outside, added->name, strlen(added->name)) >= 0)
		return input;
	return planner_module(
	        pl, &module_stamp, added->name, NULL, 0, n->pos, n->len, (uint32_t)input);
}

static int add_module(struct planner *pl, const struct ast_stage *st, int input)
{
	const struct weir_module *m = st->module;
	int r;

	if (input < 0)
		return weir_fail(pl->err, WEIR_E_NOT_A_SOURCE, st->name_pos, st->name_len, m->name);
	if ((m->flags & WEIR_ORDERED) && node_at(pl, input)->table)
		return weir_fail(pl->err, WEIR_E_WINDOW_AFTER_TABLE, st->name_pos, st->name_len,
		        m->name, node_at(pl, input)->name);
	input = add_columns(pl, st, input);
	if (input < 0)
		return input;
	r = planner_module(
	        pl, m, m->name, st->args, st->nargs, st->name_pos, st->name_len, (uint32_t)input);
	if (r >= 0 && strcmp(m->name, "every") == 0)
		for (const struct weir_option *o = m->options; o->type != WEIR_OPT_END; o++)
			if (o->type == WEIR_OPT_DURATION)
				pl->p->set.refresh =
				        *(int64_t *)((char *)node_at(pl, r)->config + o->offset);
	if (r >= 0 && pl->scope && (m->flags & WEIR_BLOCKING))
		r = add_stamp(pl, r);
	return r;
}

/* Walks the stages from `st`, then `rest`, behind node `input` (-1: none yet). The last node. */
static int walk(struct planner *pl, const struct ast_stage *st, const struct rest *rest, int input)
{
	const struct ast_definition *d;

	for (;; st = st->next) {
		for (; !st && rest; rest = rest->up)
			st = rest->stage;
		if (!st)
			return input;
		switch (st->type) {
		case AST_SOURCE:
			if (input >= 0)
				return weir_fail(pl->err, WEIR_E_NEEDS_SOURCE, st->name_pos,
				        st->name_len, st->name);
			input = add_ast_source(pl, st);
			break;
		case AST_MODULE:
			input = add_module(pl, st, input);
			if (input >= 0 && (st->module->flags & WEIR_SCOPE))
				return add_body(pl, input, st, rest);
			break;
		case AST_REF:
			d = definition(pl, st->name);
			if (d && !st->where)
				return follow(pl, d, st, rest, input);
			if (d) {
				struct ast_stage alone = *st;

				alone.next = NULL;
				input = follow(pl, d, &alone, NULL, input);
			} else {
				input = add_named(pl, st, input);
			}
			break;
		case AST_WHERE:
			if (input < 0)
				return weir_fail(
				        pl->err, WEIR_E_NOT_A_SOURCE, st->pos, st->len, "where");
			break;
		case AST_BRANCHES:
			input = add_branches(pl, st, input);
			break;
		}
		if (input >= 0 && st->where)
			input = add_where(pl, st->where, input);
		if (input < 0)
			return input;
	}
}

static int read_settings(struct planner *pl)
{
	struct option_scope scope = {"set", 0, 0, NULL, &pl->p->arena, no_use, no_keep, NULL};
	const char *names[32];
	int n = 0;

	for (const struct weir_option *o = settings_rows; o->type != WEIR_OPT_END; o++)
		names[n++] = o->name;
	for (const struct ast_setting *s = pl->spec->settings; s; s = s->next) {
		int r = options_set(settings_rows, s->key, s->value, s->value_pos, &scope,
		        &pl->p->set, pl->err);
		char hint[80] = "";
		size_t best = 0;

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

		if (n->body)
			fuse(n->body);
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

static int build(struct planner *pl)
{
	struct plan *p = pl->p;
	uint32_t *ins = arena_alloc(&p->arena, (pl->spec->nqueries + 1) * sizeof *ins);
	struct ast_stage whole = {.pos = 0, .len = 0, .name = "queries"};
	int r = read_settings(pl);

	if (!ins)
		return -ENOMEM;
	for (uint32_t i = 0; i < pl->spec->nqueries && r >= 0; i++) {
		r = walk(pl, pl->spec->queries[i]->first, NULL, -1);
		if (r >= 0)
			ins[i] = (uint32_t)r;
	}
	if (r < 0)
		return r;
	if (!pl->spec->nqueries)
		return weir_fail(pl->err, WEIR_E_SPEC_EMPTY, 0, 0);
	r = add_union(pl, ins, pl->spec->nqueries, &whole);
	if (r < 0)
		return r;
	p->root.last = (uint32_t)r;
	p->out = p->root.nodes[r]->outside;
	p->table = p->root.nodes[r]->table;
	fuse(&p->root);
	return planner_needs(pl);
}

int plan_make(struct engine *e, const char *text, size_t len, const struct rights *rights,
        struct plan **ret, struct weir_err *err)
{
	struct plan *p = calloc(1, sizeof *p);
	struct planner pl = {.e = e, .p = p, .err = err, .rights = *rights};
	int r;

	if (!p)
		return -ENOMEM;
	arena_init(&p->arena, NULL);
	pl.g = &p->root;
	p->set = (struct settings){.refresh = e->options.refresh,
	        .retain = e->options.retain,
	        .memory = e->options.memory,
	        .threads = 1,
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
		plan_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void plan_free(struct plan *p)
{
	if (!p)
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
