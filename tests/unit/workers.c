/* SPDX-License-Identifier: MIT */
/* workers.c: the same bytes and the same counters under every scheduler, at any number of threads,
 * lanes and tokens.
 *
 * Queries of all order classes, and random ones, run over one random trace whose batches are cut at
 * random, with refresh marks at random places, and stalls in the modules: each first depth-first,
 * whose answers are wanted of the others. WEIR_STRESS_SECONDS (3) is how long random ones run.
 */
#include <pthread.h>

#include "engine/core/planner.h"
#include "engine/core/stretch.h"
#include "tests/unit/rnd.h"
#include "tests/unit/trial.h"

#define PACKETS 12000
#define BATCHES_MAX 4096

static const char *const queries[] = {
        "packets | group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes",
        "packets | group srcip dstport distinct(dstip) percentile(len, 95) first(ts) last(ts)",
        "packets | group srcip dstip count() sum(len) mean(len) | sort -r sum_len | head 10",
        "packets | group count() sum(len)",
        "packets | group srcmac count() min(srcip) max(dstip)",
        "packets | uniq srcip dstip dstport | count -f spread srcip | last srcip",
        "packets | where ipprotocol = 6 | uniq srcip dstip dstport | count -f spread srcip | "
        "last srcip | sort -r spread | head 10 | print srcip spread",
        "packets | uniq srcip dstip | print ts srcip dstip",
        "packets | count srcip | where count > 3 | count -f other dstip | "
        "print ts srcip dstip count other",
        "packets | count srcip | uniq count | print ts count",
        "packets | intervals srcip dstip | delta len -b srcip | print ts interval delta",
        "packets | uniq srcmac dstip | uniq dstip | const 'x' as c | count dstip | print ts c "
        "count",
        "packets | where len > 100 | head 700 | print ts len",
        "packets | count dstip | head 300 | print ts count",
        "packets | count dstport | last dstport | pdf | print dstport probability",
        "packets | entropy srcip",
        "packets | sort len srcport | print len srcport",
        "packets | top srcip | print ts srcip",
        "packets | window 10s | count srcip | last srcip | print window srcip count",
        "packets | (where srcport < 20 | group srcport count() + where srcport > 40 | print "
        "srcport ts)",
        "packets | count srcip | (where count < 3 + uniq dstip) | print ts srcip count",
        "packets | uniq srcip | (group dstip count() + group dstport count())",
        "packets | group srcip count() | group count() sum(count)",
        "packets | last | print ts srcip",
        "packets | count | print ts count",
        "packets | split srcip (count) | print ts srcip count",
        "packets | uniq srcip dstip | split srcip (group dstport count()) | sort -r count",
        "packets | split srcip -n 20 (group dstport count())",
        "packets | split srcip -t 1s (window 2s | group count())",
        "packets | window 10s | split srcmac (count dstip | last dstip)",
        "packets | filter srcport < 20 --then (uniq srcip) --else (count dstip | head 500) | "
        "print ts srcip count",
        "packets | filter srcport < 20 --then (group srcport count()) --else (last dstip) | "
        "print srcport count dstip",
        "packets | distribute -n 3 srcip (uniq srcip dstip | group srcip dstip count())",
        "packets | distribute (count srcip) (uniq srcip) | tee (count) | print ts srcip count",
};

/* IPv4 and, one in eight, IPv6; TCP and UDP, and others that have no ports. */
static uint32_t packet(uint8_t *p)
{
	bool six = rnd(8) == 0;
	uint8_t *l4, proto = rnd(5) ? rnd(3) ? 6 : 17 : 47;

	memset(p, 0, 80);
	p[5] = 1;
	p[11] = (uint8_t)(4 + rnd(3));
	l4 = put_ip(p + 12, six, proto, 20);
	if (six) {
		put32(p + 22, 0x20010db8);
		p[37] = (uint8_t)rnd(20);
		put32(p + 38, 0x20010db8);
		p[53] = (uint8_t)rnd(40);
	} else {
		put32(p + 26, 0x0a000000 + rnd(50) * rnd(50));
		put32(p + 30, 0xc0a80000 + rnd(200));
	}
	put16(l4, rnd(60));
	put16(l4 + 2, rnd(1000));
	put32(l4 + 4, rnd(5000));
	l4[12] = 0x50;
	return (uint32_t)(l4 + 20 - p);
}

static struct made_trace trace;

static int setup(void **state)
{
	FILE *f = trace_make(&trace);

	seed = 11;
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint8_t p[80];
		uint32_t n = packet(p);

		trace_put(f, i * 10000ull, p, n, n + rnd(1400));
	}
	return fclose(f);
}

static int teardown(void **state)
{
	return trace_remove(&trace);
}

/* ---- stalls ---- */

struct stalled {
	struct weir_module m; /* first */
	const struct weir_module *really;
};

static int stall(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct stalled *s = (const struct stalled *)node_of(n)->plan->module;
	uint64_t dice = (uint64_t)now_ns(CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ull >> 58;

	if (dice == 0)
		usleep(300);
	else if (dice < 8)
		sched_yield();
	return s->really->process(n, input, b);
}

/* Modules of the stretches, but those that the engine knows by their address. */
static void stall_all(struct plan *p)
{
	for (uint32_t i = 0; i < p->nstretches; i++)
		for (uint32_t k = 0; k < p->stretch[i].graph.n; k++) {
			struct plan_node *n = p->stretch[i].graph.nodes[k];
			struct stalled *s = arena_alloc(&p->arena, sizeof *s);

			if (!n->module || n->nbodies || strcmp(n->name, "union") == 0 ||
			        strcmp(n->name, "collect") == 0)
				continue;
			*s = (struct stalled){*n->module, n->module};
			s->m.process = stall;
			n->module = &s->m;
		}
}

/* ---- trials ---- */

/* False: the query is refused. */
static bool trial_of(struct trial *t, struct engine *e, const char *query,
        const struct scheduler *s, uint32_t threads, uint32_t tokens, bool stalls)
{
	struct weir_err err = WEIR_ERR_INIT;

	if (trial_plan(t, e, query, &err) < 0) {
		print_message("%s: %s\n", query, err.text);
		return false;
	}
	if (stalls)
		stall_all(t->plan);
	trial_start(t, e, s, threads, tokens);
	t->context.fold_keys = tokens % 2 ? 100 : 0; /* often, or at marks alone */
	return true;
}

static void counters(const struct trial *t, const struct plan_graph *g, struct text *to)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];
		const struct node_stats *s = &t->context.stats[n->id];

		text_printf(to, "%s in %llu/%llu out %llu/%llu counters %llu %llu\n", n->name,
		        (unsigned long long)s->batches_in, (unsigned long long)s->records_in,
		        (unsigned long long)s->batches_out, (unsigned long long)s->records_out,
		        (unsigned long long)s->counters[0], (unsigned long long)s->counters[1]);
		for (uint32_t k = 0; k < n->nbodies; k++)
			counters(t, &n->bodies[k], to);
	}
}

/* How a trace is cut and marked: the same for all that are compared. */
struct course {
	uint64_t seed;
	bool cuts, marks;
	bool beside; /* the workers read by themselves; marks come anywhere, and only the end counts
	              */
};

static bool mark(struct trial *t)
{
	if (!t->plan->table)
		return true;
	text_puts(&t->out, "-- refresh\n");
	return graph_refresh(t->graph) == 0;
}

static bool begin_anew(struct trial *t)
{
	bool answers = rnd(2), ok;

	if (!graph_wants(t->graph, t->source))
		return true;
	ok = graph_cut(t->graph, answers) == 0;
	/* behind what was under way, which may have been its end */
	if (graph_wants(t->graph, t->source))
		text_puts(&t->out, answers ? "-- flushed\n" : "-- reset\n");
	return ok;
}

/* Pushes a batch whole or in pieces. A piece is a batch of its own for the scheduler, so that what
 * they share is filled before. */
static int push(struct trial *t, struct weir_batch *b, const struct course *c)
{
	uint32_t n = b->n;
	int r = 0;

	if (!c->cuts)
		return graph_push(t->graph, t->source, b);
	for (uint32_t f = 0; f < b->schema->nfields; f++)
		assert_non_null(weir_batch_col(b, f));
	for (uint32_t at = 0, m; at < n && r == 0; at += m) {
		m = 1 + rnd(rnd(4) ? n - at : 5 < n - at ? 5 : n - at);
		r = trial_push_piece(t, b, at, m);
	}
	weir_batch_unref(b);
	return r;
}

static void run_beside(struct trial *t, const struct course *c)
{
	int r = 0;

	seed = c->seed;
	for (unsigned i = 0; r == 0; i++) {
		if (c->marks && t->plan->table && rnd(8) == 0) {
			assert_true(mark(t));
			text_clear(&t->out);
		}
		if (i % 16 == 15)
			graph_hold(t->graph, true);
		graph_hold(t->graph, false);
		r = graph_read(t->graph);
	}
	assert_int_equal(r, WEIR_DONE);
	if (t->plan->table)
		text_puts(&t->out, "-- end\n");
	assert_int_equal(graph_end(t->graph), 0);
}

static void run(struct trial *t, const struct course *c)
{
	struct weir_batch *b;
	int r = 0;

	seed = c->seed;
	while (graph_wants(t->graph, t->source) && trial_read(t, &b)) {
		r = push(t, b, c);
		assert_true(r >= 0);
		if (c->marks && rnd(4) == 0)
			assert_true(rnd(3) ? mark(t) : begin_anew(t));
	}
	if (t->plan->table)
		text_puts(&t->out, "-- end\n");
	assert_int_equal(graph_end(t->graph), 0);
}

static void same(
        const struct trial *t, const struct text *got, const struct text *want, const char *query)
{
	same_text(got, want, "%s, %s, %u threads, %u tokens", query, t->context.scheduler->name,
	        t->context.threads, t->context.tokens);
}

static void same_counters(const struct trial *t, const struct trial *want, const char *query)
{
	struct text a = TEXT_INIT, b = TEXT_INIT;

	counters(t, &t->plan->root, &a);
	counters(want, &want->plan->root, &b);
	same(t, &a, &b, query);
	text_release(&a);
	text_release(&b);
}

static void compare(struct engine *e, const char *query, const struct course *c,
        const struct scheduler *s, uint32_t threads, uint32_t tokens, bool stalls,
        const struct trial *want)
{
	struct trial t;

	assert_true(trial_of(&t, e, query, s, threads, tokens, stalls));
	if (c->beside && graph_reads(t.graph, t.reader))
		run_beside(&t, c);
	else
		run(&t, c);
	same(&t, &t.out, &want->out, query);
	if (!c->beside || !c->marks)
		same_counters(&t, want, query);
	trial_free(&t);
}

static void same_at_any_number(void **state)
{
	static const uint32_t threads[] = {1, 2, 3, 8};
	struct engine *e = trace_engine(&trace);

	for (size_t q = 0; q < sizeof queries / sizeof *queries; q++) {
		struct course c = {.seed = 1000 + q, .cuts = q % 3 == 0, .marks = q % 2};
		struct trial want;

		assert_true(trial_of(&want, e, queries[q], &scheduler_depth, 1, 1, false));
		run(&want, &c);
		assert_true(want.out.len > 0);
		compare(e, queries[q], &c, &scheduler_breadth, 1, 1, false, &want);
		for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
			compare(e, queries[q], &c, &scheduler_workers, threads[i],
			        threads[i] * 4 + 1, false, &want);
		trial_free(&want);
		c = (struct course){.seed = 1000 + q};
		assert_true(trial_of(&want, e, queries[q], &scheduler_depth, 1, 1, false));
		run(&want, &c);
		c.beside = true;
		c.marks = q % 3 == 1;
		for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
			compare(e, queries[q], &c, &scheduler_workers, threads[i],
			        threads[i] * 4 + 1, false, &want);
		trial_free(&want);
	}
	engine_free(e);
}

/* ---- whoever reads status while a query runs (says something under ThreadSanitizer) ---- */

struct watcher {
	const struct trial *of;
	bool stop;
};

static void *watch(void *arg)
{
	struct watcher *w = arg;
	uint64_t most = 0;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		uint64_t sum = 0;

		for (uint32_t i = 0; i <= w->of->plan->nnodes; i++)
			for (int k = 0; k < NODE_COUNTERS; k++)
				sum += stat_get(&w->of->context.stats[i].counters[k]);
		most = sum > most ? sum : most;
	}
	return NULL;
}

static void counters_are_read_while_it_runs(void **state)
{
	static const char query[] = "packets | count -m 4096 --seed 1 srcport | top srcport | "
	                            "window session 1s by srcport | group count()";
	struct course c = {.seed = 1};
	struct engine *e = trace_engine(&trace);
	uint64_t missing[2];

	for (int i = 0; i < 2; i++) {
		struct trial t;
		struct watcher w = {.of = &t};
		pthread_t thread;

		assert_true(trial_of(
		        &t, e, query, i ? &scheduler_workers : &scheduler_depth, 1 + i, 9, false));
		assert_int_equal(pthread_create(&thread, NULL, watch, &w), 0);
		run(&t, &c);
		__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		missing[i] = 0;
		for (uint32_t k = 0; k <= t.plan->nnodes; k++)
			missing[i] += t.context.stats[k].counters[0];
		trial_free(&t);
	}
	assert_int_equal(missing[0], missing[1]);
	assert_true(missing[0] > 0);
	engine_free(e);
}

/* ---- random queries ---- */

static const char *const keys[] = {"srcip", "dstip", "srcip dstip", "srcip dstip dstport",
        "dstport", "srcmac", "srcport ipprotocol", "dstip srcport seq"};

static void key(struct text *to)
{
	text_puts(to, keys[rnd(sizeof keys / sizeof *keys)]);
}

static void stage(struct text *to, int depth)
{
	static int name;

	switch (rnd(depth ? 9 : 10)) {
	case 0:
		text_printf(to, " | where len > %u", rnd(900));
		break;
	case 1:
		text_printf(to, " | where srcport < %u or ipprotocol = 17", rnd(60));
		break;
	case 2:
	case 3:
		text_puts(to, " | uniq ");
		key(to);
		break;
	case 4:
	case 5:
		text_printf(to, " | count -f c%d ", ++name);
		key(to);
		break;
	case 6:
		text_printf(to, " | intervals -f i%d ", ++name);
		key(to);
		break;
	case 7:
		text_printf(to, " | expr len * 2 as e%d", ++name);
		break;
	case 8:
		text_printf(to, " | delta -f d%d len -b srcip", ++name);
		break;
	case 9:
		text_puts(to, " | (where len > 300");
		stage(to, depth + 1);
		text_puts(to, " + where len < 700");
		stage(to, depth + 1);
		text_puts(to, ")");
		break;
	}
}

static void query(struct text *to)
{
	static const char *const ends[] = {"", " | head 900", " | last srcip dstip",
	        " | last dstip", " | group srcip count() sum(len) as bytes | sort -r bytes",
	        " | group dstip srcport count() distinct(srcip)", " | entropy srcip",
	        " | group srcip dstip count() min(ts) max(ts) | group srcip count()",
	        " | group srcip dstip srcport seq count() sum(len) min(len) max(dstport)",
	        " | group dstip mean(len) stddev(len) max(len)",
	        " | group srcip distinct(dstip) percentile(len, 90) mean(seq)",
	        " | window 5s slide 1s | group srcip distinct(dstip) stddev(seq)",
	        " | sort len seq | head 50", " | tail 20", " | sample 100"};

	text_clear(to);
	text_puts(to, "packets");
	for (uint32_t n = rnd(5); n; n--)
		stage(to, 0);
	text_puts(to, ends[rnd(sizeof ends / sizeof *ends)]);
}

static void stress(void **state)
{
	const char *s = getenv("WEIR_STRESS_SECONDS");
	int64_t end = now_ns(CLOCK_MONOTONIC) + (s ? atoll(s) : 3) * 1000000000ll;
	struct engine *e = trace_engine(&trace);
	struct text q = TEXT_INIT;
	uint64_t n = 0, refused = 0, dice = s ? (uint64_t)now_ns(CLOCK_REALTIME) | 1 : 5;

	print_message("# seed %llu\n", (unsigned long long)dice);
	for (; now_ns(CLOCK_MONOTONIC) < end || n < 10; n++) {
		struct course c;
		struct trial want;

		seed = dice;
		query(&q);
		c = (struct course){.seed = seed, .cuts = rnd(2), .marks = rnd(2)};
		dice = seed;
		if (!trial_of(&want, e, q.p, &scheduler_depth, 1, 1, false)) {
			refused++;
			continue;
		}
		run(&want, &c);
		c.beside = !c.cuts && !c.marks && rnd(2);
		c.marks |= c.beside && rnd(2);
		dice = seed;
		for (int i = 0; i < 3; i++) {
			uint32_t threads;

			seed = dice;
			threads = 1 + rnd(8);
			i += rnd(2);
			dice = seed;
			compare(e, q.p, &c, &scheduler_workers, threads, 1 + rnd(40), rnd(2),
			        &want);
		}
		trial_free(&want);
	}
	print_message("# %llu random queries\n", (unsigned long long)n);
	assert_true(refused * 2 < n);
	text_release(&q);
	engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(counters_are_read_while_it_runs),
	        cmocka_unit_test(same_at_any_number), cmocka_unit_test(stress)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
