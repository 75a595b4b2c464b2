/* SPDX-License-Identifier: MIT */
/* spill_block.c: see spill_block.h. */
#include "engine/core/spill_block.h"

#include <errno.h>
#include <string.h>

#define SIZE_SOFT ((size_t)64 << 10) /* what a block of long texts is held to */
#define SOME 0x80                    /* in a code, beside the width: a bitmap follows */
#define MIXED 5                      /* in place of a width: addresses of hosts, some IPv6 */

static size_t bitmap(uint32_t n)
{
	return (n + 7) / 8;
}

size_t spill_block_room(
        const struct spill_layout *l, const struct weir_batch *b, const uint16_t *rows, uint32_t *n)
{
	size_t row = 8, size = 0;
	bool text = false;
	uint32_t k;

	for (uint32_t i = 0; i < l->nfields; i++) {
		enum weir_kind kind = l->schema->fields[l->fields[i]].kind;

		row += weir_kind_size(kind);
		text |= weir_storage_of(kind) == WEIR_VAR;
	}
	for (k = 0; text && k < *n && (!k || size < SIZE_SOFT); k++)
		for (uint32_t i = 0; i < l->nfields; i++) {
			const struct weir_col *c = &b->cols[l->fields[i]];

			if (weir_storage_of(c->kind) == WEIR_VAR && weir_col_has(c, rows[k]))
				size += weir_col_str(c)[rows[k]].len;
		}
	if (text)
		*n = k;
	return sizeof(struct spill_head) + 9 + l->nfields * (9 + 2 * bitmap(*n)) + *n * row + size;
}

/* ---- writing ---- */

/* v[i] - least, in 1, 2, 4 or 8 bytes. */
#define PUT_AS(type)                                                                               \
	for (uint32_t k = 0; k < n; k++) {                                                         \
		type d_ = (type)(v[k] - least);                                                    \
                                                                                                   \
		memcpy(to + k * sizeof d_, &d_, sizeof d_);                                        \
	}

static uint8_t *put_numbers(uint8_t *to, uint8_t *code, const uint64_t *v, uint32_t n)
{
	uint64_t least = v[0], most = v[0];
	unsigned width;

	for (uint32_t k = 1; k < n; k++) {
		least = v[k] < least ? v[k] : least;
		most = v[k] > most ? v[k] : most;
	}
	most -= least;
	width = !most                ? 0
	        : most <= UINT8_MAX  ? 1
	        : most <= UINT16_MAX ? 2
	        : most <= UINT32_MAX ? 4
	                             : 8;
	*code |= (uint8_t)width;
	memcpy(to, &least, 8);
	to += 8;
	if (width == 1)
		PUT_AS(uint8_t)
	else if (width == 2)
		PUT_AS(uint16_t)
	else if (width == 4)
		PUT_AS(uint32_t)
	else if (width == 8)
		PUT_AS(uint64_t)
	return to + (size_t)n * width;
}

static uint8_t *put_words(uint8_t *to, uint8_t *code, const struct weir_col *c,
        const uint16_t *rows, const uint8_t *bits, uint32_t n)
{
	const uint64_t *from = weir_col_u64(c);
	uint64_t v[WEIR_BATCH_ROWS];
	uint64_t some = 0;

	if (!bits) {
		for (uint32_t k = 0; k < n; k++)
			v[k] = from[rows[k]];
		return put_numbers(to, code, v, n);
	}
	for (uint32_t k = 0; k < n; k++)
		if (bits[k / 8] >> k % 8 & 1)
			some = from[rows[k]];
	for (uint32_t k = 0; k < n; k++)
		v[k] = bits[k / 8] >> k % 8 & 1 ? from[rows[k]] : some;
	return put_numbers(to, code, v, n);
}

static bool lacks(const uint8_t *bits, uint32_t k)
{
	return bits && !(bits[k / 8] >> k % 8 & 1);
}

/* In four bytes each: IPv4, or the number of an IPv6 address behind them all. */
static uint8_t *put_hosts(uint8_t *to, const struct weir_ip *v, const uint16_t *rows,
        const uint8_t *bits, uint32_t n, uint32_t nsix)
{
	uint8_t *six = to, *behind;
	uint32_t num = 0;

	if (nsix) {
		memset(six, 0, bitmap(n));
		to += bitmap(n);
	}
	behind = to + (size_t)n * 4;
	for (uint32_t k = 0; k < n; k++, to += 4) {
		const struct weir_ip *ip = &v[rows[k]];

		if (lacks(bits, k)) {
			memset(to, 0, 4);
		} else if (ip->family == 4) {
			memcpy(to, ip->b, 4);
		} else {
			six[k / 8] |= (uint8_t)(1 << k % 8);
			memcpy(to, &num, 4);
			memcpy(behind + (size_t)16 * num++, ip->b, 16);
		}
	}
	return behind + (size_t)16 * nsix;
}

static uint8_t *put_addresses(uint8_t *to, uint8_t *code, const struct weir_col *c,
        const uint16_t *rows, const uint8_t *bits, uint32_t n)
{
	const struct weir_ip *v = weir_col_ip(c);
	uint32_t four = 0, six = 0, none = 0;

	for (uint32_t k = 0; k < n; k++) {
		const struct weir_ip *ip = &v[rows[k]];

		none += lacks(bits, k);
		four += !lacks(bits, k) && ip->family == 4 && ip->prefix == 32;
		six += !lacks(bits, k) && ip->family == 6 && ip->prefix == 128;
	}
	if (none + four + six == n) {
		*code |= six ? MIXED : 4;
		return put_hosts(to, v, rows, bits, n, six);
	}
	*code |= sizeof *v;
	for (uint32_t k = 0; k < n; k++, to += sizeof *v)
		memcpy(to, &v[rows[k]], sizeof *v);
	return to;
}

static uint8_t *put_texts(uint8_t *to, uint8_t *code, const struct weir_col *c,
        const uint16_t *rows, const uint8_t *bits, uint32_t n)
{
	const struct weir_str *v = weir_col_str(c);
	uint64_t len[WEIR_BATCH_ROWS];

	len[0] = 0;
	for (uint32_t k = 0; k < n; k++)
		len[k] = bits && !(bits[k / 8] >> k % 8 & 1) ? 0 : v[rows[k]].len;
	to = put_numbers(to, code, len, n);
	for (uint32_t k = 0; k < n; k++) {
		if (len[k])
			memcpy(to, v[rows[k]].p, len[k]);
		to += len[k];
	}
	return to;
}

static uint8_t *put_column(uint8_t *to, const struct weir_col *c, const uint16_t *rows, uint32_t n)
{
	uint8_t *code = to++, *bits = NULL;

	*code = 0;
	if (c->valid) {
		uint32_t have = 0;

		memset(to, 0, bitmap(n));
		for (uint32_t k = 0; k < n; k++) {
			bool has = weir_col_has(c, rows[k]);

			to[k / 8] |= (uint8_t)(has << k % 8);
			have += has;
		}
		if (have < n) {
			*code = SOME;
			bits = to;
			to += bitmap(n);
		}
	}
	switch (weir_storage_of(c->kind)) {
	case WEIR_WORD:
		return put_words(to, code, c, rows, bits, n);
	case WEIR_ADDR:
		return put_addresses(to, code, c, rows, bits, n);
	case WEIR_VAR:
		return put_texts(to, code, c, rows, bits, n);
	}
	return to;
}

uint8_t *spill_block_put(const struct spill_layout *l, const struct weir_batch *b,
        const uint16_t *rows, const uint64_t *place, uint32_t n, uint8_t *to)
{
	struct spill_head head = {.rows = (uint16_t)n, .placed = place};
	uint8_t *start = to;

	to += sizeof head;
	if (place) {
		uint8_t *code = to++;

		*code = 0;
		to = put_numbers(to, code, place, n);
	}
	for (uint32_t i = 0; i < l->nfields; i++)
		to = put_column(to, &b->cols[l->fields[i]], rows, n);
	head.bytes = (uint32_t)(to - start);
	memcpy(start, &head, sizeof head);
	return to;
}

/* ---- reading ---- */

static const uint8_t *parse_numbers(const uint8_t *from, uint32_t rows, struct spill_column *to)
{
	memcpy(&to->base, from, 8);
	to->data = from + 8;
	return to->data + (size_t)rows * to->width;
}

static const uint8_t *parse_addresses(const uint8_t *from, uint32_t rows, struct spill_column *to)
{
	uint32_t n = 0;

	if (to->width != MIXED) {
		to->data = from;
		return from + (size_t)rows * to->width;
	}
	to->width = 4;
	to->six = from;
	for (uint32_t k = 0; k < bitmap(rows); k++)
		n += (uint32_t)__builtin_popcount(from[k]);
	to->data = from + bitmap(rows);
	to->text = to->data + (size_t)rows * 4;
	return to->text + (size_t)16 * n;
}

static const uint8_t *parse_column(
        enum weir_storage storage, const uint8_t *from, uint32_t rows, struct spill_column *to)
{
	uint8_t code = *from++;

	*to = (struct spill_column){.width = code & (SOME - 1)};
	if (code & SOME) {
		to->bits = from;
		from += bitmap(rows);
	}
	if (storage == WEIR_ADDR)
		return parse_addresses(from, rows, to);
	from = parse_numbers(from, rows, to);
	if (storage != WEIR_VAR)
		return from;
	to->text = from;
	for (uint32_t k = 0; k < rows; k++)
		from += spill_number(to, k);
	return from;
}

void spill_block_parse(const struct spill_layout *l, const uint8_t *from, uint32_t rows,
        struct spill_column *to, uint64_t *place)
{
	struct spill_head head;

	memcpy(&head, from, sizeof head);
	from += sizeof head;
	if (head.placed) {
		struct spill_column c;

		from = parse_column(WEIR_WORD, from, rows, &c);
		for (uint32_t k = 0; k < rows; k++)
			place[k] = spill_number(&c, k);
	}
	for (uint32_t i = 0; i < l->nfields; i++)
		from = parse_column(
		        weir_storage_of(l->schema->fields[l->fields[i]].kind), from, rows, &to[i]);
}

#define GET_AS(type)                                                                               \
	for (uint32_t k = 0; k < rows; k++) {                                                      \
		type d_;                                                                           \
                                                                                                   \
		memcpy(&d_, from->data + k * sizeof d_, sizeof d_);                                \
		to[k] = from->base + d_;                                                           \
	}

static void get_words(const struct spill_column *from, uint32_t rows, uint64_t *to)
{
	switch (from->width) {
	case 0:
		for (uint32_t k = 0; k < rows; k++)
			to[k] = from->base;
		break;
	case 1:
		GET_AS(uint8_t)
		break;
	case 2:
		GET_AS(uint16_t)
		break;
	case 4:
		GET_AS(uint32_t)
		break;
	default:
		GET_AS(uint64_t)
	}
}

static int get_texts(
        const struct spill_column *from, uint32_t rows, struct weir_batch *b, struct weir_str *to)
{
	const uint8_t *text = from->text;
	size_t size = 0;
	uint8_t *p;

	for (uint32_t k = 0; k < rows; k++)
		size += spill_number(from, k);
	p = weir_batch_alloc(b, size);
	if (!p)
		return -ENOMEM;
	if (size)
		memcpy(p, text, size);
	for (uint32_t k = 0; k < rows; k++) {
		to[k] = (struct weir_str){p, spill_number(from, k)};
		p += to[k].len;
	}
	return 0;
}

int spill_block_get(const struct spill_layout *l, const struct spill_column *from, uint32_t rows,
        struct weir_batch *b, uint32_t at)
{
	for (uint32_t i = 0; i < l->nfields; i++) {
		struct weir_col *c = &b->cols[l->fields[i]];
		const struct spill_column *s = &from[i];

		for (uint32_t k = 0; k < rows; k++)
			if (spill_has(s, k))
				weir_valid_set(c->valid, at + k);
		switch (weir_storage_of(c->kind)) {
		case WEIR_WORD:
			get_words(s, rows, (uint64_t *)c->data + at);
			break;
		case WEIR_ADDR:
			memset((struct weir_ip *)c->data + at, 0, rows * sizeof(struct weir_ip));
			for (uint32_t k = 0; k < rows; k++)
				if (spill_has(s, k))
					spill_address(s, k, (struct weir_ip *)c->data + at + k);
			break;
		case WEIR_VAR:
			if (get_texts(s, rows, b, (struct weir_str *)c->data + at) < 0)
				return -ENOMEM;
			break;
		}
	}
	return 0;
}

int spill_batch_own(const struct spill_layout *l, struct weir_batch *b)
{
	for (uint32_t i = 0; i < l->nfields; i++) {
		struct weir_col *c = weir_batch_own(b, l->fields[i]);

		if (!c || !weir_batch_own_valid(b, c))
			return -ENOMEM;
	}
	return 0;
}

void spill_batch_tidy(const struct spill_layout *l, struct weir_batch *b, uint32_t n)
{
	for (uint32_t i = 0; i < l->nfields; i++) {
		struct weir_col *c = &b->cols[l->fields[i]];
		bool four = weir_storage_of(c->kind) == WEIR_ADDR;
		uint32_t have = 0;

		for (uint32_t k = 0; k < n; k++) {
			bool has = weir_col_has(c, k);

			have += has;
			if (four && has)
				four = weir_col_ip(c)[k].family == 4;
		}
		if (have == n)
			c->valid = NULL;
		if (four)
			c->flags |= WEIR_COL_IPV4;
	}
}
