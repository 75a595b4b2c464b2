/* SPDX-License-Identifier: MIT */
/* delta.c: how much a field differs from its value in the record before. Differences of integers
 * wrap modulo 2^64, as sequence numbers want. */
#include "engine/core/previous.h"

#include <math.h>

static int delta_bind(struct weir_bind *b, struct weir_err *err)
{
	struct previous_config *c = b->config;
	enum weir_kind kind = WEIR_I64;
	int r = previous_number(b, err);

	if (r < 0)
		return r;
	if (c->kind == WEIR_TIME || c->kind == WEIR_DURATION)
		kind = WEIR_DURATION;
	else if (c->kind == WEIR_F64)
		kind = WEIR_F64;
	return previous_bind(b, kind, b->in->fields[c->field].unit, false, err);
}

static int delta_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct previous_config *c = n->config;
	struct previous_rows r;
	int rc = previous_begin(n, b, &r);

	for (uint32_t i = 0; rc == 0 && i < r.n; i++) {
		struct previous *p = keymap_value(r.entry[i]);
		uint32_t row = r.row[i];

		if (c->kind == WEIR_F64) {
			double v = weir_col_f64(r.value)[row], d = v - p->value.f;

			((double *)r.out->data)[row] = d;
			if (p->there && isfinite(d))
				weir_valid_set(r.valid, row);
			p->value.f = v;
		} else {
			uint64_t v = weir_col_u64(r.value)[row];

			if (p->there)
				weir_valid_set(r.valid, row);
			((uint64_t *)r.out->data)[row] = v - p->value.u;
			p->value.u = v;
		}
		p->there = true;
	}
	return rc < 0 ? rc : previous_emit(n, &r);
}

static const struct weir_option options[] = {
        PREVIOUS_FIELD_BY,
        PREVIOUS_OPTIONS("delta"),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(delta) = {
        PREVIOUS_MODULE,
        .name = "delta",
        .summary = "difference from the previous record",
        .doc = "Adds how much FIELD is above its value in the previous record, or, with --by, in "
               "the "
               "previous record that agrees in those fields. The first has no value.\n\n"
               "A record that lacks FIELD or a field of --by is dropped and counted as 'missing'.",
        .example = "packets | delta ts | print ts delta | head 5",
        .bind = delta_bind,
        .process = delta_process,
};
