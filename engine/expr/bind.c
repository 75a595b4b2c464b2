/* SPDX-License-Identifier: MIT */
/* bind.c: names, literals, operators and calls become nodes with kinds.
 *
 * Kinds never mix silently. What adapts is a literal: a string, a word that is no field, and in a
 * comparison a number as it was written, is read as the other side's kind. Of numbers: an f64 on
 * either side makes the result f64; else i64 on either side makes it i64 (a u64 of 2^63 or more
 * then has no value); the difference of two u64 is i64. time - time is a duration, time ±
 * duration a time; a duration multiplies with and divides by numbers, and duration / duration is
 * f64. Constants are folded by running the node once.
 */
#include "engine/core/pool.h"
#include "engine/expr/mask.h"

#define DEPTH_MAX 400 /* nested nodes; chains of `and` and `or` do not nest */
#define CANDIDATES_MAX 2048

int bind_no_memory(const struct ast *a, struct weir_err *err)
{
	return weir_fail(err, WEIR_E_NO_MEMORY, a->pos, a->len, "");
}

struct weir_expr *bind_new(
        struct binder *b, enum expr_op op, enum weir_kind kind, const struct ast *a, uint32_t nkids)
{
	struct weir_expr *e = arena_alloc(b->arena, sizeof *e + nkids * sizeof(struct weir_expr *));

	if (!e)
		return NULL;
	e->op = op;
	e->kind = kind;
	e->pos = a->pos;
	e->len = a->len;
	e->nkids = nkids;
	e->kids = (struct weir_expr **)(e + 1);
	return e;
}

struct weir_expr *bind_call(struct binder *b, kernel *fn, enum weir_kind kind, const struct ast *a,
        struct weir_expr *x, struct weir_expr *y)
{
	struct weir_expr *e = bind_new(b, X_CALL, kind, a, y ? 2 : 1);

	if (!e)
		return NULL;
	e->fn = fn;
	e->kids[0] = x;
	e->digits = x->digits;
	e->cost = (uint8_t)(x->cost + 1 < 200 ? x->cost + 1 : 200);
	if (y) {
		e->kids[1] = y;
		e->digits = x->digits > y->digits ? x->digits : y->digits;
	}
	return e;
}

const char *bind_text(const struct ast *a)
{
	return a->text && a->type != AST_IN && a->text[0] ? a->text : "this";
}

/* Fractional digits that a span of nanoseconds needs. */
static uint8_t digits_of(int64_t ns)
{
	uint8_t digits = 9;

	while (digits && ns % 10 == 0) {
		ns /= 10;
		digits--;
	}
	return digits;
}

struct weir_expr *bind_const(
        struct binder *b, const struct ast *a, enum weir_kind kind, const union weir_datum *d)
{
	struct weir_expr *e = bind_new(b, X_CONST, kind, a, 0);

	if (!e)
		return NULL;
	if (d) {
		e->value.kind = kind;
		e->value.d = *d;
		if (kind == WEIR_DURATION || kind == WEIR_TIME)
			e->digits = digits_of(d->i);
	}
	return e;
}

/* ---- folding ---- */

static bool all_const(const struct weir_expr *e)
{
	for (uint32_t i = 0; i < e->nkids; i++)
		if (e->kids[i]->op != X_CONST)
			return false;
	return true;
}

static int fold_in(struct binder *b, const struct ast *a, struct weir_batch *batch,
        struct weir_expr *e, struct weir_err *err)
{
	static const struct rows one = {NULL, 1};
	union weir_datum d = {0};
	struct vec v;

	if (expr_vec(e, batch, &one, &v) < 0)
		return bind_no_memory(a, err);
	e->op = X_CONST;
	e->nkids = 0;
	memset(&e->value, 0, sizeof e->value);
	if (!vec_has(&v, 0))
		return 0;
	memcpy(&d, v.data, weir_kind_size(e->kind));
	if (weir_storage_of(e->kind) == WEIR_VAR) {
		char *p = arena_copy(b->arena, d.s.p, d.s.len);

		if (!p)
			return bind_no_memory(a, err);
		d.s.p = (const uint8_t *)p;
	}
	e->value.kind = e->kind;
	e->value.d = d;
	return 0;
}

int bind_fold(struct binder *b, const struct ast *a, struct weir_expr **e, struct weir_err *err)
{
	static const struct weir_schema nothing = {.name = "constant"};
	struct weir_batch *batch;
	int r;

	if ((*e)->op == X_CONST || (*e)->op == X_FIELD || !all_const(*e))
		return 0;
	if (!b->pool)
		b->pool = pool_new(NULL);
	batch = b->pool ? pool_batch(b->pool, &nothing, 1) : NULL;
	if (!batch)
		return bind_no_memory(a, err);
	r = fold_in(b, a, batch, *e, err);
	weir_batch_unref(batch);
	return r;
}

/* ---- names ---- */

struct candidates {
	const char *name[CANDIDATES_MAX];
	size_t n;
};

static const char *candidate(void *arg, size_t i)
{
	struct candidates *c = arg;

	return i < c->n ? c->name[i] : NULL;
}

static void add_candidate(struct candidates *c, const char *name)
{
	if (name && c->n < CANDIDATES_MAX)
		c->name[c->n++] = name;
}

static void add_aliases(struct binder *b, struct candidates *c, const char *s)
{
	while (s && *s) {
		size_t n = strcspn(s, " ");

		if (n)
			add_candidate(c, arena_copy(b->arena, s, n));
		s += n + (s[n] == ' ');
	}
}

int bind_unknown(
        struct binder *b, const struct ast *a, const struct weir_names *names, struct weir_err *err)
{
	struct candidates *c = arena_alloc(b->arena, sizeof *c);
	char buf[128];

	if (!c)
		return bind_no_memory(a, err);
	for (; names && names->name; names++)
		add_candidate(c, names->name);
	for (uint32_t i = 0; i < b->in->nfields; i++) {
		if (b->in->fields[i].flags & WEIR_FIELD_HIDDEN)
			continue;
		add_candidate(c, b->in->fields[i].name);
		add_aliases(b, c, b->in->fields[i].aliases);
	}
	return weir_fail(err, WEIR_E_UNKNOWN_FIELD, a->pos, a->len, a->text,
	        weir_did_you_mean(a->text, a->text_len, candidate, c, buf, sizeof buf));
}

static const char *next_field(void *arg, size_t i)
{
	const struct weir_schema *s = arg;

	return i < s->nfields ? s->fields[i].name : NULL;
}

int expr_unknown_field(const struct weir_schema *in, const char *name, uint32_t pos, uint32_t len,
        struct weir_err *err)
{
	char hint[128];

	return weir_fail(err, WEIR_E_UNKNOWN_FIELD, pos, len, name,
	        weir_did_you_mean(name, strlen(name), next_field, (void *)in, hint, sizeof hint));
}

static int unknown_conversion(struct binder *b, const struct ast *a, enum weir_kind kind,
        const char *name, size_t len, struct weir_err *err)
{
	struct candidates *c = arena_alloc(b->arena, sizeof *c);
	const struct conversion *cv;
	char buf[128], *word = arena_copy(b->arena, name, len);

	if (!c || !word)
		return bind_no_memory(a, err);
	for (size_t i = 0; (cv = conversion_at(kind, i)); i++)
		add_candidate(c, cv->name);
	return weir_fail(err, WEIR_E_UNKNOWN_CONVERSION, a->pos, a->len, weir_kind_article(kind),
	        word, weir_did_you_mean(word, len, candidate, c, buf, sizeof buf));
}

static int new_field(struct binder *b, const struct ast *a, uint32_t field, struct weir_expr **ret,
        struct weir_err *err)
{
	const struct weir_field *f = &b->in->fields[field];
	struct weir_expr *e = bind_new(b, X_FIELD, f->kind, a, 0);

	if (!e)
		return bind_no_memory(a, err);
	e->field = field;
	e->digits = f->digits;
	e->bits = f->bits;
	e->names = f->names;
	if (b->use)
		b->use(b->use_arg, field);
	*ret = e;
	return 1;
}

/* A field, or conversions of one. 1; 0: neither; -errno: a field with an unknown conversion. */
static int resolve(struct binder *b, const struct ast *a, const char *name, size_t len,
        struct weir_expr **ret, struct weir_err *err)
{
	const char *dot = memrchr(name, '.', len);
	int field = weir_schema_find(b->in, name, len), r;
	const struct conversion *cv;
	struct weir_expr *e;
	size_t rest;

	if (field >= 0)
		return new_field(b, a, (uint32_t)field, ret, err);
	if (!dot || dot == name)
		return 0;
	if (b->depth >= DEPTH_MAX)
		return weir_fail(err, WEIR_E_TOO_DEEP, a->pos, a->len, "400");
	b->depth++;
	r = resolve(b, a, name, (size_t)(dot - name), &e, err);
	b->depth--;
	if (r <= 0)
		return r;
	rest = len - (size_t)(dot + 1 - name);
	cv = conversion_find(e->kind, dot + 1, rest);
	if (!cv)
		return unknown_conversion(b, a, e->kind, dot + 1, rest, err);
	*ret = bind_call(b, conversion_kernel(cv, e->kind), cv->to, a, e, NULL);
	return *ret ? 1 : bind_no_memory(a, err);
}

static int name_is_bool(const struct ast *a)
{
	if (a->type != AST_NAME)
		return -1;
	return !strcmp(a->text, "true") ? 1 : !strcmp(a->text, "false") ? 0 : -1;
}

/* ---- literals ---- */

static bool find_name(const struct weir_names *names, const char *s, uint64_t *ret)
{
	for (; names && names->name; names++)
		if (!strcasecmp(names->name, s)) {
			*ret = names->value;
			return true;
		}
	return false;
}

/* A number of another kind than asked for is a number all the same: `srcport = -1` is false, not
 * an error. An address may stand for a subnet and the other way round. */
static int parse_near(enum weir_kind *kind, const struct ast *a, union weir_datum *d)
{
	static const enum weir_kind numbers[] = {WEIR_I64, WEIR_U64, WEIR_F64},
	                            addresses[] = {WEIR_SUBNET};
	bool integer = *kind == WEIR_U64 || *kind == WEIR_I64;
	const enum weir_kind *near = integer ? numbers : addresses;
	int r = weir_kind_parse(*kind, a->text, a->text_len, d);

	if (r == 0 || (!integer && *kind != WEIR_IP))
		return r;
	for (int i = 0; i < (integer ? 3 : 1); i++) {
		if (weir_kind_parse(near[i], a->text, a->text_len, d) == 0) {
			*kind = near[i];
			return 0;
		}
	}
	return r;
}

int bind_literal(struct binder *b, const struct ast *a, enum weir_kind kind,
        const struct weir_names *names, const char *subject, struct weir_expr **ret,
        struct weir_err *err)
{
	union weir_datum d = {0};
	int r = 0;

	if (find_name(names, a->text, &d.u))
		kind = WEIR_U64;
	else
		r = parse_near(&kind, a, &d);
	if (r == 0) {
		*ret = bind_const(b, a, kind, &d);
		return *ret ? 0 : bind_no_memory(a, err);
	}
	if (r == -ERANGE)
		return weir_fail(
		        err, WEIR_E_OUT_OF_RANGE, a->pos, a->len, a->text, weir_kind_name(kind));
	if (a->type == AST_NAME)
		return bind_unknown(b, a, names, err);
	return weir_fail(
	        err, WEIR_E_BAD_VALUE, a->pos, a->len, a->text, subject, weir_kind_article(kind));
}

/* ---- expressions ---- */

static int bind_inner(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	union weir_datum d = {0};
	int r;

	switch (a->type) {
	case AST_STRING:
		return 0;
	case AST_NAME:
		r = resolve(b, a, a->text, a->text_len, ret, err);
		if (r || name_is_bool(a) < 0)
			return r;
		d.u = (uint64_t)name_is_bool(a);
		*ret = bind_const(b, a, WEIR_BOOL, &d);
		return *ret ? 1 : bind_no_memory(a, err);
	case AST_LITERAL:
		*ret = bind_const(b, a, a->value.kind, &a->value.d);
		return *ret ? 1 : bind_no_memory(a, err);
	case AST_UNARY:
	case AST_BINARY:
		r = bind_operator(b, a, ret, err);
		return r < 0 ? r : 1;
	case AST_IN:
		r = bind_in(b, a, ret, err);
		return r < 0 ? r : 1;
	case AST_CALL:
		r = bind_call_of(b, a, ret, err);
		return r < 0 ? r : 1;
	}
	return weir_fail(err, WEIR_E_SYSTEM, a->pos, a->len, "expression", "unknown node");
}

int bind_typed(struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	int r;

	if (b->depth >= DEPTH_MAX)
		return weir_fail(err, WEIR_E_TOO_DEEP, a->pos, a->len, "400");
	b->depth++;
	r = bind_inner(b, a, ret, err);
	b->depth--;
	return r;
}

int bind_condition(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	struct weir_expr *e;
	int r = bind_typed(b, a, &e, err);

	if (r < 0)
		return r;
	if (r == 0 && a->type == AST_NAME)
		return bind_unknown(b, a, NULL, err);
	if (r && e->kind == WEIR_BOOL) {
		*ret = e;
		return 0;
	}
	if (r == 0 || e->op != X_FIELD)
		return weir_fail(err, WEIR_E_NOT_BOOLEAN, a->pos, a->len,
		        r ? weir_kind_article(e->kind) : "text");
	*ret = bind_new(b, X_EXISTS, WEIR_BOOL, a, 1);
	if (!*ret)
		return bind_no_memory(a, err);
	(*ret)->kids[0] = e;
	return 0;
}

/* ---- the API ---- */

static int bind_root(struct binder *b, const struct ast *a, enum weir_kind want,
        struct weir_expr **ret, struct weir_err *err)
{
	int r;

	if (want == WEIR_BOOL)
		return bind_condition(b, a, ret, err);
	r = bind_typed(b, a, ret, err);
	if (r != 0)
		return r < 0 ? r : 0;
	return bind_literal(b, a, want ? want : WEIR_STR, NULL, "expression", ret, err);
}

int expr_bind(const struct ast *a, const struct weir_schema *in, enum weir_kind want,
        struct arena *arena, expr_use *use, void *use_arg, struct weir_expr **ret,
        struct weir_err *err)
{
	struct binder b = {.in = in, .arena = arena, .use = use, .use_arg = use_arg};
	struct weir_expr *e;
	int r = bind_root(&b, a, want, &e, err);

	pool_unref(b.pool);
	if (r < 0) {
		pattern_free(b.patterns);
		return r;
	}
	mask_note(e);
	e->patterns = b.patterns;
	*ret = e;
	return 0;
}

int expr_field(const struct weir_expr *e)
{
	return e->op == X_FIELD ? (int)e->field : -1;
}

void expr_release(struct weir_expr *e)
{
	if (!e)
		return;
	pattern_free(e->patterns);
	e->patterns = NULL;
}

bool expr_is_function(const char *name, size_t len)
{
	return function_find(name, len) != NULL;
}

int expr_conversion(const struct weir_schema *in, const char *name, size_t len, uint32_t pos,
        enum weir_kind *ret_kind, struct weir_err *err)
{
	struct arena arena;
	struct binder b = {.in = in, .arena = &arena};
	struct ast a = {
	        .type = AST_NAME, .pos = pos, .len = (uint32_t)len, .text_len = (uint32_t)len};
	struct weir_expr *e;
	int r;

	arena_init(&arena, NULL);
	a.text = arena_copy(&arena, name, len);
	r = a.text ? resolve(&b, &a, a.text, len, &e, err) : bind_no_memory(&a, err);
	if (r == 0)
		r = bind_unknown(&b, &a, NULL, err);
	if (r > 0) {
		*ret_kind = e->kind;
		while (e->op != X_FIELD)
			e = e->kids[0];
		r = (int)e->field;
	}
	arena_release(&arena);
	return r;
}
