/* SPDX-License-Identifier: MIT */
/* keys.c: packed fields into hashes. */
#include "engine/sketch/keys.h"

#include "engine/core/keyhash.h"
#include "engine/sketch/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BLOCK WEIR_PACK_ROWS

int sketch_keys_init(struct sketch_keys *k, struct weir_mem *mem, const struct weir_schema *s,
        struct weir_fields fields, uint64_t seed)
{
	int r;

	*k = (struct sketch_keys){.packed_size = 0};
	r = keypack_init(&k->pack, mem, s, fields.index, fields.n, 0);
	if (r < 0)
		return r;
	k->packed_size = (size_t)BLOCK * k->pack.size + WEIR_PACK_SIZE;
	k->packed = weir_calloc(mem, k->packed_size);
	if (!k->packed)
		return -ENOMEM;
	if (!seed)
		seed = keyhash_secret()->word[0];
	for (uint32_t i = 0; i < sizeof k->secret / sizeof *k->secret; i++)
		k->secret[i] = random_next(&seed);
	return 0;
}

void sketch_keys_release(struct sketch_keys *k)
{
	weir_free(k->pack.mem, k->packed, k->packed_size);
	keypack_release(&k->pack);
	*k = (struct sketch_keys){.pack.mem = k->pack.mem};
}

/* size: a multiple of 8, a constant where this is to be fast. */
static inline __attribute__((always_inline)) void hash_records(
        const uint64_t *s, const uint8_t *p, uint32_t size, uint32_t n, uint64_t *hash)
{
	for (uint32_t j = 0; j < n; j++) {
		uint64_t h = s[3] ^ size;
		uint32_t i = 0;

		for (; i + 16 <= size; i += 16)
			h = keyhash_fold(keyhash_load(p + i) ^ s[0], keyhash_load(p + i + 8) ^ h);
		if (i < size)
			h = keyhash_fold(keyhash_load(p + i) ^ s[0], h ^ s[1]);
		hash[j] = keyhash_fold(h ^ s[1], s[2]);
		p += size;
	}
}

/* What is added for a value of `field` that has no place in the packed bytes. */
static inline uint64_t apart(const uint64_t *s, uint32_t field, uint64_t a, uint64_t b)
{
	return keyhash_fold(keyhash_fold(a ^ s[4], b ^ s[2]) ^ s[5], s[0] + 2 * field);
}

static void add_text(const struct sketch_keys *k, const struct weir_batch *b, const uint16_t *rows,
        uint32_t n, uint64_t *hash)
{
	for (uint32_t i = 0; i < k->pack.n; i++) {
		const struct key_field *f = &k->pack.f[i];
		const struct weir_str *str = b->cols[f->field].data;

		if (weir_storage_of(f->kind) != WEIR_VAR)
			continue;
		for (uint32_t j = 0; j < n; j++)
			hash[j] += apart(k->secret, i,
			        XXH3_64bits_withSeed(
			                str[rows[j]].p, str[rows[j]].len, k->secret[3]),
			        str[rows[j]].len);
	}
}

/* Hashes rows[0..n), n <= BLOCK; those that lack a field leave. How many there are, or -ENOMEM. */
static int hash_block(
        struct sketch_keys *k, struct weir_batch *b, uint16_t *rows, uint32_t n, uint64_t *hash)
{
	const uint64_t *s = k->secret;
	struct keypack_block block;
	int r = keypack_pack(&k->pack, b, rows, n, NULL, k->packed, &block);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < block.from.nip6; i++) {
		const struct weir_pack_ip6 *v = &block.from.ip6[i];

		memset(k->packed + v->place * k->pack.size + k->pack.f[v->field].at, 0, 4);
	}
	switch (k->pack.size) {
	case 8:
		hash_records(s, k->packed, 8, block.n, hash);
		break;
	case 16:
		hash_records(s, k->packed, 16, block.n, hash);
		break;
	default:
		hash_records(s, k->packed, k->pack.size, block.n, hash);
	}
	for (uint32_t i = 0; i < block.from.nip6; i++) {
		const struct weir_pack_ip6 *v = &block.from.ip6[i];

		hash[v->place] +=
		        apart(s, v->field, keyhash_load(v->octets), keyhash_load(v->octets + 8));
	}
	if (k->pack.wide)
		add_text(k, b, rows, block.n, hash);
	return (int)block.n;
}

/* Hashes rows[0..n) and moves those that have all fields together. */
static int hash_all(
        struct sketch_keys *k, struct weir_batch *b, uint16_t *rows, uint32_t n, uint64_t *hash)
{
	uint32_t m = 0;

	for (uint32_t first = 0; first < n; first += BLOCK) {
		int r = hash_block(
		        k, b, rows + first, n - first < BLOCK ? n - first : BLOCK, hash + m);

		if (r < 0)
			return r;
		if (m < first)
			memmove(rows + m, rows + first, (uint32_t)r * sizeof *rows);
		m += (uint32_t)r;
	}
	return (int)m;
}

int sketch_keys_hash(struct sketch_keys *k, struct weir_batch *b, uint16_t *rows, uint64_t *hash)
{
	return hash_all(k, b, rows, keypack_rows(b, rows), hash);
}

int sketch_keys_hash_rows(struct sketch_keys *k, struct weir_batch *b, const uint16_t *rows,
        uint32_t n, uint16_t *at, uint64_t *hash)
{
	uint16_t there[WEIR_BATCH_ROWS];
	int m;

	memcpy(there, rows, n * sizeof *rows);
	m = hash_all(k, b, there, n, hash);
	for (int j = 0, i = 0; j < m; j++, i++) {
		while (rows[i] != there[j])
			i++;
		at[j] = (uint16_t)i;
	}
	return m;
}
