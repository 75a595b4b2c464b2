/* SPDX-License-Identifier: MIT */
/* spill.c: tables on disk answer as those in memory do, at every mark.
 *
 * `set memory 64KB` on an account without a limit makes every table spill after its first batch,
 * and every wave after a batch too: more waves than any memory would bring about. Batches are cut,
 * and marks set, at random, the same way for both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/core/engine.h"
#include "engine/core/node.h"
#include "engine/core/spill_file.h"
#include "engine/store/render.h"

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
        "packets | where ipprotocol in (6, 17) | uniq srcip dstip dstport | count srcip | "
        "last srcip | sort -r count",
        "packets | uniq seq srcip dstip | count seq | last seq | pdf | print seq probability",
        "packets | last payload | pdf len | print payload probability",
        "packets | window 10s | count srcip seq | uniq count srcip",
};

static char dir[] = "/tmp/weir-spill-XXXXXX", path[64];
static uint64_t seed = 11;

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

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* IPv4 or IPv6, UDP of up to 40 bytes, TCP, or GRE, which has no ports. */
static uint32_t packet(uint8_t *p)
{
	bool six = rnd(4) == 0;
	uint8_t *l4 = p + (six ? 54 : 34), proto = rnd(5) ? rnd(3) ? 6 : 17 : 47;
	uint32_t text = rnd(40), l4_len = proto == 17 ? 8 + text : 20;

	memset(p, 0, 120);
	p[11] = (uint8_t)(4 + rnd(3));
	put16(p + 12, six ? 0x86dd : 0x0800);
	p[14] = six ? 0x60 : 0x45;
	put16(p + (six ? 18 : 16), six ? l4_len : 20 + l4_len);
	p[six ? 20 : 23] = proto;
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
	return (six ? 54 : 34) + l4_len;
}

static int setup(void **state)
{
	static const uint32_t head[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/t.pcap", dir);
	f = fopen(path, "w");
	fwrite(head, sizeof head, 1, f);
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint8_t p[120];
		uint32_t n = packet(p), rec[4] = {1600000000 + i / 100, i % 100 * 10000, n, n};

		fwrite(rec, sizeof rec, 1, f);
		fwrite(p, n, 1, f);
	}
	return fclose(f);
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(dir);
}

struct trial {
	struct plan *plan;
	struct weir_mem mem, input;
	struct run_context context;
	struct graph *graph;
	struct reader *reader;
	struct render render;
	struct text out;
};

static int rows(void *arg, struct weir_batch *b)
{
	struct trial *t = arg;

	return render_batch(&t->render, b, &t->out);
}

static void trial_new(
        struct trial *t, struct engine *e, const char *query, const struct scheduler *s)
{
	struct rights all = {.all = true};
	struct weir_err err = WEIR_ERR_INIT;
	const struct plan_node *n;

	*t = (struct trial){0};
	if (plan_make(e, query, strlen(query), &all, &t->plan, &err) < 0)
		fail_msg("%s: %s", query, err.text);
	t->context = (struct run_context){.plan = t->plan,
	        .scheduler = s,
	        .mem = &t->mem,
	        .pool = pool_new(&t->mem),
	        .rights = all,
	        .stats = calloc(t->plan->nnodes + 1, sizeof(struct node_stats)),
	        .rows = rows,
	        .arg = t,
	        .err = WEIR_ERR_INIT};
	assert_int_equal(
	        render_init(&t->render, FORMAT_CSV, t->plan->out, t->plan->shown, t->plan->nshown),
	        0);
	assert_int_equal(graph_new(&t->context, &t->plan->root, NULL, 0, &t->graph), 0);
	n = t->plan->root.nodes[0];
	assert_non_null(n->source);
	assert_int_equal(
	        reader_open(n->source, n->config, &all, e, &t->input, NULL, &t->reader, &err), 0);
}

static void trial_free(struct trial *t)
{
	graph_free(t->graph);
	pool_unref(t->context.pool);
	reader_close(t->reader);
	assert_int_equal(t->mem.used, 0);
	assert_int_equal(t->input.used, 0);
	assert_int_equal(t->context.spilled, 0);
	free(t->context.stats);
	render_release(&t->render);
	text_release(&t->out);
	plan_free(t->plan);
}

/* Pushes a batch in pieces. */
static int push(struct trial *t, struct weir_batch *b)
{
	int r = 0;

	for (uint32_t at = 0, n = b->n, m; at < n && r == 0; at += m) {
		struct weir_batch *v = pool_view(t->reader->pool, b, b->schema, batch_identity);
		uint16_t *sel;

		assert_non_null(v);
		m = 1 + rnd(n - at);
		sel = weir_batch_sel(v, m);
		for (uint32_t i = 0; i < m; i++)
			sel[i] = (uint16_t)(at + i);
		weir_batch_select(v, sel, m);
		r = graph_push(t->graph, 0, v);
	}
	weir_batch_unref(b);
	return r;
}

static int run(struct trial *t, uint64_t course)
{
	struct weir_batch *b;
	int r = 0;

	seed = course;
	while (r >= 0 && graph_wants(t->graph, 0) &&
	        t->reader->source->read(&t->reader->pub, &b, NULL) == 1) {
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
	size_t at = 0;

	trial_new(&want, e, query, &scheduler_depth);
	assert_int_equal(run(&want, course), 0);
	snprintf(text, sizeof text, "set spill %s 100MB set memory 64KB %s", dir, query);
	trial_new(&got, e, text, s);
	if (run(&got, course) < 0)
		fail_msg("%s: %s", query, got.context.err.text);
	while (at < got.out.len && at < want.out.len && got.out.p[at] == want.out.p[at])
		at++;
	if (at < got.out.len || at < want.out.len) {
		at = at > 200 ? at - 200 : 0;
		fail_msg("%s, %s, course %llu:\n%.600s\ninstead of:\n%.600s", query, s->name,
		        (unsigned long long)course, got.out.p + at, want.out.p + at);
	}
	if (got.plan->nspills && !strstr(query, "group count") && !strstr(query, "head") &&
	        !strstr(query, "last |"))
		assert_true(got.context.spill_peak > 0);
	trial_free(&got);
	trial_free(&want);
}

static struct engine *engine(void)
{
	struct engine *e = engine_new(&(struct engine_options){0});

	assert_int_equal(engine_add_source(e, "t", path, NULL), 0);
	return e;
}

static void same_on_disk(void **state)
{
	struct engine *e = engine();

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
	struct engine *e = engine();
	uint32_t over_limit = 0;

	for (size_t q = 0; q < sizeof over / sizeof *over; q++)
		for (uint32_t size = 65536; size < 300000; size += 20000) {
			char text[1024];
			struct trial t;
			int r;

			snprintf(text, sizeof text,
			        "set spill %s %u set memory 64KB packets | %s | print seq payload",
			        dir, size, over[q]);
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
	struct engine *e = engine();

	for (size_t q = 0; q < sizeof some / sizeof *some; q++)
		for (size_t limit = 300000; limit < 3000000; limit += 300000) {
			char text[1024];
			struct trial t;
			int r;

			snprintf(text, sizeof text, "set spill %s 1GB set memory 64KB packets | %s",
			        dir, some[q]);
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
