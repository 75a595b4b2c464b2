/* SPDX-License-Identifier: MIT */
/* row.c: packing columns into records and back. One loop for each field and form. */
#include "engine/core/row.h"

#include <stdlib.h>

static uint8_t form_of(const struct weir_field *f)
{
	unsigned bits = f->kind == WEIR_U64 && f->bits ? f->bits : 64;

	switch (weir_storage_of(f->kind)) {
	case WEIR_VAR:
		return ROW_TEXT;
	case WEIR_ADDR:
		return ROW_IP;
	case WEIR_WORD:
		break;
	}
	if (f->kind == WEIR_BOOL || bits <= 8)
		return ROW_1;
	return bits <= 16 ? ROW_2 : bits <= 32 ? ROW_4 : ROW_8;
}

int row_layout_init(struct row_layout *l, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n, uint32_t base, uint32_t align)
{
	static const uint8_t width[] = {1, 2, 4, 8, 8, 8};
	uint32_t at = base;

	*l = (struct row_layout){.mem = mem, .n = n};
	l->f = weir_calloc(mem, (n + 1) * sizeof *l->f);
	if (!l->f)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct weir_field *f = &s->fields[fields[i]];

		l->f[i] = (struct row_field){fields[i], f->kind, form_of(f), 0, -1};
	}
	for (uint32_t w = 8; w; w /= 2)
		for (uint32_t i = 0; i < n; i++)
			if (width[l->f[i].form] == w) {
				l->f[i].at = at;
				at += w;
			}
	for (uint32_t i = 0; i < n; i++)
		if (l->f[i].form == ROW_IP || !(s->fields[fields[i]].flags & WEIR_FIELD_ALWAYS))
			l->f[i].state = (int32_t)at++;
	l->size = (at + align - 1) & ~(align - 1);
	return 0;
}

void row_layout_release(struct row_layout *l)
{
	if (l->f)
		weir_free(l->mem, l->f, (l->n + 1) * sizeof *l->f);
	l->f = NULL;
	l->n = 0;
}

static struct heap_cell *get_cell(const uint8_t *at)
{
	struct heap_cell *c;

	memcpy(&c, at, sizeof c);
	return c;
}

/* An IPv4 address whose place holds no cell lies there itself, its state being ROW_THERE; so the
 * place is a cell only in state ROW_V6. */
static int store_ip(const struct row_field *f, struct heap *h, const struct weir_col *c,
        const uint16_t *rows, uint32_t n, uint8_t *const *to)
{
	const struct weir_ip *ip = weir_col_ip(c);

	for (uint32_t k = 0; k < n; k++) {
		uint8_t *at = to[k] + f->at, *state = to[k] + f->state;
		const struct weir_ip *v = &ip[rows[k]];
		bool has = weir_col_has(c, rows[k]) && v->family;

		if (has && (v->family != 4 || v->prefix != 32)) {
			struct heap_cell *cell = *state == ROW_V6 ? get_cell(at) : NULL;

			cell = heap_put(h, cell, v, sizeof *v);
			if (!cell)
				return -ENOMEM;
			memcpy(at, &cell, sizeof cell);
			*state = ROW_V6;
			continue;
		}
		if (*state == ROW_V6)
			heap_drop(h, get_cell(at));
		if (has)
			memcpy(at, v->b, 4);
		*state = has ? ROW_THERE : ROW_ABSENT;
	}
	return 0;
}

static int store_text(const struct row_field *f, struct heap *h, const struct weir_col *c,
        const uint16_t *rows, uint32_t n, uint8_t *const *to)
{
	const struct weir_str *s = weir_col_str(c);

	for (uint32_t k = 0; k < n; k++) {
		struct heap_cell *cell = get_cell(to[k] + f->at);
		bool has = weir_col_has(c, rows[k]);

		if (has) {
			cell = heap_put(h, cell, s[rows[k]].p, s[rows[k]].len);
			if (!cell)
				return -ENOMEM;
			memcpy(to[k] + f->at, &cell, sizeof cell);
		}
		if (f->state >= 0)
			to[k][f->state] = has;
	}
	return 0;
}

#define STORE(type)                                                                                \
	for (uint32_t k = 0; k < n; k++) {                                                         \
		type x = (type)v[rows[k]];                                                         \
		memcpy(to[k] + f->at, &x, sizeof x);                                               \
	}                                                                                          \
	break

static void store_word(const struct row_field *f, const struct weir_col *c, const uint16_t *rows,
        uint32_t n, uint8_t *const *to)
{
	const uint64_t *v = weir_col_u64(c);

	switch (f->form) {
	case ROW_1:
		STORE(uint8_t);
	case ROW_2:
		STORE(uint16_t);
	case ROW_4:
		STORE(uint32_t);
	default:
		STORE(uint64_t);
	}
	if (f->state < 0)
		return;
	for (uint32_t k = 0; k < n; k++)
		to[k][f->state] = weir_col_has(c, rows[k]);
}

int row_store(const struct row_layout *l, struct heap *h, struct weir_batch *b,
        const uint16_t *rows, uint32_t n, uint8_t *const *to)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct row_field *f = &l->f[i];
		const struct weir_col *c = weir_batch_col(b, f->field);
		int r = 0;

		if (!c)
			return -ENOMEM;
		if (f->form == ROW_IP)
			r = store_ip(f, h, c, rows, n, to);
		else if (f->form == ROW_TEXT)
			r = store_text(f, h, c, rows, n, to);
		else
			store_word(f, c, rows, n, to);
		if (r < 0)
			return r;
	}
	return 0;
}

#define LOAD(type)                                                                                 \
	for (uint32_t k = 0; k < n; k++) {                                                         \
		type x;                                                                            \
		memcpy(&x, from[k] + f->at, sizeof x);                                             \
		v[k] = x;                                                                          \
	}                                                                                          \
	break

static void load_word(const struct row_field *f, uint8_t *const *from, uint32_t n, uint64_t *v)
{
	switch (f->form) {
	case ROW_1:
		LOAD(uint8_t);
	case ROW_2:
		LOAD(uint16_t);
	case ROW_4:
		LOAD(uint32_t);
	default:
		LOAD(uint64_t);
	}
}

static void load_ip(const struct row_field *f, uint8_t *const *from, uint32_t n, struct weir_col *c)
{
	struct weir_ip *ip = c->data;
	bool wide = false;

	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *at = from[k] + f->at;

		ip[k] = (struct weir_ip){0};
		if (from[k][f->state] == ROW_V6) {
			memcpy(&ip[k], get_cell(at)->bytes, sizeof *ip);
			wide = true;
		} else if (from[k][f->state]) {
			ip[k].family = 4;
			ip[k].prefix = 32;
			memcpy(ip[k].b, at, 4);
		}
	}
	c->flags = wide ? 0 : WEIR_COL_IPV4;
}

static int load_text(const struct row_field *f, uint8_t *const *from, uint32_t n,
        struct weir_batch *b, struct weir_col *c)
{
	struct weir_str *s = c->data;
	size_t total = 0;
	uint8_t *p;

	for (uint32_t k = 0; k < n; k++) {
		struct heap_cell *cell = get_cell(from[k] + f->at);

		total += cell ? cell->len : 0;
	}
	p = weir_batch_alloc(b, total + 1);
	if (!p)
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++) {
		struct heap_cell *cell = get_cell(from[k] + f->at);

		s[k] = (struct weir_str){p, cell ? cell->len : 0};
		if (cell)
			memcpy(p, cell->bytes, cell->len);
		p += s[k].len;
	}
	return 0;
}

int row_load(const struct row_layout *l, uint32_t i, uint8_t *const *from, uint32_t n,
        struct weir_batch *b, uint32_t out)
{
	const struct row_field *f = &l->f[i];
	struct weir_col *c = weir_batch_own(b, out);
	uint32_t k = 0;

	if (!c)
		return -ENOMEM;
	if (f->form == ROW_IP)
		load_ip(f, from, n, c);
	else if (f->form != ROW_TEXT)
		load_word(f, from, n, c->data);
	else if (load_text(f, from, n, b, c) < 0)
		return -ENOMEM;
	if (f->state < 0)
		return 0;
	while (k < n && from[k][f->state])
		k++;
	if (k == n)
		return 0;
	if (!weir_batch_own_valid(b, c))
		return -ENOMEM;
	for (k = 0; k < n; k++)
		if (from[k][f->state])
			weir_valid_set(c->valid, k);
	return 0;
}

void row_clear(const struct row_layout *l, struct heap *h, uint8_t *rec)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct row_field *f = &l->f[i];

		if (f->form == ROW_TEXT || (f->form == ROW_IP && rec[f->state] == ROW_V6)) {
			heap_drop(h, get_cell(rec + f->at));
			memset(rec + f->at, 0, 8);
		}
		if (f->state >= 0)
			rec[f->state] = ROW_ABSENT;
	}
}
