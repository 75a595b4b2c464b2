/* SPDX-License-Identifier: MIT */
/* bind.c: one module bound to its input: options, expressions, output schema. */
#include <stdlib.h>

#include "engine/core/loop.h"
#include "engine/core/planner.h"
#include "engine/expr/bind.h"
#include "engine/expr/pcap_text.h"

static struct binding *of(struct weir_bind *b)
{
	return (struct binding *)b; /* pub is the first member */
}

static int append(
        struct binding *b, const struct weir_field *f, int32_t origin, struct weir_err *err)
{
	if (b->n == WEIR_FIELDS_MAX) {
		return weir_fail(err, WEIR_E_OUT_OF_RANGE, b->pub.pos, b->pub.len,
		        "number of fields", "at most 4096");
	}
	if (b->n == b->cap) {
		uint32_t cap = b->cap ? 2 * b->cap : 64;
		struct weir_field *fields = realloc(b->fields, cap * sizeof *fields);
		int32_t *map;

		if (!fields)
			return -ENOMEM;
		b->fields = fields;
		map = realloc(b->origin, cap * sizeof *map);
		if (!map)
			return -ENOMEM;
		b->origin = map;
		b->cap = cap;
	}
	b->fields[b->n] = *f;
	b->origin[b->n] = origin;
	return (int)b->n++;
}

int weir_bind_pass(struct weir_bind *pub, struct weir_err *err)
{
	struct binding *b = of(pub);

	b->started = b->same = true;
	b->n = 0;
	b->schema_name = pub->in->name;
	for (uint32_t i = 0; i < pub->in->nfields; i++) {
		int r = append(b, &pub->in->fields[i], (int32_t)i, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int weir_bind_new(struct weir_bind *pub, const char *schema_name, struct weir_err *err)
{
	struct binding *b = of(pub);

	b->started = b->fresh = true;
	b->same = false;
	b->n = 0;
	b->schema_name = schema_name;
	return 0;
}

int weir_bind_keep(struct weir_bind *pub, uint32_t field, const char *name, struct weir_err *err)
{
	struct binding *b = of(pub);
	struct weir_field f = pub->in->fields[field];

	b->same = false;
	f.flags = (f.flags | WEIR_FIELD_DEFAULT) & ~(uint32_t)WEIR_FIELD_HIDDEN;
	if (name)
		f.name = arena_copy(&b->pl->p->arena, name, strlen(name));
	return f.name ? append(b, &f, (int32_t)field, err) : -ENOMEM;
}

int weir_bind_rename(struct weir_bind *pub, uint32_t field, const char *name, struct weir_err *err)
{
	struct binding *b = of(pub);

	b->same = false;
	b->fields[field].name = arena_copy(&b->pl->p->arena, name, strlen(name));
	return b->fields[field].name ? 0 : -ENOMEM;
}

int weir_bind_replace(struct weir_bind *pub, uint32_t field, struct weir_err *err)
{
	struct binding *b = of(pub);

	b->same = false;
	b->origin[field] = -1;
	b->fields[field].flags &= ~(uint32_t)(WEIR_FIELD_PACKET | WEIR_FIELD_ALWAYS);
	return 0;
}

int weir_bind_add(struct weir_bind *pub, const struct weir_field *field, struct weir_err *err)
{
	struct binding *b = of(pub);
	struct weir_field f = *field;

	if (!b->started) {
		int r = weir_bind_pass(pub, err);

		if (r < 0)
			return r;
	}
	b->same = false;
	/* in a record of the module's own making no name can mean two things */
	for (uint32_t i = 0; b->fresh && i < b->n; i++)
		if (strcmp(b->fields[i].name, f.name) == 0)
			return weir_fail_no(
			        err, EINVAL, WEIR_E_NAME_TAKEN, pub->pos, pub->len, f.name);
	f.flags |= WEIR_FIELD_ANNOTATION;
	return append(b, &f, -1, err);
}

void weir_bind_flags(struct weir_bind *pub, uint32_t flags)
{
	struct plan_node *n = of(pub)->node;

	n->flags = flags;
	n->table = n->in_table || (flags & WEIR_BLOCKING);
}

void weir_bind_blocks_only(struct weir_bind *pub)
{
	of(pub)->node->blocks_only = true;
}

void weir_bind_copies(struct weir_bind *pub, uint32_t n)
{
	of(pub)->node->copies = n;
}

void weir_bind_rolling(struct weir_bind *pub)
{
	of(pub)->node->rolling = true;
}

int weir_bind_stamp(struct weir_bind *pub, uint32_t field)
{
	struct plan_node *n = of(pub)->node;
	uint32_t *more = arena_alloc(&of(pub)->pl->p->arena, (n->nstamps + 1) * sizeof *more);

	if (!more)
		return -ENOMEM;
	for (uint32_t i = 0; i < n->nstamps; i++)
		if (n->stamps[i] == field)
			return 0;
	if (n->nstamps)
		memcpy(more, n->stamps, n->nstamps * sizeof *more);
	more[n->nstamps++] = field;
	n->stamps = more;
	return 0;
}

void weir_bind_use(struct weir_bind *pub, uint32_t field)
{
	bit_set(of(pub)->node->uses, field);
}

int weir_bind_find(struct weir_bind *pub, const char *name, struct weir_err *err)
{
	int f = weir_schema_find(pub->in, name, strlen(name));

	if (f < 0)
		return expr_unknown_field(pub->in, name, pub->pos, pub->len, err);
	weir_bind_use(pub, (uint32_t)f);
	return f;
}

void weir_bind_blame(struct weir_bind *pub, const void *slot, uint32_t i)
{
	const struct binding *b = of(pub);
	size_t offset = (size_t)((const char *)slot - (const char *)pub->config);

	for (uint32_t k = 0; k < b->nargs; k++)
		if (b->args[k].option && b->args[k].option->offset == offset && i-- == 0) {
			pub->pos = b->args[k].pos;
			pub->len = b->args[k].len;
			return;
		}
}

int weir_bind_prefilter(
        struct weir_bind *pub, const struct weir_expr *const *e, uint32_t n, const char **text)
{
	struct text t = TEXT_INIT;
	bool packets = false, some;

	for (uint32_t i = 0; i < pub->in->nfields; i++)
		packets |= (pub->in->fields[i].flags & WEIR_FIELD_PACKET) != 0;
	if (!packets)
		return 0;
	if (*text)
		text_printf(&t, "(%s) and (", *text);
	some = pcap_text(e, n, pub->in, &t);
	if (*text)
		text_puts(&t, ")");
	if (some && !t.failed)
		*text = arena_copy(&of(pub)->pl->p->arena, t.p, t.len);
	some = t.failed || (some && !*text);
	text_release(&t);
	return some ? -ENOMEM : 0;
}

void *weir_bind_alloc(struct weir_bind *pub, size_t size)
{
	return arena_alloc(&of(pub)->pl->p->arena, size);
}

int planner_schema(struct planner *pl, const struct weir_schema *s)
{
	struct plan_schema *k;

	if (!s)
		return -ENOMEM;
	k = arena_alloc(&pl->p->arena, sizeof *k);
	if (!k) {
		weir_schema_unref(s);
		return -ENOMEM;
	}
	k->schema = s;
	k->next = pl->p->schemas;
	pl->p->schemas = k;
	return 0;
}

static void keep(struct planner *pl, const struct plan_release *what)
{
	struct plan_release *k = arena_alloc(&pl->p->arena, sizeof *k);

	if (!k) /* then the plan fails anyway; a leak of compiled patterns is the lesser evil */
		return;
	*k = *what;
	k->next = pl->p->releases;
	pl->p->releases = k;
}

void planner_keep_expr(struct planner *pl, struct weir_expr *e)
{
	keep(pl, &(struct plan_release){.expr = e});
}

void planner_no_use(void *arg, uint32_t field)
{
}

void planner_no_keep(void *arg, struct weir_expr *e)
{
}

static void scope_use(void *arg, uint32_t field)
{
	struct binding *b = arg;

	bit_set(b->node->uses, field);
}

static void scope_keep(void *arg, struct weir_expr *e)
{
	struct binding *b = arg;

	planner_keep_expr(b->pl, e);
}

struct plan_node *planner_node(
        struct planner *pl, const char *name, uint32_t pos, uint32_t len, uint32_t nins)
{
	struct plan_graph *g = pl->g;
	struct plan_node *n;

	if (pl->nnodes == PLAN_NODES_MAX) {
		weir_fail(
		        pl->err, WEIR_E_OUT_OF_RANGE, pos, len, "number of stages", "at most 1000");
		return NULL;
	}
	if (g->n == g->cap) {
		uint32_t cap = g->cap ? 2 * g->cap : 8;
		struct plan_node **nodes = arena_alloc(&pl->p->arena, cap * sizeof *nodes);

		if (!nodes)
			return NULL;
		if (g->n)
			memcpy(nodes, g->nodes, g->n * sizeof *nodes);
		g->nodes = nodes;
		g->cap = cap;
	}
	n = arena_alloc(&pl->p->arena, sizeof *n);
	if (!n)
		return NULL;
	n->ins = arena_alloc(&pl->p->arena, (nins + 1) * sizeof *n->ins);
	if (!n->ins)
		return NULL;
	n->id = pl->nnodes++;
	n->name = name;
	n->pos = pos;
	n->len = len;
	n->nins = nins;
	g->nodes[g->n++] = n;
	pl->p->nnodes = pl->nnodes;
	return n;
}

/* The schema that bind described, as an arena copy of the map and a referenced schema. */
static int finish(struct binding *b, struct plan_node *n)
{
	int32_t *origin;
	int r;

	if (b->same) {
		r = planner_schema(b->pl, weir_schema_ref(n->in));
		n->out = n->in;
	} else {
		struct weir_schema *s = weir_schema_new(
		        b->schema_name ? b->schema_name : n->in->name, b->fields, b->n);

		r = planner_schema(b->pl, s);
		n->out = s;
	}
	if (r < 0)
		return r;
	origin = arena_alloc(&b->pl->p->arena, (b->n + 1) * sizeof *origin);
	n->needs = planner_bits(b->pl, n->out);
	if (!origin || !n->needs)
		return -ENOMEM;
	memcpy(origin, b->origin, b->n * sizeof *origin);
	n->origin = origin;
	n->outside = n->out;
	return 0;
}

int planner_module(struct planner *pl, const struct weir_module *module, const char *name,
        const struct ast_arg *args, uint32_t nargs, uint32_t pos, uint32_t len, int input)
{
	struct plan_node *from = planner_at(pl, input);
	struct plan_node *n = planner_node(pl, name, pos, len, 1);
	struct binding b = {.pl = pl, .node = n};
	struct option_scope scope = {
	        name, pos, len, from->outside, &pl->p->arena, scope_use, scope_keep, &b};
	int r;

	if (!n)
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	n->module = module->run ? loop_module(&pl->p->arena, module) : module;
	if (!n->module)
		return -ENOMEM;
	planner_connect(&n->ins[0], input);
	n->in = from->outside;
	n->in_table = from->table;
	n->flags = module->flags;
	n->table = n->in_table || (n->flags & WEIR_BLOCKING);
	n->config = arena_alloc(&pl->p->arena, module->config_size + 1);
	n->uses = planner_bits(pl, n->in);
	if (!n->config || !n->uses)
		return -ENOMEM;
	r = options_bind(module->options, args, nargs, &scope, n->config, pl->err);
	if (r == 0)
		r = planner_files(pl, args, nargs);
	if (r < 0)
		return r;
	b.pub = (struct weir_bind){module, n->config, n->in, pos, len};
	b.args = args;
	b.nargs = nargs;
	if (module->bind) {
		if (module->release)
			keep(pl, &(struct plan_release){.module = module, .config = n->config});
		r = module->bind(&b.pub, pl->err);
	}
	if (r >= 0 && !b.started)
		r = weir_bind_pass(&b.pub, pl->err);
	if (module->run) /* a loop keeps its place */
		n->flags &= ~(uint32_t)WEIR_PARALLEL;
	if ((n->flags & WEIR_PARALLEL) && (n->flags & WEIR_VIEWS))
		n->said = planner_said(pl, name, args, nargs);
	if (r >= 0)
		r = finish(&b, n);
	else if (r != -ENOMEM && pl->err && !pl->err->no)
		r = weir_fail_no(pl->err, -r, WEIR_E_SYSTEM, pos, len, name, strerror(-r));
	free(b.fields);
	free(b.origin);
	return r < 0 ? r : (int)(pl->g->n - 1);
}
