/* SPDX-License-Identifier: MIT */
/* ready.c: see ready.h. */
#include "engine/core/ready.h"

#include "engine/core/keyhash.h"

void ready_digest(const struct keypack *p, const struct weir_pack_ip6 *ip6, uint32_t nip6,
        uint8_t *keys, uint8_t *families)
{
	const struct keyhash_secret *secret = keyhash_secret();

	for (uint32_t i = 0; i < nip6; i++) {
		const struct key_field *f = &p->f[ip6[i].field];
		uint32_t d = keyhash_digest(secret, ip6[i].octets);

		memcpy(keys + (size_t)ip6[i].place * p->size + f->at, &d, 4);
		families[ip6[i].place] |= (uint8_t)(1u << f->family);
	}
}

/* The IPv6 addresses of a block, whose octets are copied: where they stand each would be a cache
 * line of its own, from another CPU's cache. */
static int digest(struct weir_batch *b, const struct keypack *p, const struct weir_packed *from,
        struct ready_block *to)
{
	uint8_t *octets;

	to->nip6 = from->nip6;
	to->ip6 = NULL;
	to->families = NULL;
	if (!from->nip6)
		return 0;
	to->ip6 = weir_batch_alloc(b, from->nip6 * sizeof *to->ip6);
	to->families = weir_batch_alloc(b, to->n);
	octets = weir_batch_alloc(b, (size_t)from->nip6 * 16);
	if (!to->ip6 || !to->families || !octets)
		return -ENOMEM;
	memcpy(to->ip6, from->ip6, from->nip6 * sizeof *to->ip6);
	for (uint32_t i = 0; i < to->nip6; i++, octets += 16) {
		memcpy(octets, to->ip6[i].octets, 16);
		to->ip6[i].octets = octets;
	}
	memset(to->families, 0, to->n);
	ready_digest(p, to->ip6, to->nip6, to->key, to->families);
	return 0;
}

static inline __attribute__((always_inline)) void hash_sized(
        struct ready_block *to, uint32_t keep, uint32_t size)
{
	const struct keyhash_secret secret = *keyhash_secret();

	for (uint32_t k = 0; k < to->n; k++)
		to->hash[k] = keyhash(&secret, to->key + (size_t)k * size, size) & keep;
}

static void hash(const struct keypack *p, struct ready_block *to)
{
	uint32_t keep = ~((1u << p->naddr) - 1);

	if (p->size == 8)
		hash_sized(to, keep, 8);
	else if (p->size == 16)
		hash_sized(to, keep, 16);
	else if (p->size == 24)
		hash_sized(to, keep, 24);
	else
		hash_sized(to, keep, p->size);
	for (uint32_t k = 0; to->families && k < to->n; k++)
		to->hash[k] |= to->families[k];
}

/* The keys of rows[0..n), which are the block's. */
static int make_block(struct weir_batch *b, const struct keypack *p, uint16_t *rows, uint32_t n,
        struct ready_block *to)
{
	struct keypack_block packed;
	int r;

	to->row = rows;
	to->hash = weir_batch_alloc(b, n * sizeof *to->hash);
	to->key = weir_batch_alloc(b, (size_t)n * p->size);
	if (!to->hash || !to->key)
		return -ENOMEM;
	memset(to->key, 0, (size_t)n * p->size);
	r = keypack_pack(p, b, rows, n, NULL, to->key, &packed);
	to->n = packed.n;
	if (r == 0)
		r = digest(b, p, &packed.from, to);
	if (r == 0)
		hash(p, to);
	return r;
}

int ready_make(struct weir_batch *b, const struct keypack *p)
{
	uint32_t total = weir_batch_count(b);
	struct ready *d = weir_batch_alloc(b, sizeof *d);
	uint16_t *rows = weir_batch_alloc(b, WEIR_BATCH_ROWS * sizeof *rows);

	if (!d || !rows)
		return -ENOMEM;
	d->pack = p;
	d->sel = b->sel;
	d->nsel = keypack_rows(b, rows);
	d->nblocks = 0;
	d->taken = false;
	for (uint32_t first = 0; first < total; first += WEIR_PACK_ROWS) {
		uint32_t n = total - first < WEIR_PACK_ROWS ? total - first : WEIR_PACK_ROWS;
		int r = make_block(b, p, rows + first, n, &d->block[d->nblocks]);

		if (r < 0)
			return r;
		d->nblocks++;
	}
	b->ready = d;
	return 0;
}

static bool is_same(const struct keypack *a, const struct keypack *b)
{
	if (a->n != b->n || a->size != b->size || a->nulls != b->nulls || b->prefix || b->wide)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->f[i].field != b->f[i].field || a->f[i].at != b->f[i].at ||
		        a->f[i].bit != b->f[i].bit)
			return false;
	return true;
}

struct ready *ready_take(struct weir_batch *b, const struct keypack *p)
{
	struct ready *d = b->ready;

	if (!d || d->taken || d->sel != b->sel || d->nsel != weir_batch_count(b) ||
	        !is_same(d->pack, p))
		return NULL;
	d->taken = true;
	return d;
}
