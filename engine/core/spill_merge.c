/* SPDX-License-Identifier: MIT */
/* spill_merge.c: see spill_merge.h. */
#include "engine/core/spill_merge.h"

#define STRETCH 4096 /* places in the map */

struct cursor {
	struct spill_reader reader;
	uint32_t row, rows; /* of the block: the next, all */
	uint64_t place[SPILL_BLOCK];
};

struct merge {
	struct node *node;
	const struct spill_layout *layout;
	struct spill_file *to; /* NULL: they are emitted */
	struct cursor *cursor;
	uint32_t n;
	uint64_t low; /* place of from[0] */
	uint8_t from[STRETCH];
	uint64_t there[STRETCH / 64];
	/* the records to be copied next */
	uint8_t pick[WEIR_BATCH_ROWS];
	uint32_t picks;
	uint32_t taken[SPILL_MERGED]; /* rows of the block that were copied before them */
	struct weir_batch *out;
	uint32_t at; /* rows of it that are there */
	uint64_t place[WEIR_BATCH_ROWS];
};

static int begin_out(struct merge *m)
{
	m->out = weir_build(&m->node->pub, WEIR_BATCH_ROWS);
	return m->out ? spill_batch_own(m->layout, m->out) : -ENOMEM;
}

static int put_out(struct merge *m)
{
	struct weir_batch *b = m->out;
	uint32_t n = m->at;

	m->out = NULL;
	m->at = 0;
	if (b)
		spill_batch_tidy(m->layout, b, n);
	return spill_hand_on(m->to, &m->node->pub, b, m->place, n, SPILL_BLOCK);
}

/* ---- copying ---- */

static int copy_text(struct weir_batch *b, const struct spill_column *c, uint32_t row,
        const uint8_t **text, struct weir_str *to)
{
	*to = (struct weir_str){*text, spill_number(c, row)};
	*text += to->len;
	return batch_keep_text(b, to);
}

static void copy_column(struct merge *m, uint32_t field)
{
	struct weir_col *to = &m->out->cols[m->layout->fields[field]];
	const struct spill_column *column[SPILL_MERGED];
	bool address = weir_storage_of(to->kind) == WEIR_ADDR;
	uint32_t row[SPILL_MERGED], n = m->picks, at = m->at;

	for (uint32_t i = 0; i < m->n; i++) {
		column[i] = &m->cursor[i].reader.column[field];
		row[i] = m->taken[i];
	}
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = m->pick[k], r = row[i]++;
		const struct spill_column *c = column[i];

		if (spill_has(c, r))
			weir_valid_set(to->valid, at + k);
		if (!address)
			((uint64_t *)to->data)[at + k] = spill_number(c, r);
		else if (spill_has(c, r))
			spill_address(c, r, (struct weir_ip *)to->data + at + k);
		else
			((struct weir_ip *)to->data)[at + k] = (struct weir_ip){0};
	}
}

/* Texts of a block are taken one after the other: their column moves its start. */
static int copy_texts(struct merge *m, uint32_t field)
{
	struct weir_col *to = &m->out->cols[m->layout->fields[field]];
	uint32_t row[SPILL_MERGED];

	memcpy(row, m->taken, sizeof row);
	for (uint32_t k = 0; k < m->picks; k++) {
		uint32_t i = m->pick[k], r = row[i]++;
		struct spill_column *c = &m->cursor[i].reader.column[field];

		if (copy_text(m->out, c, r, &c->text, (struct weir_str *)to->data + m->at + k) < 0)
			return -ENOMEM;
		if (spill_has(c, r))
			weir_valid_set(to->valid, m->at + k);
	}
	return 0;
}

static int copy(struct merge *m)
{
	int r = m->picks && !m->out ? begin_out(m) : 0;

	for (uint32_t f = 0; f < m->layout->nfields && m->picks && r == 0; f++) {
		enum weir_kind kind = m->layout->schema->fields[m->layout->fields[f]].kind;

		if (weir_storage_of(kind) == WEIR_VAR)
			r = copy_texts(m, f);
		else
			copy_column(m, f);
	}
	for (uint32_t k = 0; k < m->picks && r == 0; k++) {
		uint32_t i = m->pick[k];

		m->place[m->at + k] = m->cursor[i].place[m->taken[i]++];
	}
	m->at += m->picks;
	m->picks = 0;
	return r < 0 ? r : m->at == WEIR_BATCH_ROWS ? put_out(m) : 0;
}

/* ---- stretches ---- */

/* The next block; a cursor at its end goes. 1, 0: it went, or -errno. */
static int advance(struct merge *m, uint32_t i)
{
	struct cursor *c = &m->cursor[i];
	int rows = spill_reader_block(&c->reader, c->place);

	if (rows > 0) {
		c->rows = (uint32_t)rows;
		c->row = 0;
		return 1;
	}
	if (rows < 0)
		return rows;
	spill_reader_close(&c->reader);
	*c = m->cursor[--m->n];
	m->cursor[m->n].reader = (struct spill_reader){0};
	return 0;
}

/* Marks the records up to the end of the block that ends first. */
static void mark(struct merge *m)
{
	uint64_t low = UINT64_MAX, end;

	for (uint32_t i = 0; i < m->n; i++)
		if (m->cursor[i].place[m->cursor[i].row] < low)
			low = m->cursor[i].place[m->cursor[i].row];
	end = low + STRETCH;
	for (uint32_t i = 0; i < m->n; i++)
		if (m->cursor[i].place[m->cursor[i].rows - 1] < end)
			end = m->cursor[i].place[m->cursor[i].rows - 1] + 1;
	m->low = low;
	memset(m->there, 0, sizeof m->there);
	for (uint32_t i = 0; i < m->n; i++) {
		struct cursor *c = &m->cursor[i];
		uint32_t k = c->row;

		m->taken[i] = k;
		for (; k < c->rows && c->place[k] < end; k++) {
			m->from[c->place[k] - low] = (uint8_t)i;
			weir_valid_set(m->there, (uint32_t)(c->place[k] - low));
		}
		c->row = k;
	}
}

static int stretch(struct merge *m)
{
	int r = 0;

	mark(m);
	for (uint32_t w = 0; w < STRETCH / 64; w++)
		for (uint64_t v = m->there[w]; v && r == 0; v &= v - 1) {
			m->pick[m->picks++] = m->from[w * 64 + (uint32_t)__builtin_ctzll(v)];
			if (m->at + m->picks == WEIR_BATCH_ROWS)
				r = copy(m);
		}
	if (r == 0)
		r = copy(m);
	for (uint32_t i = m->n; i-- > 0 && r >= 0;)
		if (m->cursor[i].row == m->cursor[i].rows)
			r = advance(m, i);
	return r < 0 ? r : 0;
}

int spill_merge(struct node *n, const struct spill_range *ranges, uint32_t nranges, size_t read,
        struct spill_file *to)
{
	struct weir_mem *mem = n->graph->run->mem;
	size_t size = nranges * sizeof(struct cursor);
	struct merge *m = nranges ? weir_calloc(mem, sizeof *m) : NULL;
	int r = 0;

	if (!nranges)
		return 0;
	if (m)
		m->cursor = weir_calloc(mem, size);
	if (!m || !m->cursor) {
		weir_free(mem, m, sizeof *m);
		return -ENOMEM;
	}
	m->node = n;
	m->layout = &ranges[0].file->layout;
	m->to = to;
	while (m->n < nranges && r >= 0) {
		r = spill_reader_open(&m->cursor[m->n].reader, &ranges[m->n], read);
		m->n++;
	}
	for (uint32_t i = m->n; i-- > 0 && r >= 0;)
		r = advance(m, i);
	while (r >= 0 && m->n && !n->done)
		r = stretch(m);
	if (r >= 0 && !n->done)
		r = put_out(m);
	weir_batch_unref(m->out);
	for (uint32_t i = 0; i < nranges; i++)
		spill_reader_close(&m->cursor[i].reader);
	weir_free(mem, m->cursor, size);
	weir_free(mem, m, sizeof *m);
	return r < 0 ? r : 0;
}
