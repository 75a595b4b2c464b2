/* SPDX-License-Identifier: MIT */
/* recombine.c: see recombine.h. */
#include "engine/core/recombine.h"

#include "engine/core/lend.h"

/* ---- columns ---- */

static inline void put(struct weir_col *to, uint32_t at, const struct weir_col *from, uint32_t row)
{
	switch (weir_storage_of(to->kind)) {
	case WEIR_WORD:
		((uint64_t *)to->data)[at] = weir_col_u64(from)[row];
		break;
	case WEIR_ADDR:
		((struct weir_ip *)to->data)[at] = weir_col_ip(from)[row];
		break;
	case WEIR_VAR:
		((struct weir_str *)to->data)[at] = weir_col_str(from)[row];
		break;
	}
}

/* Room for column `field` of b, to be put together of n columns. */
static struct weir_col *prepare(
        struct weir_batch *b, uint32_t field, const struct weir_col *const *from, uint32_t n)
{
	struct weir_col *to = weir_batch_own(b, field);
	bool all = true;

	if (!to)
		return NULL;
	to->flags = UINT32_MAX;
	for (uint32_t i = 0; i < n; i++) {
		to->flags &= from[i]->flags;
		all &= !from[i]->valid;
	}
	return all || weir_batch_own_valid(b, to) ? to : NULL;
}

/* ---- streams ---- */

/* What the lanes left, kept for text that the united batch refers to; in its memory. */
struct kept {
	uint32_t n;
	struct weir_batch *batch[];
};

static void release(struct weir_batch *b)
{
	struct kept *k = b->priv;

	for (uint32_t i = 0; i < k->n; i++)
		weir_batch_unref(k->batch[i]);
}

static const struct weir_batch_ops united = {.release = release};

static int unite_column(struct weir_batch *b, uint32_t field, const struct kept *k)
{
	const struct weir_col *from[256];
	struct weir_col *to;

	for (uint32_t i = 0; i < k->n; i++) {
		from[i] = weir_batch_col(k->batch[i], field);
		if (!from[i])
			return -ENOMEM;
	}
	to = prepare(b, field, from, k->n);
	if (!to)
		return -ENOMEM;
	for (uint32_t i = 0; i < k->n; i++)
		for (uint32_t j = 0; j < weir_batch_count(k->batch[i]); j++) {
			uint32_t row = weir_batch_row(k->batch[i], j);

			if (!weir_col_has(from[i], row))
				continue;
			put(to, row, from[i], row);
			if (to->valid)
				weir_valid_set(to->valid, row);
		}
	return 0;
}

/* The rows of all, ascending. */
static int unite_rows(struct weir_batch *b, const struct kept *k)
{
	uint64_t bits[WEIR_BATCH_ROWS / 64] = {0};
	uint32_t total = 0, n = 0;
	uint16_t *rows;

	for (uint32_t i = 0; i < k->n; i++) {
		uint32_t m = weir_batch_count(k->batch[i]);

		for (uint32_t j = 0; j < m; j++)
			weir_valid_set(bits, weir_batch_row(k->batch[i], j));
		total += m;
	}
	if (total == b->n) {
		weir_batch_select(b, NULL, total);
		return 0;
	}
	rows = weir_batch_sel(b, total);
	if (!rows)
		return -ENOMEM;
	for (uint32_t w = 0; w < WEIR_BATCH_ROWS / 64; w++)
		for (uint64_t v = bits[w]; v; v &= v - 1)
			rows[n++] = (uint16_t)(w * 64 + (uint32_t)__builtin_ctzll(v));
	weir_batch_select(b, rows, n);
	return 0;
}

int recombine(struct weir_pool *pool, struct weir_batch *b, struct weir_batch **out, uint32_t lanes,
        const struct weir_schema *schema, const int32_t *map, const uint64_t *needs,
        struct weir_batch **ret)
{
	struct weir_batch *to;
	struct kept *k;
	uint32_t n = 0;
	int r;

	*ret = NULL;
	for (uint32_t l = 0; l < lanes; l++)
		if (out[l])
			out[n++] = out[l];
	if (n <= 1) { /* as it is */
		*ret = n ? out[0] : NULL;
		return 0;
	}
	to = pool_view(pool, b, schema, map);
	k = to ? weir_batch_alloc(to, sizeof *k + n * sizeof *k->batch) : NULL;
	if (!k) {
		weir_batch_unref(to);
		for (uint32_t i = 0; i < n; i++)
			weir_batch_unref(out[i]);
		return -ENOMEM;
	}
	k->n = n;
	memcpy(k->batch, out, n * sizeof *k->batch);
	to->priv = k;
	to->ops = &united;
	r = unite_rows(to, k);
	for (uint32_t f = 0; f < schema->nfields && r == 0; f++)
		if (map[f] < 0 && bit_get(needs, f))
			r = unite_column(to, f, k);
	if (r < 0)
		weir_batch_unref(to);
	else
		*ret = to;
	return r;
}

/* ---- answers ---- */

static int merged_fill(struct weir_batch *b, uint32_t field)
{
	const struct answer *a = b->priv;
	const struct weir_col *from[256] = {NULL};
	const struct answer_lane *lane[256];
	struct weir_col *to;
	uint32_t n = 0;

	for (uint32_t l = 0; l < a->nlanes; l++) {
		if (!a->lane[l].n)
			continue;
		lane[n] = &a->lane[l];
		from[n] = weir_batch_col(lane[n]->batch, field);
		if (!from[n++])
			return -ENOMEM;
	}
	to = prepare(b, field, from, n);
	if (!to)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < lane[i]->n; j++) {
			uint32_t at = lane[i]->place[j];

			if (!weir_col_has(from[i], j))
				continue;
			put(to, at, from[i], j);
			if (to->valid)
				weir_valid_set(to->valid, at);
			/* a lane's batch ends with the merged one's first use */
			if (weir_storage_of(to->kind) == WEIR_VAR &&
			        batch_keep_text(b, (struct weir_str *)to->data + at) < 0)
				return -ENOMEM;
		}
	return 0;
}

static const struct weir_batch_ops merged = {.fill = merged_fill};

/* All lanes have emitted their ranges, and wait for this to return. */
static int emit_merged(struct answer *a)
{
	struct weir_batch *b = pool_batch(a->pool, a->schema, a->n);

	if (!b)
		return -ENOMEM;
	a->batches++;
	a->records += a->n;
	return lend(b, &merged, a, a->needs, a->emit, a->arg);
}

/* Asks the lanes from `at` on for their ranges, each while the ones before wait in their emit. */
static int ask(struct answer *a, uint32_t at)
{
	struct node *n;

	while (at < a->nlanes && !a->lane[at].n)
		at++;
	a->at = at;
	if (at == a->nlanes)
		return emit_merged(a);
	n = a->lane[at].node;
	return n->plan->module->part(&n->pub, a->lane[at].first, a->lane[at].n);
}

int answer_part(struct answer *a, struct weir_batch *b)
{
	if (a->nlanes == 1) {
		a->batches++;
		a->records += weir_batch_count(b);
		return a->emit(a->arg, weir_batch_ref(b));
	}
	a->lane[a->at].batch = b;
	return ask(a, a->at + 1);
}

static int hand_on(struct answer *a)
{
	int r = a->n ? ask(a, 0) : 0;

	for (uint32_t l = 0; l < a->nlanes; l++) {
		a->lane[l].first = a->lane[l].next;
		a->lane[l].n = 0;
		a->lane[l].batch = NULL;
	}
	a->n = 0;
	return r < 0 ? r : 0;
}

/* End of the keys that run `run` of a lane has in its answer. */
static uint32_t run_end(const struct answer_lane *l)
{
	const struct firsts *f = l->firsts;
	uint32_t end = l->run + 1 < f->nruns ? f->run[l->run + 1].first : f->n;

	return end < l->rows ? end : l->rows;
}

/* Keys that first came with the batch `token`, by row. */
static int merge_token(struct answer *a, uint64_t token)
{
	uint64_t bits[WEIR_BATCH_ROWS / 64] = {0};
	uint8_t from[WEIR_BATCH_ROWS];
	int r = 0;

	for (uint32_t i = 0; i < a->nlanes; i++) {
		struct answer_lane *l = &a->lane[i];

		if (l->next >= l->rows || l->firsts->run[l->run].token != token)
			continue;
		for (uint32_t k = l->next, end = run_end(l); k < end; k++) {
			from[l->firsts->row[k]] = (uint8_t)i;
			weir_valid_set(bits, l->firsts->row[k]);
		}
		l->run++;
	}
	for (uint32_t w = 0; w < WEIR_BATCH_ROWS / 64; w++)
		for (uint64_t v = bits[w]; v && r == 0; v &= v - 1) {
			struct answer_lane *l =
			        &a->lane[from[w * 64 + (uint32_t)__builtin_ctzll(v)]];

			l->place[l->n++] = (uint16_t)a->n++;
			l->next++;
			if (a->n == WEIR_BATCH_ROWS)
				r = hand_on(a);
		}
	return r;
}

/* Of one lane, whose answer needs no order. */
static int hand_on_all(struct answer *a)
{
	struct answer_lane *l = &a->lane[0];
	int r = 0;

	for (uint32_t at = 0; at < l->rows && r >= 0; at += WEIR_BATCH_ROWS) {
		l->first = at;
		l->n = a->n = l->rows - at < WEIR_BATCH_ROWS ? l->rows - at : WEIR_BATCH_ROWS;
		r = ask(a, 0);
	}
	return r < 0 ? r : 0;
}

static int merge(struct answer *a)
{
	int r = 0;

	if (a->nlanes == 1)
		return hand_on_all(a);
	while (r == 0) {
		uint64_t token = UINT64_MAX;

		for (uint32_t i = 0; i < a->nlanes; i++) {
			const struct answer_lane *l = &a->lane[i];

			if (l->next < l->rows && l->firsts->run[l->run].token < token)
				token = l->firsts->run[l->run].token;
		}
		if (token == UINT64_MAX)
			return hand_on(a);
		r = merge_token(a, token);
	}
	return r;
}

int answer_merge(struct answer *a, enum weir_mark mark)
{
	uint32_t begun = 0;
	int r = 0;

	while (begun < a->nlanes && r >= 0) {
		struct answer_lane *l = &a->lane[begun++];
		struct node *n = l->node;

		l->next = l->run = l->first = l->n = 0;
		r = n->plan->module->begin(&n->pub, mark, &l->rows);
		/* after a failure in between there may be keys that were not told of */
		if (a->nlanes > 1 && l->rows > l->firsts->n)
			l->rows = l->firsts->n;
	}
	a->n = 0;
	a->batches = a->records = 0;
	if (r >= 0)
		r = merge(a);
	while (begun--) {
		struct node *n = a->lane[begun].node;

		if (n->plan->module->end)
			n->plan->module->end(&n->pub);
	}
	return r < 0 ? r : 0;
}
