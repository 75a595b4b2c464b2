/* SPDX-License-Identifier: MIT */
/* aggregate_load.c: the figures of groups, as a column. Exact percentiles are found here, among all
 * values of a group. */
#include "engine/core/aggregate_state.h"

#include <math.h>

#include "engine/core/grow.h"
#include "engine/core/keyhash.h"
#include "engine/core/libm.h"

/* Percentiles: sorts the values by group (counting), so that each group's stand together. */
int aggregate_begin(const struct aggregate *a, struct aggregate_run *run, uint32_t n)
{
	if (a->op != AGG_PERCENTILE || a->sketch)
		return 0;
	run->start = grow(run->mem, NULL, &run->start_size, ((size_t)n + 2) * sizeof *run->start);
	run->sorted = run->start ? grow(run->mem, NULL, &run->sorted_size, (run->n + 1) * 8) : NULL;
	if (!run->sorted)
		return -ENOMEM;
	for (uint64_t i = 0; i < run->n; i++)
		run->start[run->group[i] + 2]++;
	for (uint32_t g = 0; g < n; g++)
		run->start[g + 1] += run->start[g];
	for (uint64_t i = 0; i < run->n; i++)
		run->sorted[run->start[run->group[i] + 1]++] = run->value[i];
	return 0;
}

void aggregate_end(struct aggregate_run *run)
{
	grow_free(run->mem, run->start, run->start_size);
	grow_free(run->mem, run->sorted, run->sorted_size);
	run->start = run->sorted = NULL;
	run->start_size = run->sorted_size = 0;
}

/* The k-th smallest of v[0..n), by Hoare's partition; v is reordered. Equal values are swapped, so
 * that no order of arrival that a sender may choose (sorted, all equal) makes it quadratic; the
 * pivot is the middle of three that a seeded xorshift picks. */
static uint64_t select_nth(uint64_t *v, uint64_t n, uint64_t k)
{
	uint64_t lo = 0, hi = n - 1, x = (n ^ keyhash_secret()->word[0]) | 1;

	while (lo < hi) {
		uint64_t p[3], i = lo, j = hi, pivot;

		for (int q = 0; q < 3; q++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			p[q] = v[lo + x % (hi - lo + 1)];
		}
		pivot = p[0] < p[1] ? (p[1] < p[2]          ? p[1]
		                              : p[0] < p[2] ? p[2]
		                                            : p[0])
		                    : (p[0] < p[2]          ? p[0]
		                              : p[1] < p[2] ? p[2]
		                                            : p[1]);
		for (;;) {
			uint64_t t;

			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i >= j)
				break;
			t = v[i];
			v[i++] = v[j];
			v[j--] = t;
		}
		if (k > j)
			lo = j + 1;
		else if (j < hi)
			hi = j;
		else if (k == hi) /* the pivot is the largest and stands last */
			break;
		else
			hi--;
	}
	return v[k];
}

static void load_percentile(const struct aggregate *a, struct aggregate_run *run, uint32_t group,
        uint64_t *to, uint8_t *has)
{
	/* after aggregate_begin() start[g] is the beginning of group g */
	uint64_t from = run->start[group], n = run->start[group + 1] - from, rank;

	*has = n > 0;
	if (!n)
		return;
	rank = (uint64_t)ceil(a->percent / 100 * (double)n);
	rank = rank < 1 ? 1 : rank > n ? n : rank;
	*to = select_nth(run->sorted + from, n, rank - 1);
	*to = aggregate_extreme(&(struct aggregate){.op = AGG_MIN, .kind = a->kind}, ~*to);
}

/* Whether v fits; where not, 0 is put. */
static bool put_double(const struct aggregate *a, double v, void *to)
{
	bool fits;

	if (a->result != WEIR_DURATION) {
		*(double *)to = isfinite(v) ? v : 0;
		return isfinite(v);
	}
	v = libm_round(v);
	fits = v >= -0x1p63 && v < 0x1p63;
	*(int64_t *)to = fits ? (int64_t)v : 0;
	return fits;
}

static int load_text(struct weir_batch *b, const struct aggregate *a, uint8_t *const *state,
        uint32_t n, struct weir_str *to)
{
	size_t total = 0;
	uint8_t *p;

	for (uint32_t k = 0; k < n; k++) {
		to[k] = aggregate_kept(a, state[k] + a->at).s;
		total += to[k].len;
	}
	p = weir_batch_alloc(b, total + 1);
	if (!p)
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++) {
		if (to[k].len)
			memcpy(p, to[k].p, to[k].len);
		to[k].p = p;
		p += to[k].len;
	}
	return 0;
}

/* The squared differences from the mean add up to (n squares - sum^2) / n, all exact. */
static double whole_stddev(const struct moments *m)
{
	unsigned __int128 sum = m->sum, d = m->n * aggregate_squares(m) - sum * sum;

	return sqrt((double)d / (double)m->n / (double)(m->n - 1));
}

int aggregate_load(const struct aggregate *a, struct aggregate_run *run, uint32_t first,
        uint8_t *const *state, uint32_t n, struct weir_batch *b)
{
	const bool seen = aggregate_has_seen(a);
	struct weir_col *c = weir_batch_own(b, a->out);
	uint8_t has[WEIR_BATCH_ROWS];
	uint32_t missing = 0;
	uint64_t *to;

	if (!c)
		return -ENOMEM;
	to = c->data;
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *st = state[k] + a->at;
		const struct welford *w = (const struct welford *)st;
		const struct mean *m = (const struct mean *)st;
		const struct moments *s = (const struct moments *)st;
		double v;

		has[k] = seen ? state[k][a->seen] : 1;
		if (a->sketch) {
			union weir_datum d;

			has[k] = aggregate_sketch_value(a, state[k], &d);
			to[k] = d.u;
			missing += !has[k];
			continue;
		}
		switch (a->op) {
		case AGG_SUM:
			memcpy(&to[k], st, 8);
			has[k] &= a->result != WEIR_F64 || isfinite(*(const double *)st);
			break;
		case AGG_COUNT:
		case AGG_DISTINCT:
			memcpy(&to[k], st, 8);
			break;
		case AGG_MEAN:
			if (aggregate_is_whole(a)) {
				has[k] = s->n > 0;
				v = has[k] ? (double)s->sum / (double)s->n : 0;
			} else {
				has[k] = m->n > 0;
				v = has[k] ? m->sum / (double)m->n : 0;
			}
			has[k] &= put_double(a, v, &to[k]);
			break;
		case AGG_STDDEV:
			if (aggregate_is_whole(a)) {
				has[k] = s->n > 1;
				v = has[k] ? whole_stddev(s) : 0;
			} else {
				has[k] = w->n > 1;
				v = has[k] ? sqrt(w->m2 / (double)(w->n - 1)) : 0;
			}
			has[k] &= put_double(a, v, &to[k]);
			break;
		case AGG_PERCENTILE:
			load_percentile(a, run, first + k, &to[k], &has[k]);
			break;
		default:
			if (weir_storage_of(a->kind) == WEIR_ADDR)
				memcpy((struct weir_ip *)c->data + k, st, sizeof(struct weir_ip));
			else if (weir_storage_of(a->kind) == WEIR_WORD)
				to[k] = a->op == AGG_MIN || a->op == AGG_MAX
				                ? aggregate_extreme(a, *(const uint64_t *)st)
				                : *(const uint64_t *)st;
		}
		missing += !has[k];
	}
	if (weir_storage_of(a->result) == WEIR_VAR && load_text(b, a, state, n, c->data) < 0)
		return -ENOMEM;
	if (!missing)
		return 0;
	if (!weir_batch_own_valid(b, c))
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++)
		if (has[k])
			weir_valid_set(c->valid, k);
	return 0;
}
