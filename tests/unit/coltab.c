/* SPDX-License-Identifier: MIT */
/* coltab.c: the table of rows, its order, and the heap beneath, against plain arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/core/mem.h"
#include "engine/core/order.h"
#include "engine/core/pool.h"
#include "tests/unit/rnd.h"

enum { IP, PORT, LEN, TEXT, RATIO, TIME, SIGNED, FLAG, NFIELDS };

static const struct weir_field fields[NFIELDS] = {
        [IP] = {.name = "ip", .kind = WEIR_IP},
        [PORT] = {.name = "port", .kind = WEIR_U64, .bits = 16},
        [LEN] = {.name = "len", .kind = WEIR_U64, .bits = 32, .flags = WEIR_FIELD_ALWAYS},
        [TEXT] = {.name = "text", .kind = WEIR_STR},
        [RATIO] = {.name = "ratio", .kind = WEIR_F64},
        [TIME] = {.name = "time", .kind = WEIR_TIME, .flags = WEIR_FIELD_ALWAYS},
        [SIGNED] = {.name = "signed", .kind = WEIR_I64},
        [FLAG] = {.name = "flag", .kind = WEIR_BOOL},
};

static const uint32_t all[NFIELDS] = {TEXT, IP, FLAG, PORT, TIME, LEN, SIGNED, RATIO};

struct plain {
	bool has[NFIELDS];
	union weir_datum d[NFIELDS];
	uint8_t text[600];
};

static void draw(struct plain *p, uint32_t range)
{
	memset(p, 0, sizeof *p);
	for (uint32_t f = 0; f < NFIELDS; f++) {
		uint32_t v = rnd(range);

		p->has[f] = (fields[f].flags & WEIR_FIELD_ALWAYS) || rnd(10);
		if (f == IP) {
			bool v6 = v & 1;

			p->d[f].ip = (struct weir_ip){v6 ? 6 : 4, v6 ? 128 : 32};
			memcpy(p->d[f].ip.b + (v6 ? 12 : 0), &v, 4);
		} else if (f == TEXT) {
			p->d[f].s.len = rnd(20) ? v % 20 : v % sizeof p->text;
			memset(p->text, 'a' + (int)(v % 3), sizeof p->text);
		} else if (f == RATIO) {
			p->d[f].f = (double)v / 7 - 3;
		} else if (f == SIGNED || f == TIME) {
			p->d[f].i = (int64_t)v - range / 2;
		} else {
			p->d[f].u = f == FLAG ? v & 1 : f == PORT ? v & 0xffff : v;
		}
	}
}

static struct weir_batch *to_batch(
        struct weir_pool *pool, const struct weir_schema *s, const struct plain *p, uint32_t n)
{
	struct weir_batch *b = pool_batch(pool, s, n);

	for (uint32_t f = 0; f < NFIELDS; f++) {
		struct weir_col *c = weir_batch_own(b, f);
		size_t size = weir_kind_size(c->kind);

		if (!(fields[f].flags & WEIR_FIELD_ALWAYS))
			weir_batch_own_valid(b, c);
		for (uint32_t k = 0; k < n; k++) {
			union weir_datum d = p[k].d[f];

			if (f == TEXT)
				d.s.p = p[k].text;
			memcpy((char *)c->data + k * size, &d, size);
			if (c->valid && p[k].has[f])
				weir_valid_set(c->valid, k);
		}
	}
	return b;
}

static void check(const struct coltab *t, struct weir_pool *pool, const struct weir_schema *s,
        const struct plain *p, const uint32_t *ids, uint32_t n)
{
	struct weir_batch *b = pool_batch(pool, s, n);

	for (uint32_t i = 0; i < NFIELDS; i++) {
		assert_int_equal(coltab_gather(t, i, ids, n, b, all[i]), 0);
		for (uint32_t k = 0; k < n; k++) {
			const struct plain *e = &p[ids[k]];
			uint32_t f = all[i];
			struct weir_value v;

			assert_int_equal(weir_batch_value(b, f, k, &v), 0);
			assert_int_equal(v.kind != WEIR_NONE, e->has[f]);
			if (!e->has[f])
				continue;
			if (f == TEXT) {
				assert_int_equal(v.d.s.len, e->d[f].s.len);
				assert_memory_equal(v.d.s.p, e->text, v.d.s.len);
			} else {
				assert_memory_equal(&v.d, &e->d[f], weir_kind_size(v.kind));
			}
		}
	}
	weir_batch_unref(b);
}

static void test_rows(void **unused)
{
	enum { ROWS = 5000 };
	struct weir_mem mem = {0};
	struct weir_pool *pool = pool_new(NULL);
	struct weir_schema *s = weir_schema_new("test", fields, NFIELDS);
	struct plain *p = calloc(ROWS, sizeof *p);
	uint16_t rows[WEIR_BATCH_ROWS];
	uint32_t ids[WEIR_BATCH_ROWS], n = 0;
	struct coltab t;

	assert_int_equal(coltab_init(&t, &mem, s, all, NFIELDS), 0);
	while (n + 700 < ROWS) {
		uint32_t m = 1 + rnd(700);
		struct weir_batch *b;

		for (uint32_t k = 0; k < m; k++)
			draw(&p[n + k], 1000);
		b = to_batch(pool, s, p + n, m);
		assert_int_equal(coltab_add(&t, b), 0);
		n += m;
		assert_int_equal(t.n, n);
		weir_batch_unref(b);
	}
	/* overwrite again and again: the heap of texts must not grow without end */
	for (int round = 0; round < 60; round++) {
		struct plain *fresh = calloc(1000, sizeof *fresh);
		struct weir_batch *b;

		for (uint32_t k = 0; k < 1000; k++) {
			draw(&fresh[k], 1000);
			rows[k] = (uint16_t)k;
			ids[k] = rnd(n);
			p[ids[k]] = fresh[k];
		}
		b = to_batch(pool, s, fresh, 1000);
		assert_int_equal(coltab_put(&t, b, rows, ids, 1000), 0);
		weir_batch_unref(b);
		free(fresh);
	}
	assert_true(mem.used < 1500000);
	for (uint32_t first = 0; first < n; first += 1000) {
		uint32_t m = n - first < 1000 ? n - first : 1000;

		for (uint32_t k = 0; k < m; k++)
			ids[k] = first + k;
		check(&t, pool, s, p, ids, m);
	}
	/* keep some, in another order */
	for (uint32_t k = 0; k < 100; k++) {
		ids[k] = (n - 1) - 7 * k;
		p[ROWS - 100 + k] = p[ids[k]];
	}
	assert_int_equal(coltab_keep(&t, ids, 100), 0);
	memmove(p, p + ROWS - 100, 100 * sizeof *p);
	for (uint32_t k = 0; k < 100; k++)
		ids[k] = k;
	check(&t, pool, s, p, ids, 100);
	coltab_release(&t);
	assert_int_equal(mem.used, 0);
	free(p);
	pool_unref(pool);
	weir_schema_unref(s);
}

static const struct plain *sorting;
static const uint32_t *sort_key;
static uint32_t sort_nkeys;
static bool sort_reverse;

static int compare(const void *a, const void *b)
{
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

	for (uint32_t k = 0; k < sort_nkeys; k++) {
		uint32_t f = all[sort_key[k]];
		union weir_datum x = sorting[i].d[f], y = sorting[j].d[f];
		int c;

		if (sorting[i].has[f] != sorting[j].has[f])
			return sorting[i].has[f] ? -1 : 1;
		if (!sorting[i].has[f])
			continue;
		if (f == TEXT) {
			x.s.p = sorting[i].text;
			y.s.p = sorting[j].text;
		}
		c = weir_kind_compare(fields[f].kind, &x, &y);
		if (c)
			return sort_reverse ? -c : c;
	}
	return i < j ? -1 : i > j;
}

static void test_order(void **unused)
{
	enum { ROWS = 1000 };
	static const uint32_t keys[][3] = {
	        {0, 1, 2}, {1, 0, 3}, {2, 3, 4}, {3, 7, 1}, {4, 2, 0}, {6, 2, 0}, {7, 1, 2}};
	struct weir_pool *pool = pool_new(NULL);
	struct weir_schema *s = weir_schema_new("test", fields, NFIELDS);
	struct plain *p = calloc(ROWS, sizeof *p);
	uint32_t ids[ROWS], expect[ROWS];

	for (int round = 0; round < 42; round++) {
		uint32_t n = round < 7 ? (uint32_t)round : 1 + rnd(ROWS);
		struct weir_batch *b;
		struct coltab t;

		for (uint32_t k = 0; k < n; k++) {
			draw(&p[k], round & 1 ? 40 : 100000);
			expect[k] = k;
		}
		b = to_batch(pool, s, p, n);
		assert_int_equal(coltab_init(&t, NULL, s, all, NFIELDS), 0);
		assert_int_equal(coltab_add(&t, b), 0);
		sorting = p;
		sort_key = keys[round % 7];
		sort_nkeys = 1 + rnd(3);
		sort_reverse = round & 2;
		assert_int_equal(order_rows(&t, sort_key, sort_nkeys, sort_reverse, ids), 0);
		qsort(expect, n, sizeof *expect, compare);
		assert_memory_equal(ids, expect, n * sizeof *ids);
		coltab_release(&t);
		weir_batch_unref(b);
	}
	free(p);
	pool_unref(pool);
	weir_schema_unref(s);
}

static void test_limit(void **unused)
{
	struct weir_pool *pool = pool_new(NULL);
	struct weir_schema *s = weir_schema_new("test", fields, NFIELDS);
	struct plain *p = calloc(500, sizeof *p);
	struct weir_batch *b;

	for (uint32_t k = 0; k < 500; k++)
		draw(&p[k], 100000);
	b = to_batch(pool, s, p, 500);
	for (size_t limit = 500; limit < 4000000; limit += limit / 3) {
		struct weir_mem mem = {0};
		struct coltab t;
		int r;

		mem.limit = limit;
		r = coltab_init(&t, &mem, s, all, NFIELDS);
		for (int i = 0; i < 200 && r == 0; i++)
			r = coltab_add(&t, b);
		assert_int_equal(r, -ENOMEM);
		assert_true(mem.used <= limit);
		coltab_release(&t);
		assert_int_equal(mem.used, 0);
	}
	weir_batch_unref(b);
	free(p);
	pool_unref(pool);
	weir_schema_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_rows),
	        cmocka_unit_test(test_order),
	        cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
