/* SPDX-License-Identifier: MIT */
/* columns.c: columns made of expressions. A plain field is shared, never copied; a computed one is
 * the column that the expression leaves. Nothing is computed that nobody reads. */
#include "engine/core/columns.h"
#include "engine/expr/bind.h"

static int unknown(struct weir_bind *b, const struct weir_arg *a, struct weir_err *err)
{
	return a->call ? expr_unknown_function(a->call, a->pos, err)
	               : expr_unknown_field(b->in, a->word, a->pos, a->len, err);
}

static int add(struct weir_bind *b, struct columns *c, const struct weir_arg *a, const char *name,
        struct weir_err *err)
{
	struct weir_field f = {.name = name, .kind = a->expr ? weir_expr_kind(a->expr) : WEIR_STR};
	struct columns_made *m = &c->made[c->n];
	int field;

	if (a->expr)
		weir_expr_describe(a->expr, &f);
	if (a->field >= 0) {
		f = b->in->fields[a->field];
		f.name = name;
		f.flags &= ~(uint32_t)(WEIR_FIELD_HIDDEN | WEIR_FIELD_PACKET);
		f.aliases = NULL;
	}
	field = weir_bind_add(b, &f, err);
	if (field < 0)
		return field;
	m->field = (uint32_t)field;
	m->expr = a->expr;
	if (!a->expr) {
		m->text.p = (const uint8_t *)a->word;
		m->text.len = strlen(a->word);
	}
	c->n++;
	return 0;
}

static int prepare(struct weir_bind *b, struct columns *c)
{
	c->made = weir_bind_alloc(b, (c->args.n + 1) * sizeof *c->made);
	return c->made ? 0 : -ENOMEM;
}

/* A copy of the argument as it is written; its text may be missing where it is an operator. */
static const char *written(const struct weir_arg *a)
{
	return a->text && *a->text ? a->text : "expr";
}

static const char *name_of(const struct weir_bind *b, const struct weir_arg *a)
{
	return a->as ? a->as : a->field >= 0 ? b->in->fields[a->field].name : written(a);
}

/* 1: column i stands there already; -errno: another one of its name does. */
static int repeated(
        const struct weir_bind *b, const struct columns *c, uint32_t i, struct weir_err *err)
{
	const struct weir_arg *a = &c->args.arg[i];
	const char *name = name_of(b, a);

	for (uint32_t k = 0; k < i; k++) {
		const struct weir_arg *to = &c->args.arg[k];

		if (strcmp(name_of(b, to), name) != 0)
			continue;
		if (to->field == a->field && (a->field >= 0 || (!a->as && !to->as)))
			return 1;
		return weir_fail_no(err, EINVAL, WEIR_E_NAME_TAKEN, a->pos, a->len, name);
	}
	return 0;
}

int columns_bind(struct weir_bind *b, struct weir_err *err)
{
	struct columns *c = b->config;
	int r = prepare(b, c);

	if (r < 0 || (r = weir_bind_new(b, NULL, err)) < 0)
		return r;
	for (uint32_t i = 0; i < c->args.n; i++) {
		const struct weir_arg *a = &c->args.arg[i];

		if (!a->expr)
			return unknown(b, a, err);
		r = repeated(b, c, i, err);
		if (r == 1)
			continue;
		if (r < 0)
			return r;
		if (a->field >= 0)
			r = weir_bind_keep(b, (uint32_t)a->field, a->as, err);
		else
			r = add(b, c, a, a->as ? a->as : written(a), err);
		if (r < 0)
			return r;
	}
	return 0;
}

int columns_add(struct weir_bind *b, struct columns *c, const char *preset, struct weir_err *err)
{
	int r = weir_bind_pass(b, err);

	if (r == 0)
		r = prepare(b, c);

	for (uint32_t i = 0; i < c->args.n && r == 0; i++) {
		const struct weir_arg *a = &c->args.arg[i];

		if (a->call || (a->word && strcmp(preset, "const") != 0))
			return unknown(b, a, err);
		r = add(b, c, a, a->as ? a->as : c->name ? c->name : preset, err);
	}
	return r;
}

/* A constant text needs no expression. */
static int fill_text(struct weir_batch *v, const struct columns_made *m)
{
	struct weir_col *col = weir_batch_own(v, m->field);
	struct weir_str *to;

	if (!col)
		return -ENOMEM;
	to = col->data;
	for (uint32_t i = 0; i < weir_batch_count(v); i++)
		to[weir_batch_row(v, i)] = m->text;
	return 0;
}

int columns_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct columns *c = n->config;
	struct weir_batch *v = weir_view(n, b);
	int r = v ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < c->n && r == 0; i++) {
		const struct columns_made *m = &c->made[i];

		if (!weir_node_needs(n, m->field))
			continue;
		/* the expression's scratch lives in b, which v keeps */
		r = m->expr ? weir_expr_eval(m->expr, b, &v->cols[m->field]) : fill_text(v, m);
	}
	if (r < 0) {
		weir_batch_unref(v);
		return r;
	}
	return weir_emit(n, 0, v);
}

const struct weir_option columns_options[] = {
        {.type = WEIR_OPT_ARGS,
                .name = "fields",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct columns, args),
                .arg = "FIELD [as NAME]…",
                .doc = "fields or expressions, side by side or separated by commas"},
        WEIR_OPTIONS_END,
};
