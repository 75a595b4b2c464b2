/* SPDX-License-Identifier: MIT */
/* keymemo.c: a table that goes by a source's numbers gives the ids, the new keys, the dropped rows
 * and the states of one that looks every key up. */
#include "engine/core/keytab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/core/mem.h"
#include "engine/core/pool.h"
#include "tests/unit/rnd.h"

#define FLOWS 5000

/* What flow i is: two fields, each of which may be missing. */
static uint16_t flow[FLOWS][2];
static bool there[FLOWS][2];

struct rows {
	uint32_t number[WEIR_BATCH_ROWS];
	const void *of;
};

static int fill(struct weir_batch *b, uint32_t field)
{
	const struct rows *r = b->priv;
	struct weir_col *c = weir_batch_own(b, field);
	uint64_t *valid = weir_batch_own_valid(b, c);

	for (uint32_t k = 0; k < b->n; k++) {
		((uint64_t *)c->data)[k] = flow[r->number[k]][field];
		if (there[r->number[k]][field])
			weir_valid_set(valid, k);
	}
	return 0;
}

static int pack(struct weir_batch *b, const struct weir_pack *p, const uint16_t *rows, uint32_t n,
        uint8_t *to, struct weir_packed *ret)
{
	ret->done = 0;
	return 0;
}

static const uint32_t *numbers(struct weir_batch *b, const struct weir_pack_field *f, uint32_t n,
        uint32_t *ret_most, const void **ret_of)
{
	const struct rows *r = b->priv;

	*ret_most = FLOWS;
	*ret_of = r->of;
	return r->of ? r->number : NULL;
}

static const struct weir_batch_ops ops = {.fill = fill, .pack = pack, .numbers = numbers};

struct bench {
	struct weir_mem mem;
	struct weir_schema *schema;
	struct weir_pool *pool;
	struct keytab tab[2]; /* by numbers, and without */
};

static void begin(struct bench *x, uint32_t nfields, unsigned flags, size_t limit)
{
	struct weir_field f[2] = {{.name = "a", .kind = WEIR_U64, .bits = 16},
	        {.name = "b", .kind = WEIR_U64, .bits = 16}};
	uint32_t field[2] = {0, 1};

	*x = (struct bench){.mem = {.limit = limit}};
	x->schema = weir_schema_new("test", f, 2);
	x->pool = pool_new(NULL);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		        keytab_init(&x->tab[i], &x->mem, x->schema, field, nfields, flags, 8), 0);
	for (uint32_t i = 0; i < FLOWS; i++)
		for (int k = 0; k < 2; k++) {
			flow[i][k] = (uint16_t)rnd(i % 3 ? 60 : 3000);
			there[i][k] = rnd(20) > 0;
		}
}

static void end(struct bench *x)
{
	keytab_release(&x->tab[0]);
	keytab_release(&x->tab[1]);
	assert_int_equal(x->mem.used, 0);
	pool_unref(x->pool);
	weir_schema_unref(x->schema);
}

/* One batch with some of its rows, mapped in both. Rows that the first one gave an id. */
static uint32_t map(struct bench *x, const void *of, uint32_t flows)
{
	static struct keytab_rows got[2];
	static struct rows rows;
	uint32_t n = 1 + rnd(WEIR_BATCH_ROWS), m = 0;

	for (uint32_t k = 0; k < n; k++)
		rows.number[k] = rnd(flows);
	for (int i = 0; i < 2; i++) {
		struct weir_batch *b = pool_batch(x->pool, x->schema, n), *v = b;
		uint64_t was = seed;

		rows.of = i ? NULL : of;
		b->ops = &ops;
		b->priv = &rows;
		if (rnd(2)) {
			uint16_t *sel;

			v = pool_view(x->pool, b, x->schema, batch_identity);
			sel = weir_batch_sel(v, n);
			for (uint32_t k = m = 0; k < n; k++)
				if (rnd(3))
					sel[m++] = (uint16_t)k;
			weir_batch_select(v, sel, m);
		}
		if (!i)
			seed = was; /* the same for both */
		assert_int_equal(keytab_map(&x->tab[i], v, &got[i]), 0);
		for (uint32_t k = 0; k < got[i].n && !x->tab[0].news; k++)
			++*(uint64_t *)(void *)got[i].state[k];
		if (v != b)
			weir_batch_unref(b);
		weir_batch_unref(v);
	}
	assert_int_equal(got[0].missing, got[1].missing);
	assert_int_equal(got[0].before, got[1].before);
	assert_int_equal(got[0].nfresh, got[1].nfresh);
	if (x->tab[0].news) { /* the same new keys, at other places */
		for (uint32_t i = 0; i < got[0].nfresh; i++)
			assert_int_equal(got[0].row[got[0].fresh[i]], got[1].row[got[1].fresh[i]]);
		return got[0].n;
	}
	assert_int_equal(got[0].n, got[1].n);
	assert_memory_equal(got[0].row, got[1].row, got[0].n * sizeof *got[0].row);
	assert_memory_equal(got[0].id, got[1].id, got[0].n * sizeof *got[0].id);
	assert_memory_equal(got[0].fresh, got[1].fresh, got[0].nfresh * sizeof *got[0].fresh);
	return got[0].n;
}

static void same_states(const struct bench *x)
{
	assert_int_equal(x->tab[0].n, x->tab[1].n);
	for (uint32_t id = 0; id < x->tab[0].n; id++)
		assert_memory_equal(keytab_state(&x->tab[0], id), keytab_state(&x->tab[1], id), 8);
}

static void numbers_give_what_keys_give(void **state)
{
	static const char mine;

	for (uint32_t nfields = 1; nfields <= 2; nfields++)
		for (unsigned nulls = 0; nulls < 2; nulls++) {
			struct bench x;

			begin(&x, nfields, nulls ? KEYPACK_NULLS : 0, 0);
			for (uint32_t round = 0; round < 200; round++)
				map(&x, &mine, round < 20 ? 500 : FLOWS);
			assert_non_null(x.tab[0].memo.array);
			assert_null(x.tab[1].memo.array);
			same_states(&x);
			end(&x);
		}
}

/* A table that is asked for what is new alone. */
static void news_are_the_same(void **state)
{
	static const char mine;

	for (uint32_t nfields = 1; nfields <= 2; nfields++)
		for (unsigned nulls = 0; nulls < 2; nulls++) {
			struct bench x;
			uint32_t looked_up = 0;

			begin(&x, nfields, nulls ? KEYPACK_NULLS : 0, 0);
			x.tab[0].news = true;
			for (uint32_t round = 0; round < 200; round++) {
				looked_up = map(&x, &mine, round < 20 ? 500 : FLOWS);
				if (round == 19)
					assert_int_equal(looked_up, 0);
			}
			assert_int_equal(looked_up, 0);
			assert_non_null(x.tab[0].memo.array);
			assert_null(x.tab[0].memo.rest);
			same_states(&x);
			end(&x);
		}
}

static void numbers_of_others_are_not_mixed(void **state)
{
	static const char mine, other;
	struct bench x;

	begin(&x, 2, KEYPACK_NULLS, 0);
	for (uint32_t round = 0; round < 100; round++) {
		map(&x, &mine, FLOWS);
		for (uint32_t i = 0; i < FLOWS; i++) /* in the other's, they are others */
			flow[i][0] ^= 1;
		map(&x, &other, FLOWS);
		for (uint32_t i = 0; i < FLOWS; i++)
			flow[i][0] ^= 1;
	}
	assert_true(x.tab[0].memo.of == &mine || x.tab[0].memo.of == &other);
	same_states(&x);
	end(&x);
}

static void little_memory_is_left_alone(void **state)
{
	static const char mine;
	struct bench x;

	begin(&x, 2, 0, 64 * FLOWS * 4 - 64);
	for (uint32_t round = 0; round < 50; round++)
		map(&x, &mine, FLOWS);
	assert_null(x.tab[0].memo.array);
	end(&x);
}

static void numbers_not_seen_before_are_no_use(void **state)
{
	static const char mine;
	struct bench x;

	begin(&x, 2, 0, 0);
	for (uint32_t round = 0; !x.tab[0].memo.array; round++)
		map(&x, &mine, FLOWS);
	for (uint32_t round = 0; round < 200; round++) {
		if (x.tab[0].memo.array) /* as if all were new */
			memset(x.tab[0].memo.array, 0, FLOWS * sizeof(uint32_t));
		map(&x, &mine, FLOWS);
	}
	assert_null(x.tab[0].memo.array);
	same_states(&x);
	end(&x);
}

static void a_small_table_needs_none(void **state)
{
	static const char mine;
	struct bench x;

	begin(&x, 1, 0, 0);
	for (uint32_t i = 0; i < FLOWS; i++)
		flow[i][0] %= 100;
	for (uint32_t round = 0; round < 50; round++)
		map(&x, &mine, FLOWS);
	assert_null(x.tab[0].memo.array);
	end(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(numbers_give_what_keys_give),
	        cmocka_unit_test(news_are_the_same),
	        cmocka_unit_test(numbers_of_others_are_not_mixed),
	        cmocka_unit_test(little_memory_is_left_alone),
	        cmocka_unit_test(numbers_not_seen_before_are_no_use),
	        cmocka_unit_test(a_small_table_needs_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
