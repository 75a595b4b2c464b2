/* SPDX-License-Identifier: MIT */
/* bodies.c: see bodies.h. */
#include "engine/core/bodies.h"

#include "engine/core/record_time.h"

int bodies_init(struct bodies *s, struct weir_mem *mem, struct weir_fields by, size_t size)
{
	stream_time_init(&s->time);
	return keymap_init(&s->map, mem, by, size);
}

void bodies_release(struct bodies *s)
{
	for (struct keyed_body *x = s->oldest; x; x = x->newer)
		weir_body_close(x->body);
	keymap_release(&s->map);
}

/* ---- the list ---- */

static void take_out(struct bodies *s, struct keyed_body *x)
{
	*(x->older ? &x->older->newer : &s->oldest) = x->newer;
	*(x->newer ? &x->newer->older : &s->newest) = x->older;
	x->older = x->newer = NULL;
}

static void put_last(struct bodies *s, struct keyed_body *x)
{
	x->older = s->newest;
	x->newer = NULL;
	*(s->newest ? &s->newest->newer : &s->oldest) = x;
	s->newest = x;
}

void bodies_renew(struct bodies *s, struct keyed_body *x)
{
	take_out(s, x);
	put_last(s, x);
}

bool bodies_time(struct bodies *s, struct weir_node *n, int64_t t, int64_t step)
{
	if (!stream_time_add(&s->time, t, step, weir_node_clock(n)))
		return false;
	for (struct keyed_body *x = s->oldest; x; x = x->newer)
		x->last = t;
	return true;
}

/* The list is in the order in which bodies were renewed, which is that of `last` but for records
 * that came late; so x is looked at, too. */
struct keyed_body *bodies_idle(
        struct bodies *s, struct keyed_body *x, int64_t t, int64_t gap, int64_t late)
{
	int64_t by_all = s->time.highest - late;

	if (s->oldest && s->oldest->last + gap < by_all)
		return s->oldest;
	return x->body && (t - x->last > gap || x->last + gap < by_all) ? x : NULL;
}

/* ---- records to bodies ---- */

int bodies_begin(struct bodies *s, struct weir_node *n, struct weir_batch *b,
        const struct weir_col *time, uint64_t *missing, struct bodies_batch **ret)
{
	struct bodies_batch *bb = weir_alloc(n->mem, sizeof *bb);
	int r;

	if (!bb)
		return -ENOMEM;
	bb->b = b;
	bb->n = bb->nrows = 0;
	for (uint32_t i = 0; i < weir_batch_count(b); i++) {
		uint32_t row = weir_batch_row(b, i);
		bool has = !time || weir_col_has(time, row);

		bb->row[bb->nrows] = (uint16_t)row;
		bb->nrows += has;
		*missing += !has;
	}
	r = keymap_rows(&s->map, b, bb->row, bb->nrows, bb->entry, missing);
	if (r < 0) {
		weir_free(n->mem, bb, sizeof *bb);
		return r;
	}
	for (uint32_t i = 0; i < bb->nrows; i++)
		if (bb->entry[i])
			((struct keyed_body *)keymap_value(bb->entry[i]))->here = true;
	*ret = bb;
	return 0;
}

void bodies_add(struct bodies_batch *bb, struct keyed_body *x, uint32_t i)
{
	struct bodies_chain *c;

	if (!x->slot) {
		bb->chain[bb->n++] = (struct bodies_chain){.x = x};
		x->slot = (uint16_t)bb->n;
	}
	c = &bb->chain[x->slot - 1];
	*(c->count++ ? &bb->next[c->tail] : &c->head) = (uint16_t)i;
	c->tail = (uint16_t)i;
}

static int push(struct weir_node *n, struct bodies_batch *bb, struct bodies_chain *c)
{
	uint32_t i = c->head, count = c->count;
	struct weir_batch *v;
	uint16_t *rows;
	int r;

	c->count = 0;
	if (c->x->done || !count)
		return 0;
	if (count == weir_batch_count(bb->b)) {
		v = weir_batch_ref(bb->b);
	} else {
		v = weir_narrow(n, bb->b);
		rows = v ? weir_batch_sel(v, count) : NULL;
		if (!rows) {
			weir_batch_unref(v);
			return -ENOMEM;
		}
		for (uint32_t k = 0; k < count; k++, i = bb->next[i])
			rows[k] = bb->row[i];
		weir_batch_select(v, rows, count);
	}
	r = weir_body_push(c->x->body, v);
	c->x->done = r == WEIR_DONE;
	return r < 0 ? r : 0;
}

int bodies_push(struct weir_node *n, struct bodies_batch *bb, int r)
{
	for (uint32_t i = 0; i < bb->n; i++) {
		if (r == 0)
			r = push(n, bb, &bb->chain[i]);
		bb->chain[i].x->slot = 0;
	}
	bb->n = 0;
	return r;
}

/* Removes the keys that were left without a body. */
static void forget(struct bodies *s, struct bodies_batch *bb)
{
	uint32_t m = 0;

	for (uint32_t i = 0; i < bb->nrows; i++) {
		struct keyed_body *x = bodies_at(bb, i);

		if (!x || !x->here)
			continue;
		x->here = false;
		bb->entry[m++] = bb->entry[i];
	}
	for (uint32_t i = 0; i < m; i++)
		if (!((struct keyed_body *)keymap_value(bb->entry[i]))->body)
			keymap_remove(&s->map, bb->entry[i]);
}

int bodies_settle(struct bodies *s, struct weir_node *n, struct bodies_batch *bb, int r)
{
	r = bodies_push(n, bb, r);
	forget(s, bb);
	weir_free(n->mem, bb, sizeof *bb);
	return r;
}

/* ---- bodies come and go ---- */

int bodies_open(struct bodies *s, struct weir_node *n, struct keyed_body *x, uint32_t child)
{
	x->body = weir_body_open(n, child, NULL);
	if (!x->body)
		return -ENOMEM;
	s->n++;
	put_last(s, x);
	return 0;
}

static int end(struct bodies *s, struct keyed_body *x)
{
	struct weir_body *body = x->body;
	int r;

	take_out(s, x);
	s->n--;
	x->body = NULL;
	x->done = false;
	r = weir_body_end(body);
	return r < 0 ? r : 0;
}

static struct keymap_entry *entry_of(struct keyed_body *x)
{
	return (struct keymap_entry *)x - 1; /* see keymap_value() */
}

int bodies_end(struct bodies *s, struct weir_node *n, struct bodies_batch *bb, struct keyed_body *x)
{
	int r = x->slot ? push(n, bb, &bb->chain[x->slot - 1]) : 0;
	int r2 = end(s, x);

	if (!x->here)
		keymap_remove(&s->map, entry_of(x));
	return r < 0 ? r : r2;
}

int bodies_end_all(struct bodies *s)
{
	int r = 0;

	while (s->oldest && r == 0) {
		struct keyed_body *x = s->oldest;

		r = end(s, x);
		keymap_remove(&s->map, entry_of(x));
	}
	return r;
}

int bodies_clock(struct bodies *s, struct weir_node *n, int64_t gap, int64_t late, uint64_t *ended,
        int64_t *ret_due)
{
	int64_t now = stream_time_by_clock(&s->time, weir_node_clock(n)) - late;
	bool clocked = s->oldest && weir_body_clocked(s->oldest->body);
	int r = 0;

	while (gap && s->oldest && s->oldest->last + gap < now && r == 0) {
		if (ended)
			++*ended;
		r = bodies_end(s, n, NULL, s->oldest);
	}
	if (gap && s->oldest)
		stream_time_due(&s->time, s->oldest->last + gap + late + 1, ret_due);
	for (struct keyed_body *x = clocked ? s->oldest : NULL; x && r == 0; x = x->newer)
		r = weir_body_clock(x->body, ret_due);
	return r;
}
