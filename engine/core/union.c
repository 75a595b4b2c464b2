/* SPDX-License-Identifier: MIT */
/* union.c: one stream from several branches; fields by name, those that an input lacks have no
 * value.
 *
 * Order. What the branches leave of one batch of the source waits until all have had it
 * (graph_push() settles), and goes on in the order of its records, the first branch first, where
 * it still are the records of one batch; else branch by branch. Tables go on one after another. So
 * the order depends on the query alone, not on the scheduler. A union of unions is one
 * (planner_union()).
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

/* The batch that all that is kept are rows of; NULL: there are several, or one input only. */
static struct weir_batch *one_root(const struct weir_node *n)
{
	const struct union_config *c = n->config;
	const struct state *s = n->state;
	struct weir_batch *first = NULL;
	uint32_t inputs = 0;

	for (uint32_t i = 0; i < c->nins; i++) {
		inputs += s->in[i].n != 0;
		for (size_t k = 0; k < s->in[i].n; k++) {
			struct weir_batch *root = gather_root(s->in[i].batch[k]);

			if (first && !gather_same_origin(first, root))
				return NULL;
			first = root;
		}
	}
	return inputs > 1 ? first : NULL;
}

static int emit_in_order(struct weir_node *n, struct weir_batch *root)
{
	const struct union_config *c = n->config;
	const struct state *s = n->state;
	struct weir_batch **all = weir_alloc(n->mem, s->kept * sizeof *all);
	size_t nall = 0;
	int r;

	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->nins; i++)
		for (size_t k = 0; k < s->in[i].n; k++)
			all[nall++] = s->in[i].batch[k];
	r = gather_in_order(n, all, nall, gather_origin(root));
	weir_free(n->mem, all, s->kept * sizeof *all);
	return r;
}

int union_settle(struct weir_node *n)
{
	const struct union_config *c = n->config;
	struct state *s = n->state;
	struct weir_batch *root;
	int r = 0;

	if (!s->kept)
		return 0;
	root = one_root(n);
	if (root) {
		r = emit_in_order(n, root);
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
