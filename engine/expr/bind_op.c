/* SPDX-License-Identifier: MIT */
/* bind_op.c: operators: which kinds they take, and what they make of them. Comparisons are in
 * compare.c.
 */
#include "engine/expr/expr.h"

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
	if (*ret && a->op == AST_OP_DIV)
		(*ret)->digits = 9;
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

static bool is_one_value(const struct weir_expr *e, const struct weir_expr *like)
{
	return e->op == X_RANGE && !e->span && !e->inverted && e->kids[0]->op == X_FIELD &&
	       (!like || e->kids[0]->field == like->kids[0]->field);
}

/* f = 6 or f = 17 or … becomes f in (6, 17, …), in the place of the first. */
static int merge_equal(struct binder *b, const struct ast *a, struct weir_expr **kid, uint32_t *n,
        struct weir_err *err)
{
	uint32_t fields = 0;

	for (uint32_t i = 0; i < *n && fields < 16; i++) { /* bounded: the scan is quadratic */
		struct weir_expr *e;
		struct weir_value *v;
		uint32_t same = 1, out = i + 1;

		if (!is_one_value(kid[i], NULL))
			continue;
		fields++;
		for (uint32_t k = i + 1; k < *n; k++)
			same += is_one_value(kid[k], kid[i]);
		if (same == 1)
			continue;
		v = arena_alloc(b->arena, same * sizeof *v);
		e = bind_new(b, X_SET, WEIR_BOOL, a, 1);
		if (!v || !e)
			return bind_no_memory(a, err);
		same = 0;
		v[same++].d.u = kid[i]->lo;
		for (uint32_t k = i + 1; k < *n; k++) {
			if (is_one_value(kid[k], kid[i]))
				v[same++].d.u = kid[k]->lo;
			else
				kid[out++] = kid[k];
		}
		e->kids[0] = kid[i]->kids[0];
		e->cost = (uint8_t)(kid[i]->cost + 1);
		e->set = set_new(b->arena, e->kids[0]->kind, v, same);
		if (!e->set)
			return bind_no_memory(a, err);
		kid[i] = e;
		*n = out;
	}
	return 0;
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
	if (op == X_OR) {
		int r = merge_equal(b, a, kids, &n, err);

		if (r < 0)
			return r;
	}
	if (!n) {
		*ret = bind_const(b, a, WEIR_BOOL, &d);
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

int bind_operator(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	if (a->op == AST_OP_NOT)
		return bind_not(b, a, ret, err);
	if (a->op == AST_OP_NEG)
		return bind_negative(b, a, ret, err);
	if (a->op == AST_OP_AND || a->op == AST_OP_OR)
		return bind_chain(b, a, ret, err);
	if (a->op >= AST_OP_EQ && a->op <= AST_OP_GE)
		return bind_comparison(b, a, ret, err);
	if (a->op == AST_OP_LIKE || a->op == AST_OP_MATCH)
		return bind_match(b, a, ret, err);
	return bind_arith(b, a, ret, err);
}
