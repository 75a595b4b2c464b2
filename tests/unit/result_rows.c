/* SPDX-License-Identifier: MIT */
/* Text by rows: whole rows, never more bytes than asked for but of one row, of logs and of
 * versions; what retention has dropped; who listens. */
#include "tests/unit/store_test.h"

#include "tests/unit/rnd.h"

static const struct weir_field fields[] = {
        {.name = "n", .kind = WEIR_U64, .flags = WEIR_FIELD_DEFAULT},
        {.name = "s", .kind = WEIR_STR, .flags = WEIR_FIELD_DEFAULT},
};

static char large[100000];

/* Length of row i's text: one in 500 is large, some begin with '#'. */
static size_t text_of(uint64_t i, struct weir_str *ret)
{
	uint64_t m = i * 0x9e3779b97f4a7c15ull >> 20;

	*ret = (struct weir_str){.p = (const uint8_t *)large + 1,
	        .len = m % 500 == 0 ? 20000 + m % 70000 : 1 + m % 40};
	if (m % 7 == 0)
		ret->p--;
	return ret->len;
}

static void expect_row(const char *at, uint64_t i, size_t *ret_len)
{
	struct weir_str s;
	char number[32];
	size_t n = (size_t)sprintf(number, "%llu,", (unsigned long long)i), q;

	text_of(i, &s);
	q = s.p[0] == '#';
	assert_memory_equal(at, number, n);
	assert_memory_equal(at + n + q, s.p, s.len);
	if (q)
		assert_true(at[n] == '"' && at[n + 1 + s.len] == '"');
	assert_int_equal(at[n + 2 * q + s.len], '\n');
	*ret_len = n + 2 * q + s.len + 1;
}

/* The piece holds rows [from, to). */
static void expect_rows(const struct text *t, uint64_t from, uint64_t to, size_t bytes)
{
	size_t at = 0, len;

	assert_true(t->len <= bytes || to == from + 1);
	for (uint64_t i = from; i < to; i++, at += len)
		expect_row(t->p + at, i, &len);
	assert_int_equal(at, t->len);
}

static struct weir_batch *make_batch(uint64_t first, uint32_t n)
{
	struct weir_batch *b = pool_batch(pool, schema, n);
	struct weir_col *c = weir_batch_own(b, 0), *s = weir_batch_own(b, 1);

	for (uint32_t i = 0; i < n; i++) {
		((uint64_t *)c->data)[i] = first + i;
		text_of(first + i, &((struct weir_str *)s->data)[i]);
	}
	b->n = b->nsel = (uint16_t)n;
	return b;
}

static void add(struct result *r, uint64_t first, uint32_t n)
{
	struct weir_batch *b = make_batch(first, n);

	assert_int_equal(result_add(r, b), 0);
	weir_batch_unref(b);
}

static void count(void *arg)
{
	++*(int *)arg;
}

static void log_all(void **state)
{
	struct result *r = result_new(schema, true, 1 << 30, NULL);
	struct text t = TEXT_INIT;
	uint64_t end = 0, row = 0;
	int calls = 0, adds = 0;

	result_listen(r, count, &calls);
	for (int turn = 0; turn < 400; turn++) {
		size_t bytes = rnd(4) ? rnd(5000) : rnd(200000);
		uint64_t before = row;
		uint32_t n = 1 + rnd(rnd(3) ? 20 : 1024);
		int64_t got;

		if (rnd(3) == 0) {
			add(r, end, n);
			end += n;
			adds++;
		}
		text_clear(&t);
		got = log_rows(r, FORMAT_CSV, &row, bytes, &t);
		assert_int_equal(got, row - before);
		assert_true(row == end || got > 0);
		if (got)
			expect_rows(&t, before, row, bytes);
	}
	assert_int_equal(calls, adds);
	/* what is measured is what is written, '#' or not */
	text_clear(&t);
	row = 0;
	while (log_rows(r, FORMAT_CSV, &row, 1 << 20, &t) > 0)
		;
	assert_int_equal(log_size(r, FORMAT_CSV, 0), t.len + strlen("n,s\n"));
	text_clear(&t);
	assert_int_equal(result_header(r, FORMAT_CSV, &t), 0);
	assert_string_equal(t.p, "n,s\n");
	assert_false(result_ended(r));
	result_end(r);
	assert_true(result_ended(r));
	assert_int_equal(calls, adds + 1);
	result_listen(r, NULL, NULL);
	result_end(r);
	assert_int_equal(calls, adds + 1);
	text_release(&t);
	result_unref(r);
}

static void log_gone(void **state)
{
	struct result *r = result_new(schema, true, 20000, NULL);
	struct text t = TEXT_INIT;
	uint64_t row = 0, first;

	for (uint64_t end = 0; end < 10000; end += 100)
		add(r, end, 100);
	assert_int_equal(log_rows(r, FORMAT_CSV, &row, 1000, &t), -ESTALE);
	assert_int_equal(row, 0);
	row = first = log_first(r);
	assert_true(first > 0 && first < 10000);
	assert_true(log_rows(r, FORMAT_CSV, &row, 1000, &t) > 0);
	expect_rows(&t, first, row, 1000);
	text_release(&t);
	result_unref(r);
}

static void version(void **state)
{
	struct result *r = result_new(schema, false, 1 << 30, NULL);
	const struct rendered *whole;
	struct text t = TEXT_INIT;
	struct snapshot *s;
	uint64_t row = 0;

	for (uint64_t end = 0; end < 5000; end += 500)
		add(r, end, 500);
	assert_int_equal(result_publish(r, 1), 1);
	s = result_snapshot(r);
	assert_int_equal(result_header(r, FORMAT_CSV, &t), 0);
	while (row < 5000) {
		size_t bytes = rnd(70000), at = t.len;
		uint64_t before = row;

		assert_true(snapshot_put_rows(s, FORMAT_CSV, &row, bytes, &t) > 0);
		assert_true(t.len - at <= bytes || row == before + 1);
	}
	assert_int_equal(snapshot_put_rows(s, FORMAT_CSV, &row, 100, &t), 0);
	assert_int_equal(snapshot_text(s, FORMAT_CSV, &whole), 0);
	assert_int_equal(whole->len, t.len);
	for (size_t k = 0; k < whole->n; k++)
		assert_memory_equal(
		        t.p + whole->piece[k].at, whole->piece[k].p, whole->piece[k].len);
	snapshot_unref(s);
	text_release(&t);
	result_unref(r);
}

static int setup(void **state)
{
	memset(large, 'x', sizeof large);
	large[0] = '#';
	return one_schema(weir_schema_new("t", fields, sizeof fields / sizeof *fields));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(log_all),
	        cmocka_unit_test(log_gone),
	        cmocka_unit_test(version),
	};
	return cmocka_run_group_tests(tests, setup, one_schema_end);
}
