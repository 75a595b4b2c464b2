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

#define BLOCK WEIR_PACK_ROWS
#define SLOTS_MIN_SHIFT 28 /* 16 slots: a split has a table for each of its keys */
#define LOAD 5             /* eighths */
#define NEAR_BITS 7
#define NEAR (1u << NEAR_BITS)
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
	if (t->near)
		weir_free(t->mem, t->near, NEAR * sizeof *t->near);
	grow_free(t->mem, t->families, t->families_size);
	grow_free(t->mem, t->packed, t->packed_size);
	grow_free(t->mem, t->text, t->text_size);
	heap_release(&t->heap);
	keypack_release(&t->pack);
	*t = (struct keytab){.mem = t->mem};
}

int keytab_new(struct weir_mem *mem, const struct weir_schema *s, const uint32_t *fields,
        uint32_t n, unsigned flags, uint32_t payload, struct keytab **ret)
{
	*ret = weir_calloc(mem, sizeof **ret);
	return *ret ? keytab_init(*ret, mem, s, fields, n, flags, payload) : -ENOMEM;
}

void keytab_free(struct weir_mem *mem, struct keytab *t)
{
	if (!t)
		return;
	keytab_release(t);
	weir_free(mem, t, sizeof *t);
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

/* The families of a block's keys, and which of them are not zero. */
struct families {
	uint32_t n;
	uint8_t at[BLOCK], bits[BLOCK];
};

/* The keys that were new, by place. */
struct fresh {
	uint32_t n;
	uint8_t at[BLOCK];
};

/* The slot of a key that is not where its probe first stopped; adds it if it is new. */
static inline __attribute__((always_inline)) uint32_t probe_on(struct keytab_part *p,
        const uint8_t *key, uint32_t hash, uint32_t k, struct fresh *fresh, uint32_t size)
{
	const size_t stride = p->stride;
	uint32_t i = hash >> p->shift, mask = slots_of(p) - 1;
	uint64_t v;

	for (; (v = p->slot[i]); i = (i + 1) & mask)
		if ((uint32_t)(v >> 32) == hash &&
		        equal(p->rec + (size_t)((uint32_t)v - 1) * stride, key, size))
			return (uint32_t)v;
	memcpy(p->rec + (size_t)p->n * stride, key, size);
	p->slot[i] = (uint64_t)hash << 32 | ++p->n;
	i = (i - (hash >> p->shift)) & mask;
	if (i > p->far)
		p->far = i;
	fresh->at[fresh->n++] = (uint8_t)k;
	return p->n;
}

/* Writes the numbers of n <= BLOCK packed keys to num[], and where their states are to state[].
 * There is room for all of them. A key's families are part of its hash. */
static inline __attribute__((always_inline)) void probe_block(struct keytab_part *p,
        const uint8_t *keys, const struct families *families, uint32_t n, uint32_t *num,
        uint8_t **state, struct fresh *fresh, uint32_t size)
{
	const struct keyhash_secret secret = *keyhash_secret();
	const uint64_t *slot = p->slot;
	const size_t stride = p->stride;
	uint8_t *rec = p->rec - stride; /* numbers in slots begin with 1 */
	const unsigned shift = p->shift;
	const uint32_t mask = slots_of(p) - 1, keep = ~p->families;
	uint32_t hash[BLOCK];

	for (uint32_t k = 0; k < n; k++) {
		uint32_t h = keyhash(&secret, keys + (size_t)k * size, size) & keep;

		hash[k] = h;
		__builtin_prefetch(&slot[h >> shift]);
	}
	for (uint32_t i = 0; i < families->n; i++)
		hash[families->at[i]] |= families->bits[families->at[i]];
	for (uint32_t k = 0; k < n; k++) {
		uint32_t h = hash[k], i = h >> shift;
		uint64_t v = slot[i];

		while ((uint32_t)(v >> 32) != h && v) {
			i = (i + 1) & mask;
			v = slot[i];
		}
		num[k] = (uint32_t)v;
		state[k] = rec + (size_t)(uint32_t)v * stride;
		__builtin_prefetch(state[k]);
	}
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *key = keys + (size_t)k * size;
		uint8_t *at = state[k];
		uint32_t v = num[k];

		if (__builtin_expect(!v || !equal(at, key, size), 0)) {
			v = probe_on(p, key, hash[k], k, fresh, size);
			at = rec + (size_t)v * stride;
		}
		num[k] = v - 1;
		state[k] = at + size;
	}
}

static void probe(struct keytab_part *p, const uint8_t *keys, const struct families *families,
        uint32_t n, uint32_t *num, uint8_t **state, struct fresh *fresh)
{
	fresh->n = 0;
	if (p->key_size == 8)
		probe_block(p, keys, families, n, num, state, fresh, 8);
	else if (p->key_size == 16)
		probe_block(p, keys, families, n, num, state, fresh, 16);
	else if (p->key_size == 24)
		probe_block(p, keys, families, n, num, state, fresh, 24);
	else
		probe_block(p, keys, families, n, num, state, fresh, p->key_size);
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
static int probe_text(struct keytab *t, const size_t *from, uint32_t n, uint32_t *num,
        uint8_t **state, struct fresh *fresh)
{
	const struct keyhash_secret *secret = keyhash_secret();
	struct keytab_part *p = &t->keys;
	uint32_t mask, hash[BLOCK];

	fresh->n = 0;
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
			fresh->at[fresh->n++] = (uint8_t)k;
		}
		num[k] = (uint32_t)v - 1;
		state[k] = p->rec + (size_t)num[k] * p->stride + p->key_size;
	}
	return 0;
}

static int map_text(struct keytab *t, struct weir_batch *b, const uint8_t *packed,
        const uint16_t *rows, uint32_t n, uint32_t *num, uint8_t **state, struct fresh *fresh)
{
	size_t at[BLOCK + 1];
	int r = serialise(t, b, packed, rows, n, at);

	if (r == 0)
		r = probe_text(t, at, n, num, state, fresh);
	if (t->text_size > TEXT_KEPT) {
		grow_free(t->mem, t->text, t->text_size);
		t->text = NULL;
		t->text_size = 0;
	}
	return r;
}

/* Where an address may be among those of late. Whoever aims at one place gains nothing but the way
 * to the table. */
static inline uint32_t near_of(const uint64_t *octets)
{
	uint64_t h = (octets[0] * 0x9e3779b97f4a7c15 ^ octets[1]) * 0xd6e8feb86659fd93;

	return (uint32_t)(h >> (64 - NEAR_BITS));
}

/* The numbers of n <= BLOCK IPv6 addresses. Floods and long flows repeat a few. */
static int number_block(struct keytab *t, const struct weir_pack_ip6 *v, uint32_t n, uint32_t *num)
{
	static const struct families none;
	uint64_t octets[BLOCK][2];
	uint32_t far[BLOCK], m = 0;
	uint8_t place[BLOCK], *state[BLOCK];
	struct fresh fresh;

	for (uint32_t k = 0; k < n; k++) {
		const struct keytab_near *at;

		memcpy(octets[m], v[k].octets, 16);
		at = &t->near[near_of(octets[m])];
		num[k] = (uint32_t)at->num - 1;
		place[m] = (uint8_t)k;
		m += !at->num | (at->octets[0] != octets[m][0]) | (at->octets[1] != octets[m][1]);
	}
	if (!m)
		return 0;
	if (reserve(t, &t->ip6, m) < 0)
		return -ENOMEM;
	probe(&t->ip6, (const uint8_t *)octets, &none, m, far, state, &fresh);
	for (uint32_t i = 0; i < m; i++) {
		num[place[i]] = far[i];
		t->near[near_of(octets[i])] =
		        (struct keytab_near){{octets[i][0], octets[i][1]}, far[i] + 1ull};
	}
	return 0;
}

/* Puts the numbers of IPv6 addresses into the keys, and adds them to the families. */
static int number_ip6(struct keytab *t, const struct weir_packed *from, uint8_t *packed,
        struct families *families)
{
	uint32_t num[BLOCK], size = t->pack.size;

	if (!t->near)
		t->near = weir_calloc(t->mem, NEAR * sizeof *t->near);
	if (!t->near)
		return -ENOMEM;
	memset(families->bits, 0, sizeof families->bits);
	for (uint32_t i = 0; i < from->nip6; i += BLOCK) {
		uint32_t n = from->nip6 - i < BLOCK ? from->nip6 - i : BLOCK;
		const struct weir_pack_ip6 *v = from->ip6 + i;

		if (number_block(t, v, n, num) < 0)
			return -ENOMEM;
		for (uint32_t k = 0; k < n; k++) {
			const struct key_field *f = &t->pack.f[v[k].field];
			uint8_t *bits = &families->bits[v[k].place];

			memcpy(packed + (size_t)v[k].place * size + f->at, &num[k], 4);
			if (!*bits)
				families->at[families->n++] = v[k].place;
			*bits |= (uint8_t)(1u << f->family);
		}
	}
	return 0;
}

/* ---- a frozen table ---- */

#define NOT_THERE UINT32_MAX /* as a number; no table has so many */

/* The number of a packed key, or NOT_THERE. */
static uint32_t look(const struct keytab_part *p, const uint8_t *key, uint32_t hash)
{
	uint32_t mask = slots_of(p) - 1;
	uint64_t v;

	if (!p->n)
		return NOT_THERE;
	for (uint32_t i = hash >> p->shift; (v = p->slot[i]); i = (i + 1) & mask)
		if ((uint32_t)(v >> 32) == hash &&
		        equal(p->rec + (size_t)((uint32_t)v - 1) * p->stride, key, p->key_size))
			return (uint32_t)v - 1;
	return NOT_THERE;
}

static uint32_t look_text(const struct keytab_part *p, const uint8_t *key, size_t len)
{
	uint32_t hash = keyhash_bytes(keyhash_secret(), key, len), mask = slots_of(p) - 1;
	uint64_t v;

	if (!p->n)
		return NOT_THERE;
	for (uint32_t i = hash >> p->shift; (v = p->slot[i]); i = (i + 1) & mask) {
		const struct heap_cell *c = cell_at(p->rec + (size_t)((uint32_t)v - 1) * p->stride);

		if ((uint32_t)(v >> 32) == hash && c->len == len && !memcmp(c->bytes, key, len))
			return (uint32_t)v - 1;
	}
	return NOT_THERE;
}

/* As number_ip6(), adding none: a key with an address that is not there is not there either. */
static void find_ip6(struct keytab *t, const struct weir_packed *from, uint8_t *bits)
{
	for (uint32_t i = 0; i < from->nip6; i++) {
		const struct weir_pack_ip6 *v = &from->ip6[i];
		const struct key_field *f = &t->pack.f[v->field];
		uint32_t num = look(&t->ip6, v->octets,
		        keyhash(keyhash_secret(), v->octets, 16) & ~t->ip6.families);

		memcpy(t->packed + (size_t)v->place * t->pack.size + f->at, &num, 4);
		bits[v->place] |= (uint8_t)(1u << f->family);
	}
}

/* As map_block(). Its records without a place leave ret's arrays. Of those that stay, the number
 * or -ENOMEM. */
static int find_block(struct keytab *t, struct weir_batch *b, const struct keypack_block *in,
        struct keytab_rows *ret, uint32_t at)
{
	const struct keytab_part *p = &t->keys;
	uint32_t n = 0, size = p->key_size;
	uint8_t bits[BLOCK] = {0};
	size_t text[BLOCK + 1];

	if (t->pack.wide && serialise(t, b, t->packed, ret->row + at, in->n, text) < 0)
		return -ENOMEM;
	if (!t->pack.wide)
		find_ip6(t, &in->from, bits);
	for (uint32_t k = 0; k < in->n; k++) {
		const uint8_t *key = t->packed + (size_t)k * size;
		uint32_t num;

		if (t->pack.wide)
			num = look_text(p, t->text + text[k], text[k + 1] - text[k]);
		else
			num = look(p, key,
			        (keyhash(keyhash_secret(), key, size) & ~p->families) | bits[k]);
		if (num == NOT_THERE) {
			ret->missed[ret->nmissed++] = ret->row[at + k];
			continue;
		}
		ret->row[at + n] = ret->row[at + k];
		ret->id[at + n] = num;
		ret->state[at + n++] = keytab_state(t, num);
	}
	return (int)n;
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

/* Looks the packed rows of a block up; `at`: where they stand in ret. There is room for them. After
 * a failure no key is there by half. */
static int map_block(struct keytab *t, struct weir_batch *b, const struct keypack_block *in,
        struct keytab_rows *ret, uint32_t at)
{
	uint32_t before = t->keys.n;
	struct families families;
	struct fresh fresh;
	int r = 0;

	fresh.n = families.n = 0;
	if (t->pack.wide) {
		r = map_text(t, b, t->packed, ret->row + at, in->n, ret->id + at, ret->state + at,
		        &fresh);
	} else {
		if (in->from.nip6)
			r = number_ip6(t, &in->from, t->packed, &families);
		if (r < 0 || reserve_families(t, in->n, in->from.nip6) < 0)
			return -ENOMEM;
		probe(&t->keys, t->packed, &families, in->n, ret->id + at, ret->state + at, &fresh);
	}
	for (uint32_t i = 0; i < fresh.n; i++) {
		ret->fresh[ret->nfresh++] = (uint16_t)(at + fresh.at[i]);
		if (t->families)
			t->families[before + i] = families.n ? families.bits[fresh.at[i]] : 0;
	}
	t->n = t->keys.n;
	return r;
}

/* Of ret->row[0..total) those that have a key. */
static int map(struct keytab *t, struct weir_batch *b, const uint32_t *prefix, uint32_t total,
        struct keytab_rows *ret)
{
	uint8_t *packed = grow(t->mem, t->packed, &t->packed_size,
	        (size_t)(total < BLOCK ? total : BLOCK) * t->pack.size + WEIR_PACK_SIZE);
	struct keypack_block block;

	ret->before = t->n;
	ret->n = ret->nfresh = ret->nmissed = 0;
	if (!packed)
		return -ENOMEM;
	t->packed = packed;
	if (!t->frozen && reserve(t, &t->keys, total) < 0)
		return -ENOMEM;
	for (uint32_t first = 0; first < total; first += BLOCK) {
		uint32_t m = total - first < BLOCK ? total - first : BLOCK;
		int r = keypack_pack(&t->pack, b, ret->row + first, m,
		        prefix ? prefix + first : NULL, t->packed, &block);

		if (r < 0)
			return r;
		if (ret->n < first)
			memmove(ret->row + ret->n, ret->row + first, block.n * sizeof *ret->row);
		if (t->frozen)
			r = find_block(t, b, &block, ret, ret->n);
		else
			r = map_block(t, b, &block, ret, ret->n);
		if (r < 0)
			return r;
		ret->n += t->frozen ? (uint32_t)r : block.n;
	}
	ret->missing = total - ret->n - ret->nmissed;
	return 0;
}

int keytab_map(struct keytab *t, struct weir_batch *b, struct keytab_rows *ret)
{
	return map(t, b, NULL, keypack_rows(b, ret->row), ret);
}

int keytab_map_rows(struct keytab *t, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        const uint32_t *prefix, struct keytab_rows *ret)
{
	memcpy(ret->row, rows, n * sizeof *rows);
	return map(t, b, prefix, n, ret);
}

static size_t growth(const struct keytab_part *p, uint32_t n)
{
	uint64_t want = (uint64_t)p->n + n;

	return (want > (uint64_t)slots_of(p) * LOAD / 8 ? p->slot_size : 0) +
	       (want * p->stride > p->rec_size ? p->rec_size : 0);
}

size_t keytab_growth(const struct keytab *t)
{
	return growth(&t->keys, WEIR_BATCH_ROWS) + (t->ip6.n ? growth(&t->ip6, BLOCK) : 0);
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
