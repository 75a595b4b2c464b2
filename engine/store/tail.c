/* SPDX-License-Identifier: MIT */
/* tail.c: the rows that are not packed yet. See block.h. */
#include "engine/store/block.h"

#include <stdlib.h>

#define PIECE 8192
#define VALUE_MAX (256u << 20) /* bytes of one text; a block's offsets have 32 bits */

struct tail_piece {
	struct tail_piece *next;
	uint64_t size, used; /* of bytes[] */
	uint8_t bytes[];
};

static enum weir_kind kind_of(const struct keep *k, uint32_t i)
{
	return k->schema->fields[k->field[i]].kind;
}

struct tail *tail_new(const struct keep *k, uint32_t cap, struct weir_mem *mem)
{
	uint64_t size = sizeof(struct tail) + k->n * sizeof(struct tail_col);
	struct tail *t;
	char *at;

	size = (size + 63) & ~63ull;
	for (uint32_t i = 0; i < k->n; i++)
		size += (cap * (weir_kind_size(kind_of(k, i)) + 1) + 63) & ~63ull;
	t = weir_alloc(mem, size);
	if (!t)
		return NULL;
	*t = (struct tail){.refs = 1, .cap = cap, .size = size};
	at = (char *)t + ((sizeof(struct tail) + k->n * sizeof(struct tail_col) + 63) & ~63ull);
	for (uint32_t i = 0; i < k->n; i++) {
		size_t one = weir_kind_size(kind_of(k, i));

		t->col[i].data = at;
		t->col[i].has = (uint8_t *)at + cap * one;
		at += (cap * (one + 1) + 63) & ~63ull;
	}
	return t;
}

void tail_reset(struct tail *t, struct weir_mem *mem)
{
	while (t->pieces) {
		struct tail_piece *next = t->pieces->next;

		weir_free(mem, t->pieces, sizeof *next + t->pieces->size);
		t->pieces = next;
	}
	t->rows = t->filled = 0;
	t->rows_bytes = t->bytes = t->pieces_size = 0;
}

void tail_free(struct tail *t, struct weir_mem *mem)
{
	if (!t)
		return;
	tail_reset(t, mem);
	weir_free(mem, t, t->size);
}

static uint8_t *piece_take(struct tail *t, uint64_t len, struct weir_mem *mem)
{
	struct tail_piece *p = t->pieces;

	if (!p || p->size - p->used < len) {
		uint64_t size = len > PIECE ? len : PIECE;

		p = weir_alloc(mem, sizeof *p + size);
		if (!p)
			return NULL;
		*p = (struct tail_piece){.next = t->pieces, .size = size};
		t->pieces = p;
		t->pieces_size += sizeof *p + size;
	}
	p->used += len;
	return p->bytes + p->used - len;
}

static int append_vars(struct tail *t, struct tail_col *to, const struct weir_col *c,
        struct weir_batch *b, uint32_t k, uint32_t n, struct weir_mem *mem)
{
	struct weir_str *v = (struct weir_str *)to->data + t->filled;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t row = weir_batch_row(b, k + i);
		const struct weir_str *s = weir_col_str(c) + row;
		uint8_t *p = NULL;

		v[i] = (struct weir_str){0};
		if (!weir_col_has(c, row) || !s->len)
			continue;
		p = s->len <= VALUE_MAX ? piece_take(t, s->len, mem) : NULL;
		if (!p)
			return -ENOMEM;
		memcpy(p, s->p, s->len);
		v[i] = (struct weir_str){.p = p, .len = s->len};
	}
	return 0;
}

#define COPY(type)                                                                                 \
	do {                                                                                       \
		type *d = (type *)to->data + t->filled;                                            \
		const type *v = c->data;                                                           \
                                                                                                   \
		if (!b->sel)                                                                       \
			memcpy(d, v + k, n * sizeof *d);                                           \
		else                                                                               \
			for (uint32_t i = 0; i < n; i++)                                           \
				d[i] = v[b->sel[k + i]];                                           \
	} while (0)

static int append_col(struct tail *t, struct tail_col *to, const struct weir_col *c,
        enum weir_kind kind, struct weir_batch *b, uint32_t k, uint32_t n, struct weir_mem *mem)
{
	uint8_t *has = to->has + t->filled;

	if (c->valid)
		for (uint32_t i = 0; i < n; i++)
			has[i] = weir_col_has(c, weir_batch_row(b, k + i));
	else
		memset(has, 1, n);
	switch (weir_storage_of(kind)) {
	case WEIR_WORD:
		COPY(uint64_t);
		break;
	case WEIR_ADDR:
		COPY(struct weir_ip);
		break;
	case WEIR_VAR:
		return append_vars(t, to, c, b, k, n, mem);
	}
	return 0;
}

/* How many of the n rows from k on fit, by their texts; *bytes is what those take. */
static uint32_t fitting(uint64_t before, uint32_t filled, const struct keep *keep,
        struct weir_batch *b, uint32_t k, uint32_t n, uint64_t limit, uint64_t *bytes)
{
	uint64_t sum = before;
	uint32_t i;

	for (i = 0; i < n; i++) {
		uint32_t row = weir_batch_row(b, k + i);

		if (sum > limit || (keep->nvars && filled + i && sum + keep->row_size > limit))
			break;
		sum += keep->row_size;
		for (uint32_t j = 0; keep->nvars && j < keep->n; j++) {
			const struct weir_col *c = &b->cols[keep->field[j]];

			if (weir_storage_of(kind_of(keep, j)) == WEIR_VAR && weir_col_has(c, row))
				sum += weir_col_str(c)[row].len;
		}
	}
	*bytes = sum - before;
	return i;
}

int tail_append(struct tail *t, const struct keep *keep, struct weir_batch *b, uint32_t k,
        uint32_t rows, uint64_t limit, struct weir_mem *mem)
{
	uint32_t n = weir_batch_count(b) - k;
	uint64_t bytes;

	if (rows > t->cap)
		rows = t->cap;
	if (t->filled >= rows)
		return 0;
	if (n > rows - t->filled)
		n = rows - t->filled;
	for (uint32_t i = 0; i < keep->n; i++)
		if (!weir_batch_col(b, keep->field[i]))
			return -ENOMEM;
	n = fitting(t->bytes, t->filled, keep, b, k, n, limit, &bytes);
	for (uint32_t i = 0; i < keep->n; i++) {
		int ret = append_col(
		        t, &t->col[i], &b->cols[keep->field[i]], kind_of(keep, i), b, k, n, mem);

		if (ret < 0)
			return ret;
	}
	t->filled += n;
	t->bytes += bytes;
	return (int)n;
}

struct block *batch_pack(
        const struct keep *k, struct weir_batch *b, uint64_t limit, struct weir_mem *mem)
{
	struct weir_col few[64];
	uint64_t bytes;

	if (b->sel || k->n > 64)
		return NULL;
	for (uint32_t i = 0; i < k->n; i++) {
		const struct weir_col *c = weir_batch_col(b, k->field[i]);

		if (!c)
			return NULL;
		few[i] = *c;
	}
	if (fitting(0, 0, k, b, 0, b->n, limit, &bytes) < b->n)
		return NULL;
	return block_pack(k, few, b->n, mem);
}

/* Bitmap of has[0..n); whether any is missing. */
static bool bitmap(uint64_t *to, const uint8_t *has, uint32_t n)
{
	uint64_t all = 1;

	for (uint32_t w = 0; w < (n + 63) / 64; w++) {
		uint64_t bits = 0;
		uint32_t left = n - w * 64 < 64 ? n - w * 64 : 64;

		for (uint32_t i = 0; i < left; i++)
			bits |= (uint64_t)has[w * 64 + i] << i;
		all &= bits == (left == 64 ? UINT64_MAX : (1ull << left) - 1);
		to[w] = bits;
	}
	return !all;
}

struct block *tail_pack(struct tail *t, const struct keep *k, struct weir_mem *mem)
{
	uint64_t(*valid)[WEIR_BATCH_ROWS / 64] = malloc((k->n + 1) * sizeof *valid);
	struct weir_col *cols = calloc(k->n + 1, sizeof *cols);
	struct block *b = NULL;

	if (!valid || !cols)
		goto out;
	for (uint32_t i = 0; i < k->n; i++) {
		cols[i].data = t->col[i].data;
		cols[i].kind = kind_of(k, i);
		if (memchr(t->col[i].has, 0, t->filled) &&
		        bitmap(valid[i], t->col[i].has, t->filled))
			cols[i].valid = valid[i];
	}
	b = block_pack(k, cols, t->filled, mem);
	if (b)
		b->first = t->first;
out:
	free(valid);
	free(cols);
	return b;
}

int view_tail(struct view *v, const struct tail *t, uint32_t from, uint32_t to, int field)
{
	const struct keep *k = v->keep;
	uint32_t n = to - from;

	v->batch.n = v->batch.nsel = (uint16_t)n;
	for (uint32_t i = 0; i < k->n; i++) {
		struct weir_col *c = &v->batch.cols[k->field[i]];

		if (field >= 0 && k->field[i] != (uint32_t)field)
			continue;
		c->data = (char *)t->col[i].data + (size_t)from * weir_kind_size(c->kind);
		c->valid =
		        bitmap(v->own[i].valid, t->col[i].has + from, n) ? v->own[i].valid : NULL;
	}
	return 0;
}
