/* SPDX-License-Identifier: MIT */
/* errors_engine.c: the rows of the error catalogue that checking a spec cannot bring about. */
#include "engine/core/query.h"
#include "tests/unit/trace_maker.h"

static struct made_trace trace;

/* A trace of 20,000 packets of 64 bytes, a millisecond apart. */
static int setup(void **state)
{
	FILE *f = trace_make(&trace);

	for (uint32_t i = 0; i < 20000; i++) {
		uint8_t p[64] = {0};

		memcpy(p, &i, sizeof i);
		trace_put(f, i * 1000ull, p, sizeof p, sizeof p);
	}
	return fclose(f);
}

static int teardown(void **state)
{
	return trace_remove(&trace);
}

static struct cred me(void)
{
	return (struct cred){.uid = getuid(), .gid = getgid()};
}

static int submit(struct engine *e, const char *spec, struct query **ret, struct weir_err *err)
{
	struct cred who = me();

	*err = (struct weir_err)WEIR_ERR_INIT;
	return query_submit(e, spec, strlen(spec), NULL, &who, ret, err);
}

static struct engine *engine(uint32_t max_queries)
{
	struct engine *e = engine_new(&(struct engine_options){.max_queries = max_queries});

	assert_non_null(e);
	assert_int_equal(engine_add_source(e, "t", trace.path, NULL), 0);
	return e;
}

static void names(void **state)
{
	struct engine *e = engine(2);
	struct query *q, *p, *none;
	struct weir_err err;

	assert_int_equal(submit(e, "a: t", &q, &err), 0);
	assert_true(submit(e, "a: t | head 1", &none, &err) == -EEXIST);
	assert_int_equal(err.id, WEIR_E_NAME_TAKEN);
	assert_string_equal(err.text, "the name 'a' is taken");
	assert_int_equal(err.pos, 0);
	assert_int_equal(submit(e, "b: t", &p, &err), 0);
	assert_true(submit(e, "c: t", &none, &err) == -EDQUOT);
	assert_int_equal(err.id, WEIR_E_TOO_MANY_QUERIES);
	assert_string_equal(err.text, "more than 2 queries");
	err = (struct weir_err)WEIR_ERR_INIT;
	assert_true(query_control(q, "refesh", 6, NULL, &err) == -EINVAL);
	assert_int_equal(err.id, WEIR_E_UNKNOWN_COMMAND);
	assert_string_equal(err.text, "unknown command 'refesh' (did you mean 'refresh'?)");
	query_unref(q);
	query_unref(p);
	engine_free(e);
}

/* Of the places for queries some are kept for root and the process's own user. */
static void kept(void **state)
{
	static const uint32_t limits[][2] = {{1, 1}, {2, 1}, {3, 2}, {8, 4}, {9, 5}, {40, 35}};
	const struct cred other = {.uid = geteuid() + 1, .gid = getegid()};
	const struct cred root = {.uid = 0}, mine = me();
	char name[16];

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		struct engine *e = engine(limits[i][0]);
		struct query *q;
		uint32_t n = 0;

		for (; n < 100; n++) {
			const struct cred *who = n < limits[i][1] ? &other : n % 2 ? &root : &mine;

			if (n == limits[i][1])
				assert_int_equal(query_mkdir(e, "x", &other, &q, NULL), -EDQUOT);
			snprintf(name, sizeof name, "n%u", n);
			if (query_mkdir(e, name, who, &q, NULL) < 0)
				break;
			query_unref(q);
		}
		assert_int_equal(n, limits[i][0]);
		assert_int_equal(query_mkdir(e, "x", NULL, &q, NULL), -EDQUOT);
		engine_free(e);
	}
}

/* The text of a query's failure names the limit, the module and the way out; MEMORY_LIMIT. */
static void memory(void **state)
{
	struct engine *e = engine(0);
	struct query *q;
	struct weir_err err;
	struct text why = TEXT_INIT;

	assert_int_equal(
	        submit(e, "set memory 4MB t | print ts packet | tail 1000000", &q, &err), 0);
	assert_int_equal(query_wait(q), QUERY_FAILED);
	query_error(q, &why);
	assert_non_null(why.p);
	assert_non_null(strstr(why.p, "memory limit of 4 MiB reached in '"));
	assert_non_null(strstr(why.p, "(raise it with 'set memory')"));
	text_release(&why);
	query_unref(q);
	engine_free(e);
}

static void texts(void **state)
{
	struct weir_err err = WEIR_ERR_INIT;

	assert_int_equal(
	        weir_fail(&err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, " for the trace"), -ENOMEM);
	assert_string_equal(err.text, "out of memory for the trace");
	err = (struct weir_err)WEIR_ERR_INIT;
	assert_int_equal(weir_fail_no(&err, EDOM, WEIR_E_SYSTEM, WEIR_NOPOS, 0, "a", "b"), -EDOM);
	assert_string_equal(err.text, "a: b");
	err = (struct weir_err)WEIR_ERR_INIT;
	assert_int_equal(weir_fail(&err, WEIR_E_NOT_PERMITTED, WEIR_NOPOS, 0, "x"), -EPERM);
	assert_string_equal(err.text, "not permitted: x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(names),
	        cmocka_unit_test(kept),
	        cmocka_unit_test(memory),
	        cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
