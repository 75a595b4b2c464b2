/* SPDX-License-Identifier: MIT */
/* view.c: packed rows as a batch again. See block.h. */
#include "engine/store/block.h"

#include <stdlib.h>

int view_init(struct view *v, const struct keep *k)
{
	const struct weir_schema *s = k->schema;

	*v = (struct view){.keep = k};
	v->batch.schema = s;
	v->batch.refs = 1;
	v->batch.cols = calloc(s->nfields + 1, sizeof *v->batch.cols);
	v->own = calloc(k->n + 1, sizeof *v->own);
	if (!v->batch.cols || !v->own)
		goto fail;
	for (uint32_t f = 0; f < s->nfields; f++)
		v->batch.cols[f].kind = s->fields[f].kind;
	for (uint32_t i = 0; i < k->n; i++) {
		v->own[i].valid = malloc(WEIR_BATCH_ROWS / 8);
		if (!v->own[i].valid)
			goto fail;
	}
	return 0;
fail:
	view_release(v);
	return -ENOMEM;
}

void view_release(struct view *v)
{
	if (v->own)
		for (uint32_t i = 0; i < v->keep->n; i++) {
			free(v->own[i].data);
			free(v->own[i].valid);
		}
	free(v->own);
	free(v->batch.cols);
	*v = (struct view){0};
}

#define UNPACK(type)                                                                               \
	do {                                                                                       \
		const type *p = (const type *)from;                                                \
                                                                                                   \
		for (uint32_t i = 0; i < n; i++)                                                   \
			to[i] = base + p[i];                                                       \
	} while (0)

static void unpack_words(uint64_t *to, const char *from, uint8_t width, uint64_t base, uint32_t n)
{
	switch (width) {
	case 0:
		for (uint32_t i = 0; i < n; i++)
			to[i] = base;
		break;
	case 1:
		UNPACK(uint8_t);
		break;
	case 2:
		UNPACK(uint16_t);
		break;
	case 4:
		UNPACK(uint32_t);
		break;
	case 8:
		UNPACK(uint64_t);
		break;
	}
}

/* Rows without a value become addresses too; their bitmap says that they are not there. */
static void unpack_ips(struct weir_ip *to, const char *from, uint8_t packing, uint32_t n)
{
	switch (packing) {
	case PACK_IP4:
		for (uint32_t i = 0; i < n; i++) {
			to[i] = (struct weir_ip){.family = 4, .prefix = 32};
			memcpy(to[i].b, from + 4 * (size_t)i, 4);
		}
		break;
	case PACK_IP6:
		for (uint32_t i = 0; i < n; i++) {
			to[i] = (struct weir_ip){.family = 6, .prefix = 128};
			memcpy(to[i].b, from + 16 * (size_t)i, 16);
		}
		break;
	case PACK_IP:
		memcpy(to, from, n * sizeof *to);
		break;
	}
}

static void unpack_vars(
        struct weir_str *to, const char *data, uint32_t rows, uint32_t from, uint32_t n)
{
	const uint32_t *offset = (const uint32_t *)data;
	const uint8_t *bytes = (const uint8_t *)data + (rows + 1ull) * 4;

	for (uint32_t i = 0; i < n; i++)
		to[i] = (struct weir_str){.p = bytes + offset[from + i],
		        .len = offset[from + i + 1] - offset[from + i]};
}

/* Bits [from, from + n) of a bitmap, to bit 0. */
static void unpack_valid(
        uint64_t *to, const uint64_t *valid, uint32_t from, uint32_t n, uint32_t rows)
{
	uint32_t shift = from & 63, last = (rows - 1) >> 6;

	for (uint32_t w = 0; w < (n + 63) / 64; w++) {
		uint32_t at = (from >> 6) + w;

		to[w] = valid[at] >> shift;
		if (shift && at < last)
			to[w] |= valid[at + 1] << (64 - shift);
	}
}

int view_block(struct view *v, const struct block *b, uint32_t from, uint32_t to, int field)
{
	const struct keep *k = v->keep;
	uint32_t n = to - from;

	v->batch.n = v->batch.nsel = (uint16_t)n;
	for (uint32_t i = 0; i < k->n; i++) {
		struct weir_col *c = &v->batch.cols[k->field[i]];
		const struct block_col *p = &b->col[i];
		struct view_col *own = &v->own[i];
		const char *data = (const char *)b + p->data;

		if (field >= 0 && k->field[i] != (uint32_t)field)
			continue;
		if (!own->data)
			own->data = malloc(WEIR_BATCH_ROWS * weir_kind_size(c->kind));
		if (!own->data)
			return -ENOMEM;
		c->data = own->data;
		c->valid = NULL;
		if (p->packing == PACK_DELTA)
			unpack_words(
			        own->data, data + (size_t)from * p->width, p->width, p->base, n);
		else if (p->packing == PACK_MIXED)
			block_mixed(own->data, data, b->rows, from, n);
		else if (p->packing == PACK_VAR)
			unpack_vars(own->data, data, b->rows, from, n);
		else if (p->packing != PACK_NONE)
			unpack_ips(own->data, data + (size_t)from * p->width, p->packing, n);
		if (!p->partial)
			continue;
		c->valid = own->valid;
		if (p->packing == PACK_NONE)
			memset(own->valid, 0, WEIR_BATCH_ROWS / 8);
		else
			unpack_valid(own->valid, (const uint64_t *)((const char *)b + p->valid),
			        from, n, b->rows);
	}
	return 0;
}
