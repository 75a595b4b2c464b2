/* SPDX-License-Identifier: MIT */
/* mask.h: conditions over all rows of a batch as bit masks, 64 rows a word.
 *
 * Row r is bit r % 64 of word r / 64, as in validity bitmaps, so that missing values, `and`, `or`
 * and `not` cost an operation for 64 rows. A mask becomes a list of rows once, at the end. Bits
 * behind the last row are clear in the masks of mask_of(), and anything in those of the loops.
 *
 * What is asked of rows that a list names, or costs more than its column's memory bandwidth
 * (patterns, text, large sets, IPv6 networks, computed values), is select.c's.
 */
#ifndef EXPR_MASK_H
#define EXPR_MASK_H

#include "engine/expr/expr.h"

#define MASK_WORDS (WEIR_BATCH_ROWS / 64)

/* Notes in `by_mask` of e and of all below what has a mask; once, when e is bound. */
void mask_note(struct weir_expr *e);

/* The mask of e, which has one, over all rows of b. 0 or -ENOMEM. */
int mask_of(const struct weir_expr *e, struct weir_batch *b, uint64_t *mask);

/* That of kids[0..n) of an `and` or `or` together; kids that cannot change it any more are not
 * asked. */
int mask_of_kids(const struct weir_expr *e, struct weir_batch *b, uint32_t n, uint64_t *mask);

/* The rows of a mask over n rows, or with `inv` all others, to `out` with room for n. */
uint32_t mask_rows(const uint64_t *mask, bool inv, uint32_t n, uint16_t *out);

/* ---- mask_loops.c ---- */

/* Over n values, n <= WEIR_BATCH_ROWS, (n + 63) / 64 words; bits behind the last are undefined. */
struct mask_loops {
	const char *name;
	/* lies in lo..lo+span */
	void (*range)(const uint64_t *p, uint32_t n, uint64_t lo, uint64_t span, uint64_t *mask);
	/* is lo + i for a bit i of `set` */
	void (*narrow)(const uint64_t *p, uint32_t n, uint64_t lo, uint64_t set, uint64_t *mask);
	/* is one of SET_FEW */
	void (*few)(const uint64_t *p, uint32_t n, const uint64_t *few, uint64_t *mask);
	/* lo <= it <= hi; false where one of the three is NaN */
	void (*between)(const double *p, uint32_t n, double lo, double hi, uint64_t *mask);
	/* the first 8 bytes, under bits, equal net */
	void (*net4)(
	        const struct weir_ip *p, uint32_t n, uint64_t bits, uint64_t net, uint64_t *mask);
	/* Row numbers of a mask whose bits behind row n are clear; all of rows[0..n) may be written
	 * to. Their number. */
	uint32_t (*rows)(const uint64_t *mask, uint32_t n, uint16_t *rows);
};

/* What this machine does best; and all that it can do, the portable one first, NULL behind the
 * last. Same masks. */
const struct mask_loops *mask_loops_best(void);
const struct mask_loops *mask_loops_at(uint32_t i);

#endif
