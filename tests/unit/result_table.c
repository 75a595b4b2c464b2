/* SPDX-License-Identifier: MIT */
/* Tables: versions that never change, are found by number, and are whole whoever reads. */
#include "tests/unit/store_test.h"

#include <pthread.h>

static const struct weir_field fields[] = {
        {.name = "k", .kind = WEIR_U64, .flags = WEIR_FIELD_DEFAULT},
        {.name = "s", .kind = WEIR_STR, .flags = WEIR_FIELD_DEFAULT},
        {.name = "v", .kind = WEIR_U64, .flags = WEIR_FIELD_ANNOTATION},
};

/* Adds rows [0, n): k = row, s absent in odd rows, v = value for all from `from` on, else 0. */
static int add_rows(struct result *r, uint32_t n, uint64_t value, uint32_t from, uint32_t step)
{
	int ret = 0;

	for (uint32_t at = 0; at < n && ret == 0;) {
		uint32_t m = n - at < step ? n - at : step;
		struct weir_batch *b = pool_batch(pool, schema, m);

		for (uint32_t f = 0; f < 3; f++)
			weir_batch_own(b, f);
		weir_batch_own_valid(b, &b->cols[1]);
		for (uint32_t i = 0; i < m; i++, at++) {
			((uint64_t *)b->cols[0].data)[i] = at;
			((struct weir_str *)b->cols[1].data)[i] = str("text, quoted");
			((uint64_t *)b->cols[2].data)[i] = at >= from ? value : 0;
			if (at % 2 == 0)
				weir_valid_set(b->cols[1].valid, i);
		}
		ret = result_add(r, b);
		weir_batch_unref(b);
	}
	return ret;
}

static char *expected(uint32_t n, uint64_t value, uint32_t from)
{
	char *to = malloc(50 * (size_t)n + 50), *p = to;

	if (!to)
		abort();
	p += sprintf(p, "k,s,v\n");
	for (uint32_t i = 0; i < n; i++)
		p += sprintf(p, "%u,%s,%llu\n", i, i % 2 ? "" : "\"text, quoted\"",
		        (unsigned long long)(i >= from ? value : 0));
	return to;
}

/* Like a reader who takes what each call gives. The caller frees it; NULL: failed. */
static char *text_of(struct snapshot *s, enum result_format f, size_t *ret_len)
{
	const struct rendered *t;
	const char *p = NULL;
	char *all;
	size_t n;

	if (snapshot_text(s, f, &t) < 0)
		return NULL;
	all = malloc(t->len + 1);
	if (!all)
		return NULL;
	for (*ret_len = 0; (n = rendered_at(t, *ret_len, &p)); *ret_len += n)
		memcpy(all + *ret_len, p, n);
	all[*ret_len] = 0;
	return *ret_len == t->len ? all : NULL;
}

static void is_text(struct snapshot *s, uint32_t n, uint64_t value, uint32_t from)
{
	char *expect = expected(n, value, from);
	const struct rendered *first, *again;
	size_t len = 0;
	char *got = text_of(s, FORMAT_CSV, &len);

	assert_non_null(got);
	assert_int_equal(len, strlen(expect));
	assert_memory_equal(got, expect, len);
	assert_int_equal(snapshot_text(s, FORMAT_CSV, &first), 0);
	assert_int_equal(snapshot_text(s, FORMAT_CSV, &again), 0);
	assert_ptr_equal(first->piece, again->piece);
	assert_int_equal(snapshot_rows(s), n);
	free(expect);
	free(got);
}

static void sizes(void **state)
{
	static const uint32_t counts[] = {0, 1, 63, 64, 65, 320, 321, 1344, 1345, 5000};
	struct weir_mem mem = {0};

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct result *r = result_new(schema, false, 1 << 20, &mem);
		struct snapshot *s;

		assert_null(result_snapshot(r));
		assert_int_equal(add_rows(r, counts[i], 7, 0, 1 + (uint32_t)i * 100), 0);
		assert_null(result_snapshot(r));
		assert_int_equal(result_publish(r, 1000), 1);
		s = result_snapshot(r);
		assert_non_null(s);
		assert_int_equal(snapshot_number(s), 1);
		assert_int_equal(snapshot_time(s), 1000);
		is_text(s, counts[i], 7, 0);
		/* the same rows in other batches are the same version */
		assert_int_equal(add_rows(r, counts[i], 7, 0, 1024), 0);
		assert_int_equal(result_publish(r, 2000), 0);
		snapshot_unref(s);
		s = result_snapshot(r);
		assert_int_equal(snapshot_number(s), 1);
		snapshot_unref(s);
		result_unref(r);
	}
	assert_int_equal(mem.used, 0);
}

/* So many rows are rendered by several threads. */
static void by_parts(void **state)
{
	struct weir_mem mem = {0};
	struct result *r = result_new(schema, false, 1 << 20, &mem);
	const struct rendered *t;
	struct snapshot *s;
	const char *at, *p;
	char *tsv;
	size_t len, n = 0;

	assert_int_equal(add_rows(r, 250000, 1, 0, 1000), 0);
	assert_int_equal(result_publish(r, 1), 1);
	s = result_snapshot(r);
	is_text(s, 250000, 1, 0);
	tsv = text_of(s, FORMAT_TSV, &len);
	for (at = tsv; (at = strchr(at, '\n')) != NULL; at++)
		n++;
	assert_int_equal(n, 250001);
	assert_int_equal(snapshot_text(s, FORMAT_TSV, &t), 0);
	assert_true(t->n > 1);
	for (size_t off = 0; off < len; off += 997)
		assert_true(rendered_at(t, off, &p) >= 1 && *p == tsv[off]);
	for (size_t k = 1; k < t->n; k++) {
		assert_int_equal(rendered_at(t, t->piece[k].at - 1, &p), 1);
		assert_int_equal(rendered_at(t, t->piece[k].at, &p), t->piece[k].len);
	}
	assert_int_equal(rendered_at(t, len, &p), 0);
	assert_int_equal(rendered_at(t, SIZE_MAX, &p), 0);
	free(tsv);
	snapshot_unref(s);
	result_unref(r);
	assert_int_equal(mem.used, 0);
}

static void versions(void **state)
{
	struct weir_mem mem = {0};
	struct result *r = result_new(schema, false, 1 << 20, &mem);
	struct snapshot *first, *s;
	struct text t = TEXT_INIT;
	uint64_t size[5];
	size_t used;

	assert_int_equal(add_rows(r, 5000, 1, 0, 1000), 0);
	assert_int_equal(result_publish(r, 1), 1);
	first = result_snapshot(r);
	is_text(first, 5000, 1, 0);
	/* rows that a failed refresh left */
	assert_int_equal(add_rows(r, 3000, 9, 0, 1000), 0);
	result_restart(r);
	assert_int_equal(add_rows(r, 4000, 2, 0, 1000), 0);
	assert_int_equal(result_publish(r, 2), 1);
	s = result_snapshot(r);
	assert_int_equal(snapshot_number(s), 2);
	is_text(s, 4000, 2, 0);
	snapshot_unref(s);
	is_text(first, 5000, 1, 0);
	/* a version that differs at its end shares the rest */
	used = mem.used;
	assert_int_equal(add_rows(r, 4001, 2, 0, 1000), 0);
	assert_int_equal(result_publish(r, 3), 1);
	assert_true(mem.used < used + 16000);
	/* by number, while young or held */
	s = result_version(r, 2);
	assert_non_null(s);
	is_text(s, 4000, 2, 0);
	assert_int_equal(result_record(r, s, 3999, 0, &t), 0);
	assert_string_equal(t.p, "3999");
	text_clear(&t);
	assert_int_equal(result_record(r, s, 3999, 1, &t), -ENODATA);
	assert_int_equal(result_record(r, s, 3998, -1, &t), 0);
	assert_string_equal(t.p, "k: 3998\ns: text, quoted\nv: 2\n");
	assert_int_equal(result_record_sizes(r, s, 3998, 5, size), 2);
	assert_int_equal(size[0], t.len);
	assert_int_equal(result_record(r, s, 4000, -1, &t), -ENOENT);
	text_release(&t);
	snapshot_unref(s);
	assert_null(result_version(r, 0));
	assert_null(result_version(r, 4));
	/* the result's last reference is a reader's */
	result_unref(r);
	is_text(first, 5000, 1, 0);
	snapshot_unref(first);
	assert_int_equal(mem.used, 0);
}

/* Old versions go when they pass the cap, but not while they are held. */
static void cap(void **state)
{
	struct weir_mem mem = {0};
	struct result *r = result_new(schema, false, 100000, &mem);
	struct snapshot *held = NULL, *s;
	int there = 0;

	for (int v = 1; v <= 50; v++) {
		assert_int_equal(add_rows(r, 1000, (uint64_t)v, 0, 1000), 0);
		assert_int_equal(result_publish(r, v), 1);
		if (v == 10)
			held = result_snapshot(r);
	}
	for (int v = 1; v < 50; v++) {
		s = result_version(r, (uint64_t)v);
		there += s != NULL;
		snapshot_unref(s);
	}
	assert_in_range(there, 2, 20);
	is_text(held, 1000, 10, 0);
	s = result_version(r, 10);
	assert_ptr_equal(s, held);
	snapshot_unref(s);
	snapshot_unref(held);
	assert_null(result_version(r, 10));
	result_unref(r);
	assert_int_equal(mem.used, 0);
}

/* At the limit old versions go first; then the table fails and what was published stays. */
static void limit(void **state)
{
	struct weir_mem mem = {.limit = 600000};
	struct result *r = result_new(schema, false, 64 << 20, &mem);
	struct snapshot *s;

	for (int v = 1; v < 20; v++) {
		assert_int_equal(add_rows(r, 5000, (uint64_t)v, 0, 1000), 0);
		assert_int_equal(result_publish(r, v), 1);
	}
	assert_int_equal(add_rows(r, 100000, 99, 0, 1000), -ENOMEM);
	result_restart(r);
	s = result_snapshot(r);
	is_text(s, 5000, 19, 0);
	snapshot_unref(s);
	result_unref(r);
	assert_int_equal(mem.used, 0);
}

static void formats(void **state)
{
	static const char *const expect[] = {
	        "k,s,v\n0,\"text, quoted\",5\n1,,5\n",
	        "k\ts\tv\n0\ttext, quoted\t5\n1\t\t5\n",
	        "k  s             v\n0  text, quoted  5\n1                5\n",
	        "{\"k\":0,\"s\":\"text, quoted\",\"v\":5}\n{\"k\":1,\"v\":5}\n",
	};
	struct result *r = result_new(schema, false, 1000, NULL);
	const struct rendered *none;
	struct snapshot *s;
	size_t len;

	assert_int_equal(add_rows(r, 2, 5, 0, 10), 0);
	assert_int_equal(result_publish(r, 1), 1);
	s = result_snapshot(r);
	for (int f = 0; f < FORMAT_PCAP; f++) {
		char *got = text_of(s, f, &len);

		assert_true(result_has_format(r, f));
		assert_non_null(got);
		assert_string_equal(got, expect[f]);
		free(got);
		assert_int_equal(result_format_by_name(result_format_name(f)), f);
	}
	assert_false(result_has_format(r, FORMAT_PCAP));
	assert_int_equal(snapshot_text(s, FORMAT_PCAP, &none), -EINVAL);
	snapshot_unref(s);
	result_unref(r);
}

/* ---- readers beside a writer ---- */

#define VERSIONS 300
#define ROWS 700

struct reader {
	struct result *r;
	bool failed, done;
	uint64_t seen;
};

/* Whole versions only: all values from half the table on are its number. */
static void *look(void *arg)
{
	struct reader *me = arg;

	for (;;) {
		struct snapshot *s = result_snapshot(me->r), *again;
		bool last = __atomic_load_n(&me->done, __ATOMIC_ACQUIRE);
		char *expect, *got;
		size_t len = 0;

		if (!s) {
			sched_yield();
			continue;
		}
		expect = expected(ROWS, snapshot_number(s), ROWS / 2);
		again = result_version(me->r, snapshot_number(s));
		got = text_of(s, FORMAT_CSV, &len);
		me->failed |= again != s || !got || len != strlen(expect) ||
		              memcmp(got, expect, len) != 0;
		free(expect);
		free(got);
		snapshot_unref(again);
		result_bytes(me->r);
		me->seen++;
		snapshot_unref(s);
		if (last || me->failed)
			return NULL;
	}
}

static void stress(void **state)
{
	struct weir_mem mem = {0};
	struct result *r = result_new(schema, false, 200000, &mem);
	struct reader readers[3] = {{.r = r}, {.r = r}, {.r = r}};
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, look, &readers[i]);
	for (uint64_t v = 1; v <= VERSIONS; v++) {
		assert_int_equal(add_rows(r, ROWS, v, ROWS / 2, 100), 0);
		assert_int_equal(result_publish(r, (int64_t)v), 1);
	}
	for (int i = 0; i < 3; i++) {
		__atomic_store_n(&readers[i].done, true, __ATOMIC_RELEASE);
		pthread_join(t[i], NULL);
		assert_false(readers[i].failed);
		assert_true(readers[i].seen > 0);
	}
	result_unref(r);
	assert_int_equal(mem.used, 0);
}

/* With result_keep(): the last versions by number and time, whatever the clock does, as far as they
 * fit; texts of old ones take no room. */
static void kept(void **state)
{
	struct result *r = result_new(schema, false, 100000, NULL);
	uint64_t bytes, at = 0, n = 0;
	struct snapshot *s, *last;
	size_t len;

	result_keep(r, 5);
	assert_null(result_kept(r, 0));
	for (uint64_t i = 1; i <= 20; i++) { /* a clock that stands, and one that goes back */
		assert_int_equal(add_rows(r, 10, i, 0, 10), 0);
		assert_int_equal(result_publish(r, i < 10 ? 5000000 : 3000000 - (int64_t)i), 1);
		assert_int_equal(result_kept_count(r), i < 5 ? i : 5);
	}
	while ((s = result_kept(r, at))) {
		at = snapshot_number(s);
		n++;
		last = result_kept_at(r, snapshot_time(s) / 1000000);
		assert_ptr_equal(last, s);
		snapshot_unref(last);
		assert_null(result_kept_at(r, snapshot_time(s) / 1000000 + 1000));
		snapshot_unref(s);
	}
	assert_int_equal(at, 20);
	assert_int_equal(n, 5);
	bytes = result_bytes(r);
	for (at = 15; (s = result_kept(r, at)); at++) {
		char *t = text_of(s, FORMAT_CSV, &len), *want = expected(10, at + 1, 0);

		assert_string_equal(t, want);
		free(t);
		free(want);
		snapshot_unref(s);
	}
	assert_true(result_bytes(r) <= bytes + len); /* of the current one alone */
	/* large ones push the others out, not the current one */
	for (uint64_t i = 1; i <= 5; i++) {
		assert_int_equal(add_rows(r, 5000, i, 0, 1000), 0);
		assert_int_equal(result_publish(r, (int64_t)i * 100000000), 1);
	}
	assert_true(result_kept_count(r) >= 1 && result_kept_count(r) < 5);
	s = result_kept(r, 24);
	assert_int_equal(snapshot_number(s), 25);
	snapshot_unref(s);
	result_unref(r);
}

static int setup(void **state)
{
	return one_schema(weir_schema_new("t", fields, sizeof fields / sizeof *fields));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sizes),
	        cmocka_unit_test(versions),
	        cmocka_unit_test(kept),
	        cmocka_unit_test(cap),
	        cmocka_unit_test(limit),
	        cmocka_unit_test(formats),
	        cmocka_unit_test(by_parts),
	        cmocka_unit_test(stress),
	};

	return cmocka_run_group_tests(tests, setup, one_schema_end);
}
