/* SPDX-License-Identifier: MIT */
/* history.c: see history.h. */
#include "engine/core/history.h"
#include "engine/core/reader.h"
#include "engine/core/stream_time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ll
#define FAR_BEHIND (60 * SECOND) /* as where modules tell late records from a step */

struct past {
	uint32_t refs; /* atomic: the history's, of who is to read it, of batches that lie in it */
	uint32_t n;
	struct past *next; /* others read it up to their last, see past_end */
	size_t size;
	int64_t oldest, newest;   /* of its records */
	int64_t at;               /* how far time had come with them */
	struct weir_batch *batch; /* of what is no packet */
	struct weir_packet pk[];  /* the octets stand behind */
};

static struct past *past_ref(struct past *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

static void past_unref(struct past *p)
{
	if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	weir_batch_unref(p->batch);
	free(p);
}

static bool is_packets(const struct weir_batch *b)
{
	return b->ops && b->ops->fill == weir_packet_fill;
}

static struct past *copy_packets(struct weir_batch *b)
{
	const struct weir_packet *from = ((const struct weir_packets *)b->priv)->pk;
	uint32_t n = weir_batch_count(b);
	size_t size = sizeof(struct past) + n * sizeof *from;
	struct past *p;
	uint8_t *to;

	for (uint32_t k = 0; k < n; k++)
		size += from[weir_batch_row(b, k)].caplen;
	p = malloc(size);
	if (!p)
		return NULL;
	*p = (struct past){.size = size, .n = n};
	to = (uint8_t *)&p->pk[n];
	for (uint32_t k = 0; k < n; k++) {
		p->pk[k] = from[weir_batch_row(b, k)];
		memcpy(to, p->pk[k].data, p->pk[k].caplen);
		p->pk[k].data = to;
		to += p->pk[k].caplen;
	}
	return p;
}

static struct past *keep_batch(struct weir_batch *b, size_t size)
{
	struct past *p = malloc(sizeof *p);

	if (!p)
		return NULL;
	*p = (struct past){.size = size + 8192, .n = weir_batch_count(b)};
	p->batch = weir_batch_ref(b);
	return p;
}

/* INT64_MIN: it has none. */
static int64_t time_of(const struct past *p, uint32_t k)
{
	const struct weir_col *c;
	int f;

	if (!p->batch)
		return p->pk[k].ts;
	f = weir_schema_find(p->batch->schema, "ts", 2);
	c = f < 0 ? NULL : weir_batch_col(p->batch, (uint32_t)f);
	k = weir_batch_row(p->batch, k);
	return c && weir_col_has(c, k) ? weir_col_i64(c)[k] : INT64_MIN;
}

static int64_t before(int64_t t, int64_t ns)
{
	return t < INT64_MIN + ns ? INT64_MIN : t - ns;
}

/* A jump ahead that is longer than the span would leave nothing of what is kept. */
static bool is_far(const struct history *h, int64_t t)
{
	int64_t ahead = h->span && h->span < FAR_BEHIND ? h->span : FAR_BEHIND;

	return h->time != INT64_MIN &&
	       (t < before(h->time, FAR_BEHIND) ||
	               h->time < before(t, ahead < SECOND ? SECOND : ahead));
}

/* A record of time t comes. */
static void go_on(struct history *h, int64_t t)
{
	bool far = is_far(h, t);

	if (t == INT64_MIN || (far && ++h->far < STREAM_STEP_RECORDS))
		return;
	h->far = 0;
	if (far || t > h->time)
		h->time = t;
	/* what came before goes by its own time, but need not wait until that is there again */
	for (struct past *p = far ? h->first : NULL; p; p = p->next)
		p->at = p->newest < t ? p->newest : t;
}

void history_add(struct history *h, struct weir_batch *b, size_t size)
{
	struct past *p;

	if (!h->always && !h->span)
		return;
	p = is_packets(b) ? copy_packets(b) : keep_batch(b, size);
	if (!p) {
		history_release(h);
		return;
	}
	p->refs = 1;
	p->oldest = INT64_MAX;
	p->newest = INT64_MIN;
	if (!h->last) {
		h->time = INT64_MIN;
		h->far = 0;
	}
	for (uint32_t k = 0; k < p->n; k++) {
		int64_t t = time_of(p, k);

		p->oldest = t < p->oldest ? t : p->oldest;
		p->newest = t > p->newest ? t : p->newest;
		go_on(h, t);
	}
	p->at = h->time;
	if (h->last)
		h->last->next = p;
	else
		h->first = p;
	h->last = p;
	h->bytes += p->size;
	h->records += p->n;
	history_trim(h);
}

static void drop_first(struct history *h)
{
	struct past *p = h->first;

	h->first = p->next;
	if (!h->first)
		h->last = NULL;
	h->bytes -= p->size;
	h->records -= p->n;
	past_unref(p);
}

void history_trim(struct history *h)
{
	bool any = h->always || h->span;

	while (h->first && (!any || h->bytes > h->most ||
	                           (!h->always && h->first->at < before(h->time, h->span))))
		drop_first(h);
}

void history_release(struct history *h)
{
	while (h->first)
		drop_first(h);
}

uint64_t history_begin(const struct history *h, int64_t ns, struct past_end *ret)
{
	uint64_t n = 0;

	*ret = (struct past_end){.from = before(h->time, ns), .next = h->first, .last = h->last};
	for (struct past *p = h->first; p; p = p->next) {
		past_ref(p);
		for (uint32_t k = 0; k < p->n; k++)
			n += time_of(p, k) >= ret->from;
	}
	return n;
}

/* ---- reading ---- */

static void release(struct weir_batch *b)
{
	struct weir_packets *p = b->priv;

	if (p && p->owner)
		past_unref(p->owner);
}

static const struct weir_batch_ops packets = {
        .fill = weir_packet_fill, .pack = weir_packet_pack, .release = release};

static struct weir_batch *packets_of(struct past *p, struct weir_reader *r)
{
	struct weir_batch *b = weir_source_packets(r, &packets);

	if (!b)
		return NULL;
	((struct weir_packets *)b->priv)->owner = past_ref(p);
	memcpy(((struct weir_packets *)b->priv)->pk, p->pk, p->n * sizeof *p->pk);
	b->n = b->nsel = (uint16_t)p->n;
	return b;
}

/* Leaves out what is older. */
static int cut(struct past *p, int64_t from, struct weir_batch *b)
{
	uint16_t *rows;
	uint32_t n = 0;

	if (p->oldest >= from)
		return 0;
	rows = weir_batch_sel(b, p->n);
	if (!rows)
		return -ENOMEM;
	for (uint32_t k = 0; k < p->n; k++)
		if (time_of(p, k) >= from)
			rows[n++] = (uint16_t)weir_batch_row(b, k);
	weir_batch_select(b, rows, n);
	return 0;
}

/* The next, with its reference. What follows the last comes by the queue, and is being written. */
static struct past *take(struct past_end *e)
{
	struct past *p = e->next;

	e->next = p == e->last ? NULL : p->next;
	return p;
}

int past_read(
        struct past_end *e, struct weir_reader *r, struct weir_batch **ret, int64_t *ret_newest)
{
	while (e->next) {
		struct past *p = take(e);
		struct weir_batch *b = NULL;
		int res = 0;

		if (p->newest >= e->from) {
			b = p->batch ? pool_view_shared(((struct reader *)r)->pool, p->batch,
			                       p->batch->schema, batch_identity)
			             : packets_of(p, r);
			res = b ? cut(p, e->from, b) : -ENOMEM;
			*ret_newest = p->newest;
		}
		past_unref(p);
		if (res < 0)
			weir_batch_unref(b);
		if (res < 0 || b) {
			*ret = b;
			return res < 0 ? res : 1;
		}
	}
	return 0;
}

void past_release(struct past_end *e)
{
	while (e->next)
		past_unref(take(e));
}
