/* SPDX-License-Identifier: MIT */
/* cache.c: answers from the cache are those from the file, whoever asks at the same time; what has
 * changed, is too large or is still being written is not kept; and what goes when room is short.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/core/engine.h"
#include "engine/store/render.h"

#define DEADLINE_S 60
#define PACKETS 30000

static const char *const queries[] = {
        "packets | group count() sum(len)",
        "a | group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes",
        "a | uniq srcip dstip dstport | count -f spread srcip | last srcip | print srcip spread",
        "b | where ipprotocol = 6 and flags.syn | group dstport count() | sort -r count | head 7",
        "b | window 10s | count srcip | last srcip | print window srcip count",
        "packets | split srcip (count dstport) | print ts srcip dstport count | head 3000",
        "a | print ts srcip srcport dstip dstport ipprotocol len caplen flags vlan ethertype "
        "ipversion fragment linktype ifindex",
        "packets | uniq srcip dstip | print ts srcip dstip",
        "(a | uniq srcip + b | where len > 700) | print ts srcip len",
        /* these read the file: records in the answer are whole packets */
        "a | group ttl count()",
        "a | uniq srcip dstip dstport | count -f spread srcip | last srcip",
        "b | where payload | head 100 | print ts seq",
        "a | head 20 | print ts",
};

static char dir[] = "/tmp/weir-cache-XXXXXX", path[3][80];
static uint64_t seed = 5;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 16) % n);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static bool few; /* flows, of many packets each */

static uint32_t one_of(uint32_t n)
{
	return rnd(few ? 1 + n / 12 : n);
}

/* Ethernet, one in eight tagged; IPv4 or IPv6; TCP, UDP or neither. */
static uint32_t packet(uint8_t *p)
{
	uint8_t *h = p + 12, proto = rnd(5) ? rnd(3) ? 6 : 17 : 47;
	bool six = rnd(8) == 0;

	memset(p, 0, 90);
	if (rnd(8) == 0) {
		put16(h, 0x8100);
		put16(h + 2, rnd(9));
		h += 4;
	}
	put16(h, six ? 0x86dd : 0x0800);
	h += 2;
	h[0] = six ? 0x60 : 0x45;
	if (six) {
		put16(h + 4, 20);
		h[6] = proto;
		h[8] = h[24] = 0x20;
		h[23] = (uint8_t)one_of(20);
		h[39] = (uint8_t)one_of(40);
		h += 40;
	} else {
		put16(h + 2, 40);
		h[8] = (uint8_t)rnd(9);
		h[9] = proto;
		h[12] = 10;
		put16(h + 14, one_of(50) * one_of(50));
		h[16] = 192;
		h[19] = (uint8_t)one_of(200);
		h += 20;
	}
	put16(h, one_of(60));
	put16(h + 2, one_of(24));
	h[12] = 0x50;
	h[13] = rnd(4) ? 0x10 : 0x02;
	return (uint32_t)(h + 20 - p);
}

/* Of a time long past. */
static void age(const char *name)
{
	struct timespec t[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};

	assert_int_equal(utimensat(AT_FDCWD, name, t, 0), 0);
}

static void add_packets(FILE *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t p[90];
		uint32_t len = packet(p), cut = rnd(9) ? len : rnd(len + 1);
		uint32_t rec[4] = {1600000000 + i / 500, i % 500 * 2000, cut, len + rnd(1400)};

		fwrite(rec, sizeof rec, 1, f);
		fwrite(p, cut, 1, f);
	}
}

static void write_trace(const char *name, uint32_t n)
{
	static const uint32_t head[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	FILE *f = fopen(name, "w");

	fwrite(head, sizeof head, 1, f);
	add_packets(f, n);
	assert_int_equal(fclose(f), 0);
	age(name);
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 3; i++) {
		snprintf(path[i], sizeof path[i], "%s/%c.pcap", dir, "abc"[i]);
		few = i == 0;
		write_trace(path[i], PACKETS);
	}
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < 3; i++)
		unlink(path[i]);
	return rmdir(dir);
}

static struct engine *engine(size_t cache, uint32_t threads, unsigned sources)
{
	struct engine *e = engine_new(
	        &(struct engine_options){.cache = cache, .threads = threads, .max_queries = 1024});

	for (unsigned i = 0; i < sources; i++)
		assert_int_equal(
		        engine_add_source(e, (const char *[]){"a", "b", "c"}[i], path[i], NULL), 0);
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
			f = fopen(path[0], "a");
			add_packets(f, 100);
			fclose(f);
		} else { /* as long as before, and with its old time */
			assert_int_equal(stat(path[0], &st), 0);
			f = fopen(path[0], "r+");
			fseek(f, 24 + 12, SEEK_SET);
			fputc(round + 200, f);
			fclose(f);
		}
		age(path[0]);
	}
	engine_free(e);
}

static void what_is_being_written_is_not_kept(void **state)
{
	struct engine *e = engine(64 << 20, 1, 2);

	assert_int_equal(utimensat(AT_FDCWD, path[1], NULL, 0), 0);
	ask_quietly(e, "b | group count()");
	ask_quietly(e, "packets | group count()");
	ask_quietly(e, "a | group count()");
	assert_true(comes_to(e, 0, "cache: filled")); /* asked for last */
	assert_true(info_says(e, 1, "cache: empty"));
	assert_int_equal(figure(e, "cache_traces: "), 1);
	age(path[1]);
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

	assert_int_equal(truncate(path[2], 500000), 0);
	age(path[2]);
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
