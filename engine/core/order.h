/* SPDX-License-Identifier: MIT */
/* order.h: the rows of a table in the order of some of their fields.
 *
 * Values compare as weir_kind_compare() says; rows without a value come last, whichever way the
 * others go; equal rows stay in the order of their ids.
 */
#ifndef ORDER_H
#define ORDER_H

#include "engine/core/coltab.h"

/* A number as an unsigned one that orders like it. */
static inline uint64_t order_word(enum weir_kind k, uint64_t v)
{
	const uint64_t sign = 1ull << 63;

	if (k == WEIR_I64 || k == WEIR_TIME || k == WEIR_DURATION)
		return v ^ sign;
	if (k != WEIR_F64)
		return v;
	if ((v & ~sign) > 0x7ff0000000000000) /* NaN: after all others */
		return UINT64_MAX;
	if (v == sign)
		v = 0;
	return v & sign ? ~v : v | sign;
}

/* Writes ids 0 … t->n - 1 to ids in the order of fields key[0..nkeys) of the table's layout, the
 * first one counting most. 0 or -ENOMEM. */
int order_rows(
        const struct coltab *t, const uint32_t *key, uint32_t nkeys, bool reverse, uint32_t *ids);

#endif
