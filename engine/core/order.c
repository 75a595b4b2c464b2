/* SPDX-License-Identifier: MIT */
/* order.c: a stable radix sort, one field after the other, the last one first.
 *
 * Each field gives one word for each row (an address three, text its rank among the texts), so
 * that there is one way to sort. Rows without a value get equal words, and then go last. A byte
 * that is the same in all words costs nothing.
 */
#include "engine/core/order.h"

#include <endian.h>
#include <stdlib.h>

struct item {
	uint64_t key;
	uint32_t id;
};

struct sorter {
	const struct coltab *t;
	uint32_t n;
	bool reverse;
	struct item *item, *other; /* n each */
};

static void radix(struct sorter *s)
{
	uint32_t count[8][256];
	uint64_t differ = 0;

	memset(count, 0, sizeof count);
	for (uint32_t i = 0; i < s->n; i++)
		differ |= s->item[i].key ^ s->item[0].key;
	if (!differ)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		for (unsigned b = 0; b < 8; b++)
			count[b][(uint8_t)(s->item[i].key >> 8 * b)]++;
	for (unsigned b = 0; b < 8; b++) {
		struct item *from = s->item, *to = s->other;
		uint32_t sum = 0;

		if (!(uint8_t)(differ >> 8 * b))
			continue;
		for (unsigned v = 0; v < 256; v++) {
			uint32_t c = count[b][v];

			count[b][v] = sum;
			sum += c;
		}
		for (uint32_t i = 0; i < s->n; i++)
			to[count[b][(uint8_t)(from[i].key >> 8 * b)]++] = from[i];
		s->item = to;
		s->other = from;
	}
}

static inline const uint8_t *record(const struct sorter *s, uint32_t i)
{
	return coltab_record(s->t, s->item[i].id);
}

static void by_word(struct sorter *s, const struct row_field *f)
{
	uint64_t flip = s->reverse ? UINT64_MAX : 0;

	for (uint32_t i = 0; i < s->n; i++) {
		const uint8_t *rec = record(s, i);

		s->item[i].key = row_has(f, rec) ? order_word(f->kind, row_word(f, rec)) ^ flip : 0;
	}
	radix(s);
}

static struct weir_ip address(const struct sorter *s, const struct row_field *f, uint32_t i)
{
	const uint8_t *rec = record(s, i);

	return row_has(f, rec) ? row_ip(f, rec) : (struct weir_ip){0};
}

static void by_address(struct sorter *s, const struct row_field *f)
{
	uint64_t flip = s->reverse ? UINT64_MAX : 0;

	for (int part = 2; part >= 0; part--) {
		for (uint32_t i = 0; i < s->n; i++) {
			struct weir_ip ip = address(s, f, i);
			uint64_t half;

			if (part == 2) {
				s->item[i].key = ip.prefix ^ flip;
				continue;
			}
			memcpy(&half, ip.b + 8 * part, 8);
			s->item[i].key = be64toh(half) ^ flip;
		}
		radix(s);
	}
	for (uint32_t i = 0; i < s->n; i++)
		s->item[i].key = address(s, f, i).family ^ flip;
	radix(s);
}

static struct weir_str text_at(const struct sorter *s, const struct row_field *f, uint32_t id)
{
	const uint8_t *rec = coltab_record(s->t, id);
	struct heap_cell *c = row_has(f, rec) ? row_text(f, rec) : NULL;

	return c ? (struct weir_str){c->bytes, c->len} : (struct weir_str){NULL, 0};
}

struct text_context {
	const struct sorter *s;
	const struct row_field *f;
};

static int compare_text(const void *a, const void *b, void *arg)
{
	const struct text_context *c = arg;
	union weir_datum x = {.s = text_at(c->s, c->f, ((const struct item *)a)->id)};
	union weir_datum y = {.s = text_at(c->s, c->f, ((const struct item *)b)->id)};

	return weir_kind_compare(c->f->kind, &x, &y);
}

/* The key of each item becomes the rank of its text; then as numbers. */
static int by_text(struct sorter *s, const struct row_field *f)
{
	size_t size = (s->n + 1) * sizeof(uint32_t);
	uint32_t *rank = weir_alloc(s->t->mem, size), r = 0;
	struct text_context c = {s, f};

	if (!rank)
		return -ENOMEM;
	memcpy(s->other, s->item, s->n * sizeof *s->item);
	qsort_r(s->other, s->n, sizeof *s->other, compare_text, &c);
	for (uint32_t i = 0; i < s->n; i++) {
		if (i && compare_text(&s->other[i - 1], &s->other[i], &c))
			r++;
		rank[s->other[i].id] = r;
	}
	for (uint32_t i = 0; i < s->n; i++)
		s->item[i].key =
		        s->reverse ? UINT32_MAX - rank[s->item[i].id] : rank[s->item[i].id];
	weir_free(s->t->mem, rank, size);
	radix(s);
	return 0;
}

static int by_field(struct sorter *s, const struct row_field *f)
{
	int r = 0;

	if (f->form == ROW_TEXT)
		r = by_text(s, f);
	else if (f->form == ROW_IP)
		by_address(s, f);
	else
		by_word(s, f);
	if (r < 0 || f->state < 0)
		return r;
	for (uint32_t i = 0; i < s->n; i++)
		s->item[i].key = !row_has(f, record(s, i));
	radix(s);
	return 0;
}

int order_rows(
        const struct coltab *t, const uint32_t *key, uint32_t nkeys, bool reverse, uint32_t *ids)
{
	size_t size = (t->n + 1) * sizeof(struct item);
	struct item *a = weir_alloc(t->mem, size), *b = weir_alloc(t->mem, size);
	struct sorter s = {t, t->n, reverse, a, b};
	int r = a && b ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < t->n && r == 0; i++)
		a[i] = (struct item){0, i};
	for (uint32_t k = nkeys; k-- && r == 0;)
		r = by_field(&s, &t->layout.f[key[k]]);
	for (uint32_t i = 0; i < t->n && r == 0; i++)
		ids[i] = s.item[i].id;
	weir_free(t->mem, a, size);
	weir_free(t->mem, b, size);
	return r;
}
