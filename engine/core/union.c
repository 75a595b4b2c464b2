/* SPDX-License-Identifier: MIT */
/* union.c: one stream from several branches; fields by name, those that an input lacks have no
 * value.
 *
 * Order. What the branches leave of one batch of the source waits until all have had it
 * (graph_push() settles), and goes on in the order of its records, the first branch first, where
 * it still are the records of one batch, or copies of them (gather.h); else branch by branch. So do
 * the rows of one table behind it; several tables go on one after another. So the order depends on
 * the query alone, not on the scheduler. A union of unions is one (planner_union()).
 */
#include "engine/core/union.h"

#include "engine/core/gather.h"
#include "engine/core/planner.h"

struct state {
	struct hold *in; /* one for each input */
	size_t kept;
};

static int union_open(struct weir_node *n, struct weir_err *err)
{
	const struct union_config *c = n->config;
	struct state *s = n->state;

	s->in = weir_calloc(n->mem, c->nins * sizeof *s->in);
	return s->in ? 0 : -ENOMEM;
}

static int union_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct union_config *c = n->config;
	struct weir_batch *v = pool_view(node_of(n)->graph->pool, b, n->out, c->map[input]);
	struct state *s = n->state;
	int r;

	if (!v)
		return -ENOMEM;
	r = hold_keep(n, &s->in[input], v);
	s->kept += r == 0;
	weir_batch_unref(v);
	return r;
}

/* Whether several inputs have something, and all of it comes from one: of rows of one batch, or of
 * batches that one node numbered. */
static bool is_of_one(const struct weir_node *n)
{
	const struct union_config *c = n->config;
	const struct state *s = n->state;
	struct weir_batch *first = NULL;
	uint32_t inputs = 0;

	for (uint32_t i = 0; i < c->nins; i++) {
		inputs += s->in[i].n != 0;
		for (size_t k = 0; k < s->in[i].n; k++) {
			struct weir_batch *root = gather_root(s->in[i].batch[k]);

			if (first && !gather_same_origin(first, root) &&
			        !gather_of_one(first, root))
				return false;
			first = root;
		}
	}
	return inputs > 1;
}

/* Batches of the lowest number that has not been done, from all inputs; at: by input, how far it
 * is done. Returns how many. */
static size_t next_root(const struct weir_node *n, size_t *at, struct weir_batch **ret)
{
	const struct union_config *c = n->config;
	const struct state *s = n->state;
	struct weir_batch *first = NULL;
	size_t m = 0;

	for (uint32_t i = 0; i < c->nins; i++) {
		struct weir_batch *root =
		        at[i] < s->in[i].n ? gather_root(s->in[i].batch[at[i]]) : NULL;

		if (root && (!first || gather_known(root) < gather_known(first)))
			first = root;
	}
	for (uint32_t i = 0; i < c->nins && first; i++)
		while (at[i] < s->in[i].n &&
		        gather_same_origin(gather_root(s->in[i].batch[at[i]]), first))
			ret[m++] = s->in[i].batch[at[i]++];
	return m;
}

static int emit_in_order(struct weir_node *n)
{
	const struct union_config *c = n->config;
	const struct state *s = n->state;
	struct weir_batch **some = weir_alloc(n->mem, s->kept * sizeof *some);
	size_t *at = weir_calloc(n->mem, c->nins * sizeof *at), m;
	int r = some && at ? 0 : -ENOMEM;

	while (r == 0 && (m = next_root(n, at, some)))
		r = gather_in_order(n, some, m, gather_origin(gather_root(some[0])));
	weir_free(n->mem, at, c->nins * sizeof *at);
	weir_free(n->mem, some, s->kept * sizeof *some);
	return r;
}

int union_settle(struct weir_node *n)
{
	const struct union_config *c = n->config;
	struct state *s = n->state;
	int r = 0;

	if (!s->kept)
		return 0;
	if (is_of_one(n)) {
		r = emit_in_order(n);
	} else {
		for (uint32_t i = 0; i < c->nins && r >= 0; i++)
			r = hold_emit(n, &s->in[i]);
	}
	for (uint32_t i = 0; i < c->nins; i++)
		hold_drop(n, &s->in[i]);
	s->kept = 0;
	return r;
}

static int union_flush(struct weir_node *n, enum weir_mark mark)
{
	return union_settle(n);
}

static void union_close(struct weir_node *n)
{
	const struct union_config *c = n->config;
	struct state *s = n->state;

	for (uint32_t i = 0; s->in && i < c->nins; i++)
		hold_drop(n, &s->in[i]);
	weir_free(n->mem, s->in, c->nins * sizeof *s->in);
	s->in = NULL;
}

const struct weir_module module_union = {
        .abi = WEIR_ABI,
        .name = "union",
        .summary = "records of several branches as one stream",
        .state_size = sizeof(struct state),
        .open = union_open,
        .process = union_process,
        .flush = union_flush,
        .close = union_close,
};
