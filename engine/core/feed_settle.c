/* SPDX-License-Identifier: MIT */
/* feed_settle.c: up to which batch every query has worked off what it got, see feed.h: what the
 * source may forget.
 */
#include "engine/core/feed_parts.h"

/* The first batch that the query has not worked off. */
static uint64_t low(struct feed_link *l)
{
	uint64_t r;

	pthread_mutex_lock(&l->lock);
	if (l->works)
		r = l->on;
	else if (l->left)
		r = l->low;
	else
		r = l->n ? l->item[l->at].number : l->feed->batches;
	pthread_mutex_unlock(&l->lock);
	return r;
}

void feed_settle(struct feed *f)
{
	uint64_t least = UINT64_MAX;

	for (struct feed_link *l = f->links; l && f->remembers; l = l->next) {
		uint64_t first = low(l);

		least = first < least ? first : least;
	}
	if (least != UINT64_MAX && least > f->settled)
		f->settled = least;
}

void feed_unlist(struct feed_link *l)
{
	struct feed_link **p;

	feed_settle(l->feed);
	for (p = &l->feed->links; *p != l; p = &(*p)->next)
		;
	*p = l->next;
	l->joined = l->left = false;
}

static void works_no_more(struct feed_link *l, bool has_had)
{
	pthread_mutex_lock(&l->feed->lock);
	pthread_mutex_lock(&l->lock);
	if (l->works && !has_had && l->left)
		l->low = l->on;
	l->works = false;
	pthread_mutex_unlock(&l->lock);
	if (l->left)
		feed_unlist(l);
	pthread_mutex_unlock(&l->feed->lock);
}

void feed_took(struct feed_link *l)
{
	works_no_more(l, true);
}

void feed_close(struct feed_link *l)
{
	feed_leave(l);
	works_no_more(l, false);
}

void feed_tell_settled(struct feed *f, uint64_t settled)
{
	const struct weir_source *s = f->reader->source;

	if (s->taken && settled > f->said)
		s->taken(&f->reader->pub, settled);
	f->said = settled;
}
