/* SPDX-License-Identifier: MIT */
/* collect.c: what the instances of a scope's blocks leave, as one stream.
 *
 * Order. Rows that come one after another and are rows of one batch (what many instances passed on
 * of the batch that the scope got) go on in that batch's order; everything else in the order in
 * which it comes. So a stream that is split and passes through unchanged is the stream again,
 * whatever its batches, and what instances make anew stands where they made it.
 *
 * Small batches, of which a million instances leave a million, are copied together; what is kept
 * goes on when the scope is done with its batch (graph_push() settles).
 */
#include "engine/core/gather.h"
#include "engine/core/planner.h"
#include "engine/core/union.h"

#define RUN_MAX 8192 /* rows that may wait to be put in order */
#define LARGE 64     /* rows of a batch that goes on as it is */

struct state {
	struct pick *run; /* batches of one root; their rows are not used */
	uint32_t n, cap, rows;
	struct weir_batch *root;
	struct weir_batch *out; /* being filled */
	uint32_t nout;
};

static int emit_out(struct weir_node *n)
{
	struct state *s = n->state;
	struct weir_batch *b = s->out;

	s->out = NULL;
	if (!b)
		return 0;
	b->n = b->nsel = (uint16_t)s->nout;
	s->nout = 0;
	return weir_emit(n, 0, b);
}

static int append(struct weir_node *n, const struct pick *pick, uint32_t k)
{
	struct state *s = n->state;
	int r = 0;

	while (k && r >= 0) {
		uint32_t m = WEIR_BATCH_ROWS - s->nout;

		if (!s->out)
			s->out = gather_new(n, WEIR_BATCH_ROWS);
		if (!s->out)
			return -ENOMEM;
		if (s->nout == 0)
			s->out->token = pick->batch->token;
		m = m < k ? m : k;
		r = gather(n, s->out, s->nout, pick, m);
		if (r < 0)
			return r;
		s->nout += m;
		pick += m;
		k -= m;
		if (s->nout == WEIR_BATCH_ROWS)
			r = emit_out(n);
	}
	return r;
}

static int pass(struct weir_node *n, const struct pick *p)
{
	struct weir_batch *v;
	int r = emit_out(n);

	if (r < 0)
		return r;
	v = pool_view(node_of(n)->graph->pool, p->batch, n->out, p->map);
	return v ? weir_emit(n, 0, v) : -ENOMEM;
}

/* The rows of all batches of the run by row, those of one row in order of arrival. */
static void arrange(const struct state *s, struct pick *to)
{
	uint32_t at[WEIR_BATCH_ROWS + 1] = {0};

	for (uint32_t i = 0; i < s->n; i++)
		for (uint32_t k = 0; k < weir_batch_count(s->run[i].batch); k++)
			at[weir_batch_row(s->run[i].batch, k) + 1]++;
	for (uint32_t row = 0; row < WEIR_BATCH_ROWS; row++)
		at[row + 1] += at[row];
	for (uint32_t i = 0; i < s->n; i++)
		for (uint32_t k = 0; k < weir_batch_count(s->run[i].batch); k++) {
			uint32_t row = weir_batch_row(s->run[i].batch, k);

			to[at[row]++] = (struct pick){s->run[i].batch, s->run[i].map, row};
		}
}

static int end_run(struct weir_node *n)
{
	struct state *s = n->state;
	struct pick *pick;
	int r;

	if (!s->n)
		return 0;
	if (s->n == 1 && s->rows >= LARGE) {
		r = pass(n, s->run);
	} else {
		pick = weir_alloc(n->mem, s->rows * sizeof *pick);
		if (!pick)
			return -ENOMEM;
		arrange(s, pick);
		r = append(n, pick, s->rows);
		weir_free(n->mem, pick, s->rows * sizeof *pick);
	}
	for (uint32_t i = 0; i < s->n; i++)
		weir_batch_unref(s->run[i].batch);
	s->n = s->rows = 0;
	return r;
}

static int collect_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct union_config *c = n->config;
	struct state *s = n->state;
	struct weir_batch *root = gather_root(b);
	int r = 0;

	if (s->n && (root != s->root || s->rows > RUN_MAX))
		r = end_run(n);
	if (r < 0)
		return r;
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? 2 * s->cap : 4;
		struct pick *run =
		        weir_realloc(n->mem, s->run, s->cap * sizeof *run, cap * sizeof *run);

		if (!run)
			return -ENOMEM;
		s->run = run;
		s->cap = cap;
	}
	s->root = root;
	s->run[s->n++] = (struct pick){weir_batch_ref(b), c->map[input], 0};
	s->rows += weir_batch_count(b);
	return 0;
}

int collect_settle(struct weir_node *n)
{
	int r = end_run(n);

	return r < 0 ? r : emit_out(n);
}

static int collect_flush(struct weir_node *n, enum weir_mark mark)
{
	return collect_settle(n);
}

static void collect_close(struct weir_node *n)
{
	struct state *s = n->state;

	for (uint32_t i = 0; i < s->n; i++)
		weir_batch_unref(s->run[i].batch);
	weir_batch_unref(s->out);
	if (s->run)
		weir_free(n->mem, s->run, s->cap * sizeof *s->run);
}

const struct weir_module module_collect = {
        .abi = WEIR_ABI,
        .name = "collect",
        .summary = "what instances leave, as one stream",
        .state_size = sizeof(struct state),
        .process = collect_process,
        .flush = collect_flush,
        .close = collect_close,
};
