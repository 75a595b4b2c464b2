/* SPDX-License-Identifier: MIT */
/* core.c: batches and views, memory accounts, schemas, arenas, texts, suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/core/arena.h"
#include "engine/core/clock.h"
#include "engine/core/mem.h"
#include "engine/core/pool.h"
#include "engine/core/text.h"
#include <time.h>
#include <unistd.h>

static struct weir_schema *schema(void)
{
	static const struct weir_field fields[] = {
	        {.name = "a", .kind = WEIR_U64, .aliases = "alpha first"},
	        {.name = "b", .kind = WEIR_IP},
	        {.name = "c", .kind = WEIR_STR},
	};

	return weir_schema_new("test", fields, 3);
}

static void schemas(void **state)
{
	struct weir_schema *s = schema();
	struct weir_field two[] = {
	        {.name = "x", .kind = WEIR_U64}, {.name = "x", .kind = WEIR_I64}};
	struct weir_schema *t = weir_schema_new("two", two, 2);

	assert_int_equal(weir_schema_find(s, "a", 1), 0);
	assert_int_equal(weir_schema_find(s, "alpha", 5), 0);
	assert_int_equal(weir_schema_find(s, "first", 5), 0);
	assert_int_equal(weir_schema_find(s, "firs", 4), -1);
	assert_int_equal(weir_schema_find(s, "c", 1), 2);
	assert_int_equal(weir_schema_find(t, "x", 1), 1); /* the later shadows */
	assert_true(weir_schema_shadowed(t, 0));
	assert_false(weir_schema_shadowed(t, 1));
	weir_schema_unref(s);
	weir_schema_unref(t);
	weir_schema_unref(NULL);
}

static void views(void **state)
{
	static const int32_t map[] = {0, 1, 2, -1};
	struct weir_schema *s = schema();
	struct weir_field more[4];
	struct weir_schema *wide;
	struct weir_mem mem = {0};
	struct weir_pool *pool = pool_new(&mem);
	struct weir_batch *b, *v, *w;
	struct weir_col *c;
	uint16_t *sel;

	memcpy(more, s->fields, 3 * sizeof *more);
	more[3] = (struct weir_field){.name = "d", .kind = WEIR_U64};
	wide = weir_schema_new("wide", more, 4);
	b = pool_batch(pool, s, 1000);
	c = weir_batch_own(b, 0);
	for (uint64_t i = 0; i < 1000; i++)
		((uint64_t *)c->data)[i] = i * i;
	assert_null(c->valid);
	assert_non_null(weir_batch_own_valid(b, weir_batch_own(b, 2)));
	v = pool_view(pool, b, wide, map);
	sel = weir_batch_sel(v, 3);
	sel[0] = 1, sel[1] = 500, sel[2] = 999;
	weir_batch_select(v, sel, 3);
	c = weir_batch_own(v, 3);
	for (uint32_t k = 0; k < weir_batch_count(v); k++)
		((uint64_t *)c->data)[weir_batch_row(v, k)] = k;
	w = pool_view(pool, v, wide, (const int32_t[]){0, 1, 2, 3});
	weir_batch_unref(b);
	weir_batch_unref(v); /* w keeps both */
	assert_int_equal(weir_batch_count(w), 3);
	assert_int_equal(weir_col_u64(weir_batch_col(w, 0))[weir_batch_row(w, 2)], 999 * 999);
	assert_int_equal(weir_col_u64(weir_batch_col(w, 3))[500], 1);
	assert_false(weir_col_has(weir_batch_col(w, 2), 999));
	/* a column that was never written has no values */
	assert_false(weir_col_has(weir_batch_col(w, 1), 0));
	assert_true(mem.used > 0);
	pool_unref(pool);
	weir_batch_unref(w);
	assert_int_equal(mem.used, 0);
	weir_schema_unref(s);
	weir_schema_unref(wide);
}

static void limits(void **state)
{
	struct weir_mem mem = {.limit = 1000};
	void *p = weir_alloc(&mem, 600), *q;

	assert_non_null(p);
	assert_null(weir_alloc(&mem, 401));
	assert_null(weir_realloc(&mem, p, 600, 1001));
	assert_int_equal(mem.used, 600);
	assert_int_equal(mem.denied, 2);
	q = weir_calloc(&mem, 400);
	assert_non_null(q);
	assert_null(weir_alloc(&mem, SIZE_MAX));
	assert_int_equal(mem.used, 1000);
	weir_free(&mem, p, 600);
	weir_free(&mem, q, 400);
	weir_free(&mem, NULL, 5);
	assert_int_equal(mem.used, 0);
	assert_int_equal(mem.peak, 1000);
}

static void batch_limit(void **state)
{
	struct weir_mem mem = {.limit = 200000};
	struct weir_schema *s = schema();
	struct weir_pool *pool = pool_new(&mem);
	struct weir_batch *b = pool_batch(pool, s, 1024);

	assert_non_null(weir_batch_alloc(b, 100000));
	assert_null(weir_batch_alloc(b, 100000));
	assert_null(weir_batch_alloc(b, SIZE_MAX - 5));
	weir_batch_unref(b);
	pool_unref(pool);
	assert_int_equal(mem.used, 0);
	weir_schema_unref(s);
}

static void arenas(void **state)
{
	struct weir_mem mem = {.limit = 1 << 20};
	struct arena a;
	char *p, *q;

	arena_init(&a, &mem);
	p = arena_copy(&a, "hello", 5);
	q = arena_alloc(&a, 100000);
	assert_string_equal(p, "hello");
	assert_int_equal((uintptr_t)q % 16, 0);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(q[i], 0);
	assert_null(arena_alloc(&a, 2 << 20));
	assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
	arena_release(&a);
	assert_int_equal(mem.used, 0);
}

static const char *names(void *arg, size_t i)
{
	static const char *const n[] = {"srcip", "dstip", "srcport", "uniq", NULL};

	return n[i];
}

static void suggestions(void **state)
{
	char buf[64];

	assert_string_equal(weir_did_you_mean("srcp", 4, names, NULL, buf, sizeof buf),
	        " (did you mean 'srcip'?)");
	assert_string_equal(weir_did_you_mean("unqi", 4, names, NULL, buf, sizeof buf),
	        " (did you mean 'uniq'?)");
	assert_string_equal(weir_did_you_mean("banana", 6, names, NULL, buf, sizeof buf), "");
}

static void errors(void **state)
{
	struct weir_err err = WEIR_ERR_INIT;

	assert_int_equal(weir_fail(NULL, WEIR_E_NAME_TAKEN, 0, 1, "x"), -EEXIST);
	assert_int_equal(weir_fail(&err, WEIR_E_UNKNOWN_FIELD, 3, 4, "sr\nc", ""), -EINVAL);
	assert_string_equal(err.text, "unknown field 'sr?c'");
	assert_int_equal(weir_fail(&err, WEIR_E_NAME_TAKEN, 0, 1, "x"), -EEXIST);
	assert_int_equal(err.pos, 3); /* the first error wins */
	assert_string_equal(weir_error_name(WEIR_E_UNKNOWN_FIELD), "UNKNOWN_FIELD");
}

static void texts(void **state)
{
	struct text t = TEXT_INIT;

	for (int i = 0; i < 1000; i++)
		text_printf(&t, "%d,", i);
	assert_int_equal(t.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(strlen(t.p), t.len);
	assert_null(text_reserve(&t, SIZE_MAX));
	assert_true(t.failed);
	text_release(&t);
}

static int order[3], calls;

static void tick(void *arg)
{
	order[__atomic_fetch_add(&calls, 1, __ATOMIC_ACQ_REL)] = (int)(intptr_t)arg;
}

static void clocks(void **state)
{
	struct clock *c = clock_new();
	struct timespec t;
	int64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec * 1000000000ll + t.tv_nsec;
	assert_int_equal(clock_call(c, now + 30000000, tick, (void *)2), 0);
	assert_int_equal(clock_call(c, now + 10000000, tick, (void *)1), 0);
	assert_int_equal(clock_call(c, now + 3600000000000ll, tick, (void *)3), 0);
	while (__atomic_load_n(&calls, __ATOMIC_ACQUIRE) < 2)
		usleep(1000);
	clock_free(c); /* makes the last call early */
	assert_int_equal(calls, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(order[i], i + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(schemas),
	        cmocka_unit_test(views),
	        cmocka_unit_test(limits),
	        cmocka_unit_test(batch_limit),
	        cmocka_unit_test(arenas),
	        cmocka_unit_test(suggestions),
	        cmocka_unit_test(errors),
	        cmocka_unit_test(texts),
	        cmocka_unit_test(clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
