/* SPDX-License-Identifier: MIT */
/* dealt.c: see dealt.h. */
#include "engine/core/dealt.h"

#define AHEAD 128 /* rows */
#define BLOCKS (WEIR_BATCH_ROWS / WEIR_PACK_ROWS)

struct missing {
	uint16_t row;
	uint8_t lack;
};

struct address {
	const uint8_t *octets;
	uint16_t row;
	uint8_t field;
};

/* In order of rows. */
struct notes {
	uint16_t last; /* row */
	uint32_t nmissing, naddresses;
	struct missing *missing;
	struct address *address;
};

struct dealt {
	struct weir_batch *b;
	const struct keypack *key;
	struct weir_batch *from; /* the source's */
	struct weir_pack pack;   /* what it is asked for; */
	struct weir_pack_field field[WEIR_PACK_FIELDS];
	uint8_t *keys; /* by row */
	uint32_t nblocks;
	struct notes notes[BLOCKS + 1];
};

struct dealt *dealt_new(struct weir_batch *b, const struct keypack *key)
{
	struct dealt *d = weir_batch_alloc(b, sizeof *d);

	if (!d)
		return NULL;
	d->b = b;
	d->key = key;
	d->nblocks = 0;
	d->from = keypack_source(key, b, d->field);
	d->pack = key->source;
	d->pack.f = d->field;
	d->pack.rest = key->rest;
	d->keys = d->from ? weir_batch_alloc(b, (size_t)b->n * key->size) : NULL;
	return d->from && !d->keys ? NULL : d;
}

static int keep(struct dealt *d, const uint16_t *rows, uint32_t n, const struct weir_packed *from)
{
	struct notes *to = &d->notes[d->nblocks];

	*to = (struct notes){.last = rows[n - 1],
	        .nmissing = from->nodd,
	        .naddresses = from->nip6,
	        .missing = weir_batch_alloc(d->b, from->nodd * sizeof *to->missing),
	        .address = weir_batch_alloc(d->b, from->nip6 * sizeof *to->address)};
	if (!to->missing || !to->address)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->nodd; i++)
		to->missing[i] = (struct missing){rows[from->odd[i]], from->lack[i]};
	for (uint32_t i = 0; i < from->nip6; i++) {
		const struct weir_pack_ip6 *v = &from->ip6[i];

		to->address[i] = (struct address){v->octets, rows[v->place], v->field};
		if (i && to->address[i].row < to->address[i - 1].row)
			return 0;
	}
	d->nblocks++;
	return 1;
}

static inline __attribute__((always_inline)) void scatter(
        uint8_t *to, const uint16_t *rows, uint32_t n, const uint8_t *from, uint32_t size)
{
	for (uint32_t k = 0; k < n; k++)
		memcpy(to + (size_t)rows[k] * size, from + (size_t)k * size, size);
}

/* They are in another CPU's cache, and asked for early. */
static inline __attribute__((always_inline)) void collect(
        const uint8_t *from, const uint16_t *rows, uint32_t n, uint8_t *to, uint32_t size)
{
	for (uint32_t k = 0; k < n; k++) {
		__builtin_prefetch(from + ((size_t)rows[k] + AHEAD) * size);
		memcpy(to + (size_t)k * size, from + (size_t)rows[k] * size, size);
	}
}

/* Whether n ascending rows follow each other. */
static bool are_dense(const uint16_t *rows, uint32_t n)
{
	return rows[n - 1] - rows[0] == (int)n - 1;
}

int dealt_pack(
        struct dealt *d, const uint16_t *rows, uint32_t n, uint8_t *to, struct weir_packed *ret)
{
	int r;

	if (!d->from)
		return 0;
	ret->done = 0;
	ret->nodd = ret->nip6 = 0;
	r = d->from->ops->pack(d->from, &d->pack, rows, n, to, ret);
	if (r < 0 || ret->done != (1u << d->pack.n) - 1) {
		d->from = NULL;
		return r;
	}
	if (are_dense(rows, n))
		memcpy(d->keys + (size_t)rows[0] * d->pack.size, to, (size_t)n * d->pack.size);
	else if (d->pack.size == 8)
		scatter(d->keys, rows, n, to, 8);
	else if (d->pack.size == 16)
		scatter(d->keys, rows, n, to, 16);
	else
		scatter(d->keys, rows, n, to, d->pack.size);
	r = keep(d, rows, n, ret);
	if (r <= 0)
		d->from = NULL;
	return r < 0 ? r : 1;
}

/* ---- the lanes' side ---- */

static bool is_same(const struct dealt *d, const struct weir_pack *p)
{
	if (p->n != d->pack.n || p->size != d->pack.size ||
	        memcmp(p->rest, d->pack.rest, p->size) != 0)
		return false;
	for (uint32_t i = 0; i < p->n; i++)
		if (p->f[i].at != d->field[i].at || p->f[i].width != d->field[i].width)
			return false;
	return true;
}

/* The fields as the source knows them; false: one is not its own. */
static bool lead_back(
        const struct weir_batch *b, const struct weir_pack *p, struct weir_pack_field *f)
{
	memcpy(f, p->f, p->n * sizeof *f);
	for (; b->map; b = b->parent)
		for (uint32_t i = 0; i < p->n; i++) {
			if (b->map[f[i].field] < 0)
				return false;
			f[i].field = (uint32_t)b->map[f[i].field];
		}
	return true;
}

static bool has_fields(const struct dealt *d, const struct weir_pack_field *f)
{
	for (uint32_t i = 0; i < d->pack.n; i++)
		if (f[i].field != d->field[i].field)
			return false;
	return true;
}

/* What was said of the rows, ascending as they are. */
static void recall(const struct dealt *d, const uint16_t *rows, uint32_t n, struct weir_packed *ret)
{
	uint32_t j = 0, k = 0;

	for (uint32_t i = 0; i < d->nblocks && d->notes[i].last < rows[0]; i++)
		j = k = i + 1;
	for (uint32_t at = 0; j < d->nblocks && at < n; j++)
		for (uint32_t i = 0; i < d->notes[j].nmissing; i++) {
			const struct missing *m = &d->notes[j].missing[i];

			while (at < n && rows[at] < m->row)
				at++;
			if (at == n)
				break;
			if (rows[at] == m->row) {
				ret->odd[ret->nodd] = (uint8_t)at;
				ret->lack[ret->nodd++] = m->lack;
			}
		}
	for (uint32_t at = 0; k < d->nblocks && at < n; k++)
		for (uint32_t i = 0; i < d->notes[k].naddresses; i++) {
			const struct address *a = &d->notes[k].address[i];

			while (at < n && rows[at] < a->row)
				at++;
			if (at == n)
				break;
			if (rows[at] == a->row)
				ret->ip6[ret->nip6++] =
				        (struct weir_pack_ip6){(uint8_t)at, a->field, a->octets};
		}
}

static int pack(struct weir_batch *b, const struct weir_pack *p, const uint16_t *rows, uint32_t n,
        uint8_t *to, struct weir_packed *ret)
{
	const struct dealt *d = b->priv;
	struct weir_pack_field f[WEIR_PACK_FIELDS];
	struct weir_pack w = *p;

	ret->done = 0;
	if (!lead_back(b, p, f))
		return 0;
	w.f = f;
	if (!n || !is_same(d, p) || !has_fields(d, f))
		return d->from->ops->pack(d->from, &w, rows, n, to, ret);
	if (are_dense(rows, n))
		memcpy(to, d->keys + (size_t)rows[0] * p->size, (size_t)n * p->size);
	else if (p->size == 8)
		collect(d->keys, rows, n, to, 8);
	else if (p->size == 16)
		collect(d->keys, rows, n, to, 16);
	else
		collect(d->keys, rows, n, to, p->size);
	ret->done = (uint8_t)((1u << p->n) - 1);
	recall(d, rows, n, ret);
	return 0;
}

static const struct weir_batch_ops ops = {.pack = pack};

void dealt_attach(struct dealt *d, struct weir_batch *view)
{
	if (!d->from)
		return;
	view->ops = &ops;
	view->priv = d;
}
