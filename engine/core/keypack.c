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

bool keypack_is_wide(const struct weir_schema *s, const uint32_t *fields, uint32_t n)
{
	uint32_t addresses = 0;
	bool text = false;

	for (uint32_t i = 0; i < n; i++) {
		enum weir_storage st = weir_storage_of(s->fields[fields[i]].kind);

		text |= st == WEIR_VAR;
		addresses += st == WEIR_ADDR;
	}
	return text || addresses > KEYPACK_FAMILIES;
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
	}
	p->wide = keypack_is_wide(s, fields, n);
	for (uint32_t i = 0; i < n; i++)
		p->f[i].width = width_of(&s->fields[fields[i]], p->wide);
	place(p);
	for (uint32_t i = 0; i < p->nbits; i++)
		if (p->size <= WEIR_PACK_SIZE)
			p->rest[p->bits_at + i / 8] |= (uint8_t)(1u << (i & 7));
	if (p->wide || p->prefix || n > WEIR_PACK_FIELDS || p->size > WEIR_PACK_SIZE)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		p->places[i] = (struct weir_pack_field){
		        fields[i], (uint8_t)p->f[i].at, (uint8_t)p->f[i].width};
	p->source = (struct weir_pack){.n = n, .size = p->size};
	return 0;
}

void keypack_release(struct keypack *p)
{
	if (p->f)
		weir_free(p->mem, p->f, (p->n + 1) * sizeof *p->f);
	*p = (struct keypack){.mem = p->mem};
}

uint32_t keypack_rows(const struct weir_batch *b, uint16_t *rows)
{
	uint32_t n = weir_batch_count(b);
	uint16_t four[4] = {0, 1, 2, 3};
	uint64_t v;

	if (b->sel) {
		memcpy(rows, b->sel, n * sizeof *rows);
		return n;
	}
	memcpy(&v, four, 8);
	for (uint32_t k = 0; k < n; k += 4, v += 0x0004000400040004) /* no carry: below 1,024 */
		memcpy(rows + k, &v, 8);
	return n;
}

int keypack_complete(const struct keypack *p, struct weir_batch *b, uint16_t *rows)
{
	uint32_t n = keypack_rows(b, rows);
	const uint64_t *last = NULL;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct weir_col *c = weir_batch_col(b, p->f[i].field);
		const uint64_t *valid = c ? c->valid : NULL;
		uint32_t m = 0;

		if (!c)
			return -ENOMEM;
		if (!valid || valid == last) /* the fields of a header share it */
			continue;
		for (uint32_t k = 0; k < n; k++) {
			uint16_t row = rows[k];

			rows[m] = row;
			m += valid[row >> 6] >> (row & 63) & 1;
		}
		n = m;
		last = valid;
	}
	return (int)n;
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

static void note_ip6(const struct weir_col *c, uint32_t i, const uint16_t *rows, uint32_t n,
        struct weir_packed *ret)
{
	const struct weir_ip *ip = weir_col_ip(c);

	for (uint32_t k = 0; k < n; k++)
		if (ip[rows[k]].family == 6 && weir_col_has(c, rows[k]))
			ret->ip6[ret->nip6++] =
			        (struct weir_pack_ip6){(uint8_t)k, (uint8_t)i, ip[rows[k]].b};
}

/* Packs field i from its column. The IPv6 addresses are noted. */
static void pack_column(const struct keypack *p, uint32_t i, const struct weir_col *c,
        const uint16_t *rows, uint32_t n, uint8_t *to, struct weir_packed *ret)
{
	const struct key_field *f = &p->f[i];
	size_t size = p->size;

	to += f->at;
	switch (weir_storage_of(f->kind)) {
	case WEIR_WORD:
		pack_word(c, f->width, rows, n, to, size);
		break;
	case WEIR_ADDR:
		if (p->wide) {
			pack_ip6(c, rows, n, to, size);
			break;
		}
		pack_ip4(c, f->width, rows, n, to, size);
		if (!(c->flags & WEIR_COL_IPV4))
			note_ip6(c, i, rows, n, ret);
		break;
	case WEIR_VAR:
		for (uint32_t k = 0; k < n; k++) {
			uint32_t len = weir_col_has(c, rows[k])
			                       ? (uint32_t)weir_col_str(c)[rows[k]].len
			                       : 0;

			memcpy(to + k * size, &len, 4);
		}
		break;
	}
}

struct weir_batch *keypack_source(
        const struct keypack *p, struct weir_batch *b, struct weir_pack_field *at)
{
	memcpy(at, p->places, p->n * sizeof *at);
	for (; b->map && !(b->ops && b->ops->pack); b = b->parent)
		for (uint32_t i = 0; i < p->n; i++) {
			if (b->map[at[i].field] < 0)
				return NULL;
			at[i].field = (uint32_t)b->map[at[i].field];
		}
	return b->ops && b->ops->pack ? b : NULL;
}

/* Lets the source pack what it can. */
static int pack_source(const struct keypack *p, struct weir_batch *b, const uint16_t *rows,
        uint32_t n, uint8_t *to, struct weir_packed *ret)
{
	struct weir_pack_field at[WEIR_PACK_FIELDS];
	struct weir_pack w = p->source;
	struct weir_batch *from = w.n ? keypack_source(p, b, at) : NULL;

	if (!from)
		return 0;
	w.f = at;
	w.rest = p->rest;
	return from->ops->pack(from, &w, rows, n, to, ret);
}

static bool is_done(const struct weir_packed *from, uint32_t i)
{
	return i < WEIR_PACK_FIELDS && from->done >> i & 1;
}

/* The places of rows that lack a field, in order. */
static uint32_t incomplete(const struct keypack *p, const struct weir_batch *b,
        const uint16_t *rows, uint32_t n, const struct weir_packed *from, uint8_t *place)
{
	const uint64_t *last = NULL;
	uint8_t bad[WEIR_PACK_ROWS];
	uint32_t m = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		const uint64_t *valid = is_done(from, i) ? NULL : b->cols[p->f[i].field].valid;

		if (!valid || valid == last) /* the fields of a header share it */
			continue;
		if (!last)
			memset(bad, 0, n);
		for (uint32_t k = 0; k < n; k++)
			bad[k] |= ~(valid[rows[k] >> 6] >> (rows[k] & 63)) & 1;
		last = valid;
	}
	if (!last) {
		memcpy(place, from->odd, from->nodd);
		return from->nodd;
	}
	for (uint32_t i = 0; i < from->nodd; i++)
		bad[from->odd[i]] = 1;
	for (uint32_t k = 0; k < n; k++) {
		place[m] = (uint8_t)k;
		m += bad[k];
	}
	return m;
}

/* The presence bits of one record; where a value is missing there is zero. lack: the fields that
 * the source packed and that are missing. */
static void mark_one(const struct keypack *p, const struct weir_batch *b, uint32_t row,
        const struct weir_packed *from, uint8_t lack, uint8_t *key)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const struct key_field *f = &p->f[i];

		if (f->bit < 0 || (is_done(from, i) ? !(lack >> i & 1)
		                                    : weir_col_has(&b->cols[f->field], row)))
			continue;
		key[p->bits_at + f->bit / 8] &= (uint8_t) ~(1u << (f->bit & 7));
		memset(key + f->at, 0, f->width);
	}
}

/* The presence bits of the records at place[0..m). */
static void mark_missing(const struct keypack *p, const struct weir_batch *b, const uint16_t *rows,
        const uint8_t *place, uint32_t m, const struct weir_packed *from, uint8_t *to)
{
	/* fields and bits are the same then */
	bool all = p->nbits == p->n && p->n <= 8 && from->done == (1u << p->n) - 1;
	uint32_t at = 0;

	for (uint32_t j = 0; j < m; j++) {
		uint8_t *key = to + (size_t)place[j] * p->size, lack = 0;

		while (at < from->nodd && from->odd[at] < place[j])
			at++;
		if (at < from->nodd && from->odd[at] == place[j])
			lack = from->lack[at];
		if (all)
			key[p->bits_at] &= (uint8_t)~lack;
		else
			mark_one(p, b, rows[place[j]], from, lack, key);
	}
}

/* Takes the records at place[0..m) out: the others move up, with their rows and their IPv6
 * addresses. Returns how many are left. */
static uint32_t drop(const struct keypack *p, uint16_t *rows, uint32_t n, const uint8_t *place,
        uint32_t m, uint8_t *to, struct weir_packed *from)
{
	uint8_t moved[WEIR_PACK_ROWS];
	uint32_t left = 0, out = 0, at = 0;

	for (uint32_t k = 0; k < n; k++) {
		if (at < m && place[at] == k) {
			moved[k] = UINT8_MAX;
			at++;
			continue;
		}
		moved[k] = (uint8_t)left;
		if (left < k) {
			memcpy(to + (size_t)left * p->size, to + (size_t)k * p->size, p->size);
			rows[left] = rows[k];
		}
		left++;
	}
	for (uint32_t i = 0; i < from->nip6; i++) {
		struct weir_pack_ip6 v = from->ip6[i];

		v.place = moved[v.place];
		from->ip6[out] = v;
		out += v.place != UINT8_MAX;
	}
	from->nip6 = out;
	return left;
}

/* All records' presence bits, where the source has not written them. */
static void put_bits(const struct keypack *p, uint32_t n, uint8_t *to)
{
	size_t bytes = (p->nbits + 7) / 8;
	uint8_t last = (uint8_t)((1u << (p->nbits - 8 * (bytes - 1))) - 1);

	to += p->bits_at;
	for (uint32_t k = 0; k < n; k++, to += p->size) {
		if (bytes > 1)
			memset(to, 0xff, bytes - 1);
		to[bytes - 1] = last;
	}
}

int keypack_pack(const struct keypack *p, struct weir_batch *b, uint16_t *rows, uint32_t n,
        const uint32_t *prefix, uint8_t *to, struct keypack_block *ret)
{
	struct weir_packed *from = &ret->from;
	uint8_t place[WEIR_PACK_ROWS];
	uint32_t m;
	int r;

	from->done = 0;
	from->nodd = from->nip6 = 0;
	ret->n = n;
	r = pack_source(p, b, rows, n, to, from);
	if (r < 0)
		return r;
	if (p->nbits && !from->done)
		put_bits(p, n, to);
	if (p->prefix)
		for (uint32_t k = 0; k < n; k++)
			memcpy(to + k * p->size, &prefix[k], 4);
	for (uint32_t i = 0; i < p->n; i++) {
		const struct weir_col *c;

		if (is_done(from, i))
			continue;
		c = weir_batch_col(b, p->f[i].field);
		if (!c)
			return -ENOMEM;
		pack_column(p, i, c, rows, n, to, from);
	}
	m = incomplete(p, b, rows, n, from, place);
	if (!m)
		return 0;
	if (p->nulls)
		mark_missing(p, b, rows, place, m, from, to);
	else
		ret->n = drop(p, rows, n, place, m, to, from);
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
