/* SPDX-License-Identifier: MIT */
/* collect.c: what the instances of a scope's blocks leave, as one stream.
 *
 * Order. Rows that come one after another and are rows of one batch (what many instances passed on
 * of the batch that the scope got) go on in that batch's order; everything else in the order in
 * which it comes. So a stream that is split and passes through unchanged is the stream again,
 * whatever its batches, and what instances make anew stands where they made it.
 *
 * Small batches, of which a million instances leave a million, are copied together as they come; a
 * large one that is alone goes on as it is. What is there goes on when the scope is done with its
 * batch (graph_push() settles).
 */
#include "engine/core/gather.h"
#include "engine/core/planner.h"
#include "engine/core/union.h"

#define LARGE 64 /* rows of a batch that goes on as it is */
#define PART 64  /* rows copied at once */

struct state {
	struct weir_batch *root; /* of the run; NULL: none */
	struct weir_batch *held; /* its only batch so far */
	const int32_t *held_map;
	struct weir_batch *out; /* being filled */
	uint16_t *at;           /* rows of the root that out's rows were */
	uint32_t n;             /* rows in out */
	uint32_t from, last;    /* the run's first row in out; its last row of the root */
	uint64_t origin;        /* of out's rows; 0: they are of several runs */
	bool unordered;         /* the run is not ascending */
	struct hold full;       /* batches of the run before out, where out could not take all */
};

static struct weir_batch *take_out(struct state *s)
{
	struct weir_batch *b = s->out;

	s->out = NULL;
	if (!b)
		return NULL;
	b->n = b->nsel = (uint16_t)s->n;
	if (s->origin)
		gather_placed(b, s->origin, s->at);
	s->n = s->from = 0;
	return b;
}

static int emit_out(struct weir_node *n)
{
	struct weir_batch *b = take_out(n->state);

	return b ? weir_emit(n, 0, b) : 0;
}

static int new_out(struct weir_node *n, uint64_t token)
{
	struct state *s = n->state;

	s->out = gather_new(n, WEIR_BATCH_ROWS);
	s->at = s->out ? weir_batch_alloc(s->out, WEIR_BATCH_ROWS * sizeof *s->at) : NULL;
	if (!s->at)
		return -ENOMEM;
	s->out->token = token;
	return 0;
}

/* Puts the run's rows in out into the order of the root, those of one row as they came. */
static int arrange(struct weir_node *n)
{
	uint16_t place[WEIR_BATCH_ROWS + 1] = {0};
	struct state *s = n->state;
	struct weir_batch *old = s->out;
	const uint16_t *at = s->at;
	size_t size = WEIR_BATCH_ROWS * sizeof(struct pick);
	struct pick *pick;
	int r;

	if (!s->unordered)
		return 0;
	s->unordered = false;
	pick = weir_alloc(n->mem, size);
	if (!pick)
		return -ENOMEM;
	for (uint32_t i = s->from; i < s->n; i++)
		place[s->at[i] + 1]++;
	for (uint32_t row = 0; row < WEIR_BATCH_ROWS; row++)
		place[row + 1] = (uint16_t)(place[row + 1] + place[row]);
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t to = i < s->from ? i : s->from + place[s->at[i]]++;

		pick[to] = (struct pick){old, NULL, i};
	}
	r = new_out(n, old->token);
	for (uint32_t i = 0; i < s->n && r == 0; i++)
		s->at[i] = at[pick[i].row];
	if (r == 0)
		r = gather(n, s->out, 0, pick, s->n);
	weir_free(n->mem, pick, size);
	weir_batch_unref(old);
	return r;
}

static int append_part(
        struct weir_node *n, struct weir_batch *b, const int32_t *map, uint32_t k, uint32_t m)
{
	const struct weir_batch *root = gather_root(b);
	struct state *s = n->state;
	struct pick pick[PART];

	for (uint32_t i = 0; i < m; i++) {
		uint32_t row = weir_batch_row(b, k + i), place = gather_place(root, row);

		pick[i] = (struct pick){b, map, row};
		s->unordered |= place < s->last;
		s->at[s->n + i] = (uint16_t)place;
		s->last = place;
	}
	return gather(n, s->out, s->n, pick, m);
}

/* The run's rows move to a batch of their own; those of runs before it go on. */
static int part_out(struct weir_node *n)
{
	struct state *s = n->state;
	struct weir_batch *old = s->out;
	uint32_t from = s->from, rows = s->n - from;
	const uint16_t *at = s->at;
	struct pick pick[PART];
	int r = new_out(n, old->token);

	for (uint32_t k = 0, m; k < rows && r == 0; k += m) {
		m = rows - k < PART ? rows - k : PART;
		for (uint32_t i = 0; i < m; i++) {
			pick[i] = (struct pick){old, NULL, from + k + i};
			s->at[k + i] = at[from + k + i];
		}
		r = gather(n, s->out, k, pick, m);
	}
	s->n = rows;
	s->from = 0;
	s->origin = gather_origin(s->root);
	if (r < 0) {
		weir_batch_unref(old);
		return r;
	}
	old->n = old->nsel = (uint16_t)from;
	return weir_emit(n, 0, old);
}

/* More rows than the root has: some came more than once. */
static int keep_out(struct weir_node *n)
{
	struct state *s = n->state;
	int r = s->from ? part_out(n) : 0;
	struct weir_batch *b = r < 0 ? NULL : take_out(s);

	if (b)
		r = hold_keep(n, &s->full, b);
	weir_batch_unref(b);
	return r;
}

static int append(struct weir_node *n, struct weir_batch *b, const int32_t *map)
{
	uint32_t count = weir_batch_count(b);
	struct state *s = n->state;
	int r = 0;

	for (uint32_t k = 0, m; k < count && r >= 0; k += m) {
		m = count - k < PART ? count - k : PART;
		if (s->n + m > WEIR_BATCH_ROWS)
			r = keep_out(n);
		if (r == 0 && !s->out)
			r = new_out(n, b->token);
		if (r == 0)
			r = append_part(n, b, map, k, m);
		s->n += r == 0 ? m : 0;
	}
	return r;
}

/* The run's first batch is copied. */
static int append_held(struct weir_node *n)
{
	struct state *s = n->state;
	struct weir_batch *b = s->held;
	int r = 0;

	if (!b)
		return 0;
	s->held = NULL;
	if (s->n + (s->root->place ? WEIR_BATCH_ROWS : s->root->n) > WEIR_BATCH_ROWS)
		r = emit_out(n);
	s->from = s->n;
	s->origin = s->n ? 0 : gather_origin(s->root);
	s->last = 0;
	if (r == 0)
		r = append(n, b, s->held_map);
	weir_batch_unref(b);
	return r;
}

static int pass(struct weir_node *n)
{
	struct state *s = n->state;
	struct weir_batch *b = s->held, *v;
	int r = emit_out(n);

	s->held = NULL;
	v = r < 0 ? NULL : pool_view(node_of(n)->graph->pool, b, n->out, s->held_map);
	weir_batch_unref(b);
	return r < 0 ? r : v ? weir_emit(n, 0, v) : -ENOMEM;
}

/* A run of several batches. */
static int emit_full(struct weir_node *n)
{
	struct state *s = n->state;
	int r = keep_out(n);

	if (r == 0)
		r = gather_in_order(n, s->full.batch, s->full.n, s->origin);
	hold_drop(n, &s->full);
	s->unordered = false;
	return r;
}

static int end_run(struct weir_node *n)
{
	struct state *s = n->state;
	int r;

	if (s->held && weir_batch_count(s->held) >= LARGE)
		r = pass(n);
	else
		r = append_held(n);
	if (r == 0 && s->full.n)
		r = emit_full(n);
	else if (r == 0)
		r = arrange(n);
	weir_batch_unref(s->root);
	s->root = NULL;
	return r;
}

static int collect_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct union_config *c = n->config;
	struct state *s = n->state;
	struct weir_batch *root = gather_root(b);
	int r = 0;

	if (s->root && !gather_same_origin(root, s->root))
		r = end_run(n);
	if (r < 0)
		return r;
	if (!s->root) {
		s->root = weir_batch_ref(root);
		s->held = weir_batch_ref(b);
		s->held_map = c->map[input];
		return 0;
	}
	r = append_held(n);
	return r < 0 ? r : append(n, b, c->map[input]);
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

	weir_batch_unref(s->root);
	weir_batch_unref(s->held);
	weir_batch_unref(s->out);
	hold_drop(n, &s->full);
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
