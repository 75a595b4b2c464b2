/* SPDX-License-Identifier: MIT */
/* history.c: the past of a source: bounded whoever reads it, and whatever times records have. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/core/history.h"
#include "engine/core/reader.h"

#define SECOND 1000000000ll
#define STEP (SECOND / 10) /* between two records */
#define SPAN (5 * SECOND)  /* that is kept: 51 records */
#define NOON (1000 * 3600 * SECOND)
#define HOUR (3600 * SECOND)

static uint32_t live; /* batches */

static void release(struct weir_batch *b)
{
	live--;
}

static const struct weir_batch_ops ops = {.release = release};

struct past_of {
	struct history h;
	struct weir_mem mem;
	struct weir_schema *schema;
	struct reader reader; /* of who reads */
};

static void begin(struct past_of *p)
{
	static const struct weir_field ts = {.name = "ts", .kind = WEIR_TIME};

	*p = (struct past_of){.h = {.span = SPAN, .most = 1 << 30}};
	p->schema = weir_schema_new("moment", &ts, 1);
	p->reader.pool = pool_new(&p->mem);
	assert_non_null(p->schema);
	assert_non_null(p->reader.pool);
}

static void end(struct past_of *p)
{
	history_release(&p->h);
	assert_int_equal(live, 0);
	assert_int_equal(p->h.records, 0);
	assert_int_equal(p->h.bytes, 0);
	pool_unref(p->reader.pool);
	weir_schema_unref(p->schema);
	assert_int_equal(p->mem.used, 0);
}

static void add(struct past_of *p, int64_t ts)
{
	struct weir_batch *b = pool_batch(p->reader.pool, p->schema, 1);

	assert_non_null(b);
	b->nsel = 1;
	b->ops = &ops;
	((int64_t *)weir_batch_own(b, 0)->data)[0] = ts;
	batch_share(b);
	live++;
	history_add(&p->h, b, 8);
	weir_batch_unref(b);
}

/* n records from a time on. */
static void add_many(struct past_of *p, int64_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		add(p, from + i * STEP);
}

static struct weir_batch *next(struct past_of *p, struct past_end *e, int64_t want)
{
	struct weir_batch *b = NULL;
	int64_t newest;

	assert_int_equal(past_read(e, &p->reader.pub, &b, &newest), 1);
	assert_int_equal(newest, want);
	assert_int_equal(weir_batch_count(b), 1);
	assert_int_equal(weir_col_i64(weir_batch_col(b, 0))[0], want);
	return b;
}

/* What a reader has not read yet is there as long as it is, and what came later is not. */
static void held(void **state)
{
	struct weir_batch *b, *none = NULL;
	struct past_of p;
	struct past_end e, f;
	int64_t newest;

	begin(&p);
	add_many(&p, NOON, 100);
	assert_int_equal(p.h.records, 51);
	assert_int_equal(live, 51);
	assert_int_equal(history_begin(&p.h, SECOND, &e), 11);
	assert_int_equal(history_begin(&p.h, SECOND, &f), 11);
	add_many(&p, NOON + 100 * STEP, 1000);
	assert_int_equal(p.h.records, 51);
	assert_int_equal(live, 51 + 51);
	past_release(&f);
	assert_int_equal(live, 51 + 51);
	b = next(&p, &e, NOON + 89 * STEP);
	assert_int_equal(live, 51 + 11); /* those before were passed over */
	weir_batch_unref(b);
	assert_int_equal(live, 51 + 10);
	b = next(&p, &e, NOON + 90 * STEP);
	past_release(&e);
	assert_int_equal(live, 51 + 1);
	assert_int_equal(past_read(&e, &p.reader.pub, &none, &newest), 0);
	weir_batch_unref(b);
	assert_int_equal(live, 51);
	/* to the end */
	assert_int_equal(history_begin(&p.h, SECOND, &e), 11);
	add_many(&p, NOON + 1100 * STEP, 100);
	for (int i = 0; i < 11; i++)
		weir_batch_unref(next(&p, &e, NOON + (1089 + i) * STEP));
	assert_int_equal(past_read(&e, &p.reader.pub, &none, &newest), 0);
	assert_int_equal(live, 51);
	end(&p);
}

static uint64_t last_second(struct past_of *p)
{
	struct past_end e;
	uint64_t n = history_begin(&p->h, SECOND, &e);

	past_release(&e);
	return n;
}

/* One record with a time of its own says nothing. */
static void lone(void **state)
{
	static const int64_t off[] = {HOUR, -HOUR, INT64_MAX - NOON - 1, INT64_MIN + 1 + HOUR};
	struct past_of p;

	for (uint32_t i = 0; i < 4; i++) {
		begin(&p);
		add_many(&p, NOON, 100);
		add(&p, NOON + off[i]);
		assert_int_equal(last_second(&p), 11 + (off[i] > 0));
		assert_in_range(p.h.records, 51, 52);
		add_many(&p, NOON + 100 * STEP, 20);
		assert_int_equal(last_second(&p), 11 + (off[i] > 0));
		assert_in_range(p.h.records, 51, 52);
		/* in its turn it goes */
		add_many(&p, NOON + 120 * STEP, 51);
		assert_int_equal(last_second(&p), 11);
		assert_int_equal(p.h.records, 51);
		end(&p);
		/* the first */
		begin(&p);
		add(&p, NOON + off[i]);
		add_many(&p, NOON, 16);
		assert_int_equal(last_second(&p), 11 + (off[i] > 0));
		add_many(&p, NOON + 16 * STEP, 100);
		assert_int_equal(last_second(&p), 11);
		assert_in_range(p.h.records, 51, 52);
		end(&p);
	}
}

/* Where many have it, the clock was set, and nothing waits until it is there again. */
static void step(void **state)
{
	static const int64_t off[] = {HOUR, -HOUR};
	struct past_of p;

	for (uint32_t i = 0; i < 2; i++) {
		begin(&p);
		add_many(&p, NOON, 100);
		add_many(&p, NOON + off[i], 100);
		assert_int_equal(last_second(&p), 11);
		assert_in_range(p.h.records, 51, 51 + 16);
		add_many(&p, NOON + off[i] + 100 * STEP, 51);
		assert_int_equal(p.h.records, 51);
		end(&p);
	}
}

/* Records that are far from each other; and where bytes alone are the bound. */
static void sparse(void **state)
{
	struct past_of p;

	begin(&p);
	for (int i = 0; i < 1000; i++) {
		add(&p, NOON + i * HOUR);
		assert_in_range(p.h.records, 1, 2 * 16);
	}
	end(&p);
	begin(&p);
	p.h.always = true;
	p.h.span = 0;
	p.h.most = 100 * 8300;
	add_many(&p, NOON, 1000);
	assert_in_range(p.h.records, 90, 110);
	assert_int_equal(last_second(&p), 11);
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(held),
	        cmocka_unit_test(lone),
	        cmocka_unit_test(step),
	        cmocka_unit_test(sparse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
