/* SPDX-License-Identifier: MIT */
/* stretch.h: a plan cut into stretches, for worker threads.
 *
 * From the one source on, as long as each node has one consumer and one input, nodes are gathered
 * by their order class: parallel ones; keyed ones that a common key serves, with the parallel ones
 * between them; and from the first node that is neither, all that is left (joins, windows, sinks),
 * as one serial stretch. That last stretch is always there, if only to take what comes out.
 *
 * The key of a keyed stretch is what the keys of all its nodes have in common, told in fields of
 * its input: records that are equal in all fields of a node's key are equal in some of them, so
 * they meet in one lane at every node. Where the stretch is one node whose keys can be added up
 * of parts they need not. A node that answers at marks ends its stretch: what follows
 * is a table, and serial.
 *
 * For a pair of threads a stretch of tables ends where the key changes: each then has one lane, so
 * that two tables of a chain work at the same time, on different batches, and no key is dealt.
 *
 * Each stretch is a graph whose node 0 is an entry, as a scope's body is. Its nodes are copies with
 * the same ids, so that counters stay where they are.
 */
#ifndef STRETCH_H
#define STRETCH_H

#include "engine/core/plan.h"

enum stretch_kind { STRETCH_PARALLEL, STRETCH_KEYED, STRETCH_SERIAL };

#define STRETCH_PAIR 2 /* threads, at most, that one lane for each table keeps busy */

struct plan_stretch {
	enum stretch_kind kind;
	bool blocking; /* keyed: the last node answers at marks, with begin and part */
	struct plan_graph graph;
	/* keyed and blocking, of one node: records may go to any lane, since what lanes have of a
	 * key can be added up (WEIR_ADDS) */
	bool adds;
	bool tables; /* keyed: by tables alone (WEIR_SPILLS), which do little with a record */
	/* keyed: fields of what comes in */
	const uint32_t *key;
	uint32_t nkeys;
	/* keyed: fields of what comes in that are read as more than keys */
	const uint64_t *fill;
	/* keyed: the key of the first node; whether a missing field is a value there */
	const uint32_t *lead;
	uint32_t nlead;
	bool lead_nulls;
	/* keyed, not blocking: field of what comes out -> field of what comes in, -1: made here */
	const int32_t *map;
};

static inline const struct plan_node *stretch_entry(const struct plan_stretch *s)
{
	return s->graph.nodes[0];
}

static inline const struct plan_node *stretch_last(const struct plan_stretch *s)
{
	return s->graph.nodes[s->graph.n - 1];
}

#endif
