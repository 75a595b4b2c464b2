/* SPDX-License-Identifier: MIT */
/* drawn_batch.h: batches of any size with drawn values, some of them missing, and drawn rows
 * selected. */
#ifndef DRAWN_BATCH_H
#define DRAWN_BATCH_H

#include "engine/core/pool.h"
#include "tests/unit/rnd.h"

/* value() fills one; of every field that need not be there `missing` in 100 are not, or none. */
static inline struct weir_batch *drawn_batch(struct weir_pool *pool, const struct weir_schema *s,
        uint32_t missing,
        void (*value)(struct weir_batch *b, uint32_t f, uint32_t row, const void *arg),
        const void *arg)
{
	uint32_t n = 1 + rnd(WEIR_BATCH_ROWS), m = 0;
	struct weir_batch *b = pool_batch(pool, s, n);
	uint16_t *sel;

	for (uint32_t f = 0; f < s->nfields; f++) {
		struct weir_col *c = weir_batch_own(b, f);
		bool some = missing && !(s->fields[f].flags & WEIR_FIELD_ALWAYS) && rnd(4);

		if (some)
			weir_batch_own_valid(b, c);
		for (uint32_t row = 0; row < n; row++) {
			value(b, f, row, arg);
			if (some && rnd(100) >= missing)
				weir_valid_set(c->valid, row);
		}
	}
	if (rnd(2)) {
		sel = weir_batch_sel(b, n);
		for (uint32_t row = 0; row < n; row++)
			if (rnd(3))
				sel[m++] = (uint16_t)row;
		weir_batch_select(b, sel, m);
	}
	return b;
}

#endif
