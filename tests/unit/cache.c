/* SPDX-License-Identifier: MIT */
/* cache.c: answers from the cache are those from the file, whoever asks at the same time; what has
 * changed, is too large or is still being written is not kept; and what goes when room is short.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "engine/core/engine.h"
#include "engine/store/render.h"
#include "tests/unit/mixed_packets.h"

#define DEADLINE_S 60
#define PACKETS 30000

static const char *const queries[] = {
        "packets | group count() sum(len)",
        "a | group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes",
        "a | uniq srcip dstip dstport | count -f spread srcip | last srcip | print srcip spread",
        "b | where ipprotocol = 6 and flags.syn | group dstport count() | sort -r count | head 7",
        "b | window 10s | count srcip | last srcip | print window srcip count",
        "packets | split srcip (count dstport) | print ts srcip dstport count | head 3000",
        ("a | print ts srcip srcport dstip dstport ipprotocol len caplen flags vlan ethertype "
         "ipversion fragment linktype ifindex"),
        "packets | uniq srcip dstip | print ts srcip dstip",
        "(a | uniq srcip + b | where len > 700) | print ts srcip len",
        /* these read the file: records in the answer are whole packets */
        "a | group ttl count()",
        "a | uniq srcip dstip dstport | count -f spread srcip | last srcip",
        "b | where payload | head 100 | print ts seq",
        "a | head 20 | print ts",
};

static struct made_trace trace[3];

/* Of a time long past. */
static void age(const char *name)
{
	struct timespec t[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};

	assert_int_equal(utimensat(AT_FDCWD, name, t, 0), 0);
}

static int setup(void **state)
{
	seed = 5;
	for (int i = 0; i < 3; i++) {
		FILE *f = trace_make(&trace[i]);

		mixed_packets(f, PACKETS, i == 0); /* of few flows: of many packets each */
		assert_int_equal(fclose(f), 0);
		age(trace[i].path);
	}
	return 0;
}

static int teardown(void **state)
{
	int r = 0;

	for (int i = 0; i < 3; i++)
		r |= trace_remove(&trace[i]);
	return r;
}

static struct engine *engine(size_t cache, uint32_t threads, unsigned sources)
{
	struct engine *e = engine_new(
	        &(struct engine_options){.cache = cache, .threads = threads, .max_queries = 1024});

	for (unsigned i = 0; i < sources; i++)
		assert_int_equal(engine_add_source(e, (const char *[]){"a", "b", "c"}[i],
		                         trace[i].path, NULL),
		        0);
	return e;
}

/* ---- questions ---- */

struct answer {
	struct render render;
	struct text rows, status;
	bool begun;
};

static int on_schema(void *arg, const struct weir_schema *s, const uint32_t *shown, uint32_t n)
{
	struct answer *a = arg;

	a->begun = true;
	return render_init(&a->render, FORMAT_CSV, s, shown, n);
}

static int on_rows(void *arg, struct weir_batch *b)
{
	struct answer *a = arg;

	return b ? render_batch(&a->render, b, &a->rows) : 0;
}

/* Worker threads, however small the trace. */
static const char *with_workers(const char *spec, char to[512])
{
	snprintf(to, 512, "set scheduler workers %s", spec);
	return to;
}

static void answer_release(struct answer *a)
{
	if (a->begun)
		render_release(&a->render);
	text_release(&a->rows);
	text_release(&a->status);
}

static struct answer ask(struct engine *e, const char *spec)
{
	struct answer a = {0};
	struct query_sink sink = {.rows = on_rows, .arg = &a};
	struct weir_err err = WEIR_ERR_INIT;
	struct query *q;

	if (query_run_to(e, spec, strlen(spec), NULL, on_schema, &sink, &q, &err) < 0)
		fail_msg("%s: %s", spec, err.text);
	if (query_wait(q) != QUERY_DONE)
		fail_msg("%s: did not end", spec);
	query_text(q, "status", &a.status);
	query_remove(q);
	query_unref(q);
	return a;
}

static bool from_cache(const struct answer *a)
{
	return strstr(a->status.p, "\nfrom_cache: 0\n") == NULL;
}

static bool ask_quietly(struct engine *e, const char *spec)
{
	struct answer a = ask(e, spec);
	bool is = from_cache(&a);

	answer_release(&a);
	return is;
}

/* What the info of source `i` says of the cache. */
static bool info_says(struct engine *e, size_t i, const char *what)
{
	struct text t = TEXT_INIT;
	bool is;

	assert_int_equal(engine_source_text(e, i, "info", &t), 0);
	is = strstr(t.p, what) != NULL;
	text_release(&t);
	return is;
}

static bool comes_to(struct engine *e, size_t i, const char *what)
{
	int64_t until = now_ns(CLOCK_MONOTONIC) + DEADLINE_S * 1000000000ll;

	while (!info_says(e, i, what)) {
		if (now_ns(CLOCK_MONOTONIC) > until)
			return false;
		usleep(2000);
	}
	return true;
}

static uint64_t figure(struct engine *e, const char *key)
{
	struct text t = TEXT_INIT;
	const char *at;
	uint64_t v;

	engine_status(e, &t);
	at = strstr(t.p, key);
	assert_non_null(at);
	v = strtoull(at + strlen(key), NULL, 10);
	text_release(&t);
	return v;
}

static void same_answers(struct engine *want, struct engine *got, bool workers, uint32_t *served)
{
	char text[512];

	for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
		struct answer a = ask(want, queries[i]),
		              b = ask(got, workers ? with_workers(queries[i], text) : queries[i]);

		if (strcmp(a.rows.p ? a.rows.p : "", b.rows.p ? b.rows.p : "") != 0)
			fail_msg("%s differs", queries[i]);
		*served += from_cache(&b);
		answer_release(&a);
		answer_release(&b);
	}
}

/* ---- tests ---- */

static void answers_are_those_from_the_file(void **state)
{
	struct engine *plain = engine(0, 1, 2);

	for (uint32_t threads = 1; threads <= 3; threads += 2) {
		struct engine *e = engine(64 << 20, threads, 2);
		uint32_t served = 0;

		same_answers(plain, e, threads > 1, &served);
		assert_true(comes_to(e, 0, "cache: filled"));
		assert_true(comes_to(e, 1, "cache: filled"));
		assert_false(info_says(e, 0, "cache flows: 0"));
		assert_true(info_says(e, 1, "cache flows: 0")); /* too many */
		served = 0;
		same_answers(plain, e, threads > 1, &served);
		assert_int_equal(served, 10);
		assert_true(figure(e, "cache_hits: ") >= served);
		engine_free(e);
	}
	engine_free(plain);
}

static void a_pass_that_did_not_end_leaves_nothing(void **state)
{
	struct engine *e = engine(64 << 20, 1, 1);

	assert_false(ask_quietly(e, "a | head 2000 | print ts"));
	assert_true(info_says(e, 0, "cache: empty"));
	assert_int_equal(figure(e, "cache_bytes: "), 0);
	engine_free(e);
}

static void an_engine_that_ends_at_once_is_fine(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct engine *e = engine(64 << 20, 1, 2);

		ask_quietly(e, "packets | group count()");
		ask_quietly(e, "a | group count()");
		if (i % 2)
			usleep(300 * (unsigned)i);
		engine_free(e);
	}
}

static void what_changed_is_read_anew(void **state)
{
	struct engine *e = engine(64 << 20, 1, 1);
	struct stat st;
	FILE *f;

	for (int round = 0; round < 3; round++) {
		struct engine *plain = engine(0, 1, 1);
		struct answer a, b;

		a = ask(plain, queries[0]);
		b = ask(e, queries[0]);
		assert_false(from_cache(&b));
		assert_string_equal(a.rows.p, b.rows.p);
		answer_release(&a);
		answer_release(&b);
		engine_free(plain);
		assert_true(comes_to(e, 0, "cache: filled"));
		assert_true(ask_quietly(e, queries[0]));
		assert_int_equal(figure(e, "cache_traces: "), 1);
		if (round == 0) { /* longer */
			f = fopen(trace[0].path, "a");
			mixed_packets(f, 100, false);
			fclose(f);
		} else { /* as long as before, and with its old time */
			assert_int_equal(stat(trace[0].path, &st), 0);
			f = fopen(trace[0].path, "r+");
			fseek(f, 24 + 12, SEEK_SET);
			fputc(round + 200, f);
			fclose(f);
		}
		age(trace[0].path);
	}
	engine_free(e);
}

static void what_is_being_written_is_not_kept(void **state)
{
	struct engine *e = engine(64 << 20, 1, 2);

	assert_int_equal(utimensat(AT_FDCWD, trace[1].path, NULL, 0), 0);
	ask_quietly(e, "b | group count()");
	ask_quietly(e, "packets | group count()");
	ask_quietly(e, "a | group count()");
	assert_true(comes_to(e, 0, "cache: filled")); /* asked for last */
	assert_true(info_says(e, 1, "cache: empty"));
	assert_int_equal(figure(e, "cache_traces: "), 1);
	age(trace[1].path);
	engine_free(e);
}

static void a_trace_that_is_too_large_is_left_alone(void **state)
{
	struct engine *e = engine(650 << 10, 1, 2);

	ask_quietly(e, "a | group count()");
	assert_true(comes_to(e, 0, "cache: too small for this trace"));
	assert_false(ask_quietly(e, "a | group count()"));
	assert_int_equal(figure(e, "cache_bytes: "), 0);
	engine_free(e);
}

/* Room for one of them; a trace takes about 700 KB, in slabs. */
static void the_one_not_used_for_longest_goes(void **state)
{
	struct engine *e = engine(2200 << 10, 1, 3);

	for (size_t i = 0; i < 2; i++) {
		ask_quietly(e, i ? "b | group count()" : "a | group count()");
		assert_true(comes_to(e, i, "cache: filled"));
	}
	if (figure(e, "cache_traces: ") == 2)
		assert_true(ask_quietly(e, "a | group count()")); /* b is the older now */
	ask_quietly(e, "c | group count()");
	assert_true(comes_to(e, 2, "cache: filled"));
	assert_true(figure(e, "cache_dropped: ") >= 1);
	assert_true(info_says(e, 1, "cache: empty"));
	assert_true(figure(e, "cache_bytes: ") <= 2200 << 10);
	engine_free(e);
}

static bool pressed;

static bool is_pressed(void)
{
	return __atomic_load_n(&pressed, __ATOMIC_RELAXED);
}

static void when_memory_runs_short_all_goes(void **state)
{
	struct engine *e = engine(64 << 20, 1, 2);

	cache_set_pressed(e->cache, is_pressed);
	ask_quietly(e, "a | group count()");
	assert_true(comes_to(e, 0, "cache: filled"));
	assert_true(ask_quietly(e, "a | group count()"));
	__atomic_store_n(&pressed, true, __ATOMIC_RELAXED);
	assert_false(ask_quietly(e, "b | group count()"));
	assert_true(info_says(e, 0, "cache: empty"));
	assert_int_equal(figure(e, "cache_traces: "), 0);
	__atomic_store_n(&pressed, false, __ATOMIC_RELAXED);
	engine_free(e);
}

static void a_cut_file_is_told_each_time(void **state)
{
	struct engine *e;

	assert_int_equal(truncate(trace[2].path, 500000), 0);
	age(trace[2].path);
	e = engine(64 << 20, 1, 3);
	for (int round = 0; round < 3; round++) {
		struct answer a = ask(e, "c | group count()");

		assert_non_null(strstr(a.status.p, "\nfault: "));
		assert_int_equal(from_cache(&a), round > 0);
		assert_true(comes_to(e, 2, "cache: filled"));
		answer_release(&a);
	}
	engine_free(e);
}

/* ---- all at once ---- */

struct asker {
	struct engine *e;
	const char *const *want;
	uint32_t first;
	pthread_t thread;
};

static void *ask_all(void *arg)
{
	struct asker *s = arg;
	char text[512];
	size_t n = sizeof queries / sizeof *queries;

	for (size_t i = 0; i < 2 * n; i++) {
		size_t k = (s->first + i) % n;
		struct answer a =
		        ask(s->e, s->first % 2 ? with_workers(queries[k], text) : queries[k]);

		if (strcmp(a.rows.p ? a.rows.p : "", s->want[k]) != 0)
			fail_msg("%s differs", queries[k]);
		answer_release(&a);
	}
	return NULL;
}

static void who_asks_at_the_same_time_gets_the_same(void **state)
{
	size_t n = sizeof queries / sizeof *queries;
	struct engine *plain = engine(0, 1, 3);
	char *want[sizeof queries / sizeof *queries];

	for (size_t i = 0; i < n; i++) {
		struct answer a = ask(plain, queries[i]);

		want[i] = strdup(a.rows.p ? a.rows.p : "");
		answer_release(&a);
	}
	engine_free(plain);
	/* room for all, and for some of them: then they come and go */
	for (size_t cache = 64 << 20; cache > 1 << 20; cache -= (64 << 20) - (2200 << 10)) {
		struct engine *e = engine(cache, 2, 3);
		struct asker s[4];

		for (uint32_t i = 0; i < 4; i++) {
			s[i] = (struct asker){e, (const char *const *)want, 3 * i, 0};
			assert_int_equal(pthread_create(&s[i].thread, NULL, ask_all, &s[i]), 0);
		}
		for (uint32_t i = 0; i < 4; i++)
			pthread_join(s[i].thread, NULL);
		assert_true(figure(e, "cache_bytes: ") <= cache);
		engine_free(e);
		if (cache <= 2200 << 10)
			break;
	}
	for (size_t i = 0; i < n; i++)
		free(want[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(answers_are_those_from_the_file),
	        cmocka_unit_test(a_pass_that_did_not_end_leaves_nothing),
	        cmocka_unit_test(an_engine_that_ends_at_once_is_fine),
	        cmocka_unit_test(what_is_being_written_is_not_kept),
	        cmocka_unit_test(a_trace_that_is_too_large_is_left_alone),
	        cmocka_unit_test(the_one_not_used_for_longest_goes),
	        cmocka_unit_test(when_memory_runs_short_all_goes),
	        cmocka_unit_test(who_asks_at_the_same_time_gets_the_same),
	        cmocka_unit_test(what_changed_is_read_anew),
	        cmocka_unit_test(a_cut_file_is_told_each_time),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
