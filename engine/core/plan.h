/* SPDX-License-Identifier: MIT */
/* plan.h: what a query means: bound modules in a directed acyclic graph.
 *
 * Every front end ends here. A plan is immutable once made and may be run any number of times.
 * Nodes stand in topological order. What a scope makes instances of (all that stands behind a
 * window, the block of a split) is a graph of its own, the scope's body, whose node 0 is its entry.
 *
 * Per field the planner knows who needs it: `needs` says which output fields of a node anybody
 * downstream reads, so that sources decode and blocking modules keep nothing else.
 */
#ifndef PLAN_H
#define PLAN_H

#include "engine/core/arena.h"
#include "engine/core/text.h"
#include "engine/lang/ast.h"

struct engine;
struct mounted;
struct plan_node;
struct rights;

struct plan_edge {
	uint32_t node; /* index in the same graph */
	uint32_t channel;
	const int32_t *map; /* unions: output field -> field of this input, -1: none */
};

/* The other end of an edge. */
struct plan_target {
	uint32_t node, input; /* index in the same graph */
	uint32_t channel;     /* of the node that it is a target of */
};

struct plan_graph {
	uint32_t n, cap;
	struct plan_node **nodes;
	uint32_t last; /* whose output is the graph's */
	bool settles;  /* it has nodes that wait for the end of a batch, see graph_push() */
	bool clocked;  /* it has nodes that end something by the clock, in bodies maybe */
	/* bodies */
	const struct plan_node *scope; /* NULL: the root */
	struct plan_graph *outer;      /* that of the scope */
	uint32_t sum;                  /* node whose tables panes add up, see panes.h; or 0 */
	bool stamped;                  /* the scope's stamps are read in it, or in a body of it */
};

struct plan_node {
	uint32_t id; /* number in the plan, bodies included: where counters stand */
	/* exactly one of these two; neither: the entry of a body */
	const struct weir_module *module;
	const struct weir_source *source;
	void *config;
	uint32_t flags;    /* the module's, or what bind said instead; else 0 */
	const char *name;  /* for status and plan */
	uint32_t pos, len; /* in the spec */
	const char *said;  /* of stages that can be shared: see plan_said.c; or NULL */
	uint32_t nins;
	struct plan_edge *ins;
	const struct weir_schema *in;  /* of input 0; NULL for sources */
	const struct weir_schema *out; /* what process emits; a scope: what its body gets */
	const struct weir_schema
	        *outside;      /* what consumers in this graph see; out but for scopes */
	const int32_t *origin; /* out field -> in field, -1 */
	uint64_t *uses;        /* bits of in: fields that the module itself reads */
	uint64_t *needs;       /* bits of out */
	uint32_t ntargets;
	const struct plan_target *targets; /* by channel */
	bool in_table;                     /* its input starts anew with each version */
	bool table;                        /* so does its output */
	int64_t pane;                      /* ns: bodies overlap, and are made of such; or 0 */
	bool shares;                       /* and share them, see panes.h */
	bool spills;                       /* what its memory has no place for goes to disk */
	/* modules with blocks */
	bool blocks_only; /* nothing leaves on channel 0 */
	uint32_t copies;  /* of the one block, each behind a channel of its own; 0: one */
	/* scopes */
	bool rolling; /* bodies can be asked for their answers so far */
	uint32_t nbodies;
	struct plan_graph *bodies;
	uint32_t nstamps;
	const uint32_t *stamps; /* fields of out that are one for all records of a body */
	/* sources */
	bool own;        /* opened with the rights of the query's writer, else the mount's */
	uint32_t reader; /* number among the plan's sources */
	struct mounted *mounted; /* the one source of the mount that it is, or NULL */
};

/* A scope's body: child 0 is all that stands behind it, 1 … its blocks. A scope has the one or the
 * others. */
static inline const struct plan_graph *plan_body(const struct plan_node *n, uint32_t child)
{
	return &n->bodies[child ? child - 1 : 0];
}

enum plan_scheduler { PLAN_AUTO, PLAN_DEPTH, PLAN_BREADTH, PLAN_WORKERS };

struct settings {
	int64_t refresh; /* ns */
	int64_t late;    /* ns */
	int64_t history; /* ns; 0: none */
	int64_t idle;    /* ns; 0: not given, see run_clock.c */
	uint64_t retain, memory;
	uint64_t threads, tokens;
	const char *spill; /* folder; NULL: none */
	uint64_t spill_size;
	uint64_t keep;      /* versions of a table; 0: none beyond what readers need */
	uint32_t spill_pos; /* in the spec */
	uint32_t order;     /* 0 arrival, 1 strict */
	uint32_t shed;      /* enum shed_mode */
	uint32_t scheduler; /* enum plan_scheduler */
};

struct plan {
	uint32_t refs; /* atomic */
	struct arena arena;
	const char *text;
	uint32_t text_len;
	const char *name; /* or NULL */
	struct settings set;
	struct plan_graph root;
	const struct weir_schema *out;
	const uint32_t *shown; /* fields of out that the result shows */
	uint32_t nshown;
	bool table;
	uint32_t nsources, nnodes;
	uint32_t nspills;             /* nodes that spill */
	struct plan_stretch *stretch; /* see stretch.h */
	uint32_t nstretches;          /* 0: it cannot be cut */
	uint32_t source;              /* node of the root, where there is one only */
	const uint32_t *lead; /* nodes of the root behind its one source that keep nothing and give
	                       * at most one batch for each: what can be shared, see trunk.h */
	uint32_t nlead;
	struct plan_release *releases;
	struct plan_schema *schemas;
};

/* Source names and defaults come from the engine; nothing is opened but headers of files, to know
 * their schema. 0 and *ret, or -errno and *err. */
int plan_make(struct engine *e, const char *text, size_t len, const struct rights *rights,
        struct plan **ret, struct weir_err *err);
struct plan *plan_ref(struct plan *p);
void plan_unref(struct plan *p); /* NULL is fine */

/* The plan as indented text; `counters(arg, node, to)` may append live figures of a node. */
typedef void plan_counters(void *arg, const struct plan_node *n, struct text *to);
void plan_text(const struct plan *p, plan_counters *counters, void *arg, struct text *to);
void plan_dot(const struct plan *p, plan_counters *counters, void *arg, struct text *to);

static inline bool bit_get(const uint64_t *bits, uint32_t i)
{
	return bits[i >> 6] >> (i & 63) & 1;
}

static inline void bit_set(uint64_t *bits, uint32_t i)
{
	bits[i >> 6] |= 1ull << (i & 63);
}

#endif
