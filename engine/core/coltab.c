/* SPDX-License-Identifier: MIT */
/* coltab.c: records by row id. See row.h for how one is packed. */
#include "engine/core/coltab.h"

#include "engine/core/grow.h"

#define ROWS_MAX ((uint32_t)1 << 31)

int coltab_init(struct coltab *t, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n)
{
	*t = (struct coltab){.mem = mem};
	heap_init(&t->heap, mem);
	return row_layout_init(&t->layout, mem, s, fields, n, 0, 1);
}

int coltab_open(struct coltab *t, struct weir_node *n, const uint32_t *extra, uint32_t nextra)
{
	uint32_t nout = n->out->nfields, m = 0;
	size_t size = (nout + nextra + 1) * sizeof(uint32_t);
	uint32_t *fields;
	int32_t *out;
	int r;

	*t = (struct coltab){.mem = n->mem};
	fields = weir_alloc(n->mem, size);
	out = weir_alloc(n->mem, size);
	if (!fields || !out) {
		weir_free(n->mem, fields, size);
		weir_free(n->mem, out, size);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < nextra; i++) {
		fields[m] = extra[i];
		out[m++] = -1;
	}
	for (uint32_t f = 0; f < nout; f++)
		if (weir_node_needs(n, f) && weir_node_origin(n, f) >= 0) {
			fields[m] = (uint32_t)weir_node_origin(n, f);
			out[m++] = (int32_t)f;
		}
	r = coltab_init(t, n->mem, n->in, fields, m);
	weir_free(n->mem, fields, size);
	t->out = weir_realloc(n->mem, out, size, (m + 1) * sizeof *out);
	if (!t->out)
		weir_free(n->mem, out, size);
	return t->out ? r : -ENOMEM;
}

void coltab_release(struct coltab *t)
{
	grow_free(t->mem, t->rec, t->size);
	if (t->out)
		weir_free(t->mem, t->out, (t->layout.n + 1) * sizeof *t->out);
	row_layout_release(&t->layout);
	heap_release(&t->heap);
	*t = (struct coltab){.mem = t->mem};
}

void coltab_clear(struct coltab *t)
{
	if (t->rec)
		memset(t->rec, 0, (size_t)t->n * t->layout.size);
	heap_release(&t->heap);
	t->n = 0;
}

/* Room for ids below n. */
static int reserve(struct coltab *t, uint64_t n)
{
	uint8_t *p;

	if (n > ROWS_MAX)
		return -ENOMEM;
	if (n * t->layout.size <= t->size && t->rec)
		return 0;
	p = grow(t->mem, t->rec, &t->size, n * t->layout.size + 1);
	if (!p)
		return -ENOMEM;
	t->rec = p;
	return 0;
}

int coltab_append(struct coltab *t, struct weir_batch *b, const uint16_t *rows, uint32_t n)
{
	uint8_t *to[WEIR_BATCH_ROWS];
	int r = reserve(t, (uint64_t)t->n + n);

	if (r < 0)
		return r;
	to[0] = coltab_record(t, t->n);
	for (uint32_t k = 1; k < n; k++)
		to[k] = to[k - 1] + t->layout.size;
	r = row_store(&t->layout, &t->heap, b, rows, n, to);
	if (r == 0)
		t->n += n;
	else
		for (uint32_t k = 0; k < n; k++)
			row_clear(&t->layout, &t->heap, to[k]);
	return r;
}

int coltab_add(struct coltab *t, struct weir_batch *b)
{
	uint16_t rows[WEIR_BATCH_ROWS];
	uint32_t n = weir_batch_count(b);

	if (b->sel)
		return coltab_append(t, b, b->sel, n);
	for (uint32_t k = 0; k < n; k++)
		rows[k] = (uint16_t)k;
	return coltab_append(t, b, rows, n);
}

int coltab_put(struct coltab *t, struct weir_batch *b, const uint16_t *rows, const uint32_t *ids,
        uint32_t n)
{
	uint8_t *to[WEIR_BATCH_ROWS];
	uint32_t end = t->n;
	int r;

	for (uint32_t k = 0; k < n; k++)
		if (ids[k] >= end)
			end = ids[k] + 1;
	r = reserve(t, end);
	if (r < 0)
		return r;
	t->n = end;
	for (uint32_t k = 0; k < n; k++) {
		to[k] = coltab_record(t, ids[k]);
		__builtin_prefetch(to[k], 1);
	}
	return row_store(&t->layout, &t->heap, b, rows, n, to);
}

int coltab_keep(struct coltab *t, const uint32_t *ids, uint32_t n)
{
	size_t size = t->layout.size, kept = (n + 1) * size, marks = t->n + 1;
	uint8_t *copy = weir_alloc(t->mem, kept), *mark = weir_calloc(t->mem, marks);
	int r = copy && mark ? 0 : -ENOMEM;

	if (r == 0) {
		for (uint32_t k = 0; k < n; k++) {
			mark[ids[k]] = 1;
			memcpy(copy + k * size, coltab_record(t, ids[k]), size);
		}
		for (uint32_t i = 0; i < t->n; i++)
			if (!mark[i])
				row_clear(&t->layout, &t->heap, coltab_record(t, i));
		if (t->n)
			memset(t->rec, 0, t->n * size);
		if (n)
			memcpy(t->rec, copy, n * size);
		t->n = n;
	}
	weir_free(t->mem, copy, kept);
	weir_free(t->mem, mark, marks);
	return r;
}

int coltab_gather(const struct coltab *t, uint32_t i, const uint32_t *ids, uint32_t n,
        struct weir_batch *b, uint32_t out)
{
	uint8_t *from[WEIR_BATCH_ROWS];

	for (uint32_t k = 0; k < n; k++)
		from[k] = coltab_record(t, ids[k]);
	return row_load(&t->layout, i, from, n, b, out);
}

struct weir_batch *coltab_build(const struct coltab *t, struct weir_node *n, const uint32_t *ids,
        uint32_t first, uint32_t count)
{
	uint8_t *from[WEIR_BATCH_ROWS];
	struct weir_batch *b = weir_build(n, count);

	if (!b)
		return NULL;
	for (uint32_t k = 0; k < count; k++) {
		from[k] = coltab_record(t, ids ? ids[k] : first + k);
		__builtin_prefetch(from[k]);
	}
	for (uint32_t i = 0; i < t->layout.n; i++)
		if (t->out[i] >= 0 &&
		        row_load(&t->layout, i, from, count, b, (uint32_t)t->out[i]) < 0) {
			weir_batch_unref(b);
			return NULL;
		}
	return b;
}

int coltab_emit(const struct coltab *t, struct weir_node *n, const uint32_t *ids, uint32_t count)
{
	for (uint32_t first = 0; first < count; first += WEIR_BATCH_ROWS) {
		uint32_t m = count - first < WEIR_BATCH_ROWS ? count - first : WEIR_BATCH_ROWS;
		struct weir_batch *b = coltab_build(t, n, ids ? ids + first : NULL, first, m);
		int r = b ? weir_emit(n, 0, b) : -ENOMEM;

		if (r < 0)
			return r;
	}
	return 0;
}
