/* SPDX-License-Identifier: MIT */
/* prefilter.h: what a source need not bring at all, since every query on it would drop it.
 *
 * A query says so where its first stage alone gets the source's records and has an expression for
 * it (weir_module.prefilter). Of several queries the source is told all expressions; one without
 * any, or too many different ones, and it is told to bring everything.
 */
#ifndef PREFILTER_H
#define PREFILTER_H

#include "engine/core/plan.h"

#define PREFILTERS_MAX 16 /* different ones, for one source */

struct prefilters {
	uint32_t n;                       /* 0: nothing is wanted */
	const char *text[PREFILTERS_MAX]; /* text[0] NULL: everything is */
};

/* The expression of a query for source node `n` of its root graph, or NULL; lives with the plan. */
const char *prefilter_of(const struct plan_graph *g, const struct plan_node *n);

/* One more query; `text` is borrowed. */
void prefilters_add(struct prefilters *p, const char *text);
/* "nothing", "everything", or the expressions: "(a) or (b)". */
void prefilters_text(const struct prefilters *p, struct text *to);

#endif
