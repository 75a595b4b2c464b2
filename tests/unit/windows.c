/* SPDX-License-Identifier: MIT */
/* windows.c: windows, sessions and instances that end by the clock while no record comes, at a
 * clock that the test sets; and that all memory comes back from windows closed in any way.
 */
#include "tests/unit/trial.h"

#define MS 1000000ll

static const struct scheduler *const schedulers[] = {
        &scheduler_depth, &scheduler_breadth, &scheduler_workers};

/* When packets come (ms), from which host, as the clock of their source goes. */
static const struct {
	uint32_t ms, host;
} packets[] = {
        {100, 1},
        {500, 2},
        {1200, 1},
        /* here nothing comes for a while */
        {1900, 1},
        {2500, 2},
        {2600, 1},
};

static struct made_trace trace;
static struct engine *engine;

static int setup(void **state)
{
	FILE *f = trace_make(&trace);

	for (uint32_t i = 0; i < sizeof packets / sizeof *packets; i++) {
		uint8_t p[42] = {0};

		put_ip(p + 12, false, 17, 8);
		p[29] = (uint8_t)packets[i].host;
		trace_put(f, 1000ull * packets[i].ms, p, sizeof p, sizeof p);
	}
	fclose(f);
	engine = trace_engine(&trace);
	return 0;
}

static int teardown(void **state)
{
	engine_free(engine);
	return trace_remove(&trace);
}

struct live {
	struct trial t;
	struct live_clock clock;
	struct weir_batch *b;
};

static void begin(struct live *l, const char *query, const struct scheduler *s)
{
	*l = (struct live){0};
	trial_new(&l->t, engine, query, s);
	if (l->t.graph->flow) /* its instances have copies of the context */
		graph_free(l->t.graph);
	l->t.context.clock = &l->clock;
	if (s == &scheduler_workers)
		assert_int_equal(
		        graph_new(&l->t.context, &l->t.plan->root, NULL, 0, &l->t.graph), 0);
	assert_true(trial_read(&l->t, &l->b));
}

/* Packets come while the clock is at `ms`; 0: where they say. */
static void push(struct live *l, uint32_t first, uint32_t n, uint32_t ms)
{
	for (uint32_t i = first; i < first + n; i++) {
		l->clock.now = (ms ? ms : packets[i].ms) * MS;
		assert_int_equal(trial_push_piece(&l->t, l->b, i, 1), 0);
	}
}

/* The clock is at `ms`, less what records may be delayed; what the answer is, and when more is due
 * (ms, 0: nothing is). */
static void tick(struct live *l, uint32_t ms, const char *rows, uint32_t due)
{
	int64_t next = INT64_MAX;

	assert_int_equal(graph_tick(l->t.graph, ms * MS, &next), 0);
	assert_string_equal(l->t.out.p ? l->t.out.p : "", rows);
	if (due)
		assert_int_equal(next / MS, due);
	else
		assert_true(next == INT64_MAX);
	text_clear(&l->t.out);
}

/* A counter of all nodes of a module. */
static uint64_t counted(
        const struct live *l, const struct plan_graph *g, const char *module, const char *counter)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];

		for (uint32_t k = 0; k < n->nbodies; k++)
			sum += counted(l, &n->bodies[k], module, counter);
		for (int k = 0; n->module && strcmp(n->name, module) == 0 && n->module->counters[k];
		        k++)
			if (strcmp(n->module->counters[k], counter) == 0)
				sum += l->t.context.stats[n->id].counters[k];
	}
	return sum;
}

static void end(
        struct live *l, const char *rows, const char *module, const char *counter, uint64_t count)
{
	assert_int_equal(graph_end(l->t.graph), 0);
	assert_string_equal(l->t.out.p ? l->t.out.p : "", rows);
	assert_int_equal(counted(l, &l->t.plan->root, module, counter), count);
	weir_batch_unref(l->b);
	trial_free(&l->t);
}

static void tumbling(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct live l;

		begin(&l, "packets | window 1s | group count()", schedulers[i]);
		push(&l, 0, 3, 0);
		tick(&l, 1300, "2,1600000000.000000\n", 2000);
		tick(&l, 1999, "", 2000);
		tick(&l, 2000, "1,1600000001.000000\n", 0);
		tick(&l, 9000, "", 0);
		push(&l, 3, 1, 9000); /* for the window that the clock has closed */
		push(&l, 4, 1, 9000); /* this one had nothing, so it was not */
		tick(&l, 9400, "", 9500);
		push(&l, 5, 1, 9400);
		end(&l, "2,1600000002.000000\n", "window", "late", 1);
	}
}

static void waits_for_late_ones(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct live l;

		begin(&l, "packets | window 1s --late 300ms | group count()", schedulers[i]);
		push(&l, 0, 3, 0);
		tick(&l, 1299, "", 1300);
		tick(&l, 1300, "2,1600000000.000000\n", 2300);
		push(&l, 3, 1, 2290);
		tick(&l, 2300, "", 2690);
		push(&l, 4, 2, 2600);
		end(&l, "2,1600000001.000000\n2,1600000002.000000\n", "window", "late", 0);
	}
}

/* Windows [-1, 1), [0, 2), [1, 3) … of seconds: with panes, and where each has a copy. */
static void sliding(void **state)
{
	static const char *const queries[] = {
	        "packets | window 2s slide 1s | group count() | print window count",
	        "packets | window 2s slide 1s | group count() first(ts) | print window count"};

	for (int i = 0; i < 6; i++) {
		struct live l;

		begin(&l, queries[i % 2], schedulers[i / 2]);
		push(&l, 0, 3, 0);
		tick(&l, 1999, "1599999999.000000,2\n", 2000);
		tick(&l, 2000, "1600000000.000000,3\n", 3000);
		push(&l, 3, 1, 2200); /* late for one of its windows, in time for the other */
		push(&l, 4, 1, 2500);
		tick(&l, 3000, "1600000001.000000,3\n", 4000);
		push(&l, 5, 1, 3100); /* [1, 3) is closed, [2, 4) is not */
		end(&l, "1600000002.000000,2\n", "window", "late", 0);
	}
}

static void sessions(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct live l;

		begin(&l,
		        "packets | window session 800ms by srcip | group srcip count() | "
		        "print window srcip count",
		        schedulers[i]);
		push(&l, 0, 3, 0);
		tick(&l, 1300, "1600000000.100000,0.0.0.1,1\n", 1300);
		tick(&l, 1301, "1600000000.500000,0.0.0.2,1\n", 2000);
		tick(&l, 2001, "1600000001.200000,0.0.0.1,1\n", 0);
		push(&l, 3, 3, 2700);
		end(&l, "1600000002.500000,0.0.0.2,1\n1600000001.900000,0.0.0.1,2\n", "window",
		        "late", 0);
	}
}

static void idle_instances(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct live l;

		begin(&l, "packets | split srcip -t 800ms ( group count() ) | print srcip count",
		        schedulers[i]);
		push(&l, 0, 3, 0);
		tick(&l, 1300, "0.0.0.1,1\n", 1300);
		tick(&l, 1301, "0.0.0.2,1\n", 2000);
		tick(&l, 2001, "0.0.0.1,1\n", 0);
		push(&l, 3, 3, 2700);
		end(&l, "0.0.0.2,1\n0.0.0.1,2\n", "split", "idle", 3);
	}
}

/* Each host has windows of its own, and so a time of its own. */
static void windows_of_instances(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct live l;

		begin(&l,
		        "packets | split srcip ( window 1s | group count() ) | "
		        "print srcip window count",
		        schedulers[i]);
		push(&l, 0, 3, 0);
		tick(&l, 1200, "0.0.0.1,1600000000.000000,1\n0.0.0.2,1600000000.000000,1\n", 2000);
		tick(&l, 2000, "0.0.0.1,1600000001.000000,1\n", 0);
		push(&l, 3, 3, 2600);
		end(&l, "0.0.0.1,1600000002.000000,1\n0.0.0.2,1600000002.000000,1\n", "window",
		        "late", 1);
	}
}

/* A query that is dropped in the midst of it. */
static void closed(void **state)
{
	static const char *const queries[] = {
	        "packets | window 2s slide 1s --late 9s | group srcip count()",
	        "packets | window 2s slide 1s --late 9s | group srcip last(ts)",
	        "packets | window session 9s by srcip | group count()",
	        "packets | window 4 records | group count()",
	};

	for (int i = 0; i < 12; i++) {
		struct live l;

		begin(&l, queries[i % 4], schedulers[i / 4]);
		push(&l, 0, 6, 0);
		weir_batch_unref(l.b);
		trial_free(&l.t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(tumbling),
	        cmocka_unit_test(waits_for_late_ones),
	        cmocka_unit_test(sliding),
	        cmocka_unit_test(sessions),
	        cmocka_unit_test(idle_instances),
	        cmocka_unit_test(windows_of_instances),
	        cmocka_unit_test(closed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
