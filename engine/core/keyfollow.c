/* SPDX-License-Identifier: MIT */
/* keyfollow.c: see keyfollow.h. */
#include "engine/core/keyfollow.h"

#include "engine/core/keytab.h"
#include "engine/core/node.h"

static const struct weir_fields *keys_of(const struct plan_node *n)
{
	return (const void *)((const char *)n->config + n->module->keys_offset);
}

/* Whether one of them is `field`, or comes from it. */
static bool has(const struct weir_fields *f, const int32_t *origin, int32_t field)
{
	for (uint32_t i = 0; i < f->n; i++)
		if ((origin ? origin[f->index[i]] : (int32_t)f->index[i]) == field)
			return true;
	return false;
}

bool keyfollow_wanted(const struct weir_node *n)
{
	const struct node *node = (const struct node *)n;
	const struct plan_node *p = node->plan, *next;
	const struct weir_fields *keys, *theirs;

	if (node->spill || p->ntargets != 1 || p->targets[0].channel)
		return false;
	next = node->graph->plan->nodes[p->targets[0].node];
	if (!next->module || !(next->flags & WEIR_KEYED) || next->nins != 1 || next->ins[0].map)
		return false;
	keys = keys_of(p);
	theirs = keys_of(next);
	/* both ways: a field may stand there twice */
	for (uint32_t i = 0; i < keys->n; i++)
		if (!has(theirs, p->origin, (int32_t)keys->index[i]))
			return false;
	for (uint32_t i = 0; i < theirs->n; i++)
		if (!has(keys, NULL, p->origin[theirs->index[i]]))
			return false;
	return true;
}

/* No two tables of the process have the same, nor has one that was emptied what it had. */
static uint64_t new_serial(void)
{
	static uint64_t serial;

	return __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED);
}

int keyfollow_pass(struct keytab *t, const struct keytab_rows *r, struct weir_batch *out)
{
	uint32_t *ids = weir_batch_alloc(out, out->n * sizeof *ids);

	if (!ids)
		return -ENOMEM;
	if (!t->serial)
		t->serial = new_serial();
	for (uint32_t k = 0; k < r->n; k++)
		ids[r->row[k]] = r->id[k];
	out->ids = ids;
	out->ids_of = t->serial;
	return 0;
}

/* Whether t's ids are those of b's, so far. */
static bool may_follow(const struct keytab *t, const struct weir_batch *b)
{
	if (!b->ids || t->apart || t->frozen || t->pack.wide)
		return false;
	return t->n ? t->follows == b->ids_of : !t->keys.bits;
}

int keyfollow_map(struct keytab *t, struct weir_batch *b, struct keytab_rows *ret)
{
	uint32_t n, next = t->n, state = t->keys.key_size;
	uint16_t rows[WEIR_BATCH_ROWS];

	if (!may_follow(t, b))
		return 1;
	n = keypack_rows(b, ret->row);
	ret->before = next;
	ret->n = n;
	ret->nfresh = ret->nmissed = ret->missing = 0;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t id = b->ids[ret->row[k]];

		if (id > next)
			return 1;
		ret->id[k] = id;
		rows[ret->nfresh] = ret->row[k];
		ret->fresh[ret->nfresh] = (uint16_t)k;
		ret->nfresh += id == next;
		next += id == next;
	}
	if (ret->nfresh) {
		int r = keytab_append(t, b, rows, ret->nfresh);

		if (r < 0)
			return r;
	}
	t->follows = next ? b->ids_of : 0;
	for (uint32_t k = 0; t->payload && k < n; k++) {
		ret->state[k] = keypart_rec(&t->keys, ret->id[k]) + state;
		__builtin_prefetch(ret->state[k], 1);
	}
	return 0;
}
