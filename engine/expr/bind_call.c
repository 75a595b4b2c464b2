/* SPDX-License-Identifier: MIT */
/* bind_call.c: calls of functions, checked against the letters of their table. */
#include <stdio.h>

#include "engine/expr/expr.h"

#define KIDS_MAX 16 /* of a call */

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

int expr_unknown_function(const char *name, uint32_t pos, struct weir_err *err)
{
	size_t n = strlen(name);
	char buf[128];

	return weir_fail(err, WEIR_E_UNKNOWN_FUNCTION, pos, (uint32_t)n, name,
	        weir_did_you_mean(name, n, function_name, NULL, buf, sizeof buf));
}

static int check_count(const struct ast *a, const struct function *f, struct weir_err *err)
{
	static const char *const count[] = {
	        "no argument", "one argument", "two arguments", "three arguments"};
	bool few = a->nkids < f->min, range = f->min < f->max;
	unsigned limit = few ? f->min : f->max;
	char text[32];

	if (a->nkids >= f->min && a->nkids <= f->max)
		return 0;
	snprintf(text, sizeof text, "%s%s",
	        !range ? ""
	        : few  ? "at least "
	               : "at most ",
	        limit <= 3 ? count[limit] : "16 arguments");
	if (few)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a->pos, a->len, f->name, text);
	return weir_fail(err, WEIR_E_TOO_MANY_ARGUMENTS, a->kids[limit]->pos, a->kids[limit]->len,
	        f->name, text);
}

int bind_call_of(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err)
{
	const struct function *f = function_find(a->text, strlen(a->text));
	struct weir_expr *e, *last, *kid[KIDS_MAX];
	uint8_t digits = 0;
	int r;

	if (!f)
		return expr_unknown_function(a->text, a->pos, err);
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
