/* SPDX-License-Identifier: MIT */
/* compare.c: comparisons and `in` become the tightest loop there is for their kinds.
 *
 * An integer column (numbers, times, MACs, bool) against a constant is always one range check,
 * whatever the operator and the constant's kind: `len < 1.5` is 0..1, `srcport = -1` is nothing.
 * `=` between an address and a subnet means that it lies in it. Numbers compare by value, u64
 * with i64 exactly, with f64 as f64; NaN equals nothing.
 */
#include "engine/expr/expr.h"
#include <math.h>

typedef __int128 wide;

static int compare_kinds(const struct ast *at, const struct weir_expr *x, const struct weir_expr *y,
        struct weir_err *err)
{
	return weir_fail(err, WEIR_E_COMPARE_KINDS, at->pos, at->len, weir_kind_article(x->kind),
	        weir_kind_article(y->kind));
}

static bool is_integer_column(enum weir_kind k)
{
	return k != WEIR_F64 && weir_storage_of(k) == WEIR_WORD;
}

static bool is_signed(enum weir_kind k)
{
	return k == WEIR_I64 || k == WEIR_TIME || k == WEIR_DURATION;
}

static bool is_addr(enum weir_kind k)
{
	return k == WEIR_IP || k == WEIR_SUBNET;
}

/* ---- literals that adapt ---- */

/* Whether `from`, as it is written, may be read as kind `to`: 5 as a duration, a time, a truth
 * value or text. */
static bool adapts(const struct ast *a, enum weir_kind from, enum weir_kind to)
{
	if (a->type != AST_LITERAL || from == to || !a->text)
		return false;
	if (weir_kind_is_number(to) || (is_addr(from) && is_addr(to)))
		return false;
	return true;
}

static int adapt(struct binder *b, const struct ast *a, const struct weir_expr *other,
        struct weir_expr **e, struct weir_err *err)
{
	union weir_datum d;

	if (!adapts(a, (*e)->kind, other->kind) ||
	        weir_kind_parse(other->kind, a->text, a->text_len, &d) < 0)
		return 0;
	return bind_literal(b, a, other->kind, NULL, "", e, err);
}

static const char *subject(const struct binder *b, const struct weir_expr *e, const struct ast *a)
{
	return e->op == X_FIELD ? b->in->fields[e->field].name : bind_text(a);
}

/* Binds both sides; a literal takes the other's kind. */
static int bind_sides(
        struct binder *b, const struct ast *a, struct weir_expr *e[2], struct weir_err *err)
{
	int r[2], s = 0;

	for (int i = 0; i < 2; i++) {
		r[i] = bind_typed(b, a->kids[i], &e[i], err);
		if (r[i] < 0)
			return r[i];
	}
	for (int i = 0; i < 2; i++) { /* a misspelt field beside a literal is no text */
		const struct ast *other = a->kids[1 - i];

		if (!r[i] && a->kids[i]->type == AST_NAME &&
		        (!r[1 - i] || other->type == AST_LITERAL))
			return bind_unknown(b, a->kids[i], NULL, err);
	}
	for (int i = 0; s == 0 && i < 2; i++) {
		const struct weir_expr *other = e[1 - i];

		if (r[i])
			s = r[1 - i] ? adapt(b, a->kids[i], other, &e[i], err) : 0;
		else if (r[1 - i])
			s = bind_literal(b, a->kids[i], other->kind, other->names,
			        subject(b, other, a->kids[1 - i]), &e[i], err);
		else
			s = bind_literal(b, a->kids[i], WEIR_STR, NULL, "", &e[i], err);
	}
	return s;
}

/* ---- nodes ---- */

static struct weir_expr *condition(struct binder *b, enum expr_op op, const struct ast *a,
        struct weir_expr *x, struct weir_expr *y)
{
	struct weir_expr *e = bind_new(b, op, WEIR_BOOL, a, y ? 2 : 1);

	if (!e)
		return NULL;
	e->kids[0] = x;
	if (y)
		e->kids[1] = y;
	e->cost = (uint8_t)(x->cost + 1 + (y ? y->cost + 1 : 0) > 200
	                            ? 200
	                            : x->cost + 1 + (y ? y->cost + 1 : 0));
	return e;
}

static struct weir_expr *never(struct binder *b, const struct ast *a)
{
	struct weir_expr *e = bind_new(b, X_CONST, WEIR_BOOL, a, 0);

	if (e)
		e->value.kind = WEIR_BOOL;
	return e;
}

/* x in lo..hi (or outside), both cut to what the column's kind can hold. */
static struct weir_expr *range(
        struct binder *b, const struct ast *a, struct weir_expr *x, wide lo, wide hi, bool inverted)
{
	wide min = is_signed(x->kind) ? (wide)INT64_MIN : 0;
	wide max = is_signed(x->kind) ? (wide)INT64_MAX : (wide)UINT64_MAX;
	struct weir_expr *e;

	lo = lo < min ? min : lo;
	hi = hi > max ? max : hi;
	if (lo > hi)
		return inverted ? condition(b, X_EXISTS, a, x, NULL) : never(b, a);
	if (lo == min && hi == max)
		return inverted ? never(b, a) : condition(b, X_EXISTS, a, x, NULL);
	e = condition(b, X_RANGE, a, x, NULL);
	if (!e)
		return NULL;
	e->lo = (uint64_t)lo;
	e->span = (uint64_t)(hi - lo);
	e->inverted = inverted;
	return e;
}

/* The integers around a number: *lo is the greatest at most it, *hi the least at least it. False
 * for NaN. Beyond 64 bits all are alike. */
static bool around(const struct weir_value *v, wide *lo, wide *hi)
{
	const double limit = 1e30;
	double f;

	if (v->kind != WEIR_F64) {
		*lo = *hi = is_signed(v->kind) ? (wide)v->d.i : (wide)v->d.u;
		return true;
	}
	f = v->d.f;
	if (f != f)
		return false;
	f = f > limit ? limit : f < -limit ? -limit : f;
	*lo = (wide)floor(f);
	*hi = (wide)ceil(f);
	return true;
}

static struct weir_expr *compare_integer(struct binder *b, const struct ast *a, enum ast_op op,
        struct weir_expr *x, const struct weir_value *v)
{
	const wide min = -((wide)1 << 126), max = (wide)1 << 126;
	wide lo, hi;

	if (!around(v, &lo, &hi))
		return op == AST_OP_NE ? condition(b, X_EXISTS, a, x, NULL) : never(b, a);
	switch (op) {
	case AST_OP_LT:
		return range(b, a, x, min, hi - 1, false);
	case AST_OP_LE:
		return range(b, a, x, min, lo, false);
	case AST_OP_GT:
		return range(b, a, x, lo + 1, max, false);
	case AST_OP_GE:
		return range(b, a, x, hi, max, false);
	default: /* where lo < hi the number is no integer, and hi..lo is empty */
		return range(b, a, x, hi, lo, op == AST_OP_NE);
	}
}

static double as_double(const struct weir_value *v)
{
	return v->kind == WEIR_F64 ? v->d.f : v->kind == WEIR_I64 ? (double)v->d.i : (double)v->d.u;
}

/* An address column under a mask; `net` may be a host. */
static struct weir_expr *compare_net(struct binder *b, const struct ast *a, struct weir_expr *x,
        const struct weir_ip *net, bool inverted)
{
	struct weir_expr *e = condition(b, X_NET, a, x, NULL);
	struct weir_ip mask = {.family = 0xff}, want = *net;

	if (!e)
		return NULL;
	want.prefix = 0;
	for (unsigned i = 0; i < net->prefix; i++)
		mask.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	memcpy(e->mask, &mask, sizeof mask);
	memcpy(e->net, &want, sizeof want);
	e->inverted = inverted;
	return e;
}

static enum ast_op mirrored(enum ast_op op)
{
	switch (op) {
	case AST_OP_LT:
		return AST_OP_GT;
	case AST_OP_LE:
		return AST_OP_GE;
	case AST_OP_GT:
		return AST_OP_LT;
	case AST_OP_GE:
		return AST_OP_LE;
	default:
		return op;
	}
}

static int classify(struct binder *b, const struct ast *a, struct weir_expr *e[2], enum ast_op *op,
        enum expr_class *class, struct weir_err *err)
{
	enum weir_kind x = e[0]->kind, y = e[1]->kind;
	int r = 0;

	if (x == WEIR_F64 || y == WEIR_F64) {
		*class = CLASS_F64;
		for (int i = 0; r == 0 && i < 2; i++)
			r = bind_number(b, a, WEIR_F64, &e[i], err);
		return r;
	}
	if (x == WEIR_I64 && y == WEIR_U64) { /* the class is u64 with i64 */
		struct weir_expr *swap = e[0];

		e[0] = e[1];
		e[1] = swap;
		*op = mirrored(*op);
	}
	if (x != y)
		*class = CLASS_UI;
	else if (weir_storage_of(x) == WEIR_WORD)
		*class = is_signed(x) ? CLASS_I64 : CLASS_U64;
	else
		*class = is_addr(x) ? CLASS_ADDR : CLASS_VAR;
	return 0;
}

static struct weir_expr *compare_const(struct binder *b, const struct ast *a, enum ast_op op,
        struct weir_expr *x, struct weir_expr *k)
{
	struct weir_expr *e;

	if (k->value.kind == WEIR_NONE)
		return never(b, a);
	if (is_integer_column(x->kind))
		return compare_integer(b, a, op, x, &k->value);
	if (x->kind == WEIR_F64) {
		e = condition(b, X_F64, a, x, NULL);
		if (!e)
			return NULL;
		e->cmp = op;
		e->number = as_double(&k->value);
		return e;
	}
	return compare_net(b, a, x, &k->value.d.ip, op == AST_OP_NE);
}

/* Whether `x op constant` has a loop of its own. */
static bool has_loop(enum ast_op op, const struct weir_expr *x, const struct weir_expr *k)
{
	if (k->op != X_CONST || x->op == X_CONST)
		return false;
	if (weir_storage_of(x->kind) == WEIR_WORD)
		return true;
	return x->kind == WEIR_IP && (op == AST_OP_EQ || op == AST_OP_NE);
}

static int compare(struct binder *b, const struct ast *a, enum ast_op op, const struct ast *at,
        struct weir_expr *x, struct weir_expr *y, struct weir_expr **ret, struct weir_err *err)
{
	bool same = op == AST_OP_EQ || op == AST_OP_NE;
	struct weir_expr *e[2] = {x, y};
	enum expr_class class = CLASS_U64;
	int r;

	if (same && x->kind == WEIR_SUBNET && y->kind == WEIR_IP) {
		e[0] = y;
		e[1] = x;
	}
	if (e[0]->kind != e[1]->kind &&
	        !(weir_kind_is_number(x->kind) && weir_kind_is_number(y->kind)) &&
	        !(same && is_addr(x->kind) && is_addr(y->kind)))
		return compare_kinds(at, x, y, err);
	if (e[0]->op == X_CONST && e[1]->op != X_CONST && e[0]->kind != WEIR_IP) {
		x = e[0];
		e[0] = e[1];
		e[1] = x;
		op = mirrored(op);
	} else if (e[0]->op == X_CONST && e[0]->kind == WEIR_IP && e[1]->kind == WEIR_IP) {
		x = e[0];
		e[0] = e[1];
		e[1] = x;
		op = mirrored(op);
	}
	if (has_loop(op, e[0], e[1])) {
		*ret = compare_const(b, a, op, e[0], e[1]);
		return *ret ? 0 : bind_no_memory(a, err);
	}
	if (e[0]->kind == WEIR_IP && e[1]->kind == WEIR_SUBNET) {
		*ret = condition(b, X_INSIDE, a, e[0], e[1]);
		if (*ret)
			(*ret)->inverted = op == AST_OP_NE;
	} else {
		r = classify(b, a, e, &op, &class, err);
		if (r < 0)
			return r;
		*ret = condition(b, X_COMPARE, a, e[0], e[1]);
		if (*ret) {
			(*ret)->class = class;
			(*ret)->cmp = op;
		}
	}
	return *ret ? bind_fold(b, a, ret, err) : bind_no_memory(a, err);
}

int bind_comparison(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	struct weir_expr *e[2];
	int r = bind_sides(b, a, e, err), at = 1;

	if (r < 0)
		return r;
	if (a->kids[0]->type == AST_LITERAL && a->kids[1]->type != AST_LITERAL)
		at = 0; /* the caret goes to what does not fit the field */
	return compare(b, a, a->op, a->kids[at], e[0], e[1], ret, err);
}

/* ---- in ---- */

/* A constant element as a value of the set's kind: 1; 0 where no value of that kind can equal it;
 * -EINVAL where the kinds do not go together. */
static int element(enum weir_kind kind, const struct weir_expr *k, struct weir_value *v)
{
	wide lo, hi;

	*v = k->value;
	if (v->kind == WEIR_NONE)
		return weir_kind_is_number(kind) == weir_kind_is_number(k->kind) ? 0 : -EINVAL;
	if (weir_kind_is_number(kind) && weir_kind_is_number(v->kind)) {
		if (kind == WEIR_F64) {
			v->d.f = as_double(v);
			v->kind = WEIR_F64;
			return v->d.f == v->d.f;
		}
		if (!around(v, &lo, &hi) || lo != hi)
			return 0;
		if (kind == WEIR_U64 ? lo < 0 || lo > (wide)UINT64_MAX
		                     : lo < INT64_MIN || lo > INT64_MAX)
			return 0;
		v->kind = kind;
		v->d.u = (uint64_t)lo;
		return 1;
	}
	return v->kind == kind || (is_addr(v->kind) && kind == WEIR_IP) ? 1 : -EINVAL;
}

static int bind_element(struct binder *b, const struct ast *list, uint32_t i,
        const struct weir_expr *x, struct weir_expr **ret, struct weir_err *err)
{
	const struct ast *a = list->kids[i];
	int r = bind_typed(b, a, ret, err);

	if (r < 0)
		return r;
	if (r > 0)
		return adapt(b, a, x, ret, err);
	return bind_literal(b, a, x->kind, x->names, subject(b, x, list->kids[0]), ret, err);
}

/* Membership of x in what is not a constant of x's kind: a subnet that is computed, a subnet in a
 * subnet, or a value in another column. */
static int element_test(struct binder *b, const struct ast *a, struct weir_expr *x,
        struct weir_expr *y, struct weir_expr **ret, struct weir_err *err)
{
	if (is_addr(x->kind) && y->kind == WEIR_SUBNET) {
		*ret = condition(b, X_INSIDE, a, x, y);
		return *ret ? bind_fold(b, a, ret, err) : bind_no_memory(a, err);
	}
	return compare(b, a, AST_OP_EQ, a, x, y, ret, err);
}

static int bind_subject(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	int r = bind_typed(b, a, ret, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (a->type == AST_NAME)
		return bind_unknown(b, a, NULL, err);
	return bind_literal(b, a, WEIR_STR, NULL, "in", ret, err);
}

int bind_in(struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	struct weir_expr **test = arena_alloc(b->arena, (a->nkids + 1) * sizeof *test), *x, *k;
	struct weir_value *value = arena_alloc(b->arena, (a->nkids + 1) * sizeof *value);
	uint32_t nvalues = 0, ntests = 0;
	int r;

	if (!test || !value)
		return bind_no_memory(a, err);
	r = bind_subject(b, a->kids[0], &x, err);
	for (uint32_t i = 1; r == 0 && i < a->nkids; i++) {
		const struct ast *at = a->kids[i];

		r = bind_element(b, a, i, x, &k, err);
		if (r < 0)
			return r;
		if (k->op != X_CONST || x->op == X_CONST ||
		        (x->kind == WEIR_SUBNET && is_addr(k->kind))) {
			r = element_test(b, at, x, k, &test[ntests++], err);
			continue;
		}
		r = element(x->kind, k, &value[nvalues]);
		if (r < 0)
			return compare_kinds(at, x, k, err);
		nvalues += (uint32_t)r;
		r = 0;
	}
	if (r < 0)
		return r;
	if (nvalues == 1 && (weir_storage_of(x->kind) == WEIR_WORD || x->kind == WEIR_IP)) {
		struct weir_expr only = {.op = X_CONST, .kind = value[0].kind, .value = value[0]};

		test[ntests] = compare_const(b, a, AST_OP_EQ, x, &only);
		if (!test[ntests++])
			return bind_no_memory(a, err);
	} else if (nvalues) {
		struct weir_expr *e = condition(b, X_SET, a, x, NULL);

		if (e)
			e->set = set_new(b->arena, x->kind, value, nvalues);
		if (!e || !e->set)
			return bind_no_memory(a, err);
		e->cost++;
		test[ntests++] = e;
	}
	return bind_or(b, a, test, ntests, ret, err);
}
