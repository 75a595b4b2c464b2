/* SPDX-License-Identifier: MIT */
/* feed_link.c: a query's end of a feed: a reader, whose batches are views of the feed's.
 *
 * What is decoded for one query is there for all: the views fill the columns of the feed's batch,
 * under a lock (batch_share()).
 */
#include "engine/core/feed_parts.h"

#include <stdlib.h>

/* What such a view keeps of the feed's, in its own memory. */
struct hold {
	struct weir_batch *from;
	struct trunk_stage *stage;
	struct weir_mem *mem;
	size_t charged;
};

static void let_go(const struct hold *h)
{
	weir_batch_unref(h->from);
	trunk_stage_unref(h->stage);
	mem_give(h->mem, h->charged);
}

void feed_drop(struct feed_link *l, struct feed_item *i)
{
	let_go(&(struct hold){i->batch, i->stage, l->mem, i->charged});
	free(i->rows);
}

/* ---- the queue ---- */

/* It grows only while half of the query's memory is left to what works on the records. */
static bool is_tight(const struct weir_mem *m, size_t more)
{
	size_t limit = __atomic_load_n(&m->limit, __ATOMIC_RELAXED);

	return limit && __atomic_load_n(&m->used, __ATOMIC_RELAXED) + more > limit / 2;
}

/* One batch goes to an empty queue whatever its size: who has no memory for it says so then. */
bool feed_is_full(const struct feed_link *l, size_t more)
{
	uint32_t n = __atomic_load_n(&l->n, __ATOMIC_SEQ_CST);
	size_t bytes = __atomic_load_n(&l->bytes, __ATOMIC_RELAXED);

	return n >= FEED_QUEUE || (n && (bytes + more > FEED_BYTES || is_tight(l->mem, more)));
}

bool feed_has_counts(struct feed_link *l)
{
	if (!l->counts && l->end.level)
		l->counts = calloc((FEED_QUEUE + 1) * feed_width(l), sizeof *l->counts);
	return l->counts;
}

uint32_t feed_put(
        struct feed_link *l, const struct feed_item *i, struct weir_batch *b, uint32_t level)
{
	uint32_t at = (l->at + l->n) % FEED_QUEUE;
	struct feed_item *to = &l->item[at];

	if (l->n >= FEED_QUEUE) { /* is_wanted() in feed.c sees to it that this is not so */
		__atomic_add_fetch(&l->skipped, weir_batch_count(i->batch), __ATOMIC_RELAXED);
		free(i->rows);
		return l->n;
	}
	*to = *i;
	to->batch = weir_batch_ref(b);
	to->level = level;
	to->stage = trunk_stage_ref(&l->end, level);
	to->counted = l->owed;
	if (l->owed) {
		size_t size = feed_width(l) * sizeof *l->counts;

		memcpy(feed_counts(l, at), feed_counts(l, FEED_QUEUE), size);
		memset(feed_counts(l, FEED_QUEUE), 0, size);
		l->owed = false;
	}
	to->charged = mem_take(l->mem, i->size) ? i->size : 0;
	__atomic_store_n(&l->bytes, l->bytes + i->size, __ATOMIC_RELAXED);
	__atomic_store_n(&l->n, l->n + 1, __ATOMIC_RELAXED);
	return l->n;
}

/* The oldest, taken out, its counts given to the query; false: there is none. With the lock. */
static bool take(struct feed_link *l, struct feed_item *ret)
{
	if (!l->n)
		return false;
	*ret = l->item[l->at];
	if (ret->counted)
		l->records += trunk_take(&l->end, feed_counts(l, l->at));
	l->at = (l->at + 1) % FEED_QUEUE;
	__atomic_store_n(&l->bytes, l->bytes - ret->size, __ATOMIC_RELAXED);
	__atomic_store_n(&l->n, l->n - 1, __ATOMIC_SEQ_CST); /* pairs with `waiting` */
	return true;
}

/* The feed may wait for room; not told for each batch: a thread that is woken up finds some. */
static void tell_room(struct feed_link *l)
{
	struct feed *f = l->feed;

	if (!__atomic_load_n(&f->waiting, __ATOMIC_SEQ_CST) ||
	        __atomic_load_n(&l->n, __ATOMIC_RELAXED) > FEED_QUEUE / 2)
		return;
	pthread_mutex_lock(&f->lock);
	pthread_cond_signal(&f->room);
	pthread_mutex_unlock(&f->lock);
}

/* ---- its batches ---- */

static void release(struct weir_batch *b)
{
	if (b->priv)
		let_go(b->priv);
}

static const struct weir_batch_ops ops = {.release = release};

static const struct weir_schema *schema_at(const struct feed_link *l, uint32_t level)
{
	const struct plan *p = l->end.plan;

	return level ? p->root.nodes[p->lead[level - 1]]->outside : l->feed->schema;
}

/* Of a query that samples: the rows that are in, and what each stands for. */
static bool add_weight(struct weir_batch *b, const struct feed_item *i)
{
	struct weir_col *c = weir_batch_own(b, b->schema->nfields - 1);
	uint16_t *sel = i->rows ? weir_batch_sel(b, i->nrows) : NULL;

	if (!c || (i->rows && !sel))
		return false;
	for (uint32_t k = 0; k < b->n; k++)
		((uint64_t *)c->data)[k] = i->weight;
	if (i->rows) {
		memcpy(sel, i->rows, i->nrows * sizeof *sel);
		weir_batch_select(b, sel, i->nrows);
	}
	return true;
}

/* The query's own batch. NULL: out of memory, and the item is let go. */
static struct weir_batch *view(struct reader *r, struct feed_link *l, struct feed_item *i)
{
	bool weighs = l->shed.mode == SHED_SAMPLE;
	const struct weir_schema *s = weighs ? l->schema : schema_at(l, i->level);
	const int32_t *map = weighs ? shed_map(s->nfields) : batch_identity;
	struct weir_batch *b = map ? pool_view_shared(r->pool, i->batch, s, map) : NULL;
	struct hold *h = b ? weir_batch_alloc(b, sizeof *h) : NULL;

	if (h && weighs && !add_weight(b, i))
		h = NULL;
	if (!h) {
		weir_batch_unref(b);
		feed_drop(l, i);
		return NULL;
	}
	*h = (struct hold){i->batch, i->stage, l->mem, i->charged};
	free(i->rows);
	b->priv = h;
	b->ops = &ops;
	return b;
}

/* The next of what the query begins with, as past_read(). */
static int read_past(struct feed_link *l, struct weir_reader *pub, struct weir_batch **ret)
{
	struct weir_batch *b = NULL, *v;
	const int32_t *map;
	int r = past_read(&l->past, pub, &b, &l->newest);

	if (r > 0)
		l->records += weir_batch_count(b);
	l->level = 0;
	*ret = b;
	if (r <= 0 || l->shed.mode != SHED_SAMPLE)
		return r;
	map = shed_map(l->schema->nfields);
	v = map ? pool_view(((struct reader *)pub)->pool, b, l->schema, map) : NULL;
	weir_batch_unref(b);
	if (v && !add_weight(v, &(struct feed_item){.weight = 1})) {
		weir_batch_unref(v);
		v = NULL;
	}
	*ret = v;
	return v ? 1 : -ENOMEM;
}

/* ---- the reader ---- */

struct state {
	struct feed_link *link;
};

static int open_link(struct weir_reader *r, struct weir_err *err)
{
	struct state *s = r->state;
	const struct feed_link *l = r->config;

	s->link = (struct feed_link *)l;
	r->schema = weir_schema_ref(l->feed->schema);
	r->pace = l->feed->pace;
	return 0;
}

static int at_end(struct feed_link *l, struct weir_err *err)
{
	int r = -EAGAIN;

	pthread_mutex_lock(&l->feed->lock);
	if (l->joined && !l->left) {
		r = l->feed->error;
		if (r < 0 && err)
			*err = l->feed->err;
	}
	pthread_mutex_unlock(&l->feed->lock);
	return r;
}

static int read_link(struct weir_reader *pub, struct weir_batch **ret, struct weir_err *err)
{
	struct feed_link *l = ((struct state *)pub->state)->link;
	struct feed *f = l->feed;
	struct feed_item i = {0};
	bool ended = __atomic_load_n(&f->ended, __ATOMIC_ACQUIRE); /* nothing comes behind that */

	if (l->past.next) {
		int got = read_past(l, pub, ret);

		if (got)
			return got;
	}
	if (__atomic_load_n(&l->left, __ATOMIC_RELAXED))
		feed_took(l);
	pthread_mutex_lock(&l->lock);
	while ((l->works = take(l, &i)) && i.rows && !i.nrows) {
		feed_drop(l, &i); /* nothing of it is in the sample */
		i = (struct feed_item){0};
	}
	if (l->works) {
		l->on = i.number;
		l->newest = i.newest;
	} else if (l->owed) { /* what the trunk has run on, and left nothing of */
		l->records += trunk_take(&l->end, feed_counts(l, FEED_QUEUE));
		l->newest = l->owed_newest;
		l->owed = false;
	}
	pthread_mutex_unlock(&l->lock);
	if (!i.batch)
		return ended ? at_end(l, err) : -EAGAIN;
	tell_room(l);
	l->level = i.level;
	if (!i.level)
		l->records += i.rows ? i.nrows : weir_batch_count(i.batch);
	*ret = view((struct reader *)pub, l, &i);
	if (!*ret)
		return -ENOMEM;
	pub->bytes_done = i.done - l->offset;
	pub->bytes_total = f->total > l->offset ? f->total - l->offset : 0;
	return 1;
}

static void close_link(struct weir_reader *r)
{
	struct feed_link *l = ((struct state *)r->state)->link;

	if (!l)
		return;
	feed_close(l);
	past_release(&l->past);
}

static const struct weir_source source = {
        .abi = WEIR_ABI,
        .name = "feed",
        .summary = "what a feed hands on",
        .reader_size = sizeof(struct state),
        .open = open_link,
        .read = read_link,
        .close = close_link,
};

int feed_open(struct feed_link *l, struct engine *e, struct reader **ret, struct weir_err *err)
{
	struct rights all = {.all = true};

	return reader_open(&source, l, &all, e, l->mem, l->faults, ret, err);
}
