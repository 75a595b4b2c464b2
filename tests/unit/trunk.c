/* SPDX-License-Identifier: MIT */
/* trunk.c: queries on one pipe that begin with equal stages: what they have and what they count is
 * what each would have alone, whoever comes, pauses or goes meanwhile; and they share.
 */
#include "tests/unit/on_pipe.h"

static void finish(struct in *in)
{
	end_input(in);
	engine_free(in->e);
}

static struct query *start(struct in *in, const char *spec)
{
	struct weir_err err = WEIR_ERR_INIT;
	struct query *q;

	if (query_submit(in->e, spec, strlen(spec), NULL, NULL, &q, &err) < 0)
		fail_msg("%s: %s", spec, err.text);
	return q;
}

/* Rows of the log so far. */
static uint64_t rows(struct query *q)
{
	struct result *r = query_result(q);
	uint64_t n = log_end(r);

	result_unref(r);
	return n;
}

static bool says(struct query *q, const char *what, const char *text)
{
	struct text to = TEXT_INIT;
	bool r;

	assert_int_equal(query_text(q, what, &to), 0);
	r = to.p && strstr(to.p, text);
	if (!r && getenv("SHOW"))
		print_message("%s\n", to.p);
	text_release(&to);
	return r;
}

static bool source_says(struct in *in, const char *text)
{
	struct text to = TEXT_INIT;
	bool r;

	assert_int_equal(engine_source_text(in->e, 0, "info", &to), 0);
	r = to.p && strstr(to.p, text);
	text_release(&to);
	return r;
}

static void control(struct query *q, const char *command)
{
	assert_int_equal(query_control(q, command, strlen(command), NULL, NULL), 0);
}

#define UNTIL(what)                                                                                \
	do {                                                                                       \
		int64_t late = now_ns(CLOCK_MONOTONIC) + DEADLINE * 1000000000ll;                  \
                                                                                                   \
		while (!(what)) {                                                                  \
			if (now_ns(CLOCK_MONOTONIC) > late)                                        \
				fail_msg("not after %d s: %s", DEADLINE, #what);                   \
			usleep(1000);                                                              \
		}                                                                                  \
	} while (0)

static void end(struct query *q, uint64_t n)
{
	assert_int_equal(query_wait(q), QUERY_DONE);
	assert_int_equal(rows(q), n);
	query_unref(q);
}

/* Blanks, and what stands behind, make no difference; a value does. */
static void shared(void **state)
{
	struct query *a, *b, *c, *d;
	struct in in;

	begin(&in);
	a = start(&in, "net | where len >= 100 | where len<500 | print len");
	b = start(&in, "net | where len>=100 | where len < 500 | skip 10 | print len");
	c = start(&in, "net | where len >= 100 | where len < 400 | print len");
	d = start(&in, "net | where len >= 101 | print len");
	assert_true(source_says(&in, "\nshared: 3 queries: where len>=100\n"));
	assert_true(source_says(&in, "\nshared: 2 queries: where len>=100 | where len<500\n"));
	assert_false(source_says(&in, "400"));
	packets(&in, 1000);
	UNTIL(rows(a) == 400 && rows(b) == 390 && rows(c) == 300 && rows(d) == 899);
	assert_true(says(a, "plan", " shared by 3}\n2 where"));
	assert_true(says(a, "plan", "{in 900 out 400 batches "));
	assert_true(says(a, "plan", " shared by 2}\n3 print"));
	assert_true(says(c, "plan", " shared by 3}\n"));
	assert_false(says(c, "plan", "shared by 2"));
	assert_false(says(d, "plan", "shared"));
	packets(&in, 500);
	close(in.fd);
	in.fd = -1;
	end(query_ref(a), 400);
	end(b, 390);
	end(c, 300);
	end(d, 1399);
	assert_true(says(a, "status", "\nrecords: 1500\n"));
	assert_true(says(a, "status", "node: net in 0 out 1500 "));
	assert_true(says(a, "status", "node: where in 1500 out 1400 "));
	assert_true(says(a, "status", "node: where in 1400 out 400 "));
	assert_true(says(a, "status", "node: print in 400 out 400 "));
	query_unref(a);
	finish(&in);
}

/* Who comes late, pauses, stops: each has, and counts, its own. */
static void coming_and_going(void **state)
{
	struct query *a, *b, *c;
	struct in in;

	begin(&in);
	a = start(&in, "net | where len % 2 = 0 | print len");
	b = start(&in, "net | where len != 7 | print len");
	packets(&in, 1000);
	UNTIL(rows(b) == 999);
	c = start(&in, "net | where len != 7 | print len");
	assert_true(source_says(&in, "shared: 2 queries: where len!=7\n"));
	packets(&in, 1000);
	UNTIL(rows(b) == 1999 && rows(c) == 1000);
	control(b, "pause");
	UNTIL(query_state(b) == QUERY_PAUSED);
	packets(&in, 1000);
	UNTIL(rows(c) == 2000);
	control(b, "resume");
	UNTIL(query_state(b) == QUERY_RUNNING);
	packets(&in, 1000);
	UNTIL(rows(b) == 2999 && rows(c) == 3000);
	control(c, "stop");
	assert_int_equal(query_wait(c), QUERY_STOPPED);
	assert_false(source_says(&in, "shared: "));
	packets(&in, 1000);
	close(in.fd);
	in.fd = -1;
	end(query_ref(b), 3999);
	end(a, 2500);
	assert_true(says(b, "status", "\nnet.skipped: 1000\n"));
	assert_true(says(b, "status", "\nrecords: 4000\n"));
	assert_true(says(b, "status", "node: where in 4000 out 3999 "));
	assert_true(says(c, "status", "\nrecords: 3000\n"));
	assert_true(says(c, "status", "node: where in 3000 out 3000 "));
	query_unref(b);
	query_unref(c);
	finish(&in);
}

/* What leaves nothing is counted all the same, and seen while the query runs. */
static void nothing_left(void **state)
{
	struct query *a, *b;
	struct in in;

	begin(&in);
	a = start(&in, "net | where len > 1000000 | print len");
	b = start(&in, "net | where len > 1000000 | group srcip count()");
	for (int i = 0; i < 300; i++) {
		packets(&in, 10);
		usleep(1000);
	}
	UNTIL(says(a, "status", "\nnode: where in 3000 out 0 "));
	close(in.fd);
	in.fd = -1;
	end(query_ref(a), 0);
	assert_int_equal(query_wait(b), QUERY_DONE);
	query_unref(b);
	query_unref(a);
	finish(&in);
}

/* Annotations of shared stages, and columns that only one asks for. */
static void annotations(void **state)
{
	struct query *a[8];
	struct in in;

	begin(&in);
	for (int i = 0; i < 8; i++) {
		char spec[200];

		snprintf(spec, sizeof spec,
		        "net | where len < 4000 | expr [len * 2] as twice | where %s >= %d | "
		        "print twice ts %s",
		        i % 2 ? "twice" : "len", i * 100, i % 3 ? "caplen" : "srcip");
		a[i] = start(&in, spec);
	}
	packets(&in, 5000);
	close(in.fd);
	in.fd = -1;
	for (int i = 0; i < 8; i++)
		end(a[i], (uint64_t)(i % 2 ? 4000 - i * 50 : 4000 - i * 100));
	finish(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(shared),
	        cmocka_unit_test(coming_and_going),
	        cmocka_unit_test(nothing_left),
	        cmocka_unit_test(annotations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
