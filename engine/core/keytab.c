/* SPDX-License-Identifier: MIT */
/* keytab.c: the table of keytab.h.
 *
 * An IPv6 address stands in the key of a record as its number, which it costs a look-up of its own
 * to know. So keys are searched for without: by a hash of the octets in place of the number, and
 * what is found is the key if the octets of its numbers are the record's. Only addresses of keys
 * that are not found this way are looked up in the dictionary.
 */
#include "engine/core/keytab.h"

#include "engine/core/grow.h"
#include "engine/core/keyfollow.h"
#include "engine/core/keytab_text.h"
#include "engine/core/ready.h"

#define BLOCK KEYPART_BLOCK

int keytab_init(struct keytab *t, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n, unsigned flags, uint32_t payload)
{
	uint32_t size;
	int r;

	*t = (struct keytab){.mem = mem, .payload = (payload + 7) & ~7u};
	heap_init(&t->heap, mem);
	r = keypack_init(&t->pack, mem, s, fields, n, flags);
	size = t->pack.wide ? sizeof(void *) : t->pack.size;
	keypart_init(&t->keys, size, t->payload);
	if (!t->pack.wide)
		t->keys.families = (1u << t->pack.naddr) - 1;
	keypart_init(&t->ip6, 16, 0);
	return r;
}

void keytab_release(struct keytab *t)
{
	keypart_release(&t->keys, t->mem);
	keypart_release(&t->ip6, t->mem);
	grow_free(t->mem, t->families, t->families_size);
	grow_free(t->mem, t->packed, t->packed_size);
	grow_free(t->mem, t->text, t->text_size);
	heap_release(&t->heap);
	keymemo_release(t);
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

/* The families of the keys of a block, by place; unset where it has no IPv6 address. */
struct families {
	uint8_t bits[BLOCK];
};

/* Hashes the keys of a block, IPv6 addresses and all. */
static void hash_keys(struct keytab *t, const struct weir_packed *from, struct keypart_block *blk,
        struct families *families)
{
	if (from->nip6) {
		memset(families->bits, 0, sizeof families->bits);
		ready_digest(&t->pack, from->ip6, from->nip6, t->packed, families->bits);
	}
	keypart_hash(&t->keys, t->packed, blk);
	for (uint32_t i = 0; i < from->nip6; i++)
		blk->hash[from->ip6[i].place] |= families->bits[from->ip6[i].place];
}

static inline bool same_octets(const uint8_t *a, const uint8_t *b)
{
	return !((keyhash_load(a) ^ keyhash_load(b)) | (keyhash_load(a + 8) ^ keyhash_load(b + 8)));
}

/* Puts the numbers of n <= BLOCK of the addresses ip6[] into the keys, from the dictionary. */
static int number(struct keytab *t, uint8_t *keys, const struct weir_pack_ip6 *ip6,
        const uint16_t *which, uint32_t n)
{
	uint8_t octets[BLOCK][16], *rec[BLOCK];
	uint32_t num[BLOCK];
	struct keypart_block blk;

	blk.n = n;
	blk.num = num;
	blk.rec = rec;
	if (keypart_reserve(&t->ip6, t->mem, n) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		memcpy(octets[i], ip6[which[i]].octets, 16);
	keypart_hash(&t->ip6, octets[0], &blk);
	keypart_find(&t->ip6, &blk);
	keypart_insert(&t->ip6, octets[0], &blk);
	for (uint32_t i = 0; i < n; i++) {
		const struct weir_pack_ip6 *v = &ip6[which[i]];

		memcpy(keys + (size_t)v->place * t->pack.size + t->pack.f[v->field].at, &num[i], 4);
	}
	return 0;
}

/* Puts the numbers of all IPv6 addresses into the keys. A record that was found with the same
 * families has numbers; where their octets are the same they are the key's. */
static int number_ip6(struct keytab *t, uint8_t *keys, const struct weir_pack_ip6 *ip6,
        uint32_t nip6, const struct keypart_block *blk)
{
	uint32_t size = t->pack.size, num[BLOCK], m = 0;
	uint16_t which[BLOCK];

	for (uint32_t first = 0; first < nip6; first += BLOCK) {
		const struct weir_pack_ip6 *v = ip6 + first;
		uint32_t n = nip6 - first < BLOCK ? nip6 - first : BLOCK;

		for (uint32_t i = 0; i < n; i++) {
			num[i] = KEYPART_NONE;
			if (!blk->num[v[i].place])
				continue;
			memcpy(&num[i], blk->rec[v[i].place] + t->pack.f[v[i].field].at, 4);
			__builtin_prefetch(keypart_rec(&t->ip6, num[i]));
		}
		m = 0;
		for (uint32_t i = 0; i < n; i++) {
			uint8_t *key = keys + (size_t)v[i].place * size;

			if (num[i] == KEYPART_NONE ||
			        !same_octets(keypart_rec(&t->ip6, num[i]), v[i].octets))
				which[m++] = (uint16_t)(first + i);
			else
				memcpy(key + t->pack.f[v[i].field].at, &num[i], 4);
		}
		if (m && number(t, keys, ip6, which, m) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The last two steps of a look-up; families NULL: all zero. There is room for the keys. */
static int look_up(struct keytab *t, uint8_t *keys, const struct weir_pack_ip6 *ip6, uint32_t nip6,
        struct keypart_block *blk)
{
	keypart_find(&t->keys, blk);
	if (nip6 && number_ip6(t, keys, ip6, nip6, blk) < 0)
		return -ENOMEM;
	keypart_insert(&t->keys, keys, blk);
	return 0;
}

static void begin(struct keytab_rows *ret, uint32_t at, uint32_t n, struct keypart_block *blk)
{
	blk->n = n;
	blk->num = ret->id + at;
	blk->rec = ret->state + at;
	blk->nfresh = 0;
}

/* Notes what was new in a block, before which there were so many keys. */
static void note_fresh(struct keytab *t, const struct keypart_block *blk, uint32_t before,
        const uint8_t *families, struct keytab_rows *ret, uint32_t at)
{
	for (uint32_t i = 0; i < blk->nfresh; i++) {
		ret->fresh[ret->nfresh++] = (uint16_t)(at + blk->fresh[i]);
		if (t->families)
			t->families[before + i] = families ? families[blk->fresh[i]] : 0;
	}
	t->n = t->keys.n;
}

/* Looks the packed rows of a block up; `at`: where they stand in ret. There is room for them. After
 * a failure no key is there by half. */
static int map_block(struct keytab *t, struct weir_batch *b, const struct keypack_block *in,
        struct keytab_rows *ret, uint32_t at)
{
	uint32_t before = t->keys.n;
	size_t text[BLOCK + 1];
	struct families families;
	struct keypart_block blk;
	int r;

	begin(ret, at, in->n, &blk);
	if (t->pack.wide) {
		r = keytab_text_pack(t, b, ret->row + at, in->n, text);
		if (r == 0)
			r = keytab_text_map(t, text, &blk);
		keytab_text_trim(t);
	} else {
		if (reserve_families(t, in->n, in->from.nip6) < 0)
			return -ENOMEM;
		hash_keys(t, &in->from, &blk, &families);
		r = look_up(t, t->packed, in->from.ip6, in->from.nip6, &blk);
		if (r < 0)
			return r;
	}
	note_fresh(t, &blk, before, in->from.nip6 ? families.bits : NULL, ret, at);
	return r;
}

/* The same where they have been packed and hashed. */
static int map_ready(
        struct keytab *t, const struct ready_block *in, struct keytab_rows *ret, uint32_t at)
{
	uint32_t before = t->keys.n;
	struct keypart_block blk;

	begin(ret, at, in->n, &blk);
	if (reserve_families(t, in->n, in->nip6) < 0)
		return -ENOMEM;
	memcpy(ret->row + at, in->row, in->n * sizeof *in->row);
	keypart_hashed(&t->keys, in->hash, &blk);
	if (look_up(t, in->key, in->ip6, in->nip6, &blk) < 0)
		return -ENOMEM;
	note_fresh(t, &blk, before, in->families, ret, at);
	return 0;
}

/* As map_block() in a frozen table. Its records without a place leave ret's arrays. Of those that
 * stay, the number or -ENOMEM. */
static int find_block(struct keytab *t, struct weir_batch *b, const struct keypack_block *in,
        struct keytab_rows *ret, uint32_t at)
{
	uint32_t n = 0, size = t->keys.key_size;
	size_t text[BLOCK + 1];
	struct families families;
	struct keypart_block blk;

	blk.n = in->n;
	if (t->pack.wide) {
		if (keytab_text_pack(t, b, ret->row + at, in->n, text) < 0)
			return -ENOMEM;
	} else {
		hash_keys(t, &in->from, &blk, &families);
		for (uint32_t i = 0; i < in->from.nip6; i++) {
			const struct weir_pack_ip6 *v = &in->from.ip6[i];
			uint32_t num = keypart_look(
			        &t->ip6, v->octets, keyhash(keyhash_secret(), v->octets, 16));

			/* a key with an address that is not there is not there either */
			memcpy(t->packed + (size_t)v->place * size + t->pack.f[v->field].at, &num,
			        4);
		}
	}
	for (uint32_t k = 0; k < in->n; k++) {
		uint32_t num;

		if (t->pack.wide)
			num = keytab_text_look(t, t->text + text[k], text[k + 1] - text[k]);
		else
			num = keypart_look(&t->keys, t->packed + (size_t)k * size, blk.hash[k]);
		if (num == KEYPART_NONE) {
			ret->missed[ret->nmissed++] = ret->row[at + k];
			continue;
		}
		ret->row[at + n] = ret->row[at + k];
		ret->id[at + n] = num;
		ret->state[at + n++] = keytab_state(t, num);
	}
	return (int)n;
}

static int map_all_ready(struct keytab *t, const struct ready *d, struct keytab_rows *ret)
{
	ret->before = t->n;
	ret->n = ret->nfresh = ret->nmissed = 0;
	if (t->follows && keytab_index(t) < 0)
		return -ENOMEM;
	if (keypart_reserve(&t->keys, t->mem, d->nsel) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->nblocks; i++) {
		int r = map_ready(t, &d->block[i], ret, ret->n);

		if (r < 0)
			return r;
		ret->n += d->block[i].n;
	}
	ret->missing = d->nsel - ret->n;
	return 0;
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
	if (t->follows && keytab_index(t) < 0)
		return -ENOMEM;
	if (!t->frozen && keypart_reserve(&t->keys, t->mem, total) < 0)
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
	struct ready *d;
	int r = keyfollow_map(t, b, ret);

	if (r > 0)
		r = keymemo_map(t, b, ret);
	if (r <= 0)
		return r;
	d = t->frozen ? NULL : ready_take(b, &t->pack);
	return d ? map_all_ready(t, d, ret) : map(t, b, NULL, keypack_rows(b, ret->row), ret);
}

int keytab_map_rows(struct keytab *t, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        const uint32_t *prefix, struct keytab_rows *ret)
{
	memcpy(ret->row, rows, n * sizeof *rows);
	return map(t, b, prefix, n, ret);
}

/* The IPv6 addresses of key `id`, which stands at `place`. */
static void note_addresses(
        const struct keytab *from, uint32_t id, uint32_t place, struct weir_packed *ret)
{
	const uint8_t *key = keypart_rec(&from->keys, id);
	uint32_t num;

	for (uint32_t i = 0; i < from->pack.n; i++) {
		const struct key_field *f = &from->pack.f[i];

		if (weir_storage_of(f->kind) != WEIR_ADDR || !(from->families[id] >> f->family & 1))
			continue;
		memcpy(&num, key + f->at, 4);
		ret->ip6[ret->nip6++] = (struct weir_pack_ip6){
		        (uint8_t)place, (uint8_t)i, keypart_rec(&from->ip6, num)};
	}
}

/* Keys [first, first + n) as they were packed, at `to`. */
static void repack(
        const struct keytab *from, uint32_t first, uint32_t n, uint8_t *to, struct weir_packed *ret)
{
	uint32_t size = from->pack.size;

	for (uint32_t k = 0; k < n; k++) {
		memcpy(to + (size_t)k * size, keypart_rec(&from->keys, first + k), size);
		if (from->families && from->families[first + k])
			note_addresses(from, first + k, k, ret);
	}
}

uint32_t keytab_prefix(const struct keytab *t, uint32_t id)
{
	uint32_t p;

	memcpy(&p, keypart_rec(&t->keys, id), sizeof p);
	return p;
}

int keytab_absorb(struct keytab *t, const struct keytab *from, uint32_t first, uint32_t n,
        const uint32_t *prefix, struct keytab_rows *ret)
{
	uint32_t size = t->pack.size;
	struct keypack_block block;
	uint8_t *packed = grow(t->mem, t->packed, &t->packed_size, BLOCK * (size_t)size);

	ret->nfresh = 0;
	block.n = n;
	block.from.nodd = block.from.nip6 = 0;
	if (!packed)
		return -ENOMEM;
	t->packed = packed;
	if (t->follows && keytab_index(t) < 0)
		return -ENOMEM;
	if (keypart_reserve(&t->keys, t->mem, n) < 0)
		return -ENOMEM;
	repack(from, first, n, packed, &block.from);
	for (uint32_t k = 0; t->pack.prefix && k < n; k++)
		memcpy(packed + (size_t)k * size, &prefix[keytab_prefix(from, first + k)], 4);
	return map_block(t, NULL, &block, ret, 0);
}

/* Puts the numbers of the addresses of packed keys into them, and notes the keys' families. */
static int settle_ip6(struct keytab *t, const struct weir_packed *from, uint32_t first, uint32_t n)
{
	if (reserve_families(t, first + n - t->keys.n, from->nip6) < 0)
		return -ENOMEM;
	if (t->families)
		memset(t->families + first, 0, n);
	for (uint32_t i = 0; i < from->nip6; i += BLOCK) {
		uint32_t m = from->nip6 - i < BLOCK ? from->nip6 - i : BLOCK;
		uint16_t which[BLOCK];

		for (uint32_t k = 0; k < m; k++) {
			const struct weir_pack_ip6 *v = &from->ip6[i + k];

			which[k] = (uint16_t)(i + k);
			t->families[first + v->place] |=
			        (uint8_t)(1u << t->pack.f[v->field].family);
		}
		if (number(t, t->packed, from->ip6, which, m) < 0)
			return -ENOMEM;
	}
	return 0;
}

int keytab_append(struct keytab *t, struct weir_batch *b, uint16_t *rows, uint32_t n)
{
	uint32_t size = t->pack.size, stride = t->keys.stride;
	struct keypack_block block;
	uint8_t *packed = grow(t->mem, t->packed, &t->packed_size, BLOCK * (size_t)size);

	if (!packed)
		return -ENOMEM;
	t->packed = packed;
	if (keypart_reserve_records(&t->keys, t->mem, n) < 0)
		return -ENOMEM;
	for (uint32_t first = 0; first < n; first += BLOCK) {
		uint32_t m = n - first < BLOCK ? n - first : BLOCK;
		uint8_t *to = keypart_rec(&t->keys, t->keys.n + first);
		int r = keypack_pack(&t->pack, b, rows + first, m, NULL, packed, &block);

		if (r == 0 && block.n != m)
			r = -EINVAL;
		if (r == 0)
			r = settle_ip6(t, &block.from, t->keys.n + first, m);
		if (r < 0)
			return r;
		for (uint32_t k = 0; k < m; k++)
			memcpy(to + (size_t)k * stride, packed + (size_t)k * size, size);
	}
	t->n = t->keys.n += n;
	return 0;
}

int keytab_index(struct keytab *t)
{
	struct keypack_block block;
	struct families families;
	struct keypart_block blk;

	if (keypart_reserve_hashes(&t->keys, t->mem) < 0)
		return -ENOMEM;
	for (uint32_t first = 0; first < t->keys.n; first += BLOCK) {
		blk.n = t->keys.n - first < BLOCK ? t->keys.n - first : BLOCK;
		block.from.nip6 = 0;
		repack(t, first, blk.n, t->packed, &block.from);
		hash_keys(t, &block.from, &blk, &families);
		memcpy(t->keys.hash + first, blk.hash, blk.n * sizeof *blk.hash);
	}
	if (keypart_index(&t->keys, t->mem) < 0)
		return -ENOMEM;
	t->follows = 0;
	return 0;
}

void keytab_clear(struct keytab *t)
{
	keymemo_release(t);
	keypart_clear(&t->keys);
	keypart_clear(&t->ip6);
	t->n = 0;
	t->follows = t->serial = 0;
}

size_t keytab_growth(const struct keytab *t)
{
	return keypart_growth(&t->keys, WEIR_BATCH_ROWS) +
	       (t->ip6.n ? keypart_growth(&t->ip6, BLOCK) : 0);
}

uint8_t *keytab_state(const struct keytab *t, uint32_t id)
{
	return keypart_rec(&t->keys, id) + t->keys.key_size;
}

int keytab_load(const struct keytab *t, uint32_t i, uint32_t first, uint32_t n,
        struct weir_batch *b, uint32_t out)
{
	const uint8_t *key[WEIR_BATCH_ROWS];

	for (uint32_t k = 0; k < n; k++) {
		key[k] = keypart_rec(&t->keys, first + k);
		if (t->pack.wide)
			key[k] = keytab_cell(key[k])->bytes;
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
