/* SPDX-License-Identifier: MIT */
/* refresh.c: at ten moments of a pass, the rolling answer of every blocking module is the answer of
 * a run that ends there; and every answer is the same under all schedulers.
 *
 * The trace is written here: 20,000 packets, pseudo-random by a fixed seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/core/engine.h"
#include "engine/core/node.h"
#include "engine/store/render.h"

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

static char dir[] = "/tmp/weir-refresh-XXXXXX", path[64];
static uint64_t seed = 7;

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

static int setup(void **state)
{
	static const uint32_t head[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/t.pcap", dir);
	f = fopen(path, "w");
	fwrite(head, sizeof head, 1, f);
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint8_t p[54] = {
		        0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4, (uint8_t)(4 + rnd(3)), 8, 0, 0x45};
		uint32_t rec[4] = {1600000000 + i / 100, i % 100 * 10000, sizeof p, 54 + rnd(1400)};

		put16(p + 16, 40);
		p[23] = rnd(4) ? 6 : 17;
		put32(p + 26, 0x0a000000 + rnd(50) * rnd(50));
		put32(p + 30, 0xc0a80000 + rnd(200));
		put16(p + 34, rnd(60));
		put16(p + 36, rnd(1000));
		put32(p + 38, rnd(5000));
		p[46] = 0x50;
		p[47] = 0x10;
		fwrite(rec, sizeof rec, 1, f);
		fwrite(p, sizeof p, 1, f);
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
	struct weir_mem mem;
	struct run_context context;
	struct graph *graph;
	struct render render;
	struct text out;
};

static int rows(void *arg, struct weir_batch *b)
{
	struct trial *f = arg;

	return render_batch(&f->render, b, &f->out);
}

static void trial_new(
        struct trial *f, struct engine *e, const char *query, const struct scheduler *s)
{
	struct rights all = {.all = true};
	struct weir_err err = WEIR_ERR_INIT;

	*f = (struct trial){0};
	if (plan_make(e, query, strlen(query), &all, &f->plan, &err) < 0)
		fail_msg("%s: %s", query, err.text);
	assert_true(f->plan->table);
	f->context = (struct run_context){.plan = f->plan,
	        .scheduler = s,
	        .mem = &f->mem,
	        .pool = pool_new(&f->mem),
	        .rights = all,
	        .stats = calloc(f->plan->nnodes + 1, sizeof(struct node_stats)),
	        .rows = rows,
	        .arg = f,
	        .err = WEIR_ERR_INIT};
	assert_int_equal(
	        render_init(&f->render, FORMAT_CSV, f->plan->out, f->plan->shown, f->plan->nshown),
	        0);
	assert_int_equal(graph_new(&f->context, &f->plan->root, NULL, 0, &f->graph), 0);
}

static void trial_free(struct trial *f)
{
	graph_free(f->graph);
	pool_unref(f->context.pool);
	assert_int_equal(f->mem.used, 0);
	free(f->context.stats);
	render_release(&f->render);
	text_release(&f->out);
	plan_free(f->plan);
}

static uint32_t source_node(const struct plan *p)
{
	for (uint32_t i = 0; i < p->root.n; i++)
		if (p->root.nodes[i]->source)
			return i;
	return 0;
}

static struct reader *open_trace(struct engine *e, struct trial *f, struct weir_mem *mem)
{
	const struct plan_node *n = f->plan->root.nodes[source_node(f->plan)];
	struct rights all = {.all = true};
	struct weir_err err = WEIR_ERR_INIT;
	struct reader *r;

	assert_int_equal(reader_open(n->source, n->config, &all, e, mem, NULL, &r, &err), 0);
	return r;
}

static int push(struct trial *f, struct weir_batch *b)
{
	int r = graph_push(f->graph, source_node(f->plan), weir_batch_ref(b));

	assert_true(r >= 0);
	return r;
}

/* The answer over the first `batches` batches, as a run that ends there gives it. */
static void whole(struct engine *e, const char *query, const struct scheduler *s, int batches,
        struct text *to)
{
	struct weir_mem mem = {0};
	struct trial f;
	struct reader *r;
	struct weir_batch *b;

	trial_new(&f, e, query, s);
	r = open_trace(e, &f, &mem);
	for (int i = 0; i < batches && r->source->read(&r->pub, &b, NULL) == 1; i++) {
		push(&f, b);
		weir_batch_unref(b);
	}
	assert_int_equal(graph_end(f.graph), 0);
	text_clear(to);
	text_add(to, f.out.p, f.out.len);
	trial_free(&f);
	reader_close(r);
	assert_int_equal(mem.used, 0);
}

static void refresh_is_batch(void **state)
{
	static const struct scheduler *const schedulers[] = {&scheduler_depth, &scheduler_breadth};
	struct engine *e = engine_new(&(struct engine_options){0});
	struct text want = TEXT_INIT;

	assert_int_equal(engine_add_source(e, "t", path, NULL), 0);
	for (size_t q = 0; q < sizeof queries / sizeof *queries; q++)
		for (int s = 0; s < 2; s++) {
			struct weir_mem mem = {0};
			struct trial f;
			struct reader *r;
			struct weir_batch *b;
			int n = 0;

			trial_new(&f, e, queries[q], schedulers[s]);
			r = open_trace(e, &f, &mem);
			while (r->source->read(&r->pub, &b, NULL) == 1) {
				push(&f, b);
				weir_batch_unref(b);
				n++;
				if (rnd(2))
					continue;
				text_clear(&f.out);
				assert_int_equal(graph_refresh(f.graph), 0);
				whole(e, queries[q], schedulers[1 - s], n, &want);
				if (want.len != f.out.len ||
				        (want.len && memcmp(want.p, f.out.p, want.len)))
					fail_msg("%s: after %d batches, %s:\n%.500s\ninstead of:\n"
					         "%.500s",
					        queries[q], n, schedulers[s]->name, f.out.p,
					        want.p);
			}
			assert_true(n >= 20);
			trial_free(&f);
			reader_close(r);
		}
	text_release(&want);
	engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(refresh_is_batch)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
