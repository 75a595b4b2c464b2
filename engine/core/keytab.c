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
#define SLOTS_MIN_SHIFT 23 /* 512 slots */
#define LOAD 5             /* eighths */
#define KEYS_MAX ((uint32_t)1 << 30)
#define TEXT_KEPT ((size_t)1 << 20)
#define CACHED ((size_t)128 << 10) /* a part below this needs no prefetch */

#define NARROW (&t->part[KEY_NARROW])
#define WIDE (&t->part[KEY_WIDE])

int keytab_init(struct keytab *t, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n, unsigned flags, uint32_t payload)
{
	int r;

	*t = (struct keytab){.mem = mem, .payload = (payload + 7) & ~7u, .ids = flags & KEYTAB_IDS};
	heap_init(&t->heap, mem);
	r = keypack_init(&t->pack, mem, s, fields, n, flags);
	for (unsigned i = 0; i < KEY_LAYOUTS; i++) {
		t->part[i].key_size = t->pack.has_text ? sizeof(void *) : t->pack.size[i];
		t->part[i].stride = t->part[i].key_size + t->payload;
		t->part[i].shift = 32;
	}
	return r;
}

void keytab_release(struct keytab *t)
{
	for (unsigned i = 0; i < KEY_LAYOUTS; i++) {
		grow_free(t->mem, t->part[i].slot, t->part[i].slot_size);
		grow_free(t->mem, t->part[i].rec, t->part[i].rec_size);
		grow_free(t->mem, t->part[i].id, t->part[i].id_size);
		grow_free(t->mem, t->packed[i], t->packed_size[i]);
	}
	grow_free(t->mem, t->where, t->where_size);
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

/* Writes the numbers of n <= BLOCK packed keys to at[]. There is room for all of them. */
static inline __attribute__((always_inline)) void probe_block(struct keytab_part *p,
        const uint8_t *keys, uint32_t n, uint32_t *num, uint32_t size, uint32_t stride,
        const struct keyhash_secret *secret)
{
	uint64_t *slot = p->slot;
	uint8_t *rec = p->rec;
	unsigned shift = p->shift;
	uint32_t mask = (uint32_t)((1ull << (32 - shift)) - 1);
	uint32_t hash[BLOCK], at[BLOCK];
	bool far = p->slot_size + (size_t)p->n * stride > CACHED;

	for (uint32_t k = 0; k < n; k++) {
		hash[k] = keyhash(secret, keys + (size_t)k * size, size);
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

static void probe(struct keytab_part *p, const uint8_t *keys, uint32_t n, uint32_t *num)
{
	const struct keyhash_secret *secret = keyhash_secret();

	if (p->key_size == 8)
		probe_block(p, keys, n, num, 8, p->stride, secret);
	else if (p->key_size == 16)
		probe_block(p, keys, n, num, 16, p->stride, secret);
	else if (p->key_size == 24)
		probe_block(p, keys, n, num, 24, p->stride, secret);
	else
		probe_block(p, keys, n, num, p->key_size, p->stride, secret);
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
	uint32_t size = p->size[KEY_WIDE], len;
	uint8_t *text, *to;

	at[0] = 0;
	for (uint32_t k = 0; k < n; k++) {
		at[k + 1] = at[k] + size;
		for (uint32_t i = 0; i < p->n; i++)
			if (weir_storage_of(p->f[i].kind) == WEIR_VAR) {
				memcpy(&len, fixed + (size_t)k * size + p->f[i].at[KEY_WIDE], 4);
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
			memcpy(&len, from + p->f[i].at[KEY_WIDE], 4);
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
	struct keytab_part *p = WIDE;
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

/* Packs and looks up rows that are all of one layout. Adds to fresh the places in rows of the first
 * row of each new key; returns how many, or -ENOMEM. */
static int map_part(struct keytab *t, unsigned layout, struct weir_batch *b, const uint16_t *rows,
        uint32_t n, const uint32_t *prefix, uint32_t *num, uint16_t *fresh)
{
	struct keytab_part *p = &t->part[layout];
	uint32_t before = p->n, nfresh = 0;
	uint8_t *packed = grow(t->mem, t->packed[layout], &t->packed_size[layout],
	        (size_t)BLOCK * t->pack.size[layout]);

	if (!packed)
		return -ENOMEM;
	t->packed[layout] = packed;
	for (uint32_t first = 0; first < n; first += BLOCK) {
		uint32_t m = n - first < BLOCK ? n - first : BLOCK;
		int r = reserve(t, p, m);

		if (r == 0)
			r = keypack_pack(&t->pack, layout, b, rows + first, m,
			        prefix ? prefix + first : NULL, packed);
		if (r < 0)
			return r;
		if (!t->pack.has_text)
			probe(p, packed, m, num + first);
		else if (map_text(t, b, packed, rows + first, m, num + first) < 0)
			return -ENOMEM;
		if (before + nfresh == p->n)
			continue;
		for (uint32_t k = first; k < first + m; k++) {
			fresh[nfresh] = (uint16_t)k;
			nfresh += num[k] == before + nfresh; /* numbers are given in order */
		}
	}
	return (int)nfresh;
}

/* The tables between numbers and ids, from the first time that there are two parts. */
static int mix(struct keytab *t)
{
	uint32_t total = NARROW->n + WIDE->n, *where;

	where = grow(t->mem, t->where, &t->where_size, (total + 1) * sizeof *where);
	if (!where)
		return -ENOMEM;
	t->where = where;
	for (unsigned i = 0; i < KEY_LAYOUTS && t->ids; i++) {
		struct keytab_part *p = &t->part[i];
		uint32_t *ids = grow(t->mem, p->id, &p->id_size, (p->n + 1) * sizeof *ids);

		if (!ids)
			return -ENOMEM;
		p->id = ids;
	}
	if (t->mixed)
		return 0;
	for (uint32_t i = 0; i < t->n; i++)
		where[i] = i << 1 | t->single;
	for (uint32_t i = 0; i < t->n && t->ids; i++)
		t->part[t->single].id[i] = i;
	t->mixed = true;
	return 0;
}

/* Rows of one layout among those of a batch. */
struct some {
	uint32_t n, nfresh;
	uint16_t place[WEIR_BATCH_ROWS]; /* in the batch's rows */
	uint16_t row[WEIR_BATCH_ROWS], fresh[WEIR_BATCH_ROWS];
	uint32_t num[WEIR_BATCH_ROWS];
};

/* Gives ids to new keys, in the order of the rows. */
static void number(struct keytab *t, struct some *some, struct keytab_rows *ret)
{
	uint32_t at[KEY_LAYOUTS] = {0};

	ret->nfresh = some[KEY_NARROW].nfresh + some[KEY_WIDE].nfresh;
	for (uint32_t i = 0; i < ret->nfresh; i++) {
		uint32_t place[KEY_LAYOUTS], part, num;

		for (unsigned l = 0; l < KEY_LAYOUTS; l++)
			place[l] = at[l] < some[l].nfresh ? some[l].place[some[l].fresh[at[l]]]
			                                  : UINT32_MAX;
		part = place[KEY_WIDE] < place[KEY_NARROW];
		num = some[part].num[some[part].fresh[at[part]++]];
		ret->fresh[i] = (uint16_t)place[part];
		if (t->ids)
			t->part[part].id[num] = t->n;
		t->where[t->n++] = num << 1 | part;
	}
}

/* Rows of both layouts in one batch, or the layout that was not in use so far. */
static int map_mixed(struct keytab *t, struct weir_batch *b, const uint8_t *wide,
        const uint32_t *prefix, struct keytab_rows *ret)
{
	struct some some[KEY_LAYOUTS];
	uint32_t m = 0, pre[WEIR_BATCH_ROWS];
	int r;

	for (uint32_t k = 0; k < ret->n; k++) {
		some[KEY_NARROW].row[k - m] = some[KEY_WIDE].row[m] = ret->row[k];
		some[KEY_NARROW].place[k - m] = some[KEY_WIDE].place[m] = (uint16_t)k;
		m += wide[k];
	}
	some[KEY_NARROW].n = ret->n - m;
	some[KEY_WIDE].n = m;
	for (unsigned l = 0; l < KEY_LAYOUTS; l++) {
		struct some *s = &some[l];
		const struct keytab_part *p = &t->part[l];

		for (uint32_t i = 0; prefix && i < s->n; i++)
			pre[i] = prefix[s->place[i]];
		r = map_part(t, l, b, s->row, s->n, prefix ? pre : NULL, s->num, s->fresh);
		if (r < 0)
			return r;
		s->nfresh = (uint32_t)r;
		for (uint32_t i = 0; t->payload && i < s->n; i++)
			ret->state[s->place[i]] =
			        p->rec + (size_t)s->num[i] * p->stride + p->key_size;
	}
	r = mix(t);
	if (r < 0)
		return r;
	number(t, some, ret);
	for (unsigned l = 0; l < KEY_LAYOUTS && t->ids; l++)
		for (uint32_t i = 0; i < some[l].n; i++)
			ret->id[some[l].place[i]] = t->part[l].id[some[l].num[i]];
	return 0;
}

static void states(const struct keytab *t, const uint32_t *id, uint32_t n, uint8_t **state)
{
	const struct keytab_part *p = &t->part[t->single];
	uint32_t stride = p->stride;
	uint8_t *at = p->rec + p->key_size;

	for (uint32_t k = 0; k < n; k++)
		state[k] = at + (size_t)id[k] * stride;
}

static int map(
        struct keytab *t, struct weir_batch *b, const uint32_t *prefix, struct keytab_rows *ret)
{
	unsigned layout = t->pack.has_text ? KEY_WIDE : KEY_NARROW;
	uint8_t wide[WEIR_BATCH_ROWS];
	bool both = t->mixed;
	int r = 0;

	ret->before = t->n;
	ret->nfresh = 0;
	if (ret->n == 0)
		return 0;
	if (t->pack.has_ip && !t->pack.has_text) {
		uint32_t nwide = 0;

		r = keypack_wide(&t->pack, b, ret->row, ret->n, wide);
		if (r < 0)
			return r;
		if (!r)
			memset(wide, 0, ret->n);
		for (uint32_t k = 0; r && k < ret->n; k++)
			nwide += wide[k];
		both |= nwide && nwide < ret->n;
		if (nwide == ret->n)
			layout = KEY_WIDE;
	}
	if (!t->n && !both)
		t->single = layout;
	if (both || layout != t->single) {
		r = map_mixed(t, b, wide, prefix, ret);
	} else {
		r = map_part(t, layout, b, ret->row, ret->n, prefix, ret->id, ret->fresh);
		t->n = t->part[layout].n;
		if (r < 0)
			return r;
		ret->nfresh = (uint32_t)r;
		if (t->payload)
			states(t, ret->id, ret->n, ret->state);
		r = 0;
	}
	return r;
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

static const uint8_t *record(const struct keytab *t, uint32_t id, const struct keytab_part **ret)
{
	unsigned part = t->mixed ? t->where[id] & 1 : t->single;
	uint32_t num = t->mixed ? t->where[id] >> 1 : id;

	*ret = &t->part[part];
	return t->part[part].rec + (size_t)num * t->part[part].stride;
}

const uint8_t *keytab_key(const struct keytab *t, uint32_t id, uint8_t *ret_layout)
{
	const struct keytab_part *p;
	const uint8_t *rec = record(t, id, &p);

	*ret_layout = (uint8_t)(p - t->part);
	return t->pack.has_text ? cell_at(rec)->bytes : rec;
}

uint8_t *keytab_state(const struct keytab *t, uint32_t id)
{
	const struct keytab_part *p;
	const uint8_t *rec = record(t, id, &p);

	return (uint8_t *)rec + p->key_size;
}

int keytab_load(const struct keytab *t, uint32_t i, uint32_t first, uint32_t n,
        struct weir_batch *b, uint32_t out)
{
	const uint8_t *key[WEIR_BATCH_ROWS];
	uint8_t layout[WEIR_BATCH_ROWS];

	for (uint32_t k = 0; k < n; k++)
		key[k] = keytab_key(t, first + k, &layout[k]);
	return keypack_unpack(&t->pack, i, key, layout, n, b, out);
}

void keytab_states(const struct keytab *t, uint32_t first, uint32_t n, uint8_t **ret)
{
	for (uint32_t k = 0; k < n; k++)
		ret[k] = keytab_state(t, first + k);
}
