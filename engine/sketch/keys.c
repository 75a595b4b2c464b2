/* SPDX-License-Identifier: MIT */
/* keys.c: columns into hashes. */
#include "engine/sketch/keys.h"

#include "engine/core/keyhash.h"
#include "engine/sketch/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BLOCK 256 /* rows whose words stay in the first cache */

static uint8_t bits_of(const struct weir_field *f)
{
	switch (f->kind) {
	case WEIR_BOOL:
		return 1;
	case WEIR_MAC:
		return 48;
	case WEIR_IP:
		return 32;
	case WEIR_SUBNET:
		return 40;
	case WEIR_U64:
		return f->bits ? f->bits : 64;
	case WEIR_STR:
	case WEIR_BYTES:
		return 0; /* no place in a word */
	default:
		return 64;
	}
}

static int by_width(const void *a, const void *b)
{
	const struct sketch_place *x = a, *y = b;

	return x->bits != y->bits ? (x->bits < y->bits) - (x->bits > y->bits)
	                          : (x->field > y->field) - (x->field < y->field);
}

static int by_word(const void *a, const void *b)
{
	const struct sketch_place *x = a, *y = b;

	return x->word != y->word ? (x->word > y->word) - (x->word < y->word)
	                          : (x->shift > y->shift) - (x->shift < y->shift);
}

/* Widest first, each into the newest word that has room or a new one: fields are few. */
static void place(struct sketch_keys *k)
{
	uint32_t used = 64;

	qsort(k->place, k->n, sizeof *k->place, by_width);
	for (uint32_t i = 0; i < k->n; i++) {
		struct sketch_place *p = &k->place[i];

		if (used + p->bits > 64) {
			k->words++;
			used = 0;
		}
		p->word = k->words ? k->words - 1 : 0;
		p->shift = (uint8_t)(used & 63);
		p->first = used == 0 && p->bits;
		used += p->bits;
	}
	qsort(k->place, k->n, sizeof *k->place, by_word);
}

int sketch_keys_init(struct sketch_keys *k, struct weir_mem *mem, const struct weir_schema *s,
        struct weir_fields fields, uint64_t seed)
{
	int r;

	*k = (struct sketch_keys){.n = fields.n};
	r = keypack_init(&k->pack, mem, s, fields.index, fields.n, 0);
	k->place = weir_calloc(mem, (fields.n + 1) * sizeof *k->place);
	if (r < 0 || !k->place)
		return -ENOMEM;
	for (uint32_t i = 0; i < fields.n; i++)
		k->place[i] = (struct sketch_place){.field = fields.index[i],
		        .kind = s->fields[fields.index[i]].kind,
		        .bits = bits_of(&s->fields[fields.index[i]])};
	place(k);
	if (!seed)
		seed = keyhash_secret()->word[0];
	for (uint32_t i = 0; i < sizeof k->secret / sizeof *k->secret; i++)
		k->secret[i] = random_next(&seed);
	return 0;
}

void sketch_keys_release(struct sketch_keys *k)
{
	if (k->place)
		weir_free(k->pack.mem, k->place, (k->n + 1) * sizeof *k->place);
	keypack_release(&k->pack);
	*k = (struct sketch_keys){.pack.mem = k->pack.mem};
}

static inline uint64_t canonical(uint64_t u)
{
	double d;

	memcpy(&d, &u, sizeof d);
	return d == 0 ? 0 : d != d ? 0x7ff8000000000000 : u;
}

#define FILL(value)                                                                                \
	if (p->first)                                                                              \
		for (uint32_t i = 0; i < n; i++)                                                   \
			to[i] = (uint64_t)(value) << p->shift;                                     \
	else                                                                                       \
		for (uint32_t i = 0; i < n; i++)                                                   \
			to[i] |= (uint64_t)(value) << p->shift;

static inline uint32_t load4(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static void fill(const struct sketch_place *p, const struct weir_col *c, const uint16_t *rows,
        uint32_t n, uint64_t *to)
{
	const uint64_t *word = c->data;
	const struct weir_ip *ip = c->data;

	if (p->kind == WEIR_F64) {
		FILL(canonical(word[rows[i]]))
	} else if (p->kind == WEIR_IP) {
		FILL(load4(ip[rows[i]].b))
	} else if (p->kind == WEIR_SUBNET) {
		FILL(load4(ip[rows[i]].b) | (uint64_t)ip[rows[i]].prefix << 32)
	} else {
		FILL(word[rows[i]])
	}
}

/* Mixes in what does not fit a word: IPv6 addresses, text. Only few rows may have one. */
static void mix_wide(const struct sketch_keys *k, uint32_t i, const struct weir_col *c,
        const uint16_t *rows, uint32_t n, uint64_t *hash)
{
	const uint64_t *s = k->secret;
	const struct weir_ip *ip = c->data;
	const struct weir_str *str = c->data;
	uint64_t salt = s[4] + 2 * k->place[i].field;
	uint8_t at[BLOCK];
	uint32_t m = 0;

	if (weir_storage_of(c->kind) == WEIR_VAR) {
		for (uint32_t j = 0; j < n; j++)
			hash[j] = keyhash_fold(hash[j] ^ s[5],
			        XXH3_64bits_withSeed(str[rows[j]].p, str[rows[j]].len, salt));
		return;
	}
	for (uint32_t j = 0; j < n; j++) {
		at[m] = (uint8_t)j;
		m += ip[rows[j]].family == 6;
	}
	for (uint32_t j = 0; j < m; j++) {
		const uint8_t *b = ip[rows[at[j]]].b;
		uint64_t v = keyhash_fold(keyhash_load(b) ^ salt, keyhash_load(b + 8) ^ s[2]);

		hash[at[j]] = keyhash_fold(hash[at[j]] ^ s[5], v ^ salt);
	}
}

static void hash_block(const struct sketch_keys *k, struct weir_batch *b, const uint16_t *rows,
        uint32_t n, uint64_t *hash)
{
	const uint64_t *s = k->secret;
	uint64_t word[2][BLOCK];
	uint32_t i = 0;

	if (k->words != 1 && k->words != 2)
		for (uint32_t j = 0; j < n; j++)
			hash[j] = s[3];
	for (uint32_t w = 0; w < k->words; w += 2) {
		for (; i < k->n && k->place[i].word < w + 2; i++)
			if (k->place[i].bits)
				fill(&k->place[i], &b->cols[k->place[i].field], rows, n,
				        word[k->place[i].word - w]);
		if (k->words == 1)
			for (uint32_t j = 0; j < n; j++)
				hash[j] = keyhash_fold(word[0][j] ^ s[0], s[1]);
		else if (k->words == 2)
			for (uint32_t j = 0; j < n; j++)
				hash[j] = keyhash_fold(word[0][j] ^ s[0], word[1][j] ^ s[3]);
		else if (w + 1 < k->words)
			for (uint32_t j = 0; j < n; j++)
				hash[j] = keyhash_fold(
				        keyhash_fold(hash[j] ^ s[1], s[2]) ^ word[0][j],
				        word[1][j] ^ s[0]);
		else
			for (uint32_t j = 0; j < n; j++)
				hash[j] = keyhash_fold(hash[j] ^ s[1], word[0][j] ^ s[0]);
	}
	for (uint32_t j = 0; j < n; j++)
		hash[j] = keyhash_fold(hash[j] ^ s[1], s[2]);
	for (i = 0; i < k->n; i++) {
		const struct weir_col *c = &b->cols[k->place[i].field];

		if (weir_storage_of(c->kind) != WEIR_WORD && !(c->flags & WEIR_COL_IPV4))
			mix_wide(k, i, c, rows, n, hash);
	}
}

int sketch_keys_hash(
        const struct sketch_keys *k, struct weir_batch *b, uint16_t *rows, uint64_t *hash)
{
	int n = keypack_complete(&k->pack, b, rows);

	for (int first = 0; first < n; first += BLOCK)
		hash_block(k, b, rows + first, (uint32_t)(n - first < BLOCK ? n - first : BLOCK),
		        hash + first);
	return n;
}

int sketch_keys_hash_rows(const struct sketch_keys *k, struct weir_batch *b, const uint16_t *rows,
        uint32_t n, uint16_t *at, uint64_t *hash)
{
	uint16_t there[WEIR_BATCH_ROWS];
	uint32_t m = 0;

	for (uint32_t i = 0; i < k->n; i++)
		if (!weir_batch_col(b, k->place[i].field))
			return -ENOMEM;
	for (uint32_t j = 0; j < n; j++) {
		bool all = true;

		for (uint32_t i = 0; i < k->n; i++)
			all &= weir_col_has(&b->cols[k->place[i].field], rows[j]);
		there[m] = rows[j];
		at[m] = (uint16_t)j;
		m += all;
	}
	for (uint32_t first = 0; first < m; first += BLOCK)
		hash_block(
		        k, b, there + first, m - first < BLOCK ? m - first : BLOCK, hash + first);
	return (int)m;
}
