/* SPDX-License-Identifier: MIT */
/* keypack.c: columns into packed keys, one loop for each field and width. */
#include "engine/core/keypack.h"

#include <math.h>

#define WIDE_IP 18

static uint8_t word_width(const struct weir_field *f)
{
	unsigned bits = f->kind == WEIR_U64 && f->bits ? f->bits : 64;

	if (f->kind == WEIR_BOOL)
		return 1;
	if (f->kind == WEIR_MAC)
		return 6;
	return bits > 48 ? 8 : (uint8_t)((bits + 7) / 8);
}

static uint32_t width_of(const struct weir_field *f, bool wide)
{
	switch (weir_storage_of(f->kind)) {
	case WEIR_ADDR:
		return wide ? WIDE_IP : f->kind == WEIR_IP ? 4 : 5;
	case WEIR_VAR:
		return 4;
	default:
		return word_width(f);
	}
}

/* Wider fields first: then most of them are aligned. */
static void place(struct keypack *p)
{
	uint32_t at = p->prefix ? 4 : 0;

	for (unsigned w = WIDE_IP; w; w--)
		for (uint32_t i = 0; i < p->n; i++)
			if (p->f[i].width == w) {
				p->f[i].at = at;
				at += w;
			}
	p->bits_at = at;
	at += (p->nbits + 7) / 8;
	p->size = at ? (at + 7) & ~7u : 8;
}

int keypack_init(struct keypack *p, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n, unsigned flags)
{
	*p = (struct keypack){.mem = mem, .n = n};
	p->nulls = flags & KEYPACK_NULLS;
	p->prefix = flags & KEYPACK_PREFIX;
	p->f = weir_calloc(mem, (n + 1) * sizeof *p->f);
	if (!p->f)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct weir_field *f = &s->fields[fields[i]];
		struct key_field *k = &p->f[i];

		k->field = fields[i];
		k->kind = f->kind;
		k->bit = -1;
		if (p->nulls && !(f->flags & WEIR_FIELD_ALWAYS))
			k->bit = (int32_t)p->nbits++;
		if (weir_storage_of(f->kind) == WEIR_ADDR)
			k->family = p->naddr++;
		p->wide |= weir_storage_of(f->kind) == WEIR_VAR;
	}
	p->wide |= p->naddr > KEYPACK_FAMILIES;
	for (uint32_t i = 0; i < n; i++)
		p->f[i].width = width_of(&s->fields[fields[i]], p->wide);
	place(p);
	return 0;
}

void keypack_release(struct keypack *p)
{
	if (p->f)
		weir_free(p->mem, p->f, (p->n + 1) * sizeof *p->f);
	*p = (struct keypack){.mem = p->mem};
}

/* The rows in which no key field is missing, as bits: all in `to`, or NULL where that is every row.
 * The columns are filled. */
static const uint64_t *complete(const struct keypack *p, const struct weir_batch *b, uint64_t *to)
{
	uint32_t words = (b->n + 63u) / 64;
	bool any = false;

	for (uint32_t i = 0; i < p->n; i++) {
		const uint64_t *valid = b->cols[p->f[i].field].valid;

		if (!valid)
			continue;
		for (uint32_t w = 0; w < words; w++)
			to[w] = any ? to[w] & valid[w] : valid[w];
		any = true;
	}
	return any ? to : NULL;
}

int keypack_rows(const struct keypack *p, struct weir_batch *b, uint16_t *rows)
{
	uint64_t bits[WEIR_BATCH_ROWS / 64];
	const uint64_t *valid;
	uint32_t n = weir_batch_count(b), m = 0;

	for (uint32_t i = 0; i < p->n; i++)
		if (!weir_batch_col(b, p->f[i].field))
			return -ENOMEM;
	if (b->sel)
		memcpy(rows, b->sel, n * sizeof *rows);
	else
		for (uint32_t k = 0; k < n; k++)
			rows[k] = (uint16_t)k;
	valid = p->nulls ? NULL : complete(p, b, bits);
	if (!valid)
		return (int)n;
	for (uint32_t k = 0; k < n; k++) {
		uint16_t row = rows[k];

		rows[m] = row;
		m += valid[row >> 6] >> (row & 63) & 1;
	}
	return (int)m;
}

/* Whether `row` has a value. */
#define PRESENT (valid[row >> 6] >> (row & 63) & 1)

uint32_t keypack_ip6(const struct keypack *p, uint32_t i, const struct weir_batch *b,
        const uint16_t *rows, uint32_t n, uint8_t *place, uint8_t *octets)
{
	const struct weir_col *c = &b->cols[p->f[i].field];
	const struct weir_ip *ip = weir_col_ip(c);
	const uint64_t *valid = c->valid;
	uint32_t m = 0;

	if (c->flags & WEIR_COL_IPV4)
		return 0;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t row = rows[k];

		place[m] = (uint8_t)k;
		m += ip[row].family == 6 && (!valid || PRESENT);
	}
	for (uint32_t k = 0; k < m; k++)
		memcpy(octets + (size_t)k * 16, ip[rows[place[k]]].b, 16);
	return m;
}

static inline uint64_t canonical(uint64_t u)
{
	double d;

	memcpy(&d, &u, sizeof d);
	return d == 0 ? 0 : isnan(d) ? 0x7ff8000000000000 : u;
}

#define PACK(type, value)                                                                          \
	for (uint32_t k = 0; k < n; k++) {                                                         \
		uint32_t row = rows[k];                                                            \
		type x = (type)(value);                                                            \
		memcpy(to + (size_t)k * size, &x, sizeof x);                                       \
	}

#define PACK_WORD(type, shift) PACK(type, v[row] >> shift)

static void pack_word(const struct weir_col *c, unsigned width, const uint16_t *rows, uint32_t n,
        uint8_t *to, size_t size)
{
	const uint64_t *v = weir_col_u64(c);

	if (c->kind == WEIR_F64) {
		PACK(uint64_t, canonical(v[row]))
		return;
	}
	switch (width) {
	case 1:
		PACK_WORD(uint8_t, 0)
		break;
	case 2:
	case 3:
		PACK_WORD(uint16_t, 0)
		to += 2;
		if (width == 3)
			PACK_WORD(uint8_t, 16)
		break;
	case 4:
	case 5:
	case 6:
		PACK_WORD(uint32_t, 0)
		to += 4;
		if (width == 5)
			PACK_WORD(uint8_t, 32)
		if (width == 6)
			PACK_WORD(uint16_t, 32)
		break;
	default:
		PACK_WORD(uint64_t, 0)
	}
}

static void pack_ip4(const struct weir_col *c, unsigned width, const uint16_t *rows, uint32_t n,
        uint8_t *to, size_t size)
{
	const struct weir_ip *ip = weir_col_ip(c);

	for (uint32_t k = 0; k < n; k++)
		memcpy(to + k * size, ip[rows[k]].b, 4);
	if (width == 5)
		for (uint32_t k = 0; k < n; k++)
			to[k * size + 4] = ip[rows[k]].prefix;
}

static void pack_ip6(
        const struct weir_col *c, const uint16_t *rows, uint32_t n, uint8_t *to, size_t size)
{
	const struct weir_ip *ip = weir_col_ip(c);

	for (uint32_t k = 0; k < n; k++, to += size) {
		if (!weir_col_has(c, rows[k])) {
			memset(to, 0, WIDE_IP);
			continue;
		}
		to[0] = ip[rows[k]].family;
		to[1] = ip[rows[k]].prefix;
		memcpy(to + 2, ip[rows[k]].b, 16);
	}
}

/* One record's presence bits; the places of what is missing become zero. */
static void pack_missing(
        const struct keypack *p, const struct weir_batch *b, uint32_t row, uint8_t *key)
{
	uint8_t *bits = key + p->bits_at;

	memset(bits, 0, (p->nbits + 7) / 8);
	for (uint32_t i = 0; i < p->n; i++) {
		const struct key_field *f = &p->f[i];

		if (f->bit < 0)
			continue;
		if (weir_col_has(&b->cols[f->field], row))
			bits[f->bit / 8] |= (uint8_t)(1u << (f->bit & 7));
		else
			memset(key + f->at, 0, f->width);
	}
}

/* Most records lack nothing: one look at the bits of all fields together. */
static void pack_bits(const struct keypack *p, const struct weir_batch *b, const uint16_t *rows,
        uint32_t n, uint8_t *to)
{
	size_t size = p->size, at = p->bits_at, bytes = (p->nbits + 7) / 8;
	uint8_t last = (uint8_t)((1u << (p->nbits - 8 * (bytes - 1))) - 1);
	uint64_t words[WEIR_BATCH_ROWS / 64];
	const uint64_t *valid = complete(p, b, words);

	for (uint32_t k = 0; k < n; k++, to += size) {
		uint32_t row = rows[k];

		if (bytes > 1)
			memset(to + at, 0xff, bytes - 1);
		to[at + bytes - 1] = last;
		if (valid && !(valid[row >> 6] >> (row & 63) & 1))
			pack_missing(p, b, row, to);
	}
}

int keypack_pack(const struct keypack *p, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        const uint32_t *prefix, uint8_t *to)
{
	size_t size = p->size;

	if (p->prefix)
		for (uint32_t k = 0; k < n; k++)
			memcpy(to + k * size, &prefix[k], 4);
	for (uint32_t i = 0; i < p->n; i++) {
		const struct key_field *f = &p->f[i];
		const struct weir_col *c = weir_batch_col(b, f->field);
		uint8_t *at = to + f->at;

		if (!c)
			return -ENOMEM;
		switch (weir_storage_of(f->kind)) {
		case WEIR_WORD:
			pack_word(c, f->width, rows, n, at, size);
			break;
		case WEIR_ADDR:
			if (!p->wide)
				pack_ip4(c, f->width, rows, n, at, size);
			else
				pack_ip6(c, rows, n, at, size);
			break;
		case WEIR_VAR:
			for (uint32_t k = 0; k < n; k++) {
				uint32_t len = weir_col_has(c, rows[k])
				                       ? (uint32_t)weir_col_str(c)[rows[k]].len
				                       : 0;

				memcpy(at + k * size, &len, 4);
			}
			break;
		}
	}
	if (p->nbits)
		pack_bits(p, b, rows, n, to);
	return 0;
}

static void unpack_word(
        const struct key_field *f, const uint8_t *const *key, uint32_t n, uint64_t *v)
{
	uint32_t at = f->at;

	switch (f->width) {
	case 1:
		for (uint32_t k = 0; k < n; k++)
			v[k] = key[k][at];
		break;
	case 2:
		for (uint32_t k = 0; k < n; k++) {
			uint16_t x;

			memcpy(&x, key[k] + at, sizeof x);
			v[k] = x;
		}
		break;
	case 4:
		for (uint32_t k = 0; k < n; k++) {
			uint32_t x;

			memcpy(&x, key[k] + at, sizeof x);
			v[k] = x;
		}
		break;
	default:
		for (uint32_t k = 0; k < n; k++) {
			v[k] = 0;
			memcpy(&v[k], key[k] + at, f->width);
		}
	}
}

static void unpack_wide(
        const struct key_field *f, const uint8_t *const *key, uint32_t n, struct weir_col *c)
{
	struct weir_ip *ip = c->data;
	bool all4 = true;

	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *p = key[k] + f->at;

		ip[k] = (struct weir_ip){.family = p[0], .prefix = p[1]};
		memcpy(ip[k].b, p + 2, 16);
		all4 &= p[0] != 6;
	}
	c->flags = all4 ? WEIR_COL_IPV4 : 0;
}

static void unpack_ip(const struct key_field *f, const uint8_t *const *key, const uint8_t *families,
        const uint8_t *ip6, uint32_t n, struct weir_col *c)
{
	struct weir_ip *ip = c->data;
	bool all4 = true;

	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *p = key[k] + f->at;
		struct weir_ip v = {.family = 4, .prefix = 32};
		uint32_t num;

		if (families && families[k] >> f->family & 1) {
			memcpy(&num, p, 4);
			v.family = 6;
			v.prefix = 128;
			memcpy(v.b, ip6 + (size_t)num * 16, 16);
			all4 = false;
		} else {
			memcpy(v.b, p, 4);
		}
		if (f->kind == WEIR_SUBNET)
			v.prefix = p[4];
		ip[k] = v;
	}
	c->flags = all4 ? WEIR_COL_IPV4 : 0;
}

/* The octets of a key's texts stand behind it in the order of the fields. */
static const uint8_t *text_of(
        const struct keypack *p, uint32_t i, const uint8_t *key, uint32_t *ret_len)
{
	const uint8_t *at = key + p->size;
	uint32_t len;

	for (uint32_t j = 0; j < i; j++)
		if (weir_storage_of(p->f[j].kind) == WEIR_VAR) {
			memcpy(&len, key + p->f[j].at, 4);
			at += len;
		}
	memcpy(ret_len, key + p->f[i].at, 4);
	return at;
}

static int unpack_text(const struct keypack *p, uint32_t i, const uint8_t *const *key, uint32_t n,
        struct weir_batch *b, struct weir_col *c)
{
	struct weir_str *s = c->data;
	size_t total = 0;
	uint32_t len;
	uint8_t *to;

	for (uint32_t k = 0; k < n; k++) {
		memcpy(&len, key[k] + p->f[i].at, 4);
		total += len;
	}
	to = weir_batch_alloc(b, total + 1);
	if (!to)
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *from = text_of(p, i, key[k], &len);

		if (len)
			memcpy(to, from, len);
		s[k] = (struct weir_str){to, len};
		to += len;
	}
	return 0;
}

int keypack_unpack(const struct keypack *p, uint32_t i, const uint8_t *const *key,
        const uint8_t *families, const uint8_t *ip6, uint32_t n, struct weir_batch *b, uint32_t out)
{
	const struct key_field *f = &p->f[i];
	struct weir_col *c = weir_batch_own(b, out);

	if (!c)
		return -ENOMEM;
	switch (weir_storage_of(f->kind)) {
	case WEIR_WORD:
		unpack_word(f, key, n, c->data);
		break;
	case WEIR_ADDR:
		if (p->wide)
			unpack_wide(f, key, n, c);
		else
			unpack_ip(f, key, families, ip6, n, c);
		break;
	case WEIR_VAR:
		if (unpack_text(p, i, key, n, b, c) < 0)
			return -ENOMEM;
		break;
	}
	if (f->bit < 0)
		return 0;
	if (!weir_batch_own_valid(b, c))
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++)
		if (key[k][p->bits_at + f->bit / 8] >> (f->bit & 7) & 1)
			weir_valid_set(c->valid, k);
	return 0;
}
