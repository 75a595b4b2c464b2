/* SPDX-License-Identifier: MIT */
/* derivative.c: how fast a field changes, per second of the records' time. */
#include "engine/core/previous.h"

#include <math.h>

static int derivative_bind(struct weir_bind *b, struct weir_err *err)
{
	int r = previous_number(b, err);

	return r < 0 ? r : previous_bind(b, WEIR_F64, "per second", true, err);
}

static double number(const struct weir_col *c, uint32_t row)
{
	switch (c->kind) {
	case WEIR_U64:
		return (double)weir_col_u64(c)[row];
	case WEIR_F64:
		return weir_col_f64(c)[row];
	case WEIR_I64:
		return (double)weir_col_i64(c)[row];
	default: /* times and durations in seconds */
		return (double)weir_col_i64(c)[row] * 1e-9;
	}
}

static int derivative_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	struct previous_rows r;
	int rc = previous_begin(n, b, &r);

	for (uint32_t i = 0; rc == 0 && i < r.n; i++) {
		struct previous *p = keymap_value(r.entry[i]);
		uint32_t row = r.row[i];
		double v = number(r.value, row);
		int64_t t = weir_col_i64(r.time)[row];

		if (p->there && t != p->time) {
			double dt = ((double)t - (double)p->time) * 1e-9, d;
			int64_t exact;

			/* Two large times: subtracted as integers, where that does not overflow. */
			if (!__builtin_sub_overflow(t, p->time, &exact))
				dt = (double)exact * 1e-9;
			d = (v - p->value.f) / dt;
			((double *)r.out->data)[row] = d;
			if (isfinite(d))
				weir_valid_set(r.valid, row);
		}
		p->value.f = v;
		p->time = t;
		p->there = true;
	}
	return rc < 0 ? rc : previous_emit(n, &r);
}

static const struct weir_option options[] = {
        PREVIOUS_FIELD_BY,
        PREVIOUS_TIME,
        PREVIOUS_OPTIONS("derivative"),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(derivative) = {
        PREVIOUS_MODULE,
        .name = "derivative",
        .summary = "how fast a field changes, per second",
        .doc = "Adds the difference of FIELD from its value in the previous record, divided by the "
               "seconds between the two; with --by, the previous record that agrees in those "
               "fields. "
               "The first record, and one of the same time as the one before, have no value.\n\n"
               "A record that lacks FIELD, the time or a field of --by is dropped and counted as "
               "'missing'.",
        .example = "packets | derivative seq --by srcip,dstip,srcport,dstport -f rate"
                   " | print ts srcip rate | head 5",
        .bind = derivative_bind,
        .process = derivative_process,
};
