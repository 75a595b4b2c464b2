/* SPDX-License-Identifier: MIT */
/* split.c: see split.h. The mixing is that of keyhash.h, with the secret's words in other roles. */
#include "engine/core/split.h"

#include "engine/core/dealt.h"
#include "engine/core/keyhash.h"
#include "engine/core/ready.h"

/* Fields are gathered in words of 64 bits, as narrow as they are, and a full word is mixed in: two
 * multiplications for the five fields of a connection. */
struct hashes {
	const struct keyhash_secret *secret;
	uint32_t n;
	const uint16_t *row; /* NULL: 0, 1, 2 … */
	uint32_t at;         /* bits of the words that are taken */
	uint64_t word[WEIR_BATCH_ROWS];
	uint64_t hash[WEIR_BATCH_ROWS];
};

static void mix(struct hashes *h)
{
	uint64_t secret = h->secret->word[0] | 1;

	for (uint32_t k = 0; k < h->n; k++)
		h->hash[k] = keyhash_fold(h->hash[k] ^ h->word[k], secret);
	memset(h->word, 0, h->n * sizeof *h->word);
	h->at = 0;
}

static inline uint64_t canonical(uint64_t v)
{
	double d;

	memcpy(&d, &v, sizeof d);
	if (d == 0)
		return 0;
	return d == d ? v : 1;
}

/* All bits in 32. */
static inline uint32_t narrow(const struct hashes *h, uint64_t v)
{
	return (uint32_t)(keyhash_fold(v ^ h->secret->word[1], h->secret->word[2]) >> 16);
}

/* IPv4: its 32 bits; so one address is the same whatever else is in its column. */
static inline uint32_t address(const struct hashes *h, const struct weir_ip *ip)
{
	uint32_t four;

	if (ip->family == 6)
		return narrow(h, keyhash_fold(keyhash_load(ip->b) ^ h->secret->word[1],
		                         keyhash_load(ip->b + 8) ^ h->secret->word[2]));
	memcpy(&four, ip->b, 4);
	return four;
}

/* Adds EXPR of `row` to the words; a missing value is all ones. Three loops, for most columns have
 * all values and most batches all rows. */
#define EACH(c, mask, EXPR)                                                                        \
	do {                                                                                       \
		const uint16_t *sel = h->row;                                                      \
		const uint64_t *valid = (c)->valid;                                                \
		uint32_t at = h->at, n = h->n;                                                     \
                                                                                                   \
		for (uint32_t row = 0; !sel && !valid && row < n; row++)                           \
			h->word[row] |= (EXPR) << at;                                              \
		for (uint32_t row = 0; !sel && valid && row < n; row++)                            \
			h->word[row] |=                                                            \
			        (((EXPR) | ((valid[row >> 6] >> (row & 63) & 1) - 1)) & (mask))    \
			        << at;                                                             \
		for (uint32_t k = 0; sel && k < n; k++) {                                          \
			uint32_t row = sel[k];                                                     \
			uint64_t none = weir_col_has(c, row) ? 0 : UINT64_MAX;                     \
                                                                                                   \
			h->word[k] |= (((EXPR) | none) & (mask)) << at;                            \
		}                                                                                  \
	} while (0)

static void add_words(struct hashes *h, const struct weir_col *c, uint64_t mask)
{
	const uint64_t *v = weir_col_u64(c);

	if (c->kind == WEIR_F64)
		EACH(c, mask, canonical(v[row]));
	else
		EACH(c, mask, v[row] & mask);
}

static void add_addresses(struct hashes *h, const struct weir_col *c, uint64_t mask)
{
	const struct weir_ip *v = weir_col_ip(c);
	uint32_t four;

	if (c->flags & WEIR_COL_IPV4)
		EACH(c, mask, (memcpy(&four, v[row].b, 4), (uint64_t)four));
	else
		EACH(c, mask, (uint64_t)address(h, &v[row]));
}

static void add_text(struct hashes *h, const struct weir_col *c, uint64_t mask)
{
	for (uint32_t k = 0; k < h->n; k++) {
		uint32_t row = h->row ? h->row[k] : k, v = UINT32_MAX;

		if (weir_col_has(c, row))
			v = keyhash_bytes(
			        h->secret, weir_col_str(c)[row].p, weir_col_str(c)[row].len);
		h->word[k] |= (uint64_t)v << h->at;
	}
}

static int hash_rows(struct hashes *h, struct weir_batch *b, const uint32_t *key, uint32_t nkeys)
{
	h->at = 0;
	memset(h->word, 0, h->n * sizeof *h->word);
	for (uint32_t k = 0; k < h->n; k++)
		h->hash[k] = h->secret->word[3];
	for (uint32_t i = 0; i < nkeys; i++) {
		const struct weir_col *c = weir_batch_col(b, key[i]);
		uint32_t bits = b->schema->fields[key[i]].bits;
		uint64_t mask;

		if (!c)
			return -ENOMEM;
		if (weir_storage_of(c->kind) != WEIR_WORD)
			bits = 32;
		else if (c->kind != WEIR_U64 || !bits || bits > 64)
			bits = 64;
		if (h->at + bits > 64)
			mix(h);
		mask = UINT64_MAX >> (64 - bits);
		if (weir_storage_of(c->kind) == WEIR_WORD)
			add_words(h, c, mask);
		else if (weir_storage_of(c->kind) == WEIR_ADDR)
			add_addresses(h, c, mask);
		else
			add_text(h, c, mask);
		h->at += bits;
	}
	mix(h);
	return 0;
}

static inline uint64_t turned(uint64_t hash, unsigned turn)
{
	return hash << turn | hash >> (-turn & 63);
}

/* Two lanes: both get every row, and keep theirs. */
static void deal_in_two(const struct hashes *h, unsigned turn, uint16_t *to, uint16_t *start)
{
	uint16_t second[WEIR_BATCH_ROWS];
	uint32_t n = 0, m = 0;

	for (uint32_t k = 0; k < h->n; k++) {
		uint16_t row = h->row ? h->row[k] : (uint16_t)k;
		uint32_t high = (uint32_t)(turned(h->hash[k], turn) >> 63);

		to[n] = second[m] = row;
		n += high ^ 1;
		m += high;
	}
	memcpy(to + n, second, m * sizeof *to);
	start[0] = 0;
	start[1] = (uint16_t)n;
	start[2] = (uint16_t)h->n;
}

/* Rows sorted by lane; lane l's begin at start[l]. turn: the hash is turned by so many bits first.
 */
static void deal(
        const struct hashes *h, uint32_t lanes, unsigned turn, uint16_t *to, uint16_t *start)
{
	uint8_t lane[WEIR_BATCH_ROWS];
	uint16_t next[SPLIT_LANES_MAX + 1] = {0};

	if (lanes == 2) {
		deal_in_two(h, turn, to, start);
		return;
	}
	for (uint32_t k = 0; k < h->n; k++) {
		lane[k] = (uint8_t)((turned(h->hash[k], turn) >> 32) * lanes >> 32);
		next[lane[k] + 1]++;
	}
	for (uint32_t l = 0; l < lanes; l++)
		next[l + 1] = (uint16_t)(next[l + 1] + next[l]);
	memcpy(start, next, (lanes + 1) * sizeof *start);
	if (h->row)
		for (uint32_t k = 0; k < h->n; k++)
			to[next[lane[k]]++] = h->row[k];
	else
		for (uint32_t k = 0; k < h->n; k++)
			to[next[lane[k]]++] = (uint16_t)k;
}

/* Whether keys are packed; the same for all batches of a split. */
static bool is_packed(const struct split *s)
{
	return s->pack.source.n && !s->pack.wide && s->pack.size <= WEIR_PACK_SIZE;
}

int split_init(struct split *s, struct weir_mem *mem, const struct weir_schema *schema,
        const uint32_t *key, uint32_t nkeys, uint32_t lanes)
{
	*s = (struct split){.key = key, .nkeys = nkeys, .lanes = lanes};
	return keypack_init(&s->pack, mem, schema, key, nkeys, KEYPACK_NULLS);
}

int split_lead(struct split *s, const struct weir_schema *schema, const uint32_t *lead,
        uint32_t nlead, bool nulls)
{
	struct keypack *p = &s->lead;
	int r;

	if (!is_packed(s))
		return 0;
	r = keypack_init(p, s->pack.mem, schema, lead, nlead, nulls ? KEYPACK_NULLS : 0);
	s->alike = r == 0 && p->source.n == s->pack.n && p->size == s->pack.size && nulls;
	for (uint32_t i = 0; i < s->pack.n && r == 0 && p->source.n; i++) {
		uint32_t j = 0;

		while (j < p->n && p->f[j].field != s->pack.f[i].field)
			j++;
		if (j == p->n)
			p->source.n = 0;
		s->lead_field[i] = j;
		s->alike &= j == i;
	}
	if (r == 0 && !p->source.n)
		keypack_release(p);
	return r;
}

void split_release(struct split *s)
{
	keypack_release(&s->pack);
	keypack_release(&s->lead);
}

/* The hashes of n packed keys. */
static inline __attribute__((always_inline)) void hash_keys(
        const struct hashes *h, const uint8_t *key, uint32_t n, uint64_t *to, uint32_t size)
{
	const uint64_t a = h->secret->word[2], b = h->secret->word[0] | 1;

	for (uint32_t k = 0; k < n; k++, key += size) {
		uint64_t hash = a;
		uint32_t at = 0;

		for (; at + 16 <= size; at += 16)
			hash = keyhash_fold(
			        hash ^ keyhash_load(key + at), b ^ keyhash_load(key + at + 8));
		to[k] = at < size ? keyhash_fold(hash ^ keyhash_load(key + at), b) : hash;
	}
}

/* The split's own keys out of the lead's; where there is an IPv6 address stands anything. */
static void reduce(const struct split *s, const uint8_t *from, uint32_t n, uint8_t *to)
{
	uint32_t size = s->pack.size, step = s->lead.size;

	for (uint32_t k = 0; k < n; k++)
		memcpy(to + (size_t)k * size, s->pack.rest, size);
	for (uint32_t i = 0; i < s->pack.n; i++) {
		const struct key_field *a = &s->lead.f[s->lead_field[i]], *b = &s->pack.f[i];

		if (a->width == 4 && b->width == 4)
			for (uint32_t k = 0; k < n; k++)
				memcpy(to + k * size + b->at, from + k * step + a->at, 4);
		else
			for (uint32_t k = 0; k < n; k++)
				memcpy(to + k * size + b->at, from + k * step + a->at, a->width);
	}
}

/* What is missing in the lead's keys is in these, too. */
static void mark(const struct split *s, const struct weir_packed *from, uint8_t *to)
{
	for (uint32_t j = 0; j < from->nodd; j++)
		for (uint32_t i = 0; i < s->pack.n; i++) {
			int32_t bit = s->pack.f[i].bit;

			if (bit >= 0 && from->lack[j] >> s->lead_field[i] & 1)
				to[from->odd[j] * s->pack.size + s->pack.bits_at + bit / 8] &=
				        (uint8_t) ~(1u << (bit & 7));
		}
}

/* An IPv6 address of the key, as 32 bits. */
static void put_ip6(const struct hashes *h, const struct split *s, const struct weir_pack_ip6 *v,
        uint32_t field, uint8_t *packed)
{
	uint32_t six = narrow(h, keyhash_fold(keyhash_load(v->octets) ^ h->secret->word[1],
	                                 keyhash_load(v->octets + 8) ^ h->secret->word[2]));

	memcpy(packed + v->place * s->pack.size + s->pack.f[field].at, &six, 4);
}

/* The split's keys of rows[0..n) out of the lead's. 1; 0: they cannot be had so; -ENOMEM. */
static int pack_lead(const struct split *s, const struct hashes *h, struct dealt *d,
        const uint16_t *rows, uint32_t n, uint8_t *packed, struct weir_packed *ret)
{
	uint8_t lead[WEIR_PACK_ROWS * WEIR_PACK_SIZE] __attribute__((aligned(64)));
	int r = dealt_pack(d, rows, n, s->alike ? packed : lead, ret);

	if (r <= 0)
		return r;
	if (!s->alike)
		reduce(s, lead, n, packed);
	mark(s, ret, packed);
	for (uint32_t i = 0; i < ret->nip6; i++)
		for (uint32_t j = 0; j < s->pack.n; j++)
			if (s->lead_field[j] == ret->ip6[i].field)
				put_ip6(h, s, &ret->ip6[i], j, packed);
	return 1;
}

static int pack_own(const struct split *s, const struct hashes *h, struct weir_batch *b,
        uint16_t *rows, uint32_t n, uint8_t *packed, struct keypack_block *block)
{
	int r;

	memset(packed, 0, (size_t)n * s->pack.size);
	r = keypack_pack(&s->pack, b, rows, n, NULL, packed, block);
	for (uint32_t i = 0; i < block->from.nip6 && r == 0; i++)
		put_ip6(h, s, &block->from.ip6[i], block->from.ip6[i].field, packed);
	return r;
}

/* d: NULL, or to be filled with the lead's keys on the way. */
static int hash_packed(
        const struct split *s, struct hashes *h, struct weir_batch *b, struct dealt *d)
{
	uint8_t packed[WEIR_PACK_ROWS * WEIR_PACK_SIZE] __attribute__((aligned(64)));
	uint32_t size = s->pack.size;
	struct keypack_block block;
	uint16_t rows[WEIR_BATCH_ROWS];

	for (uint32_t k = 0; k < h->n; k++)
		rows[k] = h->row ? h->row[k] : (uint16_t)k;
	for (uint32_t first = 0; first < h->n; first += WEIR_PACK_ROWS) {
		uint32_t n = h->n - first < WEIR_PACK_ROWS ? h->n - first : WEIR_PACK_ROWS;
		int r = d ? pack_lead(s, h, d, rows + first, n, packed, &block.from) : 0;

		if (r == 0)
			r = pack_own(s, h, b, rows + first, n, packed, &block);
		if (r < 0)
			return r;
		if (size == 8)
			hash_keys(h, packed, n, h->hash + first, 8);
		else if (size == 16)
			hash_keys(h, packed, n, h->hash + first, 16);
		else
			hash_keys(h, packed, n, h->hash + first, size);
	}
	return 0;
}

static int hash_of(const struct split *s, struct hashes *h, struct weir_batch *b, struct dealt *d,
        const uint16_t *row, uint32_t n)
{
	h->secret = keyhash_secret();
	h->row = row;
	h->n = n;
	return is_packed(s) ? hash_packed(s, h, b, d) : hash_rows(h, b, s->key, s->nkeys);
}

int split_rows(const struct split *s, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        unsigned turn, uint16_t *to, uint16_t *start)
{
	struct hashes h;
	int r = hash_of(s, &h, b, NULL, rows, n);

	if (r == 0)
		deal(&h, s->lanes, turn, to, start);
	return r;
}

/* Whether its source numbers keys: tables do better with those. */
static bool numbers(const struct weir_batch *b)
{
	while (b->parent)
		b = b->parent;
	return b->ops && b->ops->numbers;
}

/* The batch as it is, for the one lane, with its keys. */
static int hand_over(const struct split *s, struct weir_pool *pool, struct weir_batch *b,
        struct weir_batch **view)
{
	*view = pool_view(pool, b, b->schema, batch_identity);
	if (!*view)
		return -ENOMEM;
	if (s->lead.n && !numbers(b) && ready_make(*view, &s->lead) < 0) {
		weir_batch_unref(*view);
		*view = NULL;
		return -ENOMEM;
	}
	return 0;
}

int split_batch(const struct split *s, struct weir_pool *pool, struct weir_batch *b,
        struct weir_batch **views)
{
	struct hashes h;
	uint16_t *rows, start[SPLIT_LANES_MAX + 1];
	uint32_t lanes = s->lanes;
	struct dealt *d;
	int r;

	if (lanes == 1)
		return hand_over(s, pool, b, views);
	rows = weir_batch_sel(b, weir_batch_count(b));
	d = s->lead.n && !numbers(b) ? dealt_new(b, &s->lead) : NULL;
	r = rows ? 0 : -ENOMEM;
	if (r == 0)
		r = hash_of(s, &h, b, d, b->sel, weir_batch_count(b));
	memset(views, 0, lanes * sizeof *views);
	if (r < 0)
		return r;
	deal(&h, lanes, 0, rows, start);
	for (uint32_t l = 0; l < lanes; l++) {
		uint32_t n = (uint32_t)(start[l + 1] - start[l]);

		if (!n)
			continue;
		views[l] = pool_view(pool, b, b->schema, batch_identity);
		if (!views[l]) {
			while (l--) {
				weir_batch_unref(views[l]);
				views[l] = NULL;
			}
			return -ENOMEM;
		}
		weir_batch_select(views[l], n == b->n ? NULL : rows + start[l], n);
		if (d)
			dealt_attach(d, views[l]);
	}
	return 0;
}
