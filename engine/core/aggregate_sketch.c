/* SPDX-License-Identifier: MIT */
/* aggregate_sketch.c: estimated figures of groups: distinct by HyperLogLog++, percentile by
 * DDSketch. The group's state holds a pointer to the sketch, a cell of the run's heap; NULL:
 * nothing yet. */
#include "engine/core/aggregate_state.h"

#include <math.h>

#include "engine/core/libm.h"
#include "engine/sketch/hll.h"
#include "engine/sketch/quantile.h"

#define BLOCK 32 /* groups under way */

static struct heap_cell *get(const struct aggregate *a, const uint8_t *state)
{
	return aggregate_cell(state + a->at);
}

static void set(const struct aggregate *a, uint8_t *state, struct heap_cell *c)
{
	memcpy(state + a->at, &c, sizeof c);
}

static unsigned digits(const struct aggregate *a)
{
	return a->sketch - 1;
}

static int update_distinct(const struct aggregate *a, struct aggregate_run *run,
        struct weir_batch *b, const struct aggregate_rows *r)
{
	uint64_t hash[WEIR_BATCH_ROWS];
	uint16_t at[WEIR_BATCH_ROWS];
	int n = sketch_keys_hash_rows(run->keys, b, r->row, r->n, at, hash);

	if (n < 0)
		return n;
	for (int first = 0; first < n; first += BLOCK) {
		int end = n - first < BLOCK ? n : first + BLOCK;

		for (int k = first; k < end; k++)
			__builtin_prefetch(get(a, r->state[at[k]]));
		for (int k = first; k < end; k++)
			hll_prefetch(get(a, r->state[at[k]]), a->sketch, hash[k]);
		for (int k = first; k < end; k++) {
			struct heap_cell *c = get(a, r->state[at[k]]);

			if (hll_add(&c, &run->heap, a->sketch, hash[k]) < 0)
				return -ENOMEM;
			set(a, r->state[at[k]], c);
		}
	}
	return 0;
}

static double as_double(enum weir_kind kind, uint64_t word)
{
	union weir_datum v = {.u = word};

	return kind == WEIR_F64 ? v.f : kind == WEIR_U64 ? (double)v.u : (double)v.i;
}

static int update_percentile(const struct aggregate *a, struct aggregate_run *run,
        const struct weir_col *col, const struct aggregate_rows *r)
{
	double v[BLOCK];

	for (uint32_t first = 0; first < r->n; first += BLOCK) {
		uint32_t n = r->n - first < BLOCK ? r->n - first : BLOCK;
		const uint16_t *row = r->row + first;
		uint8_t *const *state = r->state + first;

		for (uint32_t k = 0; k < n; k++) {
			__builtin_prefetch(get(a, state[k]));
			v[k] = as_double(a->kind, weir_col_u64(col)[row[k]]);
		}
		for (uint32_t k = 0; k < n; k++)
			quantile_prefetch(get(a, state[k]), digits(a), v[k]);
		for (uint32_t k = 0; k < n; k++) {
			struct heap_cell *c = get(a, state[k]);

			if (!weir_col_has(col, row[k]))
				continue;
			if (quantile_add(&c, &run->heap, digits(a), v[k]) < 0)
				return -ENOMEM;
			set(a, state[k], c);
		}
	}
	return 0;
}

int aggregate_sketch_update(const struct aggregate *a, struct aggregate_run *run,
        struct weir_batch *b, const struct aggregate_rows *r, const struct weir_col *value)
{
	return value ? update_percentile(a, run, value, r) : update_distinct(a, run, b, r);
}

bool aggregate_sketch_value(const struct aggregate *a, const uint8_t *state, union weir_datum *ret)
{
	const struct heap_cell *c = get(a, state);
	double v;

	ret->u = 0;
	if (a->op == AGG_DISTINCT) {
		ret->u = (uint64_t)libm_round(hll_estimate(c, a->sketch));
		return true;
	}
	if (!c)
		return false;
	v = quantile_get(c, digits(a), a->percent, a->kind != WEIR_F64);
	if (a->kind == WEIR_F64)
		ret->f = v;
	else if (a->kind == WEIR_U64)
		ret->u = v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
	else
		ret->i = v >= 0x1p63 ? INT64_MAX : (int64_t)v;
	return true;
}

double aggregate_error(const struct aggregate *a, const uint8_t *state)
{
	if (a->weighted)
		return aggregate_weight_error(a, state);
	return a->op == AGG_DISTINCT ? hll_error(get(a, state), a->sketch)
	                             : ldexp(1, -(int)a->sketch);
}

uint64_t aggregate_memory(const struct aggregate *a, const uint8_t *state)
{
	const struct heap_cell *c = a->sketch ? get(a, state) : NULL;

	return c ? sizeof *c + c->len : 0;
}
