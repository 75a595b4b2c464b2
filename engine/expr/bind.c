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
#include "engine/expr/expr.h"

#define DEPTH_MAX 400 /* nested nodes; chains of `and` and `or` do not nest */
#define CANDIDATES_MAX 2048
#define KIDS_MAX 16 /* of a call */

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

static struct weir_expr *new_const(
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
		*ret = new_const(b, a, kind, &d);
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

/* ---- operators ---- */

enum weir_kind bind_wider(enum weir_kind a, enum weir_kind b)
{
	if (a == WEIR_F64 || b == WEIR_F64)
		return WEIR_F64;
	return a == WEIR_I64 || b == WEIR_I64 ? WEIR_I64 : WEIR_U64;
}

int bind_number(struct binder *b, const struct ast *a, enum weir_kind kind, struct weir_expr **e,
        struct weir_err *err)
{
	enum weir_kind from = (*e)->kind;
	kernel *fn;

	if (from == kind)
		return 0;
	if (kind == WEIR_F64)
		fn = from == WEIR_U64 ? to_f64_from_u64 : to_f64_from_i64;
	else
		fn = from == WEIR_F64 ? to_i64_from_f64 : to_i64_from_u64;
	*e = bind_call(b, fn, kind, a, *e, NULL);
	return *e ? bind_fold(b, a, e, err) : bind_no_memory(a, err);
}

static const char *op_text(enum ast_op op)
{
	switch (op) {
	case AST_OP_ADD:
		return "+";
	case AST_OP_SUB:
	case AST_OP_NEG:
		return "-";
	case AST_OP_MUL:
		return "*";
	case AST_OP_DIV:
		return "/";
	case AST_OP_MOD:
		return "%";
	case AST_OP_LIKE:
		return "like";
	case AST_OP_MATCH:
		return "~";
	default:
		return "not";
	}
}

/* Brings both operands to *kind, that of the kernel; the result's kind, WEIR_NONE where the
 * operator does not go with them. */
static enum weir_kind arith_kinds(
        enum ast_op op, enum weir_kind x, enum weir_kind y, enum weir_kind *kind)
{
	bool nx = weir_kind_is_number(x), ny = weir_kind_is_number(y);

	if (nx && ny) {
		*kind = bind_wider(x, y);
		return op == AST_OP_SUB && *kind == WEIR_U64 ? WEIR_I64 : *kind;
	}
	*kind = WEIR_I64;
	if (x == WEIR_TIME && y == WEIR_TIME)
		return op == AST_OP_SUB ? WEIR_DURATION : WEIR_NONE;
	if (x == WEIR_TIME && y == WEIR_DURATION)
		return op == AST_OP_ADD || op == AST_OP_SUB ? WEIR_TIME : WEIR_NONE;
	if (x == WEIR_DURATION && y == WEIR_TIME)
		return op == AST_OP_ADD ? WEIR_TIME : WEIR_NONE;
	if (x == WEIR_DURATION && y == WEIR_DURATION) {
		if (op == AST_OP_DIV) {
			*kind = WEIR_F64;
			return WEIR_F64;
		}
		return op == AST_OP_MUL ? WEIR_NONE : WEIR_DURATION;
	}
	if ((x == WEIR_DURATION && ny && (op == AST_OP_MUL || op == AST_OP_DIV)) ||
	        (nx && y == WEIR_DURATION && op == AST_OP_MUL)) {
		*kind = x == WEIR_F64 || y == WEIR_F64 ? WEIR_F64 : WEIR_I64;
		return WEIR_DURATION;
	}
	return WEIR_NONE;
}

/* Times and durations are i64 to the kernels. */
static int operand(struct binder *b, const struct ast *a, enum weir_kind kind, struct weir_expr **e,
        struct weir_err *err)
{
	if (kind == WEIR_I64 && ((*e)->kind == WEIR_TIME || (*e)->kind == WEIR_DURATION))
		return 0;
	return bind_number(b, a, kind, e, err);
}

/* The kind of a literal beside an operand of kind `with`. */
static enum weir_kind literal_kind(
        enum ast_op op, enum weir_kind with, bool right, const struct ast *a)
{
	union weir_datum d;

	if (with != WEIR_TIME)
		return with;
	if (op == AST_OP_SUB && weir_kind_parse(WEIR_TIME, a->text, a->text_len, &d) == 0)
		return WEIR_TIME;
	return op == AST_OP_SUB && !right ? WEIR_TIME : WEIR_DURATION;
}

static int bind_operands(
        struct binder *b, const struct ast *a, struct weir_expr *e[2], struct weir_err *err)
{
	int r[2];

	for (int i = 0; i < 2; i++) {
		r[i] = bind_typed(b, a->kids[i], &e[i], err);
		if (r[i] < 0)
			return r[i];
	}
	for (int i = 0; i < 2; i++) {
		int s;

		if (r[i])
			continue;
		if (!r[1 - i] && a->kids[i]->type == AST_NAME)
			return bind_unknown(b, a->kids[i], NULL, err);
		s = bind_literal(b, a->kids[i],
		        r[1 - i] ? literal_kind(a->op, e[1 - i]->kind, i, a->kids[i]) : WEIR_STR,
		        NULL, op_text(a->op), &e[i], err);
		if (s < 0)
			return s;
	}
	return 0;
}

static int bind_arith(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	struct weir_expr *e[2];
	enum weir_kind kind, result;
	int r = bind_operands(b, a, e, err);

	if (r < 0)
		return r;
	result = arith_kinds(a->op, e[0]->kind, e[1]->kind, &kind);
	if (result == WEIR_NONE)
		return weir_fail(err, WEIR_E_OPERATE_KINDS, a->kids[1]->pos, a->kids[1]->len,
		        op_text(a->op), weir_kind_article(e[0]->kind),
		        weir_kind_article(e[1]->kind));
	for (int i = 0; i < 2; i++) {
		r = operand(b, a->kids[i], kind, &e[i], err);
		if (r < 0)
			return r;
	}
	*ret = bind_call(
	        b, arith_kernel(a->op, kind), kind == WEIR_F64 ? WEIR_F64 : result, a, e[0], e[1]);
	if (*ret && kind == WEIR_F64 && result == WEIR_DURATION) {
		*ret = bind_call(b, to_i64_from_f64, WEIR_DURATION, a, *ret, NULL);
		if (*ret)
			(*ret)->digits = 9;
	}
	return *ret ? bind_fold(b, a, ret, err) : bind_no_memory(a, err);
}

static int bind_negative(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	const struct ast *kid = a->kids[0];
	enum weir_kind kind;
	struct weir_expr *e;
	int r = bind_typed(b, kid, &e, err);

	if (r == 0 && kid->type == AST_NAME)
		return bind_unknown(b, kid, NULL, err);
	if (r <= 0)
		return r < 0 ? r
		             : weir_fail(err, WEIR_E_KIND_MISMATCH, kid->pos, kid->len, "-",
		                       "a number", bind_text(kid), "text");
	kind = e->kind;
	if (!weir_kind_is_number(kind) && kind != WEIR_DURATION)
		return weir_fail(err, WEIR_E_KIND_MISMATCH, kid->pos, kid->len, "-", "a number",
		        bind_text(kid), weir_kind_article(kind));
	if (kind == WEIR_U64 && e->op == X_CONST && e->value.d.u == 1ull << 63) {
		e->kind = e->value.kind = WEIR_I64; /* -2^63 has no positive twin */
		*ret = e;
		return 0;
	}
	if (kind == WEIR_U64) {
		kind = WEIR_I64;
		r = bind_number(b, kid, kind, &e, err);
		if (r < 0)
			return r;
	}
	*ret = bind_call(b, kind == WEIR_F64 ? arith_neg_f64 : arith_neg_i64, kind, a, e, NULL);
	return *ret ? bind_fold(b, a, ret, err) : bind_no_memory(a, err);
}

/* ---- text ---- */

static int bind_match(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	const struct ast *subject = a->kids[0], *pattern = a->kids[1];
	struct weir_expr *x, *p, *e;
	int r = bind_typed(b, subject, &x, err);

	if (r < 0)
		return r;
	if (r == 0) {
		if (subject->type == AST_NAME)
			return bind_unknown(b, subject, NULL, err);
		r = bind_literal(b, subject, WEIR_STR, NULL, "", &x, err);
		if (r < 0)
			return r;
	}
	if (weir_storage_of(x->kind) != WEIR_VAR)
		return weir_fail(err, WEIR_E_KIND_MISMATCH, subject->pos, subject->len,
		        op_text(a->op), "text", bind_text(subject), weir_kind_article(x->kind));
	r = bind_typed(b, pattern, &p, err);
	if (r < 0)
		return r;
	if (r && pattern->type != AST_LITERAL)
		return weir_fail(err, WEIR_E_KIND_MISMATCH, pattern->pos, pattern->len,
		        op_text(a->op), "a pattern in quotes", bind_text(pattern),
		        pattern->type == AST_NAME ? "a field" : "computed");
	e = bind_new(b, a->op == AST_OP_LIKE ? X_LIKE : X_MATCH, WEIR_BOOL, a, 1);
	if (!e)
		return bind_no_memory(a, err);
	e->kids[0] = x;
	e->cost = 100;
	*ret = e;
	if (a->op == AST_OP_LIKE) {
		e->value.kind = WEIR_STR;
		e->value.d.s = (struct weir_str){(const uint8_t *)pattern->text, pattern->text_len};
		return bind_fold(b, a, ret, err);
	}
	r = pattern_new(pattern->text, pattern->text_len, x->kind == WEIR_STR, pattern->pos,
	        pattern->len, &e->pattern, err);
	if (r < 0)
		return r;
	pattern_chain(e->pattern, b->patterns);
	b->patterns = e->pattern;
	return bind_fold(b, a, ret, err);
}

/* ---- conditions ---- */

/* Kids of `and` and `or` from the cheapest on, so that costly ones see fewer rows. */
static void by_cost(struct weir_expr **kid, uint32_t n)
{
	if (n > 64)
		return;
	for (uint32_t i = 1; i < n; i++) {
		struct weir_expr *e = kid[i];
		uint32_t k = i;

		for (; k && kid[k - 1]->cost > e->cost; k--)
			kid[k] = kid[k - 1];
		kid[k] = e;
	}
}

static bool is_true(const struct weir_expr *e)
{
	return e->op == X_CONST && e->value.kind == WEIR_BOOL && e->value.d.u;
}

static int join(struct binder *b, const struct ast *a, enum expr_op op, struct weir_expr **kids,
        uint32_t nkids, struct weir_expr **ret, struct weir_err *err)
{
	union weir_datum d = {.u = op == X_AND};
	struct weir_expr *e;
	uint32_t n = 0, cost = 0;

	for (uint32_t i = 0; i < nkids; i++) {
		if (kids[i]->op == X_CONST && is_true(kids[i]) != (op == X_AND)) {
			d.u = op == X_OR; /* settles it */
			n = 0;
			break;
		}
		if (kids[i]->op != X_CONST)
			kids[n++] = kids[i];
	}
	if (!n) {
		*ret = new_const(b, a, WEIR_BOOL, &d);
		return *ret ? 0 : bind_no_memory(a, err);
	}
	if (n == 1) {
		*ret = kids[0];
		return 0;
	}
	e = bind_new(b, op, WEIR_BOOL, a, n);
	if (!e)
		return bind_no_memory(a, err);
	by_cost(kids, n);
	for (uint32_t i = 0; i < n; i++)
		cost += kids[i]->cost;
	memcpy(e->kids, kids, n * sizeof *kids);
	e->cost = (uint8_t)(cost < 200 ? cost : 200);
	*ret = e;
	return 0;
}

int bind_or(struct binder *b, const struct ast *a, struct weir_expr **kids, uint32_t nkids,
        struct weir_expr **ret, struct weir_err *err)
{
	return join(b, a, X_OR, kids, nkids, ret, err);
}

/* a and b and c: a left-leaning chain of any length becomes one node. */
static int bind_chain(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	const struct ast *at, **part;
	struct weir_expr **kids;
	uint32_t n = 1;
	int r = 0;

	for (at = a; at->type == AST_BINARY && at->op == a->op; at = at->kids[0])
		n++;
	kids = arena_alloc(b->arena, n * sizeof *kids);
	part = arena_alloc(b->arena, n * sizeof *part);
	if (!kids || !part)
		return bind_no_memory(a, err);
	at = a;
	for (uint32_t i = n - 1; i > 0; i--, at = at->kids[0])
		part[i] = at->kids[1];
	part[0] = at;
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = bind_condition(b, part[i], &kids[i], err);
	return r < 0 ? r : join(b, a, a->op == AST_OP_AND ? X_AND : X_OR, kids, n, ret, err);
}

static int bind_not(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	struct weir_expr *e, *x;
	int r = bind_condition(b, a->kids[0], &x, err);

	if (r < 0)
		return r;
	e = bind_new(b, X_NOT, WEIR_BOOL, a, 1);
	if (!e)
		return bind_no_memory(a, err);
	e->kids[0] = x;
	e->cost = x->cost;
	*ret = e;
	return bind_fold(b, a, ret, err);
}

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
		*ret = new_const(b, a, WEIR_BOOL, &d);
		return *ret ? 1 : bind_no_memory(a, err);
	case AST_LITERAL:
		*ret = new_const(b, a, a->value.kind, &a->value.d);
		return *ret ? 1 : bind_no_memory(a, err);
	case AST_UNARY:
		r = a->op == AST_OP_NOT ? bind_not(b, a, ret, err) : bind_negative(b, a, ret, err);
		return r < 0 ? r : 1;
	case AST_IN:
		r = bind_in(b, a, ret, err);
		return r < 0 ? r : 1;
	case AST_CALL:
		r = bind_call_of(b, a, ret, err);
		return r < 0 ? r : 1;
	case AST_BINARY:
		break;
	}
	if (a->op == AST_OP_AND || a->op == AST_OP_OR)
		r = bind_chain(b, a, ret, err);
	else if (a->op >= AST_OP_EQ && a->op <= AST_OP_GE)
		r = bind_comparison(b, a, ret, err);
	else if (a->op == AST_OP_LIKE || a->op == AST_OP_MATCH)
		r = bind_match(b, a, ret, err);
	else
		r = bind_arith(b, a, ret, err);
	return r < 0 ? r : 1;
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

/* ---- calls ---- */

static bool fits(char want, enum weir_kind k)
{
	switch (want) {
	case 'n':
	case 'F':
		return weir_kind_is_number(k);
	case 'I':
		return k == WEIR_U64 || k == WEIR_I64;
	case 'u':
		return weir_kind_is_number(k) || k == WEIR_DURATION;
	case 't':
		return k == WEIR_TIME;
	case 'd':
		return k == WEIR_DURATION;
	case 'a':
		return k == WEIR_IP;
	case 's':
		return weir_storage_of(k) == WEIR_VAR;
	default:
		return true;
	}
}

static enum weir_kind wanted(char want)
{
	static const struct {
		char want;
		enum weir_kind kind;
	} row[] = {{'n', WEIR_F64}, {'F', WEIR_F64}, {'I', WEIR_I64}, {'u', WEIR_DURATION},
	        {'t', WEIR_TIME}, {'d', WEIR_DURATION}, {'a', WEIR_IP}};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		if (row[i].want == want)
			return row[i].kind;
	return WEIR_STR;
}

static char letter(const struct function *f, uint32_t i)
{
	size_t n = strlen(f->args);

	return f->args[i < n ? i : n - 1];
}

static int bind_argument(struct binder *b, const struct ast *call, const struct function *f,
        uint32_t i, struct weir_expr **ret, struct weir_err *err)
{
	const struct ast *a = call->kids[i];
	char want = letter(f, i);
	int r;

	if (want == 'b')
		return bind_condition(b, a, ret, err);
	r = bind_typed(b, a, ret, err);
	if (r < 0)
		return r;
	if (r == 0) {
		if (want == '*' && a->type == AST_STRING) {
			*ret = NULL; /* once the others' kind is known */
			return 0;
		}
		if (a->type == AST_NAME)
			return bind_unknown(b, a, NULL, err);
		r = bind_literal(b, a, wanted(want), NULL, f->name, ret, err);
		if (r < 0)
			return r;
	}
	if (!fits(want, (*ret)->kind))
		return weir_fail(err, WEIR_E_KIND_MISMATCH, a->pos, a->len, f->name,
		        weir_kind_article(wanted(want)), bind_text(a),
		        weir_kind_article((*ret)->kind));
	if (want == 'F' || want == 'I')
		return bind_number(b, a, want == 'F' ? WEIR_F64 : WEIR_I64, ret, err);
	return 0;
}

/* Brings the arguments that the table marks with * to one kind. */
static int one_kind(struct binder *b, const struct ast *call, const struct function *f,
        struct weir_expr **kid, struct weir_err *err)
{
	enum weir_kind kind = WEIR_NONE;
	int r = 0;

	for (uint32_t i = 0; i < call->nkids; i++) {
		if (letter(f, i) != '*' || !kid[i])
			continue;
		if (kind == WEIR_NONE)
			kind = kid[i]->kind;
		else if (weir_kind_is_number(kind) && weir_kind_is_number(kid[i]->kind))
			kind = bind_wider(kind, kid[i]->kind);
		else if (kind != kid[i]->kind)
			return weir_fail(err, WEIR_E_OPERATE_KINDS, call->kids[i]->pos,
			        call->kids[i]->len, f->name, weir_kind_article(kind),
			        weir_kind_article(kid[i]->kind));
	}
	for (uint32_t i = 0; r == 0 && i < call->nkids; i++) {
		if (letter(f, i) != '*')
			continue;
		if (!kid[i])
			r = bind_literal(b, call->kids[i], kind ? kind : WEIR_STR, NULL, f->name,
			        &kid[i], err);
		if (r == 0 && weir_kind_is_number(kid[i]->kind))
			r = bind_number(b, call->kids[i], kind, &kid[i], err);
		if (r == 0 && kind && kid[i]->kind != kind)
			r = weir_fail(err, WEIR_E_OPERATE_KINDS, call->kids[i]->pos,
			        call->kids[i]->len, f->name, weir_kind_article(kind),
			        weir_kind_article(kid[i]->kind));
	}
	return r;
}

static const char *function_name(void *arg, size_t i)
{
	const struct function *f = function_at(i);

	return f ? f->name : NULL;
}

static int check_count(const struct ast *a, const struct function *f, struct weir_err *err)
{
	static const char *const count[] = {
	        "no argument", "one argument", "two arguments", "three arguments"};

	if (a->nkids >= f->min && a->nkids <= f->max)
		return 0;
	if (a->nkids < f->min)
		return weir_fail(
		        err, WEIR_E_MISSING_ARGUMENT, a->pos, a->len, f->name, count[f->min]);
	return weir_fail(err, WEIR_E_TOO_MANY_ARGUMENTS, a->kids[f->max]->pos, a->kids[f->max]->len,
	        f->name, f->max <= 3 ? count[f->max] : "16 arguments");
}

int bind_call_of(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	const struct function *f = function_find(a->text, strlen(a->text));
	struct weir_expr *e, *last, *kid[KIDS_MAX];
	uint8_t digits = 0;
	char buf[128];
	int r;

	if (!f)
		return weir_fail(err, WEIR_E_UNKNOWN_FUNCTION, a->pos, (uint32_t)strlen(a->text),
		        a->text,
		        weir_did_you_mean(
		                a->text, strlen(a->text), function_name, NULL, buf, sizeof buf));
	r = check_count(a, f, err);
	for (uint32_t i = 0; r == 0 && i < a->nkids; i++)
		r = bind_argument(b, a, f, i, &kid[i], err);
	if (r == 0)
		r = one_kind(b, a, f, kid, err);
	if (r < 0)
		return r;
	last = kid[a->nkids - 1];
	e = bind_new(b, f->op ? f->op : X_CALL, f->kind ? f->kind : last->kind, a, a->nkids);
	if (!e)
		return bind_no_memory(a, err);
	memcpy(e->kids, kid, a->nkids * sizeof *kid);
	if (!f->op)
		e->fn = f->fn ? f->fn : f->pick(last->kind);
	for (uint32_t i = 0; i < a->nkids; i++)
		digits = e->kids[i]->digits > digits ? e->kids[i]->digits : digits;
	e->digits = digits;
	e->cost = 20;
	*ret = e;
	return bind_fold(b, a, ret, err);
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
