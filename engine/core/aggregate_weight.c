/* SPDX-License-Identifier: MIT */
/* aggregate_weight.c: counts and sums over a sample of flows (WEIR_FIELD_WEIGHT), scaled back, and
 * their error.
 *
 * A record of weight w, one of a flow that was taken with probability 1/w, counts w times: the
 * estimator of Horvitz and Thompson (JASA 47, 1952), which is unbiased at any sequence of weights.
 * With y the part of a flow in the figure, its variance is estimated by the sum of w (w - 1) y^2
 * over the flows that were taken. Flows are not kept for that: as in the sketch of Alon, Matias and
 * Szegedy (STOC 1996) each record adds sqrt(w (w - 1)) times its value, with a sign drawn by its
 * flow, to each of 16 numbers; the mean of their squares is the estimate. Its own standard error is
 * a third, and that of the figure's stated error a sixth.
 */
#include "engine/core/aggregate_state.h"

#include <math.h>

static uint64_t signs_of(uint64_t flow)
{
	flow = (flow ^ flow >> 29) * 0xbf58476d1ce4e5b9;
	flow = (flow ^ flow >> 32) * 0x94d049bb133111eb;
	return flow ^ flow >> 29;
}

static void spread(struct weighted *s, double v, uint64_t flow)
{
	uint64_t signs = signs_of(flow);

	for (uint32_t j = 0; j < WEIGHTED_SIGNS; j++)
		s->z[j] += signs >> j & 1 ? v : -v;
}

static double add(const struct aggregate *a, struct weighted *s, uint64_t word, uint64_t w,
        uint64_t *overflows)
{
	union weir_datum d = {.u = word};
	uint64_t more;
	int64_t imore;

	if (a->kind == WEIR_F64) {
		s->sum.f += d.f * (double)w;
		return d.f;
	}
	if (a->kind == WEIR_I64 || a->kind == WEIR_DURATION) {
		if (__builtin_mul_overflow(d.i, (int64_t)w, &imore) ||
		        __builtin_add_overflow(s->sum.i, imore, &s->sum.i)) {
			s->sum.i = d.i < 0 ? INT64_MIN : INT64_MAX;
			++*overflows;
		}
		return (double)d.i;
	}
	if (__builtin_mul_overflow(d.u, w, &more) ||
	        __builtin_add_overflow(s->sum.u, more, &s->sum.u)) {
		s->sum.u = UINT64_MAX;
		++*overflows;
	}
	return (double)d.u;
}

int aggregate_weight_update(const struct aggregate *a, struct weir_batch *b,
        const struct weir_col *value, const struct aggregate_rows *r, uint64_t *overflows)
{
	const struct weir_col *weight = weir_batch_col(b, (uint32_t)a->weight), *flow = NULL;

	if (!weight)
		return -ENOMEM;
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t row = r->row[k];
		uint8_t *state = r->state[r->one ? 0 : k];
		uint64_t w = weir_col_has(weight, row) ? weir_col_u64(weight)[row] : 1;
		bool counts = a->op == AGG_COUNT;
		struct weighted s;
		double v;

		if (value && !weir_col_has(value, row))
			continue;
		memcpy(&s, state + a->at, sizeof s);
		v = counts ? add(&(struct aggregate){.kind = WEIR_U64}, &s, 1, w, overflows)
		           : add(a, &s, weir_col_u64(value)[row], w, overflows);
		if (w > 1) {
			double d = (double)w;

			if (!flow && !(flow = weir_batch_col(b, (uint32_t)a->flow)))
				return -ENOMEM;
			spread(&s, v * sqrt(d * (d - 1)),
			        weir_col_has(flow, row) ? weir_col_u64(flow)[row] : 0);
		}
		memcpy(state + a->at, &s, sizeof s);
		if (aggregate_has_seen(a))
			state[a->seen] = 1;
	}
	return 0;
}

double aggregate_weight_error(const struct aggregate *a, const uint8_t *state)
{
	struct weighted s;
	double sum, variance = 0;

	memcpy(&s, state + a->at, sizeof s);
	sum = a->op == AGG_COUNT || a->kind == WEIR_U64 || a->kind == WEIR_BOOL ? (double)s.sum.u
	      : a->kind == WEIR_F64                                             ? s.sum.f
	                                                                        : (double)s.sum.i;
	for (uint32_t j = 0; j < WEIGHTED_SIGNS; j++)
		variance += s.z[j] * s.z[j] / WEIGHTED_SIGNS;
	return sum ? sqrt(variance) / fabs(sum) : 0;
}
