/* SPDX-License-Identifier: MIT */
/* aggregate_update.c: records added to the figures of their groups, one loop for each operation. */
#include "engine/core/aggregate_state.h"

#include "engine/core/grow.h"
#include "engine/core/order.h"

/* Whether two numbers' sum leaves the range; then *to is its end. */
static inline bool add_u64(uint64_t *to, uint64_t v)
{
	if (!__builtin_add_overflow(*to, v, to))
		return false;
	*to = UINT64_MAX;
	return true;
}

static inline bool add_i64(int64_t *to, int64_t v)
{
	int64_t old = *to;

	if (!__builtin_add_overflow(old, v, to))
		return false;
	*to = old < 0 ? INT64_MIN : INT64_MAX;
	return true;
}

static inline double as_double(enum weir_kind kind, uint64_t v)
{
	union weir_datum d = {.u = v};

	return kind == WEIR_F64                        ? d.f
	       : kind == WEIR_U64 || kind == WEIR_BOOL ? (double)d.u
	                                               : (double)d.i;
}

/* For each row that has the value: `st` is its group's place, `v` the value as a word. */
#define EACH(body)                                                                                 \
	for (uint32_t k = 0; k < r->n; k++) {                                                      \
		uint32_t row = r->row[k];                                                          \
		uint8_t *st = r->state[k] + a->at;                                                 \
		uint64_t v;                                                                        \
		if (valid && !(valid[row >> 6] >> (row & 63) & 1))                                 \
			continue;                                                                  \
		v = word[row];                                                                     \
		body;                                                                              \
	}

static void update_seen(
        const struct aggregate *a, const struct weir_col *c, const struct aggregate_rows *r)
{
	uint8_t seen = 0;

	if (!aggregate_has_seen(a) || !r->n)
		return;
	if (!r->one) {
		for (uint32_t k = 0; k < r->n; k++)
			r->state[k][a->seen] |= weir_col_has(c, r->row[k]);
		return;
	}
	for (uint32_t k = 0; k < r->n && !seen; k++)
		seen = weir_col_has(c, r->row[k]);
	r->state[0][a->seen] |= seen;
}

/* A sum over all rows, in a register; saturates as add_u64() does. */
static void sum_one(
        uint64_t *to, const struct weir_col *c, const struct aggregate_rows *r, uint64_t *overflows)
{
	const uint64_t *word = c->data;
	unsigned __int128 sum = *to;
	uint32_t n = r->n;

	if (r->dense && !c->valid) {
		word += r->row[0];
		for (uint32_t k = 0; k < n; k++)
			sum += word[k];
	} else {
		for (uint32_t k = 0; k < n; k++)
			sum += weir_col_has(c, r->row[k]) ? word[r->row[k]] : 0;
	}
	if (sum > UINT64_MAX)
		++*overflows;
	*to = sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

static void update_sum(const struct aggregate *a, const struct weir_col *c,
        const struct aggregate_rows *r, uint64_t *overflows)
{
	const uint64_t *word = c->data, *valid = c->valid;
	uint64_t over = 0;

	if (a->kind == WEIR_F64)
		EACH(*(double *)st += as_double(WEIR_F64, v))
	else if (a->kind == WEIR_I64 || a->kind == WEIR_DURATION)
		EACH(over += add_i64((int64_t *)st, (int64_t)v))
	else if (r->one && r->n)
		sum_one((uint64_t *)(r->state[0] + a->at), c, r, &over);
	else
		EACH(over += add_u64((uint64_t *)st, v))
	*overflows += over;
	update_seen(a, c, r);
}

static inline void welford_add(struct welford *w, double v)
{
	double d = v - w->mean;

	w->mean += d / (double)++w->n;
	w->m2 += d * (v - w->mean);
}

static inline void mean_add(struct mean *m, double v)
{
	m->sum += v;
	m->n++;
}

/* As add_u64(). */
static inline bool moments_add(struct moments *m, uint64_t v)
{
	m->n++;
	return add_u64(&m->sum, v);
}

/* Smaller is better; for max the order is turned. */
static void update_extreme(
        const struct aggregate *a, const struct weir_col *c, const struct aggregate_rows *r)
{
	const uint64_t *word = c->data, *valid = c->valid;
	uint64_t flip = a->op == AGG_MAX ? UINT64_MAX : 0;
	/* the state holds the turned value's complement, so that zero is worse than any */
	EACH({
		uint64_t x = ~(order_word(a->kind, v) ^ flip);
		if (x > *(uint64_t *)st)
			*(uint64_t *)st = x;
	})
	update_seen(a, c, r);
}

static int keep(const struct aggregate *a, struct aggregate_run *run, uint8_t *st,
        const struct weir_col *c, uint32_t row)
{
	const struct weir_str *s;
	struct heap_cell *cell;

	switch (weir_storage_of(a->kind)) {
	case WEIR_WORD:
		memcpy(st, &weir_col_u64(c)[row], 8);
		return 0;
	case WEIR_ADDR:
		memcpy(st, &weir_col_ip(c)[row], sizeof(struct weir_ip));
		return 0;
	case WEIR_VAR:
		break;
	}
	s = &weir_col_str(c)[row];
	cell = heap_put(&run->heap, aggregate_cell(st), s->p, s->len);
	if (!cell)
		return -ENOMEM;
	memcpy(st, &cell, sizeof cell);
	return 0;
}

/* first, last; min and max of what is no number. */
static int update_kept(const struct aggregate *a, struct aggregate_run *run,
        const struct weir_col *c, const struct aggregate_rows *r)
{
	uint32_t seen = a->seen - a->at;

	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t row = r->row[k];
		uint8_t *st = r->state[k] + a->at;

		if (!weir_col_has(c, row) || (a->op == AGG_FIRST && st[seen]))
			continue;
		if ((a->op == AGG_MIN || a->op == AGG_MAX) && st[seen]) {
			union weir_datum old = aggregate_kept(a, st), new;
			int order;

			memset(&new, 0, sizeof new);
			if (weir_storage_of(a->kind) == WEIR_ADDR)
				new.ip = weir_col_ip(c)[row];
			else
				new.s = weir_col_str(c)[row];
			order = weir_kind_compare(a->kind, &new, &old);
			if (a->op == AGG_MIN ? order >= 0 : order <= 0)
				continue;
		}
		if (keep(a, run, st, c, row) < 0)
			return -ENOMEM;
		st[seen] = 1;
	}
	return 0;
}

static int update_distinct(const struct aggregate *a, struct aggregate_run *run,
        struct weir_batch *b, const struct aggregate_rows *r)
{
	struct keytab_rows in;
	uint32_t k = 0;
	int rc = keytab_map_rows(run->tuples, b, r->row, r->n, r->id, &in);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < in.nfresh; i++) {
		while (r->row[k] != in.row[in.fresh[i]])
			k++;
		++*(uint64_t *)(r->state[k] + a->at);
	}
	return 0;
}

static int update_values(
        struct aggregate_run *run, const struct weir_col *c, const struct aggregate_rows *r)
{
	uint32_t *group = grow(run->mem, run->group, &run->group_size, (run->n + r->n + 1) * 4);
	uint64_t *value;

	if (!group)
		return -ENOMEM;
	run->group = group;
	value = grow(run->mem, run->value, &run->value_size, (run->n + r->n + 1) * 8);
	if (!value)
		return -ENOMEM;
	run->value = value;
	for (uint32_t k = 0; k < r->n; k++)
		if (weir_col_has(c, r->row[k])) {
			group[run->n] = r->id[k];
			value[run->n++] = order_word(c->kind, weir_col_u64(c)[r->row[k]]);
		}
	return 0;
}

int aggregate_update(const struct aggregate *a, struct aggregate_run *run, struct weir_batch *b,
        const struct aggregate_rows *r, uint64_t *overflows)
{
	static uint64_t none[WEIR_BATCH_ROWS]; /* values of count(), which reads none */
	struct weir_col col = {.data = none};
	const struct weir_col *c = &col;
	const uint64_t *word, *valid;
	bool is_word = weir_storage_of(a->kind) == WEIR_WORD;
	uint64_t over = 0;

	if (a->op == AGG_DISTINCT)
		return a->sketch ? aggregate_sketch_update(a, run, b, r, NULL)
		                 : update_distinct(a, run, b, r);
	if (a->weighted && a->kind == WEIR_NONE)
		return aggregate_weight_update(a, b, NULL, r, overflows);
	if (a->kind == WEIR_NONE && r->one) {
		*(uint64_t *)(r->state[0] + a->at) += r->n;
		return 0;
	}
	if (a->kind == WEIR_NONE) {
		for (uint32_t k = 0; k < r->n; k++)
			++*(uint64_t *)(r->state[k] + a->at);
		return 0;
	}
	if (a->field >= 0)
		c = weir_batch_col(b, (uint32_t)a->field);
	else if (weir_expr_eval(a->expr, b, &col) < 0)
		return -ENOMEM;
	if (!c)
		return -ENOMEM;
	if (a->weighted)
		return aggregate_weight_update(a, b, c, r, overflows);
	word = is_word ? c->data : none;
	valid = c->valid;
	switch (a->op) {
	case AGG_COUNT:
		for (uint32_t k = 0; k < r->n; k++)
			*(uint64_t *)(r->state[k] + a->at) += weir_col_has(c, r->row[k]);
		break;
	case AGG_SUM:
		update_sum(a, c, r, overflows);
		break;
	case AGG_MEAN:
		if (aggregate_is_whole(a))
			EACH(over += moments_add((struct moments *)st, v))
		else
			EACH(mean_add((struct mean *)st, as_double(a->kind, v)))
		break;
	case AGG_STDDEV:
		if (aggregate_is_whole(a))
			EACH(over += moments_add((struct moments *)st, v); aggregate_add_squares(
			        (struct moments *)st, (unsigned __int128)v * v))
		else
			EACH(welford_add((struct welford *)st, as_double(a->kind, v)))
		break;
	case AGG_PERCENTILE:
		return a->sketch ? aggregate_sketch_update(a, run, b, r, c)
		                 : update_values(run, c, r);
	case AGG_MIN:
	case AGG_MAX:
		if (!is_word)
			return update_kept(a, run, c, r);
		update_extreme(a, c, r);
		break;
	default:
		return update_kept(a, run, c, r);
	}
	*overflows += over;
	return 0;
}

/* One pass over the states, whose cache lines are what it costs. */
int aggregate_update_pair(const struct aggregate *a, struct weir_batch *b,
        const struct aggregate_rows *r, uint64_t *overflows)
{
	const struct aggregate *count = a->op == AGG_COUNT ? a : a + 1,
	                       *sum = a->op == AGG_COUNT ? a + 1 : a;
	const struct weir_col *c = weir_batch_col(b, (uint32_t)sum->field);
	uint32_t count_at = count->at, sum_at = sum->at;
	const uint64_t *word;
	uint64_t over = 0;

	if (!c)
		return -ENOMEM;
	word = c->data;
	if (c->valid) {
		for (uint32_t k = 0; k < r->n; k++)
			++*(uint64_t *)(r->state[k] + count_at);
		update_sum(sum, c, r, overflows);
		return 0;
	}
	for (uint32_t k = 0; k < r->n; k++) {
		uint8_t *st = r->state[k];

		++*(uint64_t *)(st + count_at);
		over += add_u64((uint64_t *)(st + sum_at), word[r->row[k]]);
	}
	*overflows += over;
	return 0;
}
