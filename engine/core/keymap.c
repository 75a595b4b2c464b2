/* SPDX-License-Identifier: MIT */
/* keymap.c: a chained hash map from packed keys, at most one entry per bucket on average. The hash
 * is seeded at process start, so that nobody can send keys that collide. */
#include "engine/core/keymap.h"

#include "engine/core/keyhash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define INLINE 64 /* longer text counts by its hash */

int keymap_init(struct keymap *m, struct weir_mem *mem, struct weir_fields by, size_t value_size)
{
	m->mem = mem;
	m->by = by;
	m->value_size = (uint32_t)((value_size + 7) & ~(size_t)7);
	m->nbuckets = 8;
	m->buckets = weir_calloc(mem, m->nbuckets * sizeof *m->buckets);
	m->key_size = (size_t)by.n * (INLINE + 2) + 8;
	m->key = weir_alloc(mem, m->key_size);
	return m->buckets && m->key ? 0 : -ENOMEM;
}

void keymap_release(struct keymap *m)
{
	for (size_t i = 0; m->buckets && i < m->nbuckets; i++)
		while (m->buckets[i]) {
			struct keymap_entry *e = m->buckets[i];

			m->buckets[i] = e->next;
			weir_free(m->mem, e, e->size);
		}
	if (m->buckets)
		weir_free(m->mem, m->buckets, m->nbuckets * sizeof *m->buckets);
	if (m->key)
		weir_free(m->mem, m->key, m->key_size);
	m->buckets = NULL;
	m->key = NULL;
}

/* Failure to grow only makes chains longer. */
static void rehash(struct keymap *m)
{
	size_t n = m->nbuckets * 2;
	struct keymap_entry **b = weir_calloc(m->mem, n * sizeof *b);

	if (!b)
		return;
	for (size_t i = 0; i < m->nbuckets; i++)
		while (m->buckets[i]) {
			struct keymap_entry *e = m->buckets[i];

			m->buckets[i] = e->next;
			e->next = b[e->hash & (n - 1)];
			b[e->hash & (n - 1)] = e;
		}
	weir_free(m->mem, m->buckets, m->nbuckets * sizeof *m->buckets);
	m->buckets = b;
	m->nbuckets = n;
}

static struct keymap_entry *find(struct keymap *m, const void *key, uint32_t len)
{
	const struct keyhash_secret *secret = keyhash_secret();
	uint64_t h = XXH3_64bits_withSecret(key, len, secret->xxh, sizeof secret->xxh);
	size_t size = sizeof(struct keymap_entry) + m->value_size + len;
	struct keymap_entry *e;

	for (e = m->buckets[h & (m->nbuckets - 1)]; e; e = e->next)
		if (e->hash == h && e->key_len == len &&
		        memcmp((char *)(e + 1) + m->value_size, key, len) == 0)
			return e;
	if (m->n >= m->nbuckets)
		rehash(m);
	e = weir_calloc(m->mem, size);
	if (!e)
		return NULL;
	e->hash = h;
	e->key_len = len;
	e->size = (uint32_t)size;
	memcpy((char *)(e + 1) + m->value_size, key, len);
	e->next = m->buckets[h & (m->nbuckets - 1)];
	m->buckets[h & (m->nbuckets - 1)] = e;
	m->n++;
	return e;
}

void keymap_remove(struct keymap *m, struct keymap_entry *e)
{
	struct keymap_entry **at = &m->buckets[e->hash & (m->nbuckets - 1)];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	m->n--;
	weir_free(m->mem, e, e->size);
}

static uint8_t *pack_text(uint8_t *to, const struct weir_str *s)
{
	XXH128_hash_t h;

	if (s->len <= INLINE) {
		*to++ = (uint8_t)s->len;
		if (s->len)
			memcpy(to, s->p, s->len);
		return to + s->len;
	}
	h = XXH3_128bits(s->p, s->len);
	*to++ = 0xff;
	memcpy(to, &h, sizeof h);
	return to + sizeof h;
}

/* The row's key into m->key; its length, 0 where a field is not there. */
static uint32_t pack(struct keymap *m, struct weir_batch *b, uint32_t row)
{
	uint8_t *to = m->key;

	for (uint32_t f = 0; f < m->by.n; f++) {
		const struct weir_col *c = &b->cols[m->by.index[f]];

		if (!weir_col_has(c, row))
			return 0;
		switch (weir_storage_of(c->kind)) {
		case WEIR_WORD:
			memcpy(to, &weir_col_u64(c)[row], 8);
			to += 8;
			break;
		case WEIR_ADDR:
			memcpy(to, &weir_col_ip(c)[row], sizeof(struct weir_ip));
			to += sizeof(struct weir_ip);
			break;
		case WEIR_VAR:
			to = pack_text(to, &weir_col_str(c)[row]);
		}
	}
	return (uint32_t)(to - m->key);
}

int keymap_rows(struct keymap *m, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        struct keymap_entry **ret, uint64_t *missing)
{
	for (uint32_t f = 0; f < m->by.n; f++)
		if (!weir_batch_col(b, m->by.index[f]))
			return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = m->by.n ? pack(m, b, rows[i]) : 0;

		ret[i] = NULL;
		if (m->by.n && !len) {
			++*missing;
			continue;
		}
		ret[i] = find(m, m->key, len);
		if (!ret[i])
			return -ENOMEM;
	}
	return 0;
}
