/* SPDX-License-Identifier: MIT */
/* refresh.c: at ten moments of a pass, the rolling answer of every blocking module is the answer of
 * a run that ends there; and every answer is the same under all schedulers.
 *
 * The trace is written here: 20,000 packets, pseudo-random by a fixed seed.
 */
#include "tests/unit/rnd.h"
#include "tests/unit/trial.h"

#define PACKETS 20000

static const char *const queries[] = {
        "packets | group count() sum(len) as bytes",
        "packets | group srcip count() sum(len) min(len) max(len) mean(len) stddev(len)",
        "packets | group srcip dstport distinct(dstip) percentile(len, 95) first(ts) last(ts)",
        "packets | last srcip dstip | print ts srcip dstip len",
        "packets | count srcip | last srcip | sort -r count | head 5 | print srcip count",
        "packets | sort len srcport | print len srcport",
        "packets | sort -r len | head 7 | print len ts",
        "packets | tail 9 | print ts len",
        "packets | count dstport | last dstport | pdf | print dstport probability",
        "packets | entropy srcip",
        "packets | histogram len",
        "packets | where ipprotocol in (6, 17) | uniq srcip dstip dstport | "
        "count -f spread srcip | last srcip | sort -r spread | head 10 | print srcip spread",
        "pcapfile - | uniq seq srcip dstip srcport dstport | count seq | last seq | pdf | "
        "print seq probability",
        "pcapfile - | filter srcmac=00:01:02:03:04:05 | uniq srcip dstip dstport | "
        "count -f spread srcip | last srcip | count spread | last spread | pdf | "
        "print spread probability",
        "packets | split srcip ( group dstport count() )",
        "packets | split srcip ( group count() ) | sort -r count | head 5",
        "packets | split srcip ( count dstport | last dstport | entropy ) | print srcip entropy",
        "packets | split ipprotocol ( split srcip ( tail 1 | print srcip ts ) )",
        "packets | group srcip dstip count() | split srcip ( sort -r count | head 1 )",
        "packets | split srcport ( ( tail 1 | print ts + where len < 100 | print ts len ) )",
        "packets | filter srcport < 20 --then (group srcport count()) --else (print srcport ts)",
        "packets | filter srcport < 20 --else (filter len > 700 --then (last srcip) --else (tail "
        "3)) "
        "| print srcip len ts",
        "packets | distribute -n 3 srcip (group srcip dstport count())",
        "packets | distribute (tail 2 | print ts) (group srcip count())",
        "packets | tee (count) | split srcip (filter len > 700 --then (group count()))",
        "packets | (where srcport < 20 | group srcport count() + where srcport > 40 | print "
        "srcport "
        "ts)",
};

static struct made_trace trace;

static int setup(void **state)
{
	FILE *f = trace_make(&trace);

	seed = 7;
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint8_t p[54] = {[5] = 1, [7] = 1, 2, 3, 4, (uint8_t)(4 + rnd(3))}, *tcp;
		uint32_t len = 54 + rnd(1400);

		tcp = put_ip(p + 12, false, rnd(4) ? 6 : 17, 20);
		put32(p + 26, 0x0a000000 + rnd(50) * rnd(50));
		put32(p + 30, 0xc0a80000 + rnd(200));
		put16(tcp, rnd(60));
		put16(tcp + 2, rnd(1000));
		put32(tcp + 4, rnd(5000));
		put16(tcp + 12, 0x5010);
		trace_put(f, i * 10000ull, p, sizeof p, len);
	}
	return fclose(f);
}

static int teardown(void **state)
{
	return trace_remove(&trace);
}

static void table_new(
        struct trial *t, struct engine *e, const char *query, const struct scheduler *s)
{
	trial_new(t, e, query, s);
	assert_true(t->plan->table);
}

static void push(struct trial *t, struct weir_batch *b)
{
	assert_true(graph_push(t->graph, t->source, weir_batch_ref(b)) >= 0);
}

/* The answer over the first `batches` batches, as a run that ends there gives it. */
static void whole(struct engine *e, const char *query, const struct scheduler *s, int batches,
        struct text *to)
{
	struct weir_batch *b;
	struct trial t;

	table_new(&t, e, query, s);
	for (int i = 0; i < batches && trial_read(&t, &b); i++) {
		push(&t, b);
		weir_batch_unref(b);
	}
	assert_int_equal(graph_end(t.graph), 0);
	text_clear(to);
	text_add(to, t.out.p, t.out.len);
	trial_free(&t);
}

static void refresh_is_batch(void **state)
{
	static const struct scheduler *const schedulers[] = {&scheduler_depth, &scheduler_breadth};
	struct engine *e = trace_engine(&trace);
	struct text want = TEXT_INIT;

	for (size_t q = 0; q < sizeof queries / sizeof *queries; q++)
		for (int s = 0; s < 2; s++) {
			struct weir_batch *b;
			struct trial t;
			int n = 0;

			table_new(&t, e, queries[q], schedulers[s]);
			while (trial_read(&t, &b)) {
				push(&t, b);
				weir_batch_unref(b);
				n++;
				if (rnd(2))
					continue;
				text_clear(&t.out);
				assert_int_equal(graph_refresh(t.graph), 0);
				whole(e, queries[q], schedulers[1 - s], n, &want);
				same_text(&t.out, &want, "%s: after %d batches, %s", queries[q], n,
				        schedulers[s]->name);
			}
			assert_true(n >= 20);
			trial_free(&t);
		}
	text_release(&want);
	engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(refresh_is_batch)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
