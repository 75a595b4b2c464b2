/* SPDX-License-Identifier: MIT */
/* block.c: packing of columns, and the kept fields. See block.h. */
#include "engine/store/block.h"

#include <stdlib.h>

/* ---- kept fields ---- */

static void keep_add(struct keep *k, int field)
{
	if (field < 0 || k->col[field] >= 0)
		return;
	k->col[field] = (int32_t)k->n;
	k->field[k->n++] = (uint32_t)field;
	k->nvars += weir_storage_of(k->schema->fields[field].kind) == WEIR_VAR;
	k->row_size += 8;
}

int keep_init(
        struct keep *k, const struct weir_schema *schema, const uint32_t *shown, uint32_t nshown)
{
	int packet = -1;

	*k = (struct keep){.schema = schema, .row_size = 4};
	k->field = malloc((schema->nfields + 1) * sizeof *k->field);
	k->col = malloc((schema->nfields + 1) * sizeof *k->col);
	if (!k->field || !k->col) {
		keep_release(k);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < schema->nfields; i++) {
		k->col[i] = -1;
		if (schema->fields[i].flags & WEIR_FIELD_PACKET)
			packet = (int)i;
	}
	for (uint32_t i = 0; i < nshown; i++)
		keep_add(k, (int)shown[i]);
	if (packet < 0)
		return 0;
	/* what a packet needs to be written to a savefile */
	keep_add(k, packet);
	keep_add(k, weir_schema_find(schema, "ts", 2));
	keep_add(k, weir_schema_find(schema, "len", 3));
	keep_add(k, weir_schema_find(schema, "linktype", 8));
	return 0;
}

void keep_release(struct keep *k)
{
	free(k->field);
	free(k->col);
	*k = (struct keep){0};
}

/* ---- packing ---- */

static bool is_signed(enum weir_kind kind)
{
	return kind == WEIR_I64 || kind == WEIR_TIME || kind == WEIR_DURATION;
}

static uint8_t width_of(uint64_t range)
{
	return range == 0            ? 0
	       : range <= UINT8_MAX  ? 1
	       : range <= UINT16_MAX ? 2
	       : range <= UINT32_MAX ? 4
	                             : 8;
}

/* Counts in *has the rows with a value; flips the sign bit where the kind has one, so that the
 * least is the least as unsigned too. */
static void plan_words(struct block_col *p, const struct weir_col *c, uint32_t rows, uint64_t flip)
{
	const uint64_t *v = c->data;
	uint64_t min = UINT64_MAX, max = 0;

	if (!c->valid) {
		for (uint32_t i = 0; i < rows; i++) {
			uint64_t x = v[i] ^ flip;

			min = x < min ? x : min;
			max = x > max ? x : max;
		}
	} else {
		for (uint32_t i = 0; i < rows; i++) {
			uint64_t x = v[i] ^ flip;

			if (!weir_col_has(c, i))
				continue;
			min = x < min ? x : min;
			max = x > max ? x : max;
		}
	}
	p->packing = PACK_DELTA;
	p->base = min ^ flip;
	p->width = width_of(max - min);
	/* too wide for a difference: no base */
	if (p->width == 8)
		p->base = 0;
}

/* Addresses that are not IPv4 hosts among such: a bitmap says which, their four bytes are the place
 * in the list of them behind. */
struct mixed {
	uint64_t *other;
	uint32_t *v4;
	struct weir_ip *list;
};

static uint64_t mixed_size(uint32_t rows, uint64_t others)
{
	return (rows + 63) / 64 * 8 + rows * 4ull + others * sizeof(struct weir_ip);
}

static struct mixed mixed_at(char *data, uint32_t rows)
{
	struct mixed m = {.other = (uint64_t *)data};

	m.v4 = (uint32_t *)(m.other + (rows + 63) / 64);
	m.list = (struct weir_ip *)(m.v4 + rows);
	return m;
}

static void plan_ips(struct block_col *p, const struct weir_col *c, uint32_t rows)
{
	const struct weir_ip *v = c->data;
	uint32_t n = 0, v4 = 0, v6 = 0;

	for (uint32_t i = 0; i < rows; i++) {
		if (!weir_col_has(c, i))
			continue;
		n++;
		v4 += v[i].family == 4 && v[i].prefix == 32;
		v6 += v[i].family == 6 && v[i].prefix == 128;
	}
	if (v4 == n) {
		p->packing = PACK_IP4;
		p->width = 4;
	} else if (mixed_size(rows, n - v4) < rows * (v6 == n ? 16ull : sizeof *v)) {
		p->packing = PACK_MIXED;
		p->base = n - v4;
	} else {
		p->packing = v6 == n ? PACK_IP6 : PACK_IP;
		p->width = v6 == n ? 16 : sizeof *v;
	}
}

/* How the column is packed, and the bytes that takes. */
static uint64_t plan(
        struct block_col *p, enum weir_kind kind, const struct weir_col *c, uint32_t rows)
{
	uint32_t has = rows;
	uint64_t size;

	memset(p, 0, sizeof *p); /* the padding too: blocks are compared by memcmp */
	if (c->valid) {
		has = 0;
		for (uint32_t i = 0; i < rows; i++)
			has += weir_col_has(c, i);
	}
	p->partial = has < rows;
	if (!has)
		return 0;
	switch (weir_storage_of(kind)) {
	case WEIR_WORD:
		plan_words(p, c, rows, is_signed(kind) ? 1ull << 63 : 0);
		return (uint64_t)p->width * rows;
	case WEIR_ADDR:
		plan_ips(p, c, rows);
		return p->packing == PACK_MIXED ? mixed_size(rows, p->base)
		                                : (uint64_t)p->width * rows;
	case WEIR_VAR:
		break;
	}
	p->packing = PACK_VAR;
	size = (rows + 1ull) * 4;
	for (uint32_t i = 0; i < rows; i++)
		if (weir_col_has(c, i))
			size += weir_col_str(c)[i].len;
	return size;
}

#define PACK(type)                                                                                 \
	do {                                                                                       \
		type *d = (type *)to;                                                              \
                                                                                                   \
		for (uint32_t i = 0; i < rows; i++)                                                \
			d[i] = (type)(v[i] - base);                                                \
	} while (0)

static void pack_words(void *to, const struct block_col *p, const struct weir_col *c, uint32_t rows)
{
	const uint64_t *v = c->data;
	uint64_t base = p->base;

	switch (p->width) {
	case 1:
		PACK(uint8_t);
		break;
	case 2:
		PACK(uint16_t);
		break;
	case 4:
		PACK(uint32_t);
		break;
	case 8:
		PACK(uint64_t);
		break;
	}
	if (!c->valid)
		return;
	for (uint32_t i = 0; i < rows; i++) /* the same bytes whatever stood there */
		if (!weir_col_has(c, i))
			memset((char *)to + (size_t)i * p->width, 0, p->width);
}

static void pack_var(char *to, const struct weir_col *c, uint32_t rows)
{
	uint32_t *offset = (uint32_t *)to, at = 0;
	char *bytes = to + (rows + 1ull) * 4;

	for (uint32_t i = 0; i < rows; i++) {
		const struct weir_str *s = weir_col_str(c) + i;

		offset[i] = at;
		if (!weir_col_has(c, i) || !s->len)
			continue;
		memcpy(bytes + at, s->p, s->len);
		at += (uint32_t)s->len;
	}
	offset[rows] = at;
}

static void pack_mixed(char *to, const struct weir_col *c, uint32_t rows)
{
	const struct weir_ip *ip = c->data;
	struct mixed m = mixed_at(to, rows);
	uint32_t n = 0;

	for (uint32_t i = 0; i < rows; i++) {
		if (!weir_col_has(c, i))
			continue;
		if (ip[i].family == 4 && ip[i].prefix == 32) {
			memcpy(&m.v4[i], ip[i].b, 4);
			continue;
		}
		m.other[i >> 6] |= 1ull << (i & 63);
		m.v4[i] = n;
		m.list[n++] = ip[i];
	}
}

void block_mixed(struct weir_ip *to, const char *data, uint32_t rows, uint32_t from, uint32_t n)
{
	const struct mixed m = mixed_at((char *)data, rows);

	for (uint32_t i = 0; i < n; i++) {
		to[i] = (struct weir_ip){.family = 4, .prefix = 32};
		memcpy(to[i].b, &m.v4[from + i], 4);
	}
	for (uint32_t w = from >> 6; w <= (from + n - 1) >> 6; w++)
		for (uint64_t bits = m.other[w]; bits; bits &= bits - 1) {
			uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(bits);

			if (row >= from && row < from + n)
				to[row - from] = m.list[m.v4[row]];
		}
}

static void pack(struct block *b, const struct block_col *p, const struct weir_col *c)
{
	char *to = (char *)b + p->data;
	const struct weir_ip *ip = c->data;

	if (p->packing != PACK_NONE && p->partial) {
		uint64_t *valid = (uint64_t *)((char *)b + p->valid);

		memcpy(valid, c->valid, (b->rows + 63) / 64 * 8);
		if (b->rows & 63)
			valid[b->rows >> 6] &= (1ull << (b->rows & 63)) - 1;
	}
	switch (p->packing) {
	case PACK_DELTA:
		if (p->width)
			pack_words(to, p, c, b->rows);
		break;
	case PACK_IP4:
	case PACK_IP6:
		for (uint32_t i = 0; i < b->rows; i++)
			if (weir_col_has(c, i))
				memcpy(to + (size_t)i * p->width, ip[i].b, p->width);
		break;
	case PACK_IP:
		for (uint32_t i = 0; i < b->rows; i++)
			if (weir_col_has(c, i))
				memcpy(to + (size_t)i * sizeof *ip, &ip[i], sizeof *ip);
		break;
	case PACK_MIXED:
		pack_mixed(to, c, b->rows);
		break;
	case PACK_VAR:
		pack_var(to, c, b->rows);
		break;
	}
}

struct block *block_pack(
        const struct keep *k, const struct weir_col *cols, uint32_t rows, struct weir_mem *mem)
{
	uint64_t head = sizeof(struct block) + k->n * sizeof(struct block_col), size = head;
	struct block_col few[64], *p = few;
	struct block *b = NULL;

	if (k->n > 64 && !(p = malloc(k->n * sizeof *p)))
		return NULL;
	for (uint32_t i = 0; i < k->n; i++) {
		enum weir_kind kind = k->schema->fields[k->field[i]].kind;
		uint64_t need = plan(&p[i], kind, &cols[i], rows);

		p[i].data = size;
		size += (need + 7) & ~7ull;
		if (p[i].partial && p[i].packing != PACK_NONE) {
			p[i].valid = size;
			size += (rows + 63) / 64 * 8;
		}
	}
	b = weir_calloc(mem, size);
	if (b) {
		b->refs = 1;
		b->rows = rows;
		b->size = size;
		if (k->n)
			memcpy(b->col, p, k->n * sizeof *p);
		for (uint32_t i = 0; i < k->n; i++)
			pack(b, &b->col[i], &cols[i]);
	}
	if (p != few)
		free(p);
	return b;
}

bool block_equal(const struct keep *k, const struct block *a, const struct block *b)
{
	return a->rows == b->rows && a->size == b->size &&
	       memcmp(a->col, b->col, a->size - sizeof *a) == 0;
}

void block_free(struct block *b, struct weir_mem *mem)
{
	if (b)
		weir_free(mem, b, b->size);
}
