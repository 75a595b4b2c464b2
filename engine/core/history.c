/* SPDX-License-Identifier: MIT */
/* history.c: see history.h. */
#include "engine/core/history.h"
#include "engine/core/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct past {
	uint32_t refs; /* atomic: the history's or the one before it, and of who reads */
	uint32_t n;
	struct past *next;
	size_t size;
	int64_t oldest, newest;
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
	while (p && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		struct past *next = p->next;

		weir_batch_unref(p->batch);
		free(p);
		p = next;
	}
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
	for (uint32_t k = 0; k < p->n; k++) {
		int64_t t = time_of(p, k);

		p->oldest = t < p->oldest ? t : p->oldest;
		p->newest = t > p->newest ? t : p->newest;
	}
	if (h->last)
		h->last->next = p;
	else
		h->first = p;
	if (!h->last || p->newest > h->newest)
		h->newest = p->newest;
	h->last = p;
	h->bytes += p->size;
	h->records += p->n;
	history_trim(h);
}

static int64_t before(int64_t t, int64_t ns)
{
	return t < INT64_MIN + ns ? INT64_MIN : t - ns;
}

void history_trim(struct history *h)
{
	bool any = h->always || h->span;

	while (h->first && (!any || h->bytes > h->most ||
	                           (!h->always && h->first->newest < before(h->newest, h->span)))) {
		struct past *p = h->first;

		h->first = p->next ? past_ref(p->next) : NULL;
		h->bytes -= p->size;
		h->records -= p->n;
		if (!h->first)
			h->last = NULL;
		past_unref(p);
	}
}

void history_release(struct history *h)
{
	past_unref(h->first);
	h->first = h->last = NULL;
	h->bytes = h->records = 0;
}

uint64_t history_begin(const struct history *h, int64_t ns, struct past_end *ret)
{
	uint64_t n = 0;

	*ret = (struct past_end){.from = before(h->newest, ns), .last = h->last};
	for (struct past *p = h->first; p; p = p->next)
		for (uint32_t k = 0; k < p->n; k++)
			n += time_of(p, k) >= ret->from;
	if (h->first)
		ret->next = past_ref(h->first);
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

int past_read(
        struct past_end *e, struct weir_reader *r, struct weir_batch **ret, int64_t *ret_newest)
{
	while (e->next) {
		struct past *p = e->next;
		struct weir_batch *b = NULL;
		int res = 0;

		/* what follows the last comes by the queue, and is being written */
		e->next = p == e->last ? NULL : past_ref(p->next);
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
	past_unref(e->next);
	e->next = NULL;
}
