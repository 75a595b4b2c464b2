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
	const struct ast_definition *open[NEST_MAX]; /* the walk is in, from the outermost */
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
	const struct ast_arg *args;
	uint32_t nargs;
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
        const struct ast_arg *args, uint32_t nargs, uint32_t pos, uint32_t len, int input);

/* Appends an empty node; NULL with *err: too many. */
struct plan_node *planner_node(
        struct planner *pl, const char *name, uint32_t pos, uint32_t len, uint32_t nins);

/* Remembers a schema to be unreferenced with the plan. Takes the reference; NULL is -ENOMEM. */
int planner_schema(struct planner *pl, const struct weir_schema *s);

/* What a stage stands behind is an output of a node of the graph at hand: the node's index, or
 * with PORT() another channel of it than 0. */
#define PORT_NODE 0xffffu
#define PORT(node, channel) ((int)((uint32_t)(node) | (uint32_t)(channel) << 16))

static inline struct plan_node *planner_at(struct planner *pl, int port)
{
	return pl->g->nodes[(uint32_t)port & PORT_NODE];
}

static inline void planner_connect(struct plan_edge *e, int port)
{
	e->node = (uint32_t)port & PORT_NODE;
	e->channel = (uint32_t)port >> 16;
}

/* Stages still to come. */
struct rest {
	const struct ast_stage *stage;
	const struct rest *up;
	uint32_t nopen; /* of the planner, where they stand */
};

/* Walks the stages from `st`, then `rest`, behind `input` (-1: none yet). The last node. */
int planner_walk(
        struct planner *pl, const struct ast_stage *st, const struct rest *rest, int input);
int planner_where(struct planner *pl, const struct ast *cond, int input);
/* An AST_BRANCHES: all of them behind `input`, united. */
int planner_branches(struct planner *pl, const struct ast_stage *st, int input);

/* Everything behind a scope goes into its body. */
int planner_body(
        struct planner *pl, int scope, const struct ast_stage *st, const struct rest *rest);
bool planner_takes_blocks(const struct weir_module *m);
/* The blocks of stage `st`, whose node is `node`: as bodies, or behind channels. What they leave,
 * united. */
int planner_blocks(struct planner *pl, int node, const struct ast_stage *st);
/* Behind a module that makes records of its own, those of a scope's body are annotated anew: rows
 * keep their window, their key; of all the scopes that they stand in. */
int planner_stamps(struct planner *pl, int input);
/* The scope whose blocks the stage would stand in, so that there would be any number of instances
 * of it; NULL: none. */
const struct plan_node *planner_instances(struct planner *pl);
/* The node whose table makes the order of the records at `input` other than that of time, or
 * NULL. */
const struct plan_node *planner_table(struct planner *pl, int input);

/* A source as a node: one of the mount, all those with a flag (`packets`, `flows`) merged by time,
 * or the one that a query names. Index of the node, or -errno with *err. */
int planner_mounted(struct planner *pl, struct mounted *m, const struct ast_stage *st);
int planner_all(struct planner *pl, uint32_t flag, const struct ast_stage *st);
int planner_source(struct planner *pl, const struct ast_stage *st);

/* Unites nodes; where some are tables the streams are held back to be tables too. Index. */
int planner_union(struct planner *pl, int *ins, uint32_t nins, const struct ast_stage *st);
/* The same for what the instances of a scope's blocks leave. */
int planner_collect(struct planner *pl, int scope, const struct ast_stage *st);

/* The files that arguments name: paths as they must be, and those to be created can be. */
int planner_files(struct planner *pl, const struct ast_arg *args, uint32_t nargs);
/* Fails for a path that depends on a folder, where the engine has none in common with who asks. */
int planner_rooted(struct planner *pl, const char *path, uint32_t pos, uint32_t len);
/* The file of the stage that an error of its source is about, or the stage. */
void planner_blame(const struct ast_stage *st, const char *text, uint32_t *pos, uint32_t *len);

/* For option tables whose rows read no fields. */
void planner_no_use(void *arg, uint32_t field);
void planner_no_keep(void *arg, struct weir_expr *e);

void planner_keep_expr(struct planner *pl, struct weir_expr *e);

static inline uint64_t *planner_bits(struct planner *pl, const struct weir_schema *s)
{
	return arena_alloc(&pl->p->arena, (s->nfields / 64 + 1) * sizeof(uint64_t));
}

/* internal modules, engine/core/internal.c */
extern const struct weir_module module_union, module_collect, module_derive, module_hold,
        module_stamp;

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

/* Whether what it emits of a batch depends on nothing else, and it emits nothing at marks. */
static inline bool planner_is_parallel(const struct plan_node *n)
{
	return (n->flags & WEIR_PARALLEL) &&
	       !(n->flags & (WEIR_BLOCKING | WEIR_EFFECT | WEIR_SCOPE)) &&
	       (!n->module->flush || (n->flags & WEIR_VIEWS)) && !n->module->begin;
}

/* Finds the scopes whose bodies share panes (plan_node.shares), once needs are known; see panes.h.
 */
void planner_panes(struct plan_graph *g);

/* Marks the nodes that spill (plan_node.spills); see spill.h. */
void planner_spills(struct planner *pl);

/* Cuts the plan for worker threads, once the needs are known; see stretch.h. */
int planner_stretches(struct planner *pl);
/* What a stage was told, see plan_said.c; NULL: it is like no other. */
const char *planner_said(
        struct planner *pl, const char *name, const struct ast_arg *args, uint32_t nargs);

/* Marks what each node's consumers read (plan_node.needs). */
int planner_needs(struct planner *pl);

#endif
