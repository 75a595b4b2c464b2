/* SPDX-License-Identifier: MIT */
/* eval.c: values of expressions, a column at a time.
 *
 * Every intermediate column has a place for each row of the batch, so that rows keep their
 * numbers; only the rows asked for are computed. All memory is the batch's.
 */
#include "engine/core/fiber.h"
#include "engine/expr/expr.h"

#define WORDS (WEIR_BATCH_ROWS / 64)
#define ARGS_MAX 16

static uint64_t *new_valid(struct weir_batch *b, const struct vec *arg, uint32_t n)
{
	uint64_t *valid = weir_batch_alloc(b, WORDS * 8);

	if (!valid)
		return NULL;
	memset(valid, 0xff, WORDS * 8);
	for (uint32_t i = 0; i < n; i++) {
		if (!arg[i].valid)
			continue;
		if (!arg[i].mask) {
			if (!(arg[i].valid[0] & 1))
				memset(valid, 0, WORDS * 8);
			continue;
		}
		for (uint32_t w = 0; w < (b->n + 63u) / 64; w++)
			valid[w] &= arg[i].valid[w];
	}
	return valid;
}

static bool all_there(const uint64_t *valid)
{
	uint64_t v = UINT64_MAX;

	for (int w = 0; w < WORDS; w++)
		v &= valid[w];
	return v == UINT64_MAX;
}

static void *new_column(const struct weir_expr *e, struct weir_batch *b)
{
	return weir_batch_alloc(b, (b->n ? b->n : 1) * weir_kind_size(e->kind));
}

static int eval_call(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, struct vec *ret)
{
	struct vec arg[ARGS_MAX];
	struct call c = {.e = e, .b = b, .rows = in, .arg = arg};
	int r;

	for (uint32_t i = 0; i < e->nkids; i++) {
		r = expr_vec(e->kids[i], b, in, &arg[i]);
		if (r < 0)
			return r;
	}
	c.out = new_column(e, b);
	c.valid = new_valid(b, arg, e->nkids);
	if (!c.out || !c.valid)
		return -ENOMEM;
	r = e->fn(&c);
	if (r < 0)
		return r;
	*ret = (struct vec){c.out, all_there(c.valid) ? NULL : c.valid, UINT32_MAX};
	return 0;
}

/* Takes the rows in `take` over from one vector to another column. */
static void copy_rows(enum weir_kind kind, const struct vec *from, const struct rows *take,
        void *out, uint64_t *valid)
{
	switch (weir_storage_of(kind)) {
	case WEIR_WORD:
		EACH_ROW(take, r,
		         ((uint64_t *)out)[r] = ((const uint64_t *)from->data)[r & from->mask];);
		break;
	case WEIR_ADDR:
		EACH_ROW(take, r,
		         ((struct weir_ip *)out)[r] =
		                 ((const struct weir_ip *)from->data)[r & from->mask];);
		break;
	case WEIR_VAR:
		EACH_ROW(take, r,
		         ((struct weir_str *)out)[r] =
		                 ((const struct weir_str *)from->data)[r & from->mask];);
		break;
	}
	EACH_ROW(take, r, if (vec_has(from, r)) weir_valid_set(valid, r););
}

/* rows = in without those in the ascending list `less`; returns their number. */
static uint32_t without(const struct rows *in, const uint16_t *less, uint32_t nless, uint16_t *rows)
{
	uint32_t n = 0, at = 0;

	EACH_ROW(in, r, {
		if (at < nless && less[at] == r)
			at++;
		else
			rows[n++] = (uint16_t)r;
	});
	return n;
}

static int eval_if(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, struct vec *ret)
{
	uint16_t *list = weir_batch_sel(b, in->n), *other = weir_batch_sel(b, in->n);
	void *out = new_column(e, b);
	uint64_t *valid = weir_batch_alloc(b, WORDS * 8);
	struct rows part[2];
	int n;

	if (!list || !other || !out || !valid)
		return -ENOMEM;
	memset(valid, 0, WORDS * 8);
	n = expr_select(e->kids[0], b, in, list);
	if (n < 0)
		return n;
	part[0] = (struct rows){list, (uint32_t)n};
	part[1] = (struct rows){other, without(in, list, (uint32_t)n, other)};
	for (int i = 0; i < 2; i++) {
		struct vec v;
		int r = part[i].n ? expr_vec(e->kids[1 + i], b, &part[i], &v) : 0;

		if (r < 0)
			return r;
		if (part[i].n)
			copy_rows(e->kind, &v, &part[i], out, valid);
	}
	*ret = (struct vec){out, valid, UINT32_MAX};
	return 0;
}

/* Each kid only for the rows that lack a value so far. */
static int eval_coalesce(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, struct vec *ret)
{
	uint16_t *list = weir_batch_sel(b, in->n);
	void *out = new_column(e, b);
	uint64_t *valid = weir_batch_alloc(b, WORDS * 8);
	struct rows rest = *in;

	if (!list || !out || !valid)
		return -ENOMEM;
	memset(valid, 0, WORDS * 8);
	for (uint32_t i = 0; i < e->nkids && rest.n; i++) {
		struct vec v;
		uint32_t n = 0;
		int r = expr_vec(e->kids[i], b, &rest, &v);

		if (r < 0)
			return r;
		copy_rows(e->kind, &v, &rest, out, valid);
		EACH_ROW(&rest, row, {
			list[n] = (uint16_t)row;
			n += !(valid[row >> 6] >> (row & 63) & 1);
		});
		rest = (struct rows){list, n};
	}
	*ret = (struct vec){out, valid, UINT32_MAX};
	return 0;
}

/* A condition as a column: false where it does not hold, never absent. */
static int eval_condition(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, struct vec *ret)
{
	uint16_t *list = weir_batch_sel(b, in->n);
	uint64_t *out = new_column(e, b);
	int n;

	if (!list || !out)
		return -ENOMEM;
	n = expr_select(e, b, in, list);
	if (n < 0)
		return n;
	EACH_ROW(in, r, out[r] = 0;);
	for (int i = 0; i < n; i++)
		out[list[i]] = 1;
	*ret = (struct vec){out, NULL, UINT32_MAX};
	return 0;
}

int expr_vec(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, struct vec *ret)
{
	static const uint64_t none;
	const struct weir_col *c;

	switch (e->op) {
	case X_CONST:
		*ret = (struct vec){&e->value.d, e->value.kind == WEIR_NONE ? &none : NULL, 0};
		return 0;
	case X_FIELD:
		c = weir_batch_col(b, e->field);
		if (!c)
			return -ENOMEM;
		*ret = (struct vec){c->data, c->valid, UINT32_MAX};
		return 0;
	case X_CALL:
		return eval_call(e, b, in, ret);
	case X_IF:
		return eval_if(e, b, in, ret);
	case X_COALESCE:
		return eval_coalesce(e, b, in, ret);
	default:
		return eval_condition(e, b, in, ret);
	}
}

/* What a module's loop calls, done on a stack that is large enough. */
struct on_host {
	const struct weir_expr *e;
	struct weir_batch *b;
	struct weir_col *col;
	uint16_t *rows;
};

static int eval_on_host(void *arg)
{
	struct on_host *c = arg;

	return weir_expr_eval(c->e, c->b, c->col);
}

int weir_expr_eval(const struct weir_expr *e, struct weir_batch *b, struct weir_col *ret)
{
	struct rows in = {b->sel, b->nsel};
	struct fiber *f = fiber_here();
	struct vec v;
	int r;

	if (f)
		return fiber_call(f, eval_on_host, &(struct on_host){e, b, ret, NULL});
	if (e->op == X_FIELD) {
		const struct weir_col *c = weir_batch_col(b, e->field);

		if (!c)
			return -ENOMEM;
		*ret = *c;
		return 0;
	}
	r = expr_vec(e, b, &in, &v);
	if (r < 0)
		return r;
	*ret = (struct weir_col){.kind = e->kind};
	if (v.mask) {
		ret->data = (void *)(uintptr_t)v.data;
		ret->valid = (uint64_t *)(uintptr_t)v.valid;
		return 0;
	}
	ret->data = new_column(e, b);
	ret->valid = weir_batch_alloc(b, WORDS * 8);
	if (!ret->data || !ret->valid)
		return -ENOMEM;
	memset(ret->valid, 0, WORDS * 8);
	copy_rows(e->kind, &v, &in, ret->data, ret->valid);
	return 0;
}

static int select_on_host(void *arg)
{
	struct on_host *c = arg;

	return weir_expr_select(c->e, c->b, c->rows);
}

int weir_expr_select(const struct weir_expr *e, struct weir_batch *b, uint16_t *rows)
{
	struct rows in = {b->sel, b->nsel};
	struct fiber *f = fiber_here();

	if (f)
		return fiber_call(f, select_on_host, &(struct on_host){e, b, NULL, rows});
	return expr_select(e, b, &in, rows);
}

enum weir_kind weir_expr_kind(const struct weir_expr *e)
{
	return e->kind;
}

bool weir_expr_constant(const struct weir_expr *e, struct weir_value *ret)
{
	if (e->op != X_CONST)
		return false;
	*ret = e->value;
	return true;
}

void weir_expr_describe(const struct weir_expr *e, struct weir_field *f)
{
	f->kind = e->kind;
	f->digits = e->digits;
	f->bits = e->bits;
	f->names = e->names;
}
