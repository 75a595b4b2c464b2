/* SPDX-License-Identifier: MIT */
/* aggregate_add.c: what several tables have of the same groups, added up. */
#include "engine/core/aggregate_state.h"

#include "engine/core/grow.h"
#include "engine/sketch/hll.h"
#include "engine/sketch/quantile.h"

bool aggregate_adds(const struct aggregate *a, const struct weir_schema *in)
{
	if (a->weighted)
		return false;
	switch (a->op) {
	case AGG_COUNT:
	case AGG_PERCENTILE:
		return true;
	case AGG_SUM:
	case AGG_MEAN:
	case AGG_STDDEV:
		return aggregate_is_whole(a);
	case AGG_MIN:
	case AGG_MAX:
		return weir_storage_of(a->kind) == WEIR_WORD;
	case AGG_DISTINCT:
		return a->sketch || !keypack_is_wide(in, a->fields.index, a->fields.n);
	default:
		return false;
	}
}

bool aggregate_grows(const struct aggregate *a)
{
	return a->op == AGG_DISTINCT || a->op == AGG_PERCENTILE;
}

static int add_sketches(const struct aggregate *a, struct aggregate_run *run, uint8_t *const *to,
        uint8_t *const *from, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++) {
		struct heap_cell *c = aggregate_cell(to[k] + a->at);
		const struct heap_cell *more = aggregate_cell(from[k] + a->at);
		int r = a->op == AGG_DISTINCT ? hll_merge(&c, &run->heap, a->sketch, more)
		                              : quantile_merge(&c, &run->heap, more);

		memcpy(to[k] + a->at, &c, sizeof c);
		if (r < 0)
			return r;
	}
	return 0;
}

static void add_moments(const struct aggregate *a, uint8_t *to, const uint8_t *from)
{
	struct moments *m = (struct moments *)(to + a->at);
	const struct moments *f = (const struct moments *)(from + a->at);

	m->n += f->n;
	if (__builtin_add_overflow(m->sum, f->sum, &m->sum))
		m->sum = UINT64_MAX;
	if (a->op == AGG_STDDEV)
		aggregate_add_squares(m, aggregate_squares(f));
}

int aggregate_add(const struct aggregate *a, struct aggregate_run *run, uint8_t *const *to,
        uint8_t *const *from, uint32_t n)
{
	bool extreme = a->op == AGG_MIN || a->op == AGG_MAX,
	     moments = a->op == AGG_MEAN || a->op == AGG_STDDEV;

	if (a->sketch)
		return add_sketches(a, run, to, from, n);
	if (aggregate_grows(a))
		return 0;
	for (uint32_t k = 0; k < n; k++) {
		uint64_t *sum = (uint64_t *)(to[k] + a->at);
		uint64_t v = *(const uint64_t *)(from[k] + a->at);

		if (moments)
			add_moments(a, to[k], from[k]);
		else if (!extreme)
			*sum += v;
		else if (v > *sum) /* see update_extreme() */
			*sum = v;
	}
	if (aggregate_has_seen(a))
		for (uint32_t k = 0; k < n; k++)
			to[k][a->seen] |= from[k][a->seen];
	return 0;
}

/* A tuple that both have counts once. */
static int add_tuples(const struct aggregate *a, struct aggregate_run *run,
        const struct keytab *from, const uint32_t *id, const struct keytab *groups, uint8_t *whole)
{
	struct keytab_rows rows;

	for (uint32_t at = 0; at < from->n; at += WEIR_PACK_ROWS) {
		uint32_t left = from->n - at, n = left < WEIR_PACK_ROWS ? left : WEIR_PACK_ROWS;

		if (keytab_absorb(run->tuples, from, at, n, id, &rows) < 0)
			return -ENOMEM;
		for (uint32_t i = 0; i < rows.nfresh; i++) {
			uint32_t g = keytab_prefix(run->tuples, rows.id[rows.fresh[i]]);
			uint8_t *st = groups ? keytab_state(groups, g) : whole;

			++*(uint64_t *)(st + a->at);
		}
	}
	return 0;
}

static int add_values(
        struct aggregate_run *run, const struct aggregate_run *from, const uint32_t *id)
{
	uint64_t n = run->n + from->n + 1;
	uint32_t *group = grow(run->mem, run->group, &run->group_size, n * 4);
	uint64_t *value;

	if (!group)
		return -ENOMEM;
	run->group = group;
	value = grow(run->mem, run->value, &run->value_size, n * 8);
	if (!value)
		return -ENOMEM;
	run->value = value;
	for (uint64_t i = 0; i < from->n; i++)
		group[run->n + i] = id[from->group[i]];
	if (from->n)
		memcpy(value + run->n, from->value, from->n * 8);
	run->n += from->n;
	return 0;
}

int aggregate_add_kept(const struct aggregate *a, struct aggregate_run *run,
        const struct aggregate_run *from, const uint32_t *id, const struct keytab *groups,
        uint8_t *whole)
{
	if (a->sketch || !aggregate_grows(a))
		return 0;
	return a->op == AGG_DISTINCT ? add_tuples(a, run, from->tuples, id, groups, whole)
	                             : add_values(run, from, id);
}
