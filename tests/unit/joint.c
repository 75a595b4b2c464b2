/* SPDX-License-Identifier: MIT */
/* joint.c: queries that arrive together read the trace once and answer as they do alone, whatever
 * one of them does: stops, fails, rests, wants no more, is slow.
 *
 * The trace is read through a gate, so that the test says who is how far when something happens.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "engine/core/engine.h"
#include "engine/store/render.h"
#include "tests/unit/mixed_packets.h"

#define DEADLINE_S 60
#define PACKETS 60000
#define EIGHT 8

static const char *const queries[EIGHT] = {
        "packets | group srcip count() sum(len) as bytes | sort -r bytes | head 10",
        "packets | uniq srcip dstip dstport | count -f spread srcip | last srcip | print srcip "
        "spread",
        "packets | group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes",
        "packets | where flags.syn and not flags.ack | group dstip count() | sort -r count | head "
        "9",
        "packets | group dstport distinct(srcip) as peers | sort -r peers | head 10",
        ("packets | print ts srcip srcport dstip dstport ipprotocol len caplen flags vlan "
         "ethertype fragment"),
        "packets | window 10s | count srcip | last srcip | print window srcip count",
        "packets | split srcip (count dstport) | print ts srcip dstport count | head 3000",
};

static struct made_trace trace;

static int setup(void **state)
{
	FILE *f = trace_make(&trace);

	seed = 11;
	mixed_packets(f, PACKETS, true);
	return fclose(f);
}

static int teardown(void **state)
{
	return trace_remove(&trace);
}

/* ---- the gate ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t open;
	int64_t came, may; /* reads that have come; that may pass, first come, first served */
	int64_t fails;     /* that many reads on, one fails; below 0: none */
	/* of the first who comes, a batch is given in two parts, so that it ends where the others'
	 * do not */
	bool ragged;
	struct weir_reader *first;
	struct weir_batch *rest;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .open = PTHREAD_COND_INITIALIZER};
static const struct weir_source *real;
static struct weir_source gated;

static void release_rest(struct weir_batch *b)
{
	weir_batch_unref(((struct weir_packets *)b->priv)->owner);
}

static const struct weir_batch_ops rest_ops = {
        .fill = weir_packet_fill, .pack = weir_packet_pack, .release = release_rest};

static int read_ragged(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err)
{
	struct weir_packets *from, *to;
	struct weir_batch *b = gate.rest;
	uint16_t n;
	int e = b ? 1 : real->read(r, &b, err);

	*ret = b;
	if (b == gate.rest || e != 1 || b->n < 10) {
		gate.rest = NULL;
		return e;
	}
	n = b->n / 3;
	gate.rest = weir_source_packets(r, &rest_ops);
	assert_non_null(gate.rest);
	from = b->priv;
	to = gate.rest->priv;
	to->owner = weir_batch_ref(b);
	gate.rest->n = gate.rest->nsel = (uint16_t)(b->n - n);
	memcpy(to->pk, from->pk + n, (b->n - n) * sizeof *to->pk);
	b->n = b->nsel = n;
	return 1;
}

static int read_gated(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err)
{
	int64_t mine;
	bool fails;

	pthread_mutex_lock(&gate.lock);
	mine = gate.came++;
	if (gate.ragged && !mine)
		gate.first = r;
	while (mine >= gate.may)
		pthread_cond_wait(&gate.open, &gate.lock);
	fails = gate.fails-- == 0;
	pthread_mutex_unlock(&gate.lock);
	if (fails)
		return -EIO;
	return r == gate.first ? read_ragged(r, ret, err) : real->read(r, ret, err);
}

static void let_pass(int64_t reads)
{
	pthread_mutex_lock(&gate.lock);
	gate.may = reads == INT64_MAX ? reads : gate.may + reads;
	pthread_cond_broadcast(&gate.open);
	pthread_mutex_unlock(&gate.lock);
}

static bool is_waiting(void)
{
	bool is;

	pthread_mutex_lock(&gate.lock);
	is = gate.came > gate.may;
	pthread_mutex_unlock(&gate.lock);
	return is;
}

#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		int64_t deadline = now_ns(CLOCK_MONOTONIC) + DEADLINE_S * 1000000000ll;            \
                                                                                                   \
		while (!(condition)) {                                                             \
			if (now_ns(CLOCK_MONOTONIC) > deadline)                                    \
				fail_msg("it does not come to " #condition);                       \
			usleep(500);                                                               \
		}                                                                                  \
	} while (0)

/* The gate is shut. */
static struct engine *engine(bool join, uint32_t threads, size_t cache, size_t window)
{
	struct engine *e = engine_new(&(struct engine_options){
	        .join = join, .threads = threads, .cache = cache, .max_queries = 64});

	assert_int_equal(engine_add_source(e, "a", trace.path, NULL), 0);
	if (!join)
		return e;
	joints_set(e->joints, 1, 0, window);
	real = e->mounted[0]->source;
	gated = *real;
	gated.read = read_gated;
	e->mounted[0]->source = &gated;
	gate.came = gate.may = 0;
	gate.ragged = false;
	gate.first = NULL;
	gate.fails = -1;
	return e;
}

/* ---- questions ---- */

struct asked {
	struct query *query;
	struct render render;
	struct text rows, status, plan;
	bool stuck; /* its rows are not taken now; atomic */
};

static int on_schema(void *arg, const struct weir_schema *s, const uint32_t *shown, uint32_t n)
{
	return render_init(&((struct asked *)arg)->render, FORMAT_CSV, s, shown, n);
}

static int on_rows(void *arg, struct weir_batch *b)
{
	struct asked *a = arg;

	while (__atomic_load_n(&a->stuck, __ATOMIC_ACQUIRE))
		usleep(500);
	return b ? render_batch(&a->render, b, &a->rows) : 0;
}

static void ask(struct engine *e, struct asked *a, const char *before, const char *spec)
{
	struct query_sink sink = {.rows = on_rows, .arg = a};
	struct weir_err err = WEIR_ERR_INIT;
	char text[512];

	snprintf(text, sizeof text, "%s %s", before, spec);
	if (query_run_to(e, text, strlen(text), NULL, on_schema, &sink, &a->query, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

static enum query_state end(struct asked *a)
{
	enum query_state s = query_wait(a->query);

	query_text(a->query, "status", &a->status);
	query_text(a->query, "plan", &a->plan);
	query_remove(a->query);
	query_unref(a->query);
	return s;
}

static void done_with(struct asked *a)
{
	render_release(&a->render);
	text_release(&a->rows);
	text_release(&a->status);
	text_release(&a->plan);
	*a = (struct asked){0};
}

static const char *rows(const struct asked *a)
{
	return a->rows.p ? a->rows.p : "";
}

static void control(struct asked *a, const char *what)
{
	assert_int_equal(query_control(a->query, what, strlen(what), NULL, NULL), 0);
}

static uint64_t figure(struct engine *e, const char *key)
{
	struct text t = TEXT_INIT;
	const char *at;
	uint64_t v;

	engine_status(e, &t);
	engine_source_text(e, 0, "stats", &t);
	at = strstr(t.p, key);
	assert_non_null(at);
	v = strtoull(at + strlen(key), NULL, 10);
	text_release(&t);
	return v;
}

static struct asked alone[EIGHT];
static uint64_t alone_records; /* had by all */

/* What each answers alone, at first asked for. */
static void need_answers(void)
{
	struct engine *e;

	if (alone[0].status.p)
		return;
	e = engine(false, 1, 0, 0);
	for (int i = 0; i < EIGHT; i++) {
		ask(e, &alone[i], "", queries[i]);
		assert_int_equal(end(&alone[i]), QUERY_DONE);
	}
	alone_records = figure(e, "\nrecords: ");
	engine_free(e);
}

static void forget_answers(void)
{
	for (int i = 0; i < EIGHT; i++)
		if (alone[i].status.p)
			done_with(&alone[i]);
}

static void same_answer(const struct asked *a, int i, const char *where)
{
	if (strcmp(rows(a), rows(&alone[i])) != 0)
		fail_msg("%s: %s differs", where, queries[i]);
}

/* All eight, and all have begun: the first by itself, as it came before there was anybody else; it
 * goes on with the others behind its first batch. */
static void ask_eight(struct engine *e, struct asked *a, const char *before, bool has_room)
{
	need_answers();
	ask(e, &a[0], before, queries[0]);
	UNTIL(is_waiting());
	for (int i = 1; i < EIGHT; i++)
		ask(e, &a[i], before, queries[i]);
	UNTIL(figure(e, "joint_queries: ") == EIGHT - 1);
	if (has_room) {
		let_pass(1);
		UNTIL(figure(e, "joint_queries: ") == EIGHT);
	}
}

/* ---- tests ---- */

static void eight_read_once(void **state)
{
	static const char *const how[] = {"", "set scheduler breadth", "set scheduler workers"};

	for (uint32_t k = 0; k < 6; k++) {
		uint32_t threads = k < 3 ? 1 : 3;
		struct engine *e = engine(true, threads, 0, JOINT_MEMORY);
		struct asked a[EIGHT] = {0};

		ask_eight(e, a, how[k % 3], true);
		let_pass(INT64_MAX);
		for (int i = 0; i < EIGHT; i++) {
			assert_int_equal(end(&a[i]), QUERY_DONE);
			same_answer(&a[i], i, how[k % 3]);
			assert_non_null(strstr(a[i].plan.p, " joint pass of 8"));
			assert_null(strstr(a[i].plan.p, " left "));
			done_with(&a[i]);
		}
		assert_int_equal(figure(e, "\npasses: ") + figure(e, "joint_left: "), 1);
		assert_int_equal(figure(e, "\njoined: "), EIGHT);
		assert_int_equal(figure(e, "\nrecords: "), alone_records);
		assert_int_equal(figure(e, "joint_bytes: "), 0);
		engine_free(e);
	}
}

/* With all of its columns kept afterwards, as after a pass of a query's own. */
static void the_cache_learns_of_it(void **state)
{
	struct engine *e;
	struct asked a[EIGHT] = {0};
	struct timespec t[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};

	assert_int_equal(utimensat(AT_FDCWD, trace.path, t, 0), 0);
	e = engine(true, 1, 64 << 20, JOINT_MEMORY);
	ask_eight(e, a, "", true);
	let_pass(INT64_MAX);
	for (int i = 0; i < EIGHT; i++) {
		assert_int_equal(end(&a[i]), QUERY_DONE);
		same_answer(&a[i], i, "with a cache");
		done_with(&a[i]);
	}
	UNTIL(figure(e, "cache_traces: ") == 1);
	ask(e, &a[0], "", queries[0]);
	assert_int_equal(end(&a[0]), QUERY_DONE);
	same_answer(&a[0], 0, "from the cache");
	assert_non_null(strstr(a[0].status.p, "\nfrom_cache: 1\n"));
	done_with(&a[0]);
	engine_free(e);
}

/* A query rests when it is given something; not more than it takes. */
static bool rests(const struct asked *a)
{
	if (query_state(a->query) == QUERY_PAUSED)
		return true;
	if (is_waiting())
		let_pass(1);
	return false;
}

static void resumes(struct engine *e, struct asked *a, int i)
{
	assert_int_equal(query_state(a->query), QUERY_PAUSED);
	assert_int_equal(figure(e, "joint_passes: "), 1);
	control(a, "resume");
	assert_int_equal(end(a), QUERY_DONE);
	same_answer(a, i, "after a rest");
	assert_non_null(strstr(a->plan.p, " left after "));
}

/* `how` but for the one that fails: that takes more memory. */
static void one_does_this_and_that(struct engine *e, const char *how)
{
	enum { STOPS = EIGHT, RESTS, FAILS, HEAD, ALL };
	struct asked a[ALL] = {0}, want = {0};

	ask_eight(e, a, how, true);
	ask(e, &a[STOPS], how, queries[5]);
	ask(e, &a[RESTS], how, queries[2]);
	ask(e, &a[FAILS], "set memory 1MB", "packets | uniq ts srcip dstip | print ts");
	ask(e, &a[HEAD], how, "packets | where ipprotocol = 6 | head 10 | print ts srcip");
	UNTIL(figure(e, "joint_queries: ") == ALL);
	let_pass(20);
	UNTIL(is_waiting());
	control(&a[STOPS], "stop");
	control(&a[RESTS], "pause");
	control(&a[0], "pause");
	UNTIL(rests(&a[RESTS]));
	UNTIL(rests(&a[0]));
	let_pass(INT64_MAX);
	for (int i = 1; i < EIGHT; i++) {
		assert_int_equal(end(&a[i]), QUERY_DONE);
		same_answer(&a[i], i, "among others");
		done_with(&a[i]);
	}
	assert_int_equal(end(&a[STOPS]), QUERY_STOPPED);
	assert_memory_equal(rows(&a[STOPS]), rows(&alone[5]), a[STOPS].rows.len);
	assert_true(a[STOPS].rows.len < alone[5].rows.len);
	assert_int_equal(end(&a[FAILS]), QUERY_FAILED);
	assert_non_null(strstr(a[FAILS].status.p, "memory limit"));
	assert_int_equal(end(&a[HEAD]), QUERY_DONE);
	resumes(e, &a[RESTS], 2);
	resumes(e, &a[0], 0);
	assert_int_equal(figure(e, "joint_left: "), 2);
	assert_int_equal(figure(e, "\npasses: "), 3);
	e->mounted[0]->source = real;
	ask(e, &want, "", "packets | where ipprotocol = 6 | head 10 | print ts srcip");
	assert_int_equal(end(&want), QUERY_DONE);
	assert_string_equal(rows(&a[HEAD]), rows(&want));
	done_with(&want);
	done_with(&a[0]);
	for (int i = STOPS; i < ALL; i++)
		done_with(&a[i]);
}

static void what_one_does_is_nothing_to_the_others(void **state)
{
	static const char *const how[] = {"", "set scheduler breadth", "set scheduler workers"};

	for (uint32_t k = 0; k < 3; k++) {
		struct engine *e = engine(true, k < 2 ? 1 : 3, 0, JOINT_MEMORY);

		gate.ragged = true;
		one_does_this_and_that(e, how[k]);
		assert_null(gate.rest);
		engine_free(e);
	}
}

/* Its rows are not taken before the others are done: the window is full long before. */
static void who_is_far_behind_has_to_leave(void **state)
{
	for (uint32_t threads = 1; threads <= 3; threads += 2) {
		struct engine *e = engine(true, threads, 0, 1 << 20);
		struct asked a[EIGHT] = {0};

		__atomic_store_n(&a[5].stuck, true, __ATOMIC_RELEASE);
		ask_eight(e, a, "set scheduler depth", true);
		let_pass(INT64_MAX);
		for (int i = 0; i < EIGHT; i++) {
			if (i == 5)
				continue;
			assert_int_equal(end(&a[i]), QUERY_DONE);
			same_answer(&a[i], i, "beside a slow one");
			done_with(&a[i]);
		}
		__atomic_store_n(&a[5].stuck, false, __ATOMIC_RELEASE);
		assert_int_equal(end(&a[5]), QUERY_DONE);
		same_answer(&a[5], 5, "slow");
		assert_non_null(strstr(a[5].plan.p, " left after "));
		done_with(&a[5]);
		assert_true(figure(e, "joint_left: ") >= 1);
		engine_free(e);
	}
}

/* No room for any form; an error of the one that reads for all. */
static void when_it_cannot_go_on_each_does(void **state)
{
	for (int k = 0; k < 6; k++) {
		static const int64_t at[] = {1, 2, 9, 30, 50};
		struct engine *e = engine(true, k % 2 ? 3 : 1, 0, k ? JOINT_MEMORY : 1000);
		struct asked a[EIGHT] = {0};
		uint32_t failed = 0;

		ask_eight(e, a, k > 3 ? "set scheduler workers" : "", k > 0);
		gate.fails = k ? at[k - 1] : -1;
		let_pass(INT64_MAX);
		for (int i = 0; i < EIGHT; i++) {
			/* it may have been a reader of one's own, and then that one fails */
			if (end(&a[i]) == QUERY_DONE)
				same_answer(&a[i], i, "after an error");
			else
				failed++;
			done_with(&a[i]);
		}
		assert_true(failed <= (k > 0));
		engine_free(e);
	}
}

static void what_is_wrong_is_told_to_all(void **state)
{
	struct engine *e;
	struct asked a[EIGHT] = {0};

	forget_answers();
	assert_int_equal(truncate(trace.path, 2500001), 0);
	e = engine(true, 1, 0, JOINT_MEMORY);
	ask_eight(e, a, "", true);
	let_pass(INT64_MAX);
	for (int i = 0; i < EIGHT; i++) {
		assert_int_equal(end(&a[i]), QUERY_DONE);
		same_answer(&a[i], i, "of a cut trace");
		/* the last one has had enough before */
		assert_int_equal(strstr(a[i].status.p, "\nfault: ") != NULL, i < EIGHT - 1);
		done_with(&a[i]);
	}
	forget_answers();
	assert_int_equal(figure(e, "\nfaults: "), 1);
	engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(eight_read_once),
	        cmocka_unit_test(the_cache_learns_of_it),
	        cmocka_unit_test(what_one_does_is_nothing_to_the_others),
	        cmocka_unit_test(who_is_far_behind_has_to_leave),
	        cmocka_unit_test(when_it_cannot_go_on_each_does),
	        cmocka_unit_test(what_is_wrong_is_told_to_all),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
