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

/* Whether all that is kept are rows of one batch, at most one batch an input. */
static bool one_root(const struct weir_node *n, uint32_t *ret_inputs, uint32_t *ret_rows)
{
	const struct union_config *c = n->config;
	const struct state *s = n->state;
	struct weir_batch *first = NULL;

	*ret_inputs = *ret_rows = 0;
	for (uint32_t i = 0; i < c->nins; i++) {
		if (!s->in[i].n)
			continue;
		if (s->in[i].n > 1 || (first && gather_root(s->in[i].batch[0]) != first))
			return false;
		first = gather_root(s->in[i].batch[0]);
		*ret_inputs += 1;
		*ret_rows += weir_batch_count(s->in[i].batch[0]);
	}
	return *ret_inputs > 1;
}

static void merge(const struct weir_node *n, struct pick *to)
{
	const struct union_config *c = n->config;
	const struct state *s = n->state;
	uint32_t rows = 0;

	for (uint32_t i = 0; i < c->nins; i++) {
		struct weir_batch *b = s->in[i].n ? s->in[i].batch[0] : NULL;

		for (uint32_t k = b ? weir_batch_count(b) : 0, end = rows + k, at = end;
		        b && k--;) {
			/* from the back: what was there before moves up, equal rows stay below */
			uint32_t row = weir_batch_row(b, k);

			while (rows && to[rows - 1].row > row)
				to[--at] = to[--rows];
			to[--at] = (struct pick){b, NULL, row};
			if (k == 0)
				rows = end;
		}
	}
}

static int emit_merged(struct weir_node *n, const struct pick *pick, uint32_t rows)
{
	int r = 0;

	for (uint32_t at = 0; at < rows && r == 0; at += WEIR_BATCH_ROWS) {
		uint32_t part = rows - at < WEIR_BATCH_ROWS ? rows - at : WEIR_BATCH_ROWS;
		struct weir_batch *b = gather_new(n, part);

		if (!b)
			return -ENOMEM;
		b->token = pick[at].batch->token;
		r = gather(n, b, 0, pick + at, part);
		if (r == 0)
			r = weir_emit(n, 0, b);
		else
			weir_batch_unref(b);
	}
	return r;
}

int union_settle(struct weir_node *n)
{
	const struct union_config *c = n->config;
	struct state *s = n->state;
	uint32_t inputs, rows;
	int r = 0;

	if (!s->kept)
		return 0;
	if (one_root(n, &inputs, &rows)) {
		struct pick *pick = weir_alloc(n->mem, rows * sizeof *pick);

		if (!pick)
			return -ENOMEM;
		merge(n, pick);
		r = emit_merged(n, pick, rows);
		weir_free(n->mem, pick, rows * sizeof *pick);
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
