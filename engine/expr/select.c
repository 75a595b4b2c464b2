/* SPDX-License-Identifier: MIT */
/* select.c: conditions, as loops that narrow a list of rows.
 *
 * The loops write every row and advance by the outcome, so that they have no branch to be
 * mispredicted. `and` hands each kid the rows that its predecessors left, `or` those that none
 * took. The output list may be the input list: a row is written at or before where it is read.
 *
 * Where all rows of the batch are in, what is cheap goes by masks instead (mask.h).
 */
#include "engine/expr/mask.h"

#define SELECT(v, in, out, n, r, ...)                                                              \
	do {                                                                                       \
		if (!(v)->valid)                                                                   \
			EACH_ROW(in, r, {                                                          \
				bool c_ = (__VA_ARGS__);                                           \
				(out)[n] = (uint16_t)r;                                            \
				(n) += c_;                                                         \
			});                                                                        \
		else                                                                               \
			EACH_ROW(in, r, {                                                          \
				unsigned c_ = (unsigned)(__VA_ARGS__)&vec_has(v, r);               \
				(out)[n] = (uint16_t)r;                                            \
				(n) += c_;                                                         \
			});                                                                        \
	} while (0)

static int all(const struct rows *in, uint16_t *out)
{
	if (in->sel != out)
		EACH_ROW(in, r, *out++ = (uint16_t)r;);
	return (int)in->n;
}

static int select_exists(const struct vec *v, const struct rows *in, uint16_t *out)
{
	uint32_t n = 0;

	if (!v->valid)
		return all(in, out);
	EACH_ROW(in, r, {
		out[n] = (uint16_t)r;
		n += vec_has(v, r);
	});
	return (int)n;
}

static int select_range(const struct vec *v, uint64_t lo, uint64_t span, bool inv,
        const struct rows *in, uint16_t *out)
{
	const uint64_t *p = v->data;
	uint32_t n = 0, mask = v->mask;

	if (!mask)
		SELECT(v, in, out, n, r, (p[r & mask] - lo <= span) ^ inv);
	else if (!span && !inv)
		SELECT(v, in, out, n, r, p[r] == lo);
	else
		SELECT(v, in, out, n, r, (p[r] - lo <= span) ^ inv);
	return (int)n;
}

static int select_f64(
        const struct weir_expr *e, const struct vec *v, const struct rows *in, uint16_t *out)
{
	const double *p = v->data;
	double k = e->number;
	uint32_t n = 0, mask = v->mask;

	switch (e->cmp) {
	case AST_OP_EQ:
		SELECT(v, in, out, n, r, p[r & mask] == k);
		break;
	case AST_OP_NE:
		SELECT(v, in, out, n, r, p[r & mask] != k);
		break;
	case AST_OP_LT:
		SELECT(v, in, out, n, r, p[r & mask] < k);
		break;
	case AST_OP_LE:
		SELECT(v, in, out, n, r, p[r & mask] <= k);
		break;
	case AST_OP_GT:
		SELECT(v, in, out, n, r, p[r & mask] > k);
		break;
	default:
		SELECT(v, in, out, n, r, p[r & mask] >= k);
		break;
	}
	return (int)n;
}

/* The 20 bytes of an address as words; the last is zero above. */
static inline uint64_t addr_word(const struct weir_ip *p, int i)
{
	uint64_t w = 0;

	memcpy(&w, (const char *)p + 8 * i, i == 2 ? 4 : 8);
	return w;
}

static int select_net(
        const struct weir_expr *e, const struct vec *v, const struct rows *in, uint16_t *out)
{
	const struct weir_ip *p = v->data;
	uint32_t n = 0, vm = v->mask;
	uint64_t n0 = e->net[0], n1 = e->net[1], n2 = e->net[2], m0 = e->mask[0], m1 = e->mask[1],
	         m2 = e->mask[2];
	bool inv = e->inverted;

	if (!m1 && !m2) /* IPv4: all that tells is in the first word */
		SELECT(v, in, out, n, r, ((addr_word(&p[r & vm], 0) & m0) == n0) ^ inv);
	else
		SELECT(v, in, out, n, r,
		        !(((addr_word(&p[r & vm], 0) & m0) ^ n0) |
		                ((addr_word(&p[r & vm], 1) & m1) ^ n1) |
		                ((addr_word(&p[r & vm], 2) & m2) ^ n2)) ^
		                inv);
	return (int)n;
}

static int select_inside(const struct weir_expr *e, const struct vec *a, const struct vec *b,
        const struct rows *in, uint16_t *out)
{
	const struct weir_ip *ip = a->data, *net = b->data;
	uint32_t n = 0;

	EACH_ROW(in, r, {
		bool c = vec_has(a, r) && vec_has(b, r) &&
		         weir_ip_in(&ip[r & a->mask], &net[r & b->mask]) != e->inverted;

		out[n] = (uint16_t)r;
		n += c;
	});
	return (int)n;
}

/* -1, 0, 1; 2 where they have no order (NaN). */
static inline int order(enum expr_class class, const struct vec *a, const struct vec *b, uint32_t r)
{
	uint32_t i = r & a->mask, j = r & b->mask;

	switch (class) {
	case CLASS_U64: {
		uint64_t x = ((const uint64_t *)a->data)[i], y = ((const uint64_t *)b->data)[j];

		return (x > y) - (x < y);
	}
	case CLASS_I64: {
		int64_t x = ((const int64_t *)a->data)[i], y = ((const int64_t *)b->data)[j];

		return (x > y) - (x < y);
	}
	case CLASS_UI: {
		uint64_t x = ((const uint64_t *)a->data)[i];
		int64_t y = ((const int64_t *)b->data)[j];

		return y < 0 ? 1 : (x > (uint64_t)y) - (x < (uint64_t)y);
	}
	case CLASS_F64: {
		double x = ((const double *)a->data)[i], y = ((const double *)b->data)[j];

		return x != x || y != y ? 2 : (x > y) - (x < y);
	}
	case CLASS_ADDR: {
		union weir_datum x = {.ip = ((const struct weir_ip *)a->data)[i]};
		union weir_datum y = {.ip = ((const struct weir_ip *)b->data)[j]};

		return weir_kind_compare(WEIR_IP, &x, &y);
	}
	case CLASS_VAR: {
		union weir_datum x = {.s = ((const struct weir_str *)a->data)[i]};
		union weir_datum y = {.s = ((const struct weir_str *)b->data)[j]};

		return weir_kind_compare(WEIR_STR, &x, &y);
	}
	}
	return 2;
}

/* Bit (order + 1) is set where the comparison holds for that order; bit 3: unordered. */
static unsigned outcomes(enum ast_op op)
{
	switch (op) {
	case AST_OP_EQ:
		return 2;
	case AST_OP_NE:
		return 1 | 4 | 8;
	case AST_OP_LT:
		return 1;
	case AST_OP_LE:
		return 1 | 2;
	case AST_OP_GT:
		return 4;
	default:
		return 4 | 2;
	}
}

static inline __attribute__((always_inline)) int compare_loop(enum expr_class class, unsigned holds,
        const struct vec *a, const struct vec *b, const struct rows *in, uint16_t *out)
{
	uint32_t n = 0;

	EACH_ROW(in, r, {
		bool c = vec_has(a, r) && vec_has(b, r) &&
		         (holds >> (order(class, a, b, r) + 1) & 1);

		out[n] = (uint16_t)r;
		n += c;
	});
	return (int)n;
}

/* Equality of text needs no order, and lengths settle most of it. */
static int select_same_text(
        bool inv, const struct vec *a, const struct vec *b, const struct rows *in, uint16_t *out)
{
	const struct weir_str *x = a->data, *y = b->data;
	uint32_t n = 0;

	EACH_ROW(in, r, {
		const struct weir_str *s = &x[r & a->mask], *t = &y[r & b->mask];
		bool c = vec_has(a, r) && vec_has(b, r) &&
		         (s->len == t->len && (!s->len || !memcmp(s->p, t->p, s->len))) != inv;

		out[n] = (uint16_t)r;
		n += c;
	});
	return (int)n;
}

static int select_compare(const struct weir_expr *e, const struct vec *a, const struct vec *b,
        const struct rows *in, uint16_t *out)
{
	unsigned holds = outcomes(e->cmp);

	switch (e->class) {
	case CLASS_U64:
		return compare_loop(CLASS_U64, holds, a, b, in, out);
	case CLASS_I64:
		return compare_loop(CLASS_I64, holds, a, b, in, out);
	case CLASS_UI:
		return compare_loop(CLASS_UI, holds, a, b, in, out);
	case CLASS_F64:
		return compare_loop(CLASS_F64, holds, a, b, in, out);
	case CLASS_ADDR:
		return compare_loop(CLASS_ADDR, holds, a, b, in, out);
	case CLASS_VAR:
		if (e->cmp == AST_OP_EQ || e->cmp == AST_OP_NE)
			return select_same_text(e->cmp == AST_OP_NE, a, b, in, out);
		return compare_loop(CLASS_VAR, holds, a, b, in, out);
	}
	return 0;
}

static int select_like(
        const struct weir_expr *e, const struct vec *v, const struct rows *in, uint16_t *out)
{
	const struct weir_str *p = v->data;
	bool utf = e->kids[0]->kind == WEIR_STR;
	uint32_t n = 0;

	EACH_ROW(in, r, {
		bool c = vec_has(v, r) && like_match(&e->value.d.s, &p[r & v->mask], utf);

		out[n] = (uint16_t)r;
		n += c;
	});
	return (int)n;
}

/* How many of the kids, which come from the cheapest on, masks are asked for: the first of them,
 * where all rows are in. */
static uint32_t by_mask(
        const struct weir_expr *e, const struct weir_batch *b, const struct rows *in)
{
	uint32_t n = 0;

	while (in->n == b->n && n < e->nkids && e->kids[n]->by_mask)
		n++;
	return n;
}

static int select_and(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, uint16_t *out)
{
	uint64_t mask[MASK_WORDS];
	struct rows left = *in;
	uint32_t i = by_mask(e, b, in);

	if (i) {
		int r = mask_of_kids(e, b, i, mask);

		if (r < 0)
			return r;
		left = (struct rows){out, mask_rows(mask, false, b->n, out)};
		if (!left.n)
			return 0;
	}
	for (; i < e->nkids; i++) {
		int n = expr_select(e->kids[i], b, &left, out);

		if (n <= 0)
			return n;
		left = (struct rows){out, (uint32_t)n};
	}
	return (int)left.n;
}

static void mark(uint64_t *marks, const uint16_t *rows, int n)
{
	for (int i = 0; i < n; i++)
		marks[rows[i] >> 6] |= 1ull << (rows[i] & 63);
}

/* The rows whose mark equals `want`. */
static int marked(const uint64_t *marks, bool want, const struct rows *in, uint16_t *out)
{
	uint32_t n = 0;

	EACH_ROW(in, r, {
		bool c = (marks[r >> 6] >> (r & 63) & 1) == want;

		out[n] = (uint16_t)r;
		n += c;
	});
	return (int)n;
}

static int select_or(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, uint16_t *out)
{
	uint64_t marks[MASK_WORDS] = {0};
	uint16_t *taken = weir_batch_sel(b, in->n), *left = weir_batch_sel(b, in->n);
	struct rows rest = *in;
	uint32_t i = by_mask(e, b, in);

	if (!taken || !left)
		return -ENOMEM;
	if (i) {
		int r = mask_of_kids(e, b, i, marks);

		if (r < 0)
			return r;
		rest = (struct rows){left, mask_rows(marks, true, b->n, left)};
	}
	for (; i < e->nkids && rest.n; i++) {
		int n = expr_select(e->kids[i], b, &rest, taken);

		if (n < 0)
			return n;
		mark(marks, taken, n);
		if (i + 1 < e->nkids) {
			n = marked(marks, false, &rest, left);
			rest = (struct rows){left, (uint32_t)n};
		}
	}
	if (in->n == b->n)
		return (int)mask_rows(marks, false, b->n, out);
	return marked(marks, true, in, out);
}

static int select_not(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, uint16_t *out)
{
	uint64_t marks[MASK_WORDS] = {0};
	uint16_t *taken = weir_batch_sel(b, in->n);
	int n;

	if (!taken)
		return -ENOMEM;
	n = expr_select(e->kids[0], b, in, taken);
	if (n < 0)
		return n;
	mark(marks, taken, n);
	if (in->n == b->n)
		return (int)mask_rows(marks, true, b->n, out);
	return marked(marks, false, in, out);
}

/* A value where a condition is asked for: true or false by itself, else whether it is there. */
static int select_value(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, uint16_t *out)
{
	struct vec v;
	int r = expr_vec(e, b, in, &v);

	if (r < 0)
		return r;
	if (e->kind == WEIR_BOOL)
		return select_range(&v, 1, 0, false, in, out);
	return select_exists(&v, in, out);
}

static int select_by_mask(const struct weir_expr *e, struct weir_batch *b, uint16_t *out)
{
	uint64_t mask[MASK_WORDS];
	int r = mask_of(e, b, mask);

	return r < 0 ? r : (int)mask_rows(mask, false, b->n, out);
}

int expr_select(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, uint16_t *out)
{
	struct vec a, c;
	int r;

	if (e->by_mask && in->n == b->n)
		return select_by_mask(e, b, out);
	switch (e->op) {
	case X_AND:
		return select_and(e, b, in, out);
	case X_OR:
		return select_or(e, b, in, out);
	case X_NOT:
		return select_not(e, b, in, out);
	case X_CONST:
	case X_FIELD:
	case X_CALL:
	case X_IF:
	case X_COALESCE:
		return select_value(e, b, in, out);
	default:
		break;
	}
	r = expr_vec(e->kids[0], b, in, &a);
	if (r < 0)
		return r;
	if (e->op == X_COMPARE || e->op == X_INSIDE) {
		r = expr_vec(e->kids[1], b, in, &c);
		if (r < 0)
			return r;
	}
	switch (e->op) {
	case X_EXISTS:
		return select_exists(&a, in, out);
	case X_RANGE:
		return select_range(&a, e->lo, e->span, e->inverted, in, out);
	case X_F64:
		return select_f64(e, &a, in, out);
	case X_NET:
		return select_net(e, &a, in, out);
	case X_INSIDE:
		return select_inside(e, &a, &c, in, out);
	case X_COMPARE:
		return select_compare(e, &a, &c, in, out);
	case X_SET:
		return set_select(e->set, &a, in, out);
	case X_LIKE:
		return select_like(e, &a, in, out);
	case X_MATCH:
		return pattern_select(e->pattern, b, &a, in, out);
	default:
		return -EINVAL;
	}
}
