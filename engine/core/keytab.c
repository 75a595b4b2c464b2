/* SPDX-License-Identifier: MIT */
/* keytab.c: the table of keytab.h.
 *
 * Linear probing at a load of at most LOAD / 8. A probe takes three steps over a block of keys:
 * hash and prefetch the slot; find the first slot that matches or is empty and prefetch its key;
 * compare and insert, in order. Only the last step decides, so that equal keys within a block and
 * equal hashes of different keys come out right.
 */
#include "engine/core/keytab.h"

#include "engine/core/grow.h"
#include "engine/core/keyhash.h"

#define BLOCK 128
#define SLOTS_MIN_SHIFT 28 /* 16 slots: a split has a table for each of its keys */
#define LOAD 5             /* eighths */
#define KEYS_MAX ((uint32_t)1 << 30)
#define TEXT_KEPT ((size_t)1 << 20)
#define CACHED ((size_t)128 << 10) /* a part below this needs no prefetch */

int keytab_init(struct keytab *t, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n, unsigned flags, uint32_t payload)
{
	uint32_t size;
	int r;

	*t = (struct keytab){.mem = mem, .payload = (payload + 7) & ~7u};
	heap_init(&t->heap, mem);
	r = keypack_init(&t->pack, mem, s, fields, n, flags);
	size = t->pack.wide ? sizeof(void *) : t->pack.size;
	t->keys = (struct keytab_part){.key_size = size, .stride = size + t->payload, .shift = 32};
	if (!t->pack.wide)
		t->keys.families = (1u << t->pack.naddr) - 1;
	t->ip6 = (struct keytab_part){.key_size = 16, .stride = 16, .shift = 32};
	return r;
}

static void release_part(struct keytab *t, struct keytab_part *p)
{
	grow_free(t->mem, p->slot, p->slot_size);
	grow_free(t->mem, p->rec, p->rec_size);
}

void keytab_release(struct keytab *t)
{
	release_part(t, &t->keys);
	release_part(t, &t->ip6);
	grow_free(t->mem, t->families, t->families_size);
	grow_free(t->mem, t->packed, t->packed_size);
	grow_free(t->mem, t->text, t->text_size);
	heap_release(&t->heap);
	keypack_release(&t->pack);
	*t = (struct keytab){.mem = t->mem};
}

static inline uint32_t slots_of(const struct keytab_part *p)
{
	return p->shift == 32 ? 0 : (uint32_t)(1ull << (32 - p->shift));
}

/* Puts a slot where its probe ends, at or behind its home. */
static inline void put_slot(struct keytab_part *p, uint64_t v)
{
	uint32_t home = (uint32_t)(v >> 32) >> p->shift, mask = slots_of(p) - 1, at = home;

	while (p->slot[at])
		at = (at + 1) & mask;
	p->slot[at] = v;
	if (((at - home) & mask) > p->far)
		p->far = (at - home) & mask;
}

/* An empty slot so far in that, from there on, no slot's new place is before its old one: a slot
 * at i moves to 2 (i - far) or behind it. Runs that go round the end stand before the first empty
 * slot. Without one, the number of slots. */
static uint32_t clear_of_start(const struct keytab_part *p)
{
	uint32_t old = slots_of(p);

	for (uint32_t i = 2 * p->far + 1; i < old; i++)
		if (!p->slot[i])
			return i;
	return old;
}

/* Doubles the slots, in place: from the last one down each moves to twice its place, or one more,
 * where all is empty or moved already. The first few, which would meet others that have not moved
 * yet, step aside. So no second array is touched, and none is there for a moment. */
static int more_slots(struct keytab *t, struct keytab_part *p)
{
	uint32_t old = slots_of(p), start = clear_of_start(p);
	unsigned shift = old ? p->shift - 1 : SLOTS_MIN_SHIFT;
	uint64_t *aside, *slot;

	aside = weir_alloc(t->mem, (start + 1) * sizeof *aside);
	if (!aside)
		return -ENOMEM;
	slot = grow(t->mem, p->slot, &p->slot_size, sizeof *slot << (32 - shift));
	if (!slot) {
		weir_free(t->mem, aside, (start + 1) * sizeof *aside);
		return -ENOMEM;
	}
	p->slot = slot;
	p->shift = shift;
	p->far = 0;
	memcpy(aside, slot, start * sizeof *aside);
	memset(slot, 0, start * sizeof *slot);
	for (uint32_t i = old; i-- > start;) {
		uint64_t v = slot[i];

		slot[i] = 0;
		if (v)
			put_slot(p, v);
	}
	for (uint32_t i = 0; i < start; i++)
		if (aside[i])
			put_slot(p, aside[i]);
	weir_free(t->mem, aside, (start + 1) * sizeof *aside);
	return 0;
}

/* Room for n more keys. */
static int reserve(struct keytab *t, struct keytab_part *p, uint32_t n)
{
	if (p->n + n > KEYS_MAX)
		return -ENOMEM;
	while ((uint64_t)p->n + n > (uint64_t)slots_of(p) * LOAD / 8)
		if (more_slots(t, p) < 0)
			return -ENOMEM;
	if ((size_t)(p->n + n) * p->stride > p->rec_size) {
		uint8_t *rec = grow(t->mem, p->rec, &p->rec_size, (size_t)(p->n + n) * p->stride);

		if (!rec)
			return -ENOMEM;
		p->rec = rec;
	}
	return 0;
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

/* Writes the numbers of n <= BLOCK packed keys to num[]. There is room for all of them. */
static inline __attribute__((always_inline)) void probe_block(struct keytab_part *p,
        const uint8_t *keys, const uint8_t *families, uint32_t n, uint32_t *num, uint32_t size,
        uint32_t stride, const struct keyhash_secret *secret)
{
	uint64_t *slot = p->slot;
	uint8_t *rec = p->rec;
	unsigned shift = p->shift;
	uint32_t mask = (uint32_t)((1ull << (32 - shift)) - 1), keep = ~p->families;
	uint32_t hash[BLOCK], at[BLOCK];
	bool far = p->slot_size + (size_t)p->n * stride > CACHED;

	for (uint32_t k = 0; k < n; k++) {
		hash[k] = (keyhash(secret, keys + (size_t)k * size, size) & keep) | families[k];
		at[k] = hash[k] >> shift;
		if (far)
			__builtin_prefetch(&slot[at[k]]);
	}
	for (uint32_t k = 0; far && k < n; k++) {
		uint32_t i = at[k];
		uint64_t v;

		while ((v = slot[i]) && (uint32_t)(v >> 32) != hash[k])
			i = (i + 1) & mask;
		at[k] = i;
		if (v)
			__builtin_prefetch(rec + (size_t)((uint32_t)v - 1) * stride);
	}
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *key = keys + (size_t)k * size;
		uint32_t i = at[k];
		uint64_t v;

		while ((v = slot[i]) &&
		        ((uint32_t)(v >> 32) != hash[k] ||
		                !equal(rec + (size_t)((uint32_t)v - 1) * stride, key, size)))
			i = (i + 1) & mask;
		if (!v) {
			memcpy(rec + (size_t)p->n * stride, key, size);
			v = ++p->n;
			slot[i] = (uint64_t)hash[k] << 32 | v;
			i = (i - (hash[k] >> shift)) & mask;
			if (i > p->far)
				p->far = i;
		}
		num[k] = (uint32_t)v - 1;
	}
}

static void probe(struct keytab_part *p, const uint8_t *keys, const uint8_t *families, uint32_t n,
        uint32_t *num)
{
	const struct keyhash_secret *secret = keyhash_secret();

	if (p->key_size == 8)
		probe_block(p, keys, families, n, num, 8, p->stride, secret);
	else if (p->key_size == 16)
		probe_block(p, keys, families, n, num, 16, p->stride, secret);
	else if (p->key_size == 24)
		probe_block(p, keys, families, n, num, 24, p->stride, secret);
	else
		probe_block(p, keys, families, n, num, p->key_size, p->stride, secret);
}

static inline struct heap_cell *cell_at(const uint8_t *rec)
{
	struct heap_cell *c;

	memcpy(&c, rec, sizeof c);
	return c;
}

/* Puts the octets of text behind the fixed parts of n keys: at[k] .. at[k + 1] of t->text. */
static int serialise(struct keytab *t, struct weir_batch *b, const uint8_t *fixed,
        const uint16_t *rows, uint32_t n, size_t *at)
{
	const struct keypack *p = &t->pack;
	uint32_t size = p->size, len;
	uint8_t *text, *to;

	at[0] = 0;
	for (uint32_t k = 0; k < n; k++) {
		at[k + 1] = at[k] + size;
		for (uint32_t i = 0; i < p->n; i++)
			if (weir_storage_of(p->f[i].kind) == WEIR_VAR) {
				memcpy(&len, fixed + (size_t)k * size + p->f[i].at, 4);
				at[k + 1] += len;
			}
	}
	text = grow(t->mem, t->text, &t->text_size, at[n]);
	if (!text)
		return -ENOMEM;
	t->text = text;
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *from = fixed + (size_t)k * size;

		to = text + at[k];
		memcpy(to, from, size);
		to += size;
		for (uint32_t i = 0; i < p->n; i++) {
			if (weir_storage_of(p->f[i].kind) != WEIR_VAR)
				continue;
			memcpy(&len, from + p->f[i].at, 4);
			if (len)
				memcpy(to, weir_col_str(&b->cols[p->f[i].field])[rows[k]].p, len);
			to += len;
		}
	}
	return 0;
}

/* As probe_block(), of keys with text; a key's record begins with a pointer to its cell. */
static int probe_text(struct keytab *t, const size_t *from, uint32_t n, uint32_t *num)
{
	const struct keyhash_secret *secret = keyhash_secret();
	struct keytab_part *p = &t->keys;
	uint32_t mask, hash[BLOCK];

	mask = slots_of(p) - 1;
	for (uint32_t k = 0; k < n; k++) {
		hash[k] = keyhash_bytes(secret, t->text + from[k], from[k + 1] - from[k]);
		__builtin_prefetch(&p->slot[hash[k] >> p->shift]);
	}
	for (uint32_t k = 0; k < n; k++) {
		uint64_t v = p->slot[hash[k] >> p->shift];

		if (v)
			__builtin_prefetch(p->rec + (size_t)((uint32_t)v - 1) * p->stride);
	}
	for (uint32_t k = 0; k < n; k++) {
		uint64_t v = p->slot[hash[k] >> p->shift];

		if ((uint32_t)(v >> 32) == hash[k] && v)
			__builtin_prefetch(cell_at(p->rec + (size_t)((uint32_t)v - 1) * p->stride));
	}
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *key = t->text + from[k];
		size_t len = from[k + 1] - from[k];
		uint32_t i = hash[k] >> p->shift;
		uint64_t v;

		for (; (v = p->slot[i]); i = (i + 1) & mask) {
			struct heap_cell *c;

			if ((uint32_t)(v >> 32) != hash[k])
				continue;
			c = cell_at(p->rec + (size_t)((uint32_t)v - 1) * p->stride);
			if (c->len == len && memcmp(c->bytes, key, len) == 0)
				break;
		}
		if (!v) {
			struct heap_cell *c = heap_put(&t->heap, NULL, key, len);

			if (!c)
				return -ENOMEM;
			memcpy(p->rec + (size_t)p->n * p->stride, &c, sizeof c);
			v = ++p->n;
			p->slot[i] = (uint64_t)hash[k] << 32 | v;
			i = (i - (hash[k] >> p->shift)) & mask;
			if (i > p->far)
				p->far = i;
		}
		num[k] = (uint32_t)v - 1;
	}
	return 0;
}

static int map_text(struct keytab *t, struct weir_batch *b, const uint8_t *packed,
        const uint16_t *rows, uint32_t n, uint32_t *num)
{
	size_t at[BLOCK + 1];
	int r = serialise(t, b, packed, rows, n, at);

	if (r == 0)
		r = probe_text(t, at, n, num);
	if (t->text_size > TEXT_KEPT) {
		grow_free(t->mem, t->text, t->text_size);
		t->text = NULL;
		t->text_size = 0;
	}
	return r;
}

/* Puts the numbers of the IPv6 addresses among m packed rows into their keys, and adds them to the
 * families. */
static int number_ip6(
        struct keytab *t, struct weir_batch *b, const uint16_t *rows, uint32_t m, uint8_t *families)
{
	static const uint8_t none[BLOCK];
	uint8_t place[BLOCK], octets[BLOCK * 16];
	uint32_t num[BLOCK], size = t->pack.size;
	bool any = false;

	for (uint32_t i = 0; i < t->pack.n; i++) {
		const struct key_field *f = &t->pack.f[i];
		uint32_t n;

		if (weir_storage_of(f->kind) != WEIR_ADDR)
			continue;
		n = keypack_ip6(&t->pack, i, b, rows, m, place, octets);
		if (!n)
			continue;
		if (reserve(t, &t->ip6, n) < 0)
			return -ENOMEM;
		probe(&t->ip6, octets, none, n, num);
		for (uint32_t k = 0; k < n; k++) {
			memcpy(t->packed + (size_t)place[k] * size + f->at, &num[k], 4);
			families[place[k]] |= (uint8_t)(1u << f->family);
		}
		any = true;
	}
	return any;
}

/* Room for the families of n more keys, if there are any so far or `some` of these have. */
static int reserve_families(struct keytab *t, uint32_t n, bool some)
{
	uint8_t *p;

	if (!some && !t->families)
		return 0;
	p = grow(t->mem, t->families, &t->families_size, t->keys.n + n);
	if (!p)
		return -ENOMEM;
	t->families = p;
	return 0;
}

/* Packs and looks up m <= BLOCK rows. After a failure no key is there by half. */
static int map_block(struct keytab *t, struct weir_batch *b, const uint16_t *rows, uint32_t m,
        const uint32_t *prefix, uint8_t *families, uint32_t *num)
{
	int r = reserve(t, &t->keys, m);

	if (r == 0)
		r = keypack_pack(&t->pack, b, rows, m, prefix, t->packed);
	if (r < 0)
		return r;
	if (t->pack.wide)
		return map_text(t, b, t->packed, rows, m, num);
	memset(families, 0, BLOCK);
	if (t->pack.naddr)
		r = number_ip6(t, b, rows, m, families);
	if (r < 0 || reserve_families(t, m, r) < 0)
		return -ENOMEM;
	probe(&t->keys, t->packed, families, m, num);
	return 0;
}

/* Notes the first row of each new key among rows first … first + m - 1, and its families. */
static void note_fresh(struct keytab *t, struct keytab_rows *ret, uint32_t first, uint32_t m,
        const uint8_t *families)
{
	uint32_t n = ret->nfresh;

	for (uint32_t k = first; k < first + m; k++) {
		ret->fresh[n] = (uint16_t)k;
		n += ret->id[k] == ret->before + n; /* numbers are given in order */
	}
	for (uint32_t i = ret->nfresh; t->families && i < n; i++)
		t->families[ret->before + i] = families[ret->fresh[i] - first];
	ret->nfresh = n;
}

static void states(const struct keytab_part *p, const uint32_t *id, uint32_t n, uint8_t **state)
{
	size_t stride = p->stride;
	uint8_t *first = p->rec + p->key_size;

	for (uint32_t k = 0; k < n; k++)
		state[k] = first + id[k] * stride;
}

static int map(
        struct keytab *t, struct weir_batch *b, const uint32_t *prefix, struct keytab_rows *ret)
{
	uint8_t families[BLOCK] = {0};
	uint32_t most = ret->n < BLOCK ? ret->n : BLOCK;
	uint8_t *packed = grow(t->mem, t->packed, &t->packed_size, (size_t)most * t->pack.size + 1);

	ret->before = t->n;
	ret->nfresh = 0;
	if (!packed)
		return -ENOMEM;
	t->packed = packed;
	for (uint32_t first = 0; first < ret->n; first += BLOCK) {
		uint32_t m = ret->n - first < BLOCK ? ret->n - first : BLOCK;
		int r = map_block(t, b, ret->row + first, m, prefix ? prefix + first : NULL,
		        families, ret->id + first);

		t->n = t->keys.n;
		if (r < 0)
			return r;
		if (ret->before + ret->nfresh < t->n)
			note_fresh(t, ret, first, m, families);
	}
	if (t->payload && ret->n)
		states(&t->keys, ret->id, ret->n, ret->state);
	return 0;
}

int keytab_map(struct keytab *t, struct weir_batch *b, struct keytab_rows *ret)
{
	int n = keypack_rows(&t->pack, b, ret->row);

	if (n < 0)
		return n;
	ret->n = (uint32_t)n;
	ret->missing = weir_batch_count(b) - ret->n;
	return map(t, b, NULL, ret);
}

int keytab_map_rows(struct keytab *t, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        const uint32_t *prefix, struct keytab_rows *ret)
{
	uint32_t pre[WEIR_BATCH_ROWS], m = 0;

	for (uint32_t k = 0; k < n; k++) {
		bool there = true;

		for (uint32_t i = 0; !t->pack.nulls && i < t->pack.n; i++) {
			const struct weir_col *c = weir_batch_col(b, t->pack.f[i].field);

			if (!c)
				return -ENOMEM;
			there &= weir_col_has(c, rows[k]);
		}
		ret->row[m] = rows[k];
		pre[m] = prefix ? prefix[k] : 0;
		m += there;
	}
	ret->n = m;
	ret->missing = n - m;
	return map(t, b, prefix ? pre : NULL, ret);
}

uint8_t *keytab_state(const struct keytab *t, uint32_t id)
{
	return t->keys.rec + (size_t)id * t->keys.stride + t->keys.key_size;
}

int keytab_load(const struct keytab *t, uint32_t i, uint32_t first, uint32_t n,
        struct weir_batch *b, uint32_t out)
{
	const uint8_t *key[WEIR_BATCH_ROWS];

	for (uint32_t k = 0; k < n; k++) {
		key[k] = t->keys.rec + (size_t)(first + k) * t->keys.stride;
		if (t->pack.wide)
			key[k] = cell_at(key[k])->bytes;
	}
	return keypack_unpack(
	        &t->pack, i, key, t->families ? t->families + first : NULL, t->ip6.rec, n, b, out);
}

void keytab_states(const struct keytab *t, uint32_t first, uint32_t n, uint8_t **ret)
{
	size_t stride = t->keys.stride;
	uint8_t *at = n ? keytab_state(t, first) : NULL;

	for (uint32_t k = 0; k < n; k++)
		ret[k] = at + k * stride;
}
