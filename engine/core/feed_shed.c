/* SPDX-License-Identifier: MIT */
/* feed_shed.c: queries that go without something, see shed.h. */
#include "engine/core/feed_parts.h"

#include <stdlib.h>

bool feed_is_pressed(const struct feed *f)
{
	const struct weir_source *s = f->reader ? f->reader->source : NULL;

	for (const struct feed_link *l = f->links; l; l = l->next)
		if (l->shed.mode)
			return s && s->pressed && s->pressed(&f->reader->pub);
	return false;
}

/* The rows of a batch that many may have, at the link's level; -ENOMEM. */
static int sample(struct feed_link *l, struct weir_batch *b, uint16_t *rows)
{
	const struct weir_packets *p = b->priv;
	struct weir_batch *v =
	        pool_view_shared(l->feed->reader->pool, b, l->feed->schema, batch_identity);
	int n = v ? shed_rows(v, p->pk, l->shed.level, rows) : -ENOMEM;

	weir_batch_unref(v);
	return n;
}

/* A level was raised: what waits in the queue is sampled anew, of what was taken. */
static void sample_queue(struct feed_link *l)
{
	pthread_mutex_lock(&l->lock);
	for (uint32_t k = 0; k < l->n; k++) {
		struct feed_item *i = &l->item[(l->at + k) % FEED_QUEUE];
		uint32_t had = i->rows ? i->nrows : weir_batch_count(i->batch);
		uint16_t rows[WEIR_BATCH_ROWS];
		int n = feed_is_packets(i->batch) ? sample(l, i->batch, rows) : -EINVAL;

		if (n >= 0 && !i->rows)
			i->rows = malloc((had + 1) * sizeof *i->rows);
		if (n < 0 || !i->rows)
			continue; /* at the weight that it has */
		memcpy(i->rows, rows, (uint32_t)n * sizeof *rows);
		i->nrows = (uint32_t)n;
		i->weight = 1u << l->shed.level;
		shed_count(&l->shed, had - i->nrows);
	}
	pthread_mutex_unlock(&l->lock);
}

bool feed_sheds(struct feed_link *l, bool full, bool pressed)
{
	if (!full) {
		if (!pressed && __atomic_load_n(&l->n, __ATOMIC_RELAXED) < 2)
			shed_less(&l->shed);
		return true;
	}
	if (pressed && shed_more(&l->shed))
		sample_queue(l);
	return pressed && l->shed.mode == SHED_DROP;
}

uint32_t feed_put_sample(struct feed_link *l)
{
	struct feed_item i = l->feed->next;
	uint32_t n = weir_batch_count(i.batch);
	int r = (int)n;

	i.weight = 1u << l->shed.level;
	if (l->shed.level && feed_is_packets(i.batch)) {
		i.rows = malloc((n + 1) * sizeof *i.rows);
		r = i.rows ? sample(l, i.batch, i.rows) : -ENOMEM;
		i.nrows = r > 0 ? (uint32_t)r : 0;
		shed_count(&l->shed, n - i.nrows);
	}
	if (r <= 0) {
		free(i.rows);
		return l->n;
	}
	return feed_put(l, &i, i.batch, 0);
}

uint64_t feed_shed(struct feed_link *l)
{
	uint64_t n;

	pthread_mutex_lock(&l->feed->lock);
	n = l->shed.records;
	pthread_mutex_unlock(&l->feed->lock);
	return n;
}

void feed_shed_text(struct feed_link *l, struct text *to)
{
	pthread_mutex_lock(&l->feed->lock);
	shed_text(&l->shed, l->name, to);
	pthread_mutex_unlock(&l->feed->lock);
}
