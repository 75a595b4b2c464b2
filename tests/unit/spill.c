/* SPDX-License-Identifier: MIT */
/* spill.c: tables on disk answer as those in memory do, at every mark.
 *
 * `set memory 64KB` on an account without a limit makes every table spill after its first batch,
 * and every wave after a batch too: more waves than any memory would bring about. Batches are cut,
 * and marks set, at random, the same way for both.
 */
#include "engine/core/spill_file.h"
#include "tests/unit/rnd.h"
#include "tests/unit/trial.h"

#define PACKETS 6000

static const char *const queries[] = {
        "packets | group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes",
        "packets | group srcip dstport distinct(dstip) percentile(len, 95) first(ts) last(ts)",
        "packets | group srcip dstip count() sum(len) mean(len) | sort -r sum_len | head 10",
        "packets | group dstip seq count() | group dstip count() sum(count) | sort dstip",
        "packets | group payload count() max(srcip)",
        "packets | group count() sum(len)",
        "packets | last srcip seq | print ts srcip seq len payload",
        "packets | last | print ts srcip",
        "packets | uniq srcip dstip dstport | count -f spread srcip | last srcip",
        "packets | uniq srcip seq | print ts srcip seq payload",
        "packets | uniq srcmac seq | uniq dstip | const 'x' as c | count dstip | print ts c count",
        "packets | uniq seq | sort len | print ts len seq",
        "packets | uniq srcip seq | head 700 | print ts srcip",
        "packets | uniq payload | group srcport count()",
        "packets | sort len srcport | print len srcport ts",
        "packets | sort -r srcip dstip | print srcip dstip len",
        "packets | sort srcport payload | print srcport payload",
        "packets | sort -r payload | head 40 | print payload ts",
        "packets | sort -r dstport | skip 5000 | print dstport seq",
        "packets | sort ipprotocol | group ipprotocol first(ts) last(ts) count()",
        "packets | window 10s | group srcip seq count()",
        "packets | window 10s | uniq dstip | sort dstip",
        "packets | (uniq srcip + uniq dstip) | print ts srcip dstip",
        "packets | split srcmac (group seq count())",
        "packets | count srcip seq | print ts srcip seq count payload",
        "packets | count seq | uniq srcip count | print ts srcip count",
        "packets | count -b srcip dstip | last srcip dstip | print srcip dstip count",
        ("packets | where ipprotocol in (6, 17) | uniq srcip dstip dstport | count srcip | "
         "last srcip | sort -r count"),
        "packets | uniq seq srcip dstip | count seq | last seq | pdf | print seq probability",
        "packets | last payload | pdf len | print payload probability",
        "packets | window 10s | count srcip seq | uniq count srcip",
};

static struct made_trace trace;

/* IPv4 or IPv6, UDP of up to 40 bytes, TCP, or GRE, which has no ports. */
static uint32_t packet(uint8_t *p)
{
	bool six = rnd(4) == 0;
	uint8_t *l4, proto = rnd(5) ? rnd(3) ? 6 : 17 : 47;
	uint32_t text = rnd(40), l4_len = proto == 17 ? 8 + text : 20;

	memset(p, 0, 120);
	p[11] = (uint8_t)(4 + rnd(3));
	l4 = put_ip(p + 12, six, proto, l4_len);
	put32(p + (six ? 22 : 26), 0x20010db8 + (six ? 0 : rnd(50) * rnd(50)));
	put32(p + (six ? 38 : 30), 0x20010db8 + (six ? 0 : rnd(200)));
	if (six) {
		put16(p + 36, rnd(300));
		put16(p + 52, rnd(900));
	}
	put16(l4, rnd(60));
	put16(l4 + 2, rnd(1000));
	if (proto == 17) {
		put16(l4 + 4, l4_len);
		for (uint32_t i = 0; i < text; i++)
			l4[8 + i] = (uint8_t)('a' + rnd(2));
	} else {
		put32(l4 + 4, rnd(5000));
		l4[12] = 0x50;
	}
	return (uint32_t)(l4 - p) + l4_len;
}

static int setup(void **state)
{
	FILE *f = trace_make(&trace);

	seed = 11;
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint8_t p[120];
		uint32_t n = packet(p);

		trace_put(f, i * 10000ull, p, n, n);
	}
	return fclose(f);
}

static int teardown(void **state)
{
	return trace_remove(&trace);
}

/* Pushes a batch in pieces. */
static int push(struct trial *t, struct weir_batch *b)
{
	int r = 0;

	for (uint32_t at = 0, n = b->n, m; at < n && r == 0; at += m) {
		m = 1 + rnd(n - at);
		r = trial_push_piece(t, b, at, m);
	}
	weir_batch_unref(b);
	return r;
}

static int run(struct trial *t, uint64_t course)
{
	struct weir_batch *b;
	int r = 0;

	seed = course;
	while (r >= 0 && graph_wants(t->graph, t->source) && trial_read(t, &b)) {
		r = push(t, b);
		if (r >= 0 && course % 2 && t->plan->table && rnd(2)) {
			text_puts(&t->out, "-- refresh\n");
			r = graph_refresh(t->graph);
		}
	}
	if (t->plan->table)
		text_puts(&t->out, "-- end\n");
	return r < 0 ? r : graph_end(t->graph);
}

static void compare(struct engine *e, const char *query, const struct scheduler *s, uint64_t course)
{
	char text[1024];
	struct trial want, got;

	trial_new(&want, e, query, &scheduler_depth);
	assert_int_equal(run(&want, course), 0);
	snprintf(text, sizeof text, "set spill %s 100MB set memory 64KB %s", trace.dir, query);
	trial_new(&got, e, text, s);
	if (run(&got, course) < 0)
		fail_msg("%s: %s", query, got.context.err.text);
	same_text(&got.out, &want.out, "%s, %s, course %llu", query, s->name,
	        (unsigned long long)course);
	if (got.plan->nspills && !strstr(query, "group count") && !strstr(query, "head") &&
	        !strstr(query, "last |"))
		assert_true(got.context.spill_peak > 0);
	trial_free(&got);
	trial_free(&want);
}

static void same_on_disk(void **state)
{
	struct engine *e = trace_engine(&trace);

	for (size_t q = 0; q < sizeof queries / sizeof *queries; q++)
		for (uint64_t course = 1000; course < 1004; course++)
			compare(e, queries[q],
			        course < 1002 ? &scheduler_depth : &scheduler_breadth, course);
	engine_free(e);
}

/* At any size some query meets the limit in the middle of what it writes; nothing leaks. */
static void limits(void **state)
{
	static const char *const over[] = {"group srcip seq payload count()", "sort seq payload",
	        "last seq | sort payload", "uniq payload | sort -r seq"};
	struct engine *e = trace_engine(&trace);
	uint32_t over_limit = 0;

	for (size_t q = 0; q < sizeof over / sizeof *over; q++)
		for (uint32_t size = 65536; size < 300000; size += 20000) {
			char text[1024];
			struct trial t;
			int r;

			snprintf(text, sizeof text,
			        "set spill %s %u set memory 64KB packets | %s | print seq payload",
			        trace.dir, size, over[q]);
			if (q == 0)
				*strrchr(text, '|') = '\0';
			trial_new(&t, e, text, &scheduler_depth);
			r = run(&t, 7);
			assert_true(t.context.spill_peak <= size);
			over_limit += r < 0;
			if (r < 0) {
				assert_int_equal(r, -ENOSPC);
				assert_int_equal(t.context.err.id, WEIR_E_SPILL_LIMIT);
			}
			trial_free(&t);
		}
	engine_free(e);
	assert_true(over_limit > 8); /* of 48: the smallest are too small */
}

/* Memory that runs out at any place: an error, and nothing leaks. */
static void memory(void **state)
{
	static const char *const some[] = {"uniq seq | group srcip seq count()",
	        "sort payload seq | print ts", "last payload seq | sort payload"};
	struct engine *e = trace_engine(&trace);

	for (size_t q = 0; q < sizeof some / sizeof *some; q++)
		for (size_t limit = 300000; limit < 3000000; limit += 300000) {
			char text[1024];
			struct trial t;
			int r;

			snprintf(text, sizeof text, "set spill %s 1GB set memory 64KB packets | %s",
			        trace.dir, some[q]);
			trial_new(&t, e, text, &scheduler_depth);
			t.mem.limit = limit;
			r = run(&t, 9);
			assert_true(r == 0 || r == -ENOMEM);
			trial_free(&t);
		}
	engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(same_on_disk),
	        cmocka_unit_test(limits),
	        cmocka_unit_test(memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
