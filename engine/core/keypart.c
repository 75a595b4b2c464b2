/* SPDX-License-Identifier: MIT */
/* keypart.c: the table of keypart.h: linear probing at a load of at most LOAD / 8. */
#include "engine/core/keypart.h"

#include <errno.h>
#include <stdbool.h>

#include "engine/core/grow.h"
#include "engine/core/mem.h"

#define BLOCK KEYPART_BLOCK
#define SLOTS_MIN_SHIFT 28 /* 16 slots: a split has a table for each of its keys */
#define LOAD 5             /* eighths */
#define KEYS_MAX ((uint32_t)1 << 30)
#define MOVED 256 /* slots that are moved at a time */

void keypart_init(struct keypart *p, uint32_t key_size, uint32_t state_size)
{
	*p = (struct keypart){.key_size = key_size, .stride = key_size + state_size, .shift = 32};
}

void keypart_release(struct keypart *p, struct weir_mem *m)
{
	grow_free(m, p->slot, p->slot_size);
	grow_free(m, p->rec, p->rec_size);
}

/* Puts a slot where its probe ends, at or behind its home. Returns how far. */
static inline uint32_t put_slot(const struct keypart *p, uint32_t mask, uint64_t v)
{
	uint32_t home = (uint32_t)(v >> 32) >> p->shift, at = home;

	while (p->slot[at])
		at = (at + 1) & mask;
	p->slot[at] = v;
	return (at - home) & mask;
}

/* An empty slot so far in that, from there on, no slot's new place is before its old one: a slot
 * at i moves to 2 (i - far) or behind it. Runs that go round the end stand before the first empty
 * slot. Without one, the number of slots. */
static uint32_t clear_of_start(const struct keypart *p)
{
	uint32_t old = keypart_slots(p);

	for (uint32_t i = 2 * p->far + 1; i < old; i++)
		if (!p->slot[i])
			return i;
	return old;
}

/* Takes the slots [first, first + n) out, to to[]. Every other one is empty, without a pattern that
 * a branch could follow. */
static uint32_t take_slots(uint64_t *slot, uint32_t n, uint64_t *to)
{
	uint32_t m = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t v = slot[i];

		to[m] = v;
		m += v != 0;
		slot[i] = 0;
	}
	return m;
}

/* Doubles the slots, in place: from the last ones down each moves to twice its place, or one more,
 * where all is empty or moved already. The first few, which would meet others that have not moved
 * yet, step aside. So no second array is touched, and none is there for a moment. */
static int more_slots(struct keypart *p, struct weir_mem *m)
{
	uint32_t old = keypart_slots(p), start = clear_of_start(p), far = 0, mask, n, d;
	unsigned shift = old ? p->shift - 1 : SLOTS_MIN_SHIFT;
	uint64_t *aside, *slot, some[MOVED];

	aside = weir_alloc(m, (start + 1) * sizeof *aside);
	if (!aside)
		return -ENOMEM;
	slot = grow(m, p->slot, &p->slot_size, sizeof *slot << (32 - shift));
	if (!slot) {
		weir_free(m, aside, (start + 1) * sizeof *aside);
		return -ENOMEM;
	}
	p->slot = slot;
	p->shift = shift;
	mask = keypart_slots(p) - 1;
	memcpy(aside, slot, start * sizeof *aside);
	memset(slot, 0, start * sizeof *slot);
	for (uint32_t end = old, first; end > start; end = first) {
		first = end - start > MOVED ? end - MOVED : start;
		n = take_slots(slot + first, end - first, some);
		for (uint32_t i = 0; i < n; i++) {
			d = put_slot(p, mask, some[i]);
			far = d > far ? d : far;
		}
	}
	for (uint32_t i = 0; i < start; i++) {
		d = aside[i] ? put_slot(p, mask, aside[i]) : 0;
		far = d > far ? d : far;
	}
	p->far = far;
	weir_free(m, aside, (start + 1) * sizeof *aside);
	return 0;
}

int keypart_reserve(struct keypart *p, struct weir_mem *m, uint32_t n)
{
	if (p->n + n > KEYS_MAX)
		return -ENOMEM;
	while ((uint64_t)p->n + n > (uint64_t)keypart_slots(p) * LOAD / 8)
		if (more_slots(p, m) < 0)
			return -ENOMEM;
	if ((size_t)(p->n + n) * p->stride > p->rec_size) {
		uint8_t *rec = grow(m, p->rec, &p->rec_size, (size_t)(p->n + n) * p->stride);

		if (!rec)
			return -ENOMEM;
		p->rec = rec;
	}
	return 0;
}

size_t keypart_growth(const struct keypart *p, uint32_t n)
{
	uint64_t want = (uint64_t)p->n + n;

	return (want > (uint64_t)keypart_slots(p) * LOAD / 8 ? p->slot_size : 0) +
	       (want * p->stride > p->rec_size ? p->rec_size : 0);
}

static inline __attribute__((always_inline)) bool equal(
        const uint8_t *a, const uint8_t *b, uint32_t size)
{
	uint64_t x = 0;

	if (size > 32)
		return memcmp(a, b, size) == 0;
	for (uint32_t i = 0; i < size; i += 8)
		x |= keyhash_load(a + i) ^ keyhash_load(b + i);
	return x == 0;
}

uint32_t keypart_look(const struct keypart *p, const uint8_t *key, uint32_t hash)
{
	uint32_t mask = keypart_slots(p) - 1;
	uint64_t v;

	if (!p->n)
		return KEYPART_NONE;
	for (uint32_t i = hash >> p->shift; (v = p->slot[i]); i = (i + 1) & mask)
		if ((uint32_t)(v >> 32) == hash &&
		        equal(keypart_rec(p, (uint32_t)v - 1), key, p->key_size))
			return (uint32_t)v - 1;
	return KEYPART_NONE;
}

static inline __attribute__((always_inline)) void hash_block(
        const struct keypart *p, const uint8_t *keys, struct keypart_block *blk, uint32_t size)
{
	const struct keyhash_secret secret = *keyhash_secret();
	const uint32_t keep = ~p->families, n = blk->n;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t h = keyhash(&secret, keys + (size_t)k * size, size) & keep;

		blk->hash[k] = h;
		__builtin_prefetch(&p->slot[h >> p->shift]);
	}
}

void keypart_hash(const struct keypart *p, const uint8_t *keys, struct keypart_block *blk)
{
	if (p->key_size == 8)
		hash_block(p, keys, blk, 8);
	else if (p->key_size == 16)
		hash_block(p, keys, blk, 16);
	else if (p->key_size == 24)
		hash_block(p, keys, blk, 24);
	else
		hash_block(p, keys, blk, p->key_size);
}

void keypart_find(const struct keypart *p, struct keypart_block *blk)
{
	const uint64_t *slot = p->slot;
	const size_t stride = p->stride;
	const unsigned shift = p->shift;
	const uint32_t mask = keypart_slots(p) - 1, n = blk->n;
	uint8_t *base = p->rec - stride, **rec = blk->rec; /* numbers in slots begin with 1 */
	uint32_t *num = blk->num;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t h = blk->hash[k], i = h >> shift;
		uint64_t v = slot[i];

		while ((uint32_t)(v >> 32) != h && v) {
			i = (i + 1) & mask;
			v = slot[i];
		}
		blk->at[k] = i;
		num[k] = (uint32_t)v;
		rec[k] = base + (size_t)(uint32_t)v * stride;
		__builtin_prefetch(rec[k]);
	}
}

/* The number + 1 of a key that is not where its search first stopped; adds it if it is new. */
static inline __attribute__((always_inline)) uint32_t search_on(
        struct keypart *p, const uint8_t *key, struct keypart_block *blk, uint32_t k, uint32_t size)
{
	uint32_t i = blk->at[k], hash = blk->hash[k], mask = keypart_slots(p) - 1;
	uint64_t v;

	for (; (v = p->slot[i]); i = (i + 1) & mask)
		if ((uint32_t)(v >> 32) == hash &&
		        equal(keypart_rec(p, (uint32_t)v - 1), key, size))
			return (uint32_t)v;
	memcpy(keypart_rec(p, p->n), key, size);
	keypart_take(p, i, hash);
	blk->fresh[blk->nfresh++] = (uint8_t)k;
	return p->n;
}

static inline __attribute__((always_inline)) void insert_block(
        struct keypart *p, const uint8_t *keys, struct keypart_block *blk, uint32_t size)
{
	uint32_t *num = blk->num, n = blk->n;
	uint8_t **rec = blk->rec;

	for (uint32_t k = 0; k < n; k++, keys += size) {
		uint8_t *at = rec[k];
		uint32_t v = num[k];

		if (__builtin_expect(!v || !equal(at, keys, size), 0)) {
			v = search_on(p, keys, blk, k, size);
			at = keypart_rec(p, v - 1);
		}
		num[k] = v - 1;
		rec[k] = at + size;
	}
}

void keypart_insert(struct keypart *p, const uint8_t *keys, struct keypart_block *blk)
{
	blk->nfresh = 0;
	if (p->key_size == 8)
		insert_block(p, keys, blk, 8);
	else if (p->key_size == 16)
		insert_block(p, keys, blk, 16);
	else if (p->key_size == 24)
		insert_block(p, keys, blk, 24);
	else
		insert_block(p, keys, blk, p->key_size);
}
