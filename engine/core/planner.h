/* SPDX-License-Identifier: MIT */
/* planner.h: what the files of the planner share. Not for others; see plan.h. */
#ifndef PLANNER_H
#define PLANNER_H

#include "engine/core/engine.h"
#include "engine/core/options.h"
#include "engine/core/plan.h"

#define PLAN_NODES_MAX 1000

struct plan_release {
	struct plan_release *next;
	struct weir_expr *expr;           /* to expr_release(), or */
	const struct weir_module *module; /* to call release on */
	void *config;
};

struct plan_schema {
	struct plan_schema *next;
	const struct weir_schema *schema;
};

struct planner {
	struct engine *e;
	struct plan *p;
	struct plan_graph *g;        /* where nodes go now */
	struct plan_graph *stamping; /* the body whose stamps a stamp node is made for */
	struct ast_spec *spec;
	const struct ast_definition *open[NEST_MAX]; /* being expanded */
	uint32_t nopen, nnodes;
	struct rights rights;
	void *all_config[2]; /* of `flows` and `packets`, once made */
	struct weir_err *err;
};

/* A bind in progress; weir_bind_*() work on it. */
struct binding {
	struct weir_bind pub;
	struct planner *pl;
	struct plan_node *node;
	struct weir_field *fields;
	int32_t *origin;
	uint32_t n, cap;
	const char *schema_name;
	bool started, same; /* same: exactly the input so far */
	bool fresh;         /* begun by weir_bind_new() */
};

/* Binds `module` with `args` to records of node `input` of the graph and appends the node. Its
 * index, or -errno. */
int planner_module(struct planner *pl, const struct weir_module *module, const char *name,
        const struct ast_arg *args, uint32_t nargs, uint32_t pos, uint32_t len, uint32_t input);

/* Appends an empty node; NULL with *err: too many. */
struct plan_node *planner_node(
        struct planner *pl, const char *name, uint32_t pos, uint32_t len, uint32_t nins);

/* Remembers a schema to be unreferenced with the plan. Takes the reference; NULL is -ENOMEM. */
int planner_schema(struct planner *pl, const struct weir_schema *s);

static inline struct plan_node *planner_at(struct planner *pl, int i)
{
	return pl->g->nodes[i];
}

/* A source as a node: one of the mount, all those with a flag (`packets`, `flows`) merged by time,
 * or the one that a query names. Index of the node, or -errno with *err. */
int planner_mounted(struct planner *pl, struct mounted *m, const struct ast_stage *st);
int planner_all(struct planner *pl, uint32_t flag, const struct ast_stage *st);
int planner_source(struct planner *pl, const struct ast_stage *st);

/* Unites nodes; where some are tables the streams are held back to be tables too. Index. */
int planner_union(struct planner *pl, uint32_t *ins, uint32_t nins, const struct ast_stage *st);

/* For option tables whose rows read no fields. */
void planner_no_use(void *arg, uint32_t field);
void planner_no_keep(void *arg, struct weir_expr *e);

void planner_keep_expr(struct planner *pl, struct weir_expr *e);

static inline uint64_t *planner_bits(struct planner *pl, const struct weir_schema *s)
{
	return arena_alloc(&pl->p->arena, (s->nfields / 64 + 1) * sizeof(uint64_t));
}

/* internal modules, engine/core/internal.c */
extern const struct weir_module module_union, module_derive, module_hold, module_stamp;

struct union_config {
	uint32_t nins;
	const int32_t **map; /* [input][output field]: the input's field, -1: none */
};

struct derive_config {
	uint32_t first, n; /* output fields first … first + n - 1 */
	struct weir_expr **expr;
};

/* Lists the consumers of each node (plan_node.targets), in the bodies too. */
int planner_targets(struct planner *pl, struct plan_graph *g);

/* Marks what each node's consumers read (plan_node.needs). */
int planner_needs(struct planner *pl);

#endif
