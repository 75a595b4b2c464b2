/* SPDX-License-Identifier: MIT */
/* mask.c: the conditions of mask.h, put together. */
#include "engine/expr/mask.h"

#include <math.h>

#include "engine/core/libm.h"

static bool leaf_has_mask(const struct weir_expr *e)
{
	if (e->op == X_FIELD)
		return true;
	if (e->nkids != 1 || e->kids[0]->op != X_FIELD)
		return false;
	switch (e->op) {
	case X_EXISTS:
	case X_RANGE:
	case X_F64:
		return true;
	case X_NET: /* IPv4: all that tells is in the first word */
		return !e->mask[1] && !e->mask[2];
	case X_SET:
		return set_few(e->set) != NULL;
	default:
		return false;
	}
}

void mask_note(struct weir_expr *e)
{
	bool all = e->op == X_AND || e->op == X_OR || e->op == X_NOT;

	for (uint32_t i = 0; i < e->nkids; i++) {
		mask_note(e->kids[i]);
		all &= e->kids[i]->by_mask;
	}
	e->by_mask = all || leaf_has_mask(e);
}

/* The doubles for which a comparison with a constant holds (for which it does not, of !=) lie next
 * to each other. NaN: none. */
static void holds_between(enum ast_op op, double k, double *lo, double *hi)
{
	*lo = op == AST_OP_LT || op == AST_OP_LE ? -INFINITY : k;
	*hi = op == AST_OP_GT || op == AST_OP_GE ? INFINITY : k;
	if (op == AST_OP_LT)
		*hi = k == -INFINITY ? NAN : libm_nextafter(k, -INFINITY);
	if (op == AST_OP_GT)
		*lo = k == INFINITY ? NAN : libm_nextafter(k, INFINITY);
}

static void few_mask(const struct mask_loops *loops, const struct set_few *s, const uint64_t *p,
        uint32_t n, uint64_t *mask)
{
	if (s->bits)
		loops->narrow(p, n, s->lo, s->bits, mask);
	else
		loops->few(p, n, s->few, mask);
}

/* Turns the mask round where `inv`, and takes out rows without a value and what is behind the
 * last. `valid` may be NULL. */
static void settle(uint64_t *mask, bool inv, const uint64_t *valid, uint32_t n)
{
	uint64_t turn = inv ? UINT64_MAX : 0;
	uint32_t words = (n + 63) / 64;

	for (uint32_t w = 0; w < words; w++)
		mask[w] = (mask[w] ^ turn) & (valid ? valid[w] : UINT64_MAX);
	if (n % 64)
		mask[words - 1] &= UINT64_MAX >> (64 - n % 64);
}

static int mask_of_leaf(const struct weir_expr *e, struct weir_batch *b, uint64_t *mask)
{
	const struct mask_loops *loops = mask_loops_best();
	const struct weir_expr *field = e->op == X_FIELD ? e : e->kids[0];
	const struct weir_col *c = weir_batch_col(b, field->field);
	bool inv = false;
	double lo, hi;

	if (!c)
		return -ENOMEM;
	switch (e->op) {
	case X_RANGE:
		loops->range(c->data, b->n, e->lo, e->span, mask);
		inv = e->inverted;
		break;
	case X_F64:
		holds_between(e->cmp, e->number, &lo, &hi);
		loops->between(c->data, b->n, lo, hi, mask);
		inv = e->cmp == AST_OP_NE;
		break;
	case X_NET:
		loops->net4(c->data, b->n, e->mask[0], e->net[0], mask);
		inv = e->inverted;
		break;
	case X_SET:
		few_mask(loops, set_few(e->set), c->data, b->n, mask);
		break;
	default:
		if (e->op == X_FIELD && e->kind == WEIR_BOOL)
			loops->range(c->data, b->n, 1, 0, mask);
		else
			memset(mask, 0xff, MASK_WORDS * sizeof *mask);
		break;
	}
	settle(mask, inv, c->valid, b->n);
	return 0;
}

/* Whether the mask of an `and` is empty, or that of an `or` full: no other kid changes it. */
static bool decided(enum expr_op op, const uint64_t *mask, uint32_t n)
{
	uint64_t any = 0, all = UINT64_MAX;

	for (uint32_t w = 0; w < n / 64; w++) {
		any |= mask[w];
		all &= mask[w];
	}
	if (n % 64) {
		any |= mask[n / 64];
		all &= mask[n / 64] | UINT64_MAX << n % 64;
	}
	return op == X_AND ? !any : all == UINT64_MAX;
}

int mask_of_kids(const struct weir_expr *e, struct weir_batch *b, uint32_t n, uint64_t *mask)
{
	uint64_t other[MASK_WORDS];
	int r = mask_of(e->kids[0], b, mask);

	for (uint32_t i = 1; r == 0 && i < n && !decided(e->op, mask, b->n); i++) {
		r = mask_of(e->kids[i], b, other);
		for (uint32_t w = 0; r == 0 && w < (b->n + 63u) / 64; w++)
			mask[w] = e->op == X_AND ? mask[w] & other[w] : mask[w] | other[w];
	}
	return r;
}

int mask_of(const struct weir_expr *e, struct weir_batch *b, uint64_t *mask)
{
	int r;

	if (e->op == X_AND || e->op == X_OR)
		return mask_of_kids(e, b, e->nkids, mask);
	if (e->op != X_NOT)
		return mask_of_leaf(e, b, mask);
	r = mask_of(e->kids[0], b, mask);
	if (r == 0)
		settle(mask, true, NULL, b->n);
	return r;
}

uint32_t mask_rows(const uint64_t *mask, bool inv, uint32_t n, uint16_t *out)
{
	uint64_t others[MASK_WORDS];

	if (!inv)
		return mask_loops_best()->rows(mask, n, out);
	memcpy(others, mask, sizeof others);
	settle(others, true, NULL, n);
	return mask_loops_best()->rows(others, n, out);
}
