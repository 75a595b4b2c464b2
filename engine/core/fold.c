/* SPDX-License-Identifier: MIT */
/* fold.c: see fold.h. */
#include "engine/core/fold.h"

#include <stdlib.h>

#define KEYS (1u << 16)       /* in all lanes of a stage: then they are folded */
#define KEYS_SHORT (1u << 14) /* the same while memory is short */

void fold_count(struct lane *l)
{
	__atomic_store_n(&l->keys, l->firsts.n, __ATOMIC_RELAXED);
}

bool fold_is_due(const struct flow *f, bool is_short)
{
	uint32_t most = is_short ? KEYS_SHORT : f->run->fold_keys ? f->run->fold_keys : KEYS;

	for (uint32_t i = 0; i < f->nstages; i++) {
		const struct stage *st = &f->stage[i];
		uint64_t keys = 0;

		for (uint32_t l = 0; st->folds && l < st->nlanes; l++)
			keys += __atomic_load_n(&st->lane[l].keys, __ATOMIC_RELAXED);
		if (keys >= most)
			return true;
	}
	return false;
}

/* The lane whose next keys came first; NULL: all have been taken. */
static struct lane *first_of(struct stage *st)
{
	struct lane *best = NULL;
	uint64_t token = UINT64_MAX;

	for (uint32_t i = 0; i < st->nlanes; i++) {
		struct lane *l = &st->lane[i];

		if (l->taken < l->firsts.n && l->firsts.run[l->run].token < token) {
			token = l->firsts.run[l->run].token;
			best = l;
		}
	}
	return best;
}

/* Hands the keys of the lane's run over. */
static int take_run(struct stage *st, struct lane *l)
{
	struct graph *to = st->whole.graph, *from = l->instance->graph;
	struct node *n = &to->node[to->n - 1];
	const struct firsts *f = &l->firsts;
	uint32_t end = l->run + 1 < f->nruns ? f->run[l->run + 1].first : f->n;

	while (l->taken < end) {
		uint32_t m = end - l->taken < WEIR_BATCH_ROWS ? end - l->taken : WEIR_BATCH_ROWS;
		uint32_t took = 0;
		int r = n->plan->module->absorb(
		        &n->pub, &from->node[from->n - 1].pub, l->taken, m, &took);

		l->taken += took;
		if (r < 0)
			return r;
	}
	l->run++;
	return 0;
}

void fold_clear(struct lane *l)
{
	firsts_clear(&l->firsts);
	l->taken = l->run = 0;
	fold_count(l);
}

static void begin_anew(struct lane *l)
{
	struct graph *g = l->instance->graph;
	struct node *n = &g->node[g->n - 1];

	n->plan->module->forget(&n->pub);
	fold_clear(l);
}

/* The memory is the answer's. */
static void close_lane(struct lane *l)
{
	instance_close(l->instance);
	*l->instance = (struct instance){0};
	firsts_release(&l->firsts);
}

int fold_stage(struct stage *st, bool end)
{
	struct lane *l;
	int r = 0;

	while (r == 0 && (l = first_of(st)))
		r = take_run(st, l);
	for (uint32_t i = 0; i < st->nlanes && r == 0; i++) {
		if (!st->lane[i].instance->graph) /* closed at an end */
			continue;
		if (end)
			close_lane(&st->lane[i]);
		else
			begin_anew(&st->lane[i]);
	}
	if (r < 0 && !st->flow->run->failed)
		st->flow->run->failed = stretch_last(st->plan)->name;
	return r;
}
