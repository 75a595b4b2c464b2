/* SPDX-License-Identifier: MIT */
/* loop.c: modules written as a loop: the same answers as callbacks at every refresh, order of what
 * they emit, errors, closing in the midst, loops that misbehave, a hundred thousand at once.
 */
#include "engine/core/fiber.h"
#include "engine/core/registry.h"
#include "engine/core/sanitizers.h"
#include "tests/unit/trial.h"
#include <weir/loop.h>

#define PACKETS 20000

/* ---- modules ---- */

struct sum_config {
	uint32_t len;
};

static int sum_bind(struct weir_bind *b, struct weir_err *err)
{
	struct sum_config *c = b->config;
	int f = weir_bind_find(b, "len", err);

	if (f < 0)
		return f;
	c->len = (uint32_t)f;
	f = weir_bind_new(b, "sum", err);
	if (f == 0)
		f = weir_bind_add(b, &(struct weir_field){.name = "count", .kind = WEIR_U64}, err);
	return f < 0 ? f
	             : weir_bind_add(b, &(struct weir_field){.name = "sum", .kind = WEIR_U64}, err);
}

/* As `group count() sum(len) as sum`. */
static int sum_run(struct weir_loop *l)
{
	const struct sum_config *c = l->config;
	uint64_t count = 0, sum = 0;
	int got;

	do {
		got = weir_loop_next(l);
		if (got == WEIR_LOOP_RECORD) {
			count++;
			sum += weir_loop_u64(l, c->len);
		} else if (got >= 0) {
			weir_loop_make(l);
			weir_loop_set_u64(l, 0, count);
			weir_loop_set_u64(l, 1, sum);
		}
	} while (got > 0);
	return got;
}

static const struct weir_module module_sum = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_BLOCKING,
        .name = "loop_sum",
        .config_size = sizeof(struct sum_config),
        .bind = sum_bind,
        .run = sum_run,
};

/* Batches instead of records, handed on as they are, some of them kept for a while. */
static int batches_run(struct weir_loop *l)
{
	struct weir_batch *b, *kept = NULL;
	int got, r = 0;

	while ((got = weir_loop_read(l, &b)) > 0) {
		if (kept)
			r = weir_emit(l->node, 0, kept);
		kept = r < 0 ? NULL : weir_batch_ref(b);
	}
	if (kept && got == 0)
		return weir_emit(l->node, 0, kept);
	weir_batch_unref(kept);
	return got;
}

static const struct weir_module module_batches = {
        .abi = WEIR_ABI,
        .name = "loop_batches",
        .run = batches_run,
};

/* What a loop does with its N-th record: for the tests of what goes wrong. */
enum {
	MODE_NONE,
	MODE_FAIL,     /* returns -EBADMSG */
	MODE_WORDS,    /* with words of its own */
	MODE_RETURN,   /* returns 0: nothing more is wanted */
	MODE_DONE,     /* weir_loop_done(), and reads on */
	MODE_DEAF,     /* reads on whatever a read returns */
	MODE_OVERFLOW, /* needs more stack than there is */
};

struct odd_config {
	uint32_t mode;
	uint64_t n;
};

static const char *const modes[] = {
        "none", "fail", "words", "return", "done", "deaf", "overflow", NULL};

static const struct weir_option odd_options[] = {
        {.type = WEIR_OPT_CHOICE,
                .name = "mode",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct odd_config, mode),
                .choices = modes},
        {.type = WEIR_OPT_U64,
                .name = "n",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct odd_config, n)},
        WEIR_OPTIONS_END,
};

static unsigned odd_begun, odd_ended, odd_cancelled; /* instances */
static char *odd_memory;                             /* of the last one */

static int odd_bind(struct weir_bind *b, struct weir_err *err)
{
	int r = weir_bind_pass(b, err);

	return r < 0 ? r
	             : weir_bind_add(b, &(struct weir_field){.name = "nth", .kind = WEIR_U64}, err);
}

static __attribute__((noinline)) int too_deep(uint32_t n)
{
	volatile char frame[512];

	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = (char)n;
	return n ? too_deep(n - 1) + frame[5] : frame[0];
}

static int odd(struct weir_loop *l, char *memory)
{
	const struct odd_config *c = l->config;
	uint64_t n = 0;
	int got;

	while ((got = weir_loop_next(l)) > 0 || c->mode == MODE_DEAF) {
		if (got <= 0)
			continue;
		memory[n++ % 100] = 'x';
		weir_loop_pass(l);
		weir_loop_set_u64(l, l->node->out->nfields - 1, n);
		if (n != c->n)
			continue;
		switch (c->mode) {
		case MODE_FAIL:
			return -EBADMSG;
		case MODE_WORDS:
			return weir_node_fail(l->node, EPROTO, "record 5 is odd");
		case MODE_RETURN:
			return 0;
		case MODE_DONE:
			weir_loop_done(l);
			break;
		case MODE_OVERFLOW:
			too_deep(64); /* some 34 KiB */
			break;
		}
	}
	return got;
}

static int odd_run(struct weir_loop *l)
{
	char *memory = weir_alloc(l->node->mem, 100);
	int r = -ENOMEM;

	odd_begun++;
	odd_memory = memory;
	if (memory)
		r = odd(l, memory);
	weir_free(l->node->mem, memory, 100);
	odd_ended++;
	odd_cancelled += r == -ECANCELED;
	return r;
}

static const struct weir_module module_odd = {
        .abi = WEIR_ABI,
        .name = "loop_odd",
        .options = odd_options,
        .config_size = sizeof(struct odd_config),
        .bind = odd_bind,
        .run = odd_run,
};

static const struct weir_module module_odd_table = {
        .abi = WEIR_ABI,
        .flags = WEIR_BLOCKING,
        .name = "loop_odd_table",
        .options = odd_options,
        .config_size = sizeof(struct odd_config),
        .bind = odd_bind,
        .run = odd_run,
};

static const struct weir_module module_odd_small = {
        .abi = WEIR_ABI,
        .name = "loop_odd_small",
        .options = odd_options,
        .config_size = sizeof(struct odd_config),
        .bind = odd_bind,
        .run = odd_run,
        .stack = 32768,
};

/* Opens what is not there. */
static int open_run(struct weir_loop *l)
{
	int fd = weir_node_create_file(l->node, "/nowhere/at/all", NULL);

	return fd < 0 ? fd : 0;
}

static const struct weir_module module_open = {
        .abi = WEIR_ABI,
        .name = "loop_open",
        .run = open_run,
};

/* Expressions, columns that nobody announced and a body are worked on on the host's stack. */
struct where_config {
	struct weir_expr *cond;
};

static const struct weir_option where_options[] = {
        {.type = WEIR_OPT_EXPR,
                .name = "cond",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED | WEIR_OPT_CONDITION,
                .offset = offsetof(struct where_config, cond)},
        WEIR_OPTIONS_END,
};

static int where_run(struct weir_loop *l)
{
	const struct where_config *c = l->config;
	struct weir_batch *b;
	int got, r;

	while ((got = weir_loop_read(l, &b)) > 0) {
		struct weir_batch *v = weir_view(l->node, b);
		uint16_t *rows = v ? weir_batch_sel(v, weir_batch_count(b)) : NULL;

		for (uint32_t f = 0; f < b->schema->nfields; f++)
			assert_non_null(weir_batch_col(b, f));
		r = rows ? weir_expr_select(c->cond, b, rows) : -ENOMEM;
		if (r < 0) {
			weir_batch_unref(v);
			return r;
		}
		weir_batch_select(v, rows, (uint32_t)r);
		r = weir_emit(l->node, 0, v);
		if (r < 0)
			return r;
	}
	return got;
}

static const struct weir_module module_where = {
        .abi = WEIR_ABI,
        .name = "loop_where",
        .options = where_options,
        .config_size = sizeof(struct where_config),
        .run = where_run,
};

/* ---- running queries ---- */

static struct made_trace trace;
static struct engine *e;

static int setup(void **state)
{
	static const struct weir_module *const all[] = {&module_sum, &module_batches, &module_odd,
	        &module_odd_table, &module_odd_small, &module_open, &module_where};
	FILE *f = trace_make(&trace);
	uint32_t seed = 7;

	for (uint32_t i = 0; i < PACKETS; i++) {
		uint8_t p[54] = {[5] = 1, [7] = 1, 2, 3, 4, 5}, *tcp = put_ip(p + 12, false, 6, 20);

		seed = seed * 1664525 + 1013904223;
		put32(p + 26, 0x0a000000 + (seed >> 24) % 50);
		put32(p + 30, 0xc0a80000 + (seed >> 16 & 255));
		put16(tcp + 12, 0x5010);
		trace_put(f, i * 10000ull, p, sizeof p, 54 + i % 1400);
	}
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		assert_int_equal(registry_add(all[i]), 0);
	assert_int_equal(fclose(f), 0);
	e = trace_engine(&trace);
	return 0;
}

static int teardown(void **state)
{
	engine_free(e);
	return trace_remove(&trace);
}

/* Pushes up to `batches`, refreshing a table after each second one; 1 at the end of the trace, or
 * what graph_push() returned in the end. */
static int feed(struct trial *t, int batches)
{
	struct weir_batch *b;
	int ret = 0;

	for (int i = 0; i < batches && ret == 0 && trial_read(t, &b); i++) {
		ret = graph_push(t->graph, t->source, b);
		if (ret == 0 && i % 2 && t->plan->table) {
			text_clear(&t->out);
			ret = graph_refresh(t->graph);
		}
	}
	return ret;
}

static void same(const char *a, const char *b)
{
	static const struct scheduler *const s[] = {
	        &scheduler_depth, &scheduler_breadth, &scheduler_workers};

	for (int k = 0; k < 3; k++)
		for (int n = 1; n < 1000; n = n < 10 ? n + 1 : 1000) {
			struct trial x, y;

			trial_new(&x, e, a, s[k]);
			trial_new(&y, e, b, &scheduler_depth);
			for (int end = 0; end < 2; end++) {
				if (end) {
					if (x.plan->table) {
						text_clear(&x.out);
						text_clear(&y.out);
					}
					assert_int_equal(graph_end(x.graph), 0);
					assert_int_equal(graph_end(y.graph), 0);
				} else {
					assert_true(feed(&x, n) >= 0);
					assert_true(feed(&y, n) >= 0);
				}
				if (!end && !x.plan->table) /* it may keep rows for a while */
					continue;
				same_text(&x.out, &y.out, "%s: after %d batches, %s", a, n,
				        s[k]->name);
			}
			trial_free(&x);
			trial_free(&y);
		}
}

static void same_as_callbacks(void **state)
{
	same("packets | loop_sum | print count sum",
	        "packets | group count() as count sum(len) as sum | print count sum");
	/* in a table: a loop that starts anew with each version */
	same("packets | group srcip sum(len) as len | loop_sum | print sum",
	        "packets | group srcip sum(len) as len | group sum(len) as sum | print sum");
	same("packets | window 3s | loop_sum | print count sum",
	        "packets | window 3s | group count() as count sum(len) as sum | print count sum");
	same("packets | loop_batches | print ts len", "packets | print ts len");
	same("packets | loop_batches | loop_batches | loop_batches | print len",
	        "packets | print len");
	same("packets | loop_where len < 300 and srcip in (10.0.0.0/28) | print ts srcip len",
	        "packets | where len < 300 and srcip in (10.0.0.0/28) | print ts srcip len");
	same("packets | where len > 100 | loop_where len < 900 | uniq srcip dstip | loop_sum | "
	     "print count sum",
	        "packets | where len > 100 and len < 900 | uniq srcip dstip | "
	        "group count() as count sum(len) as sum | print count sum");
	same("packets | loop_odd none 0 | print ts nth",
	        "packets | const 1 -f one | count -f nth one | print ts nth");
	same("packets | where len > 700 | loop_odd none 0 | loop_where nth < 9 | print nth",
	        "packets | where len > 700 | const 1 -f one | count -f nth one | head 8 | print "
	        "nth");
}

/* The rows of `query` over the whole trace, or its failure. */
static int whole(const char *query, struct trial *t)
{
	int r;

	odd_begun = odd_ended = odd_cancelled = 0;
	trial_new(t, e, query, &scheduler_depth);
	r = feed(t, 1000);
	return r == 0 ? graph_end(t->graph) : r;
}

static unsigned lines(const struct text *t)
{
	unsigned n = 0;

	for (size_t i = 0; i < t->len; i++)
		n += t->p[i] == '\n';
	return n;
}

static void returns(void **state)
{
	struct trial t;

	assert_int_equal(whole("packets | loop_odd return 3000 | print nth", &t), WEIR_DONE);
	assert_int_equal(lines(&t.out), 3000);
	assert_int_equal(odd_begun, 1);
	assert_int_equal(odd_ended, 1);
	trial_free(&t);

	/* it passes what is left of its batch, and the end reaches it */
	assert_int_equal(whole("packets | loop_odd done 1500 | print nth", &t), WEIR_DONE);
	assert_int_equal(odd_ended, 0);
	assert_int_equal(graph_end(t.graph), 0);
	assert_int_equal(odd_ended, 1);
	assert_int_equal(odd_cancelled, 0);
	assert_in_range(lines(&t.out), 1500, 1500 + WEIR_BATCH_ROWS);
	trial_free(&t);

	/* somebody downstream has enough */
	assert_int_equal(whole("packets | loop_odd none 0 | head 10 | print nth", &t), WEIR_DONE);
	trial_free(&t);
	assert_int_equal(odd_ended, 1);
	assert_int_equal(odd_cancelled, 1);

	/* nothing came: the loop sees the end nevertheless */
	assert_int_equal(whole("packets | where len > 100000 | loop_odd none 0", &t), 0);
	assert_int_equal(odd_begun, 1);
	assert_int_equal(odd_ended, 1);
	trial_free(&t);
}

static void fails(void **state)
{
	struct trial t;

	assert_int_equal(whole("packets | loop_odd fail 5 | print nth", &t), -EBADMSG);
	assert_string_equal(t.context.failed, "loop_odd");
	assert_int_equal(odd_ended, 1);
	assert_int_equal(t.out.len, 0);
	trial_free(&t);

	assert_int_equal(whole("packets | loop_odd words 5", &t), -EPROTO);
	assert_string_equal(t.context.err.text, "loop_odd: record 5 is odd");
	trial_free(&t);

	assert_int_equal(whole("packets | loop_odd_table return 5", &t), -EPROTO);
	assert_string_equal(t.context.err.text, "loop_odd_table: its loop returned before the end");
	trial_free(&t);

	assert_int_equal(whole("packets | loop_open", &t), -ENOENT);
	assert_string_equal(
	        t.context.err.text, "cannot open '/nowhere/at/all': No such file or directory");
	trial_free(&t);

	/* what stands behind it fails: the read returns it */
	assert_int_equal(whole("packets | loop_odd none 0 | loop_odd fail 5", &t), -EBADMSG);
	assert_int_equal(odd_ended, 2);
	trial_free(&t);
}

/* A loop that does not listen is left standing, and said to be so. */
static void deaf(void **state)
{
	struct trial t;

	assert_int_equal(whole("packets | loop_odd deaf 0", &t), -EPROTO);
	assert_string_equal(t.context.err.text, "loop_odd: its loop reads on after the end");
	weir_free(&t.mem, odd_memory, 100); /* what it had allocated */
	trial_free(&t);
	assert_int_equal(odd_ended, 0);

	odd_begun = odd_ended = odd_cancelled = 0;
	trial_new(&t, e, "packets | loop_odd deaf 0", &scheduler_depth);
	assert_int_equal(feed(&t, 2), 0);
	weir_free(&t.mem, odd_memory, 100);
	trial_free(&t);
	assert_int_equal(odd_begun, 1);
}

static void closed_in_the_midst(void **state)
{
	struct trial t;

	for (int n = 0; n < 10; n++) {
		bool workers = n >= 5;

		odd_begun = odd_ended = odd_cancelled = 0;
		trial_new(&t, e,
		        "packets | window session 1h by srcip | loop_odd none 0 | print nth",
		        workers ? &scheduler_workers : &scheduler_depth);
		assert_int_equal(feed(&t, n % 5), 0);
		trial_free(&t);
		if (!workers) /* which may not have come to all that they were given */
			assert_int_equal(odd_begun, n ? 50 : 0);
		assert_int_equal(odd_cancelled, odd_begun);
	}
}

#if !defined(WITH_ASAN) && !defined(WITH_TSAN)
static void overflows(void **state)
{
	struct trial t;

	stacks_guard(GUARD_ZONE);
	trial_new(&t, e, "packets | loop_odd_small overflow 5 | print nth", &scheduler_depth);
	assert_int_equal(feed(&t, 1), -EFAULT);
	assert_string_equal(
	        t.context.err.text, "loop_odd_small: its loop has run over the end of its stack");
	stacks_guard(GUARD_MARKER);
	weir_free(&t.mem, odd_memory, 100);
	trial_free(&t);
}

static void limited(void **state)
{
	struct trial t;

	odd_begun = odd_ended = odd_cancelled = 0;
	trial_new(&t, e, "packets | window session 1h by srcip | loop_odd none 0 | print nth",
	        &scheduler_depth);
	t.mem.limit = 400000;
	assert_int_equal(feed(&t, 1), -ENOMEM);
	assert_true(t.mem.denied > 0);
	trial_free(&t);
	assert_int_equal(odd_begun, odd_ended);
}
#endif

/* ---- a hundred thousand ---- */

static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size, pages = 0;

	assert_int_equal(fscanf(f, "%lu %lu", &size, &pages), 2);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Each is a graph as a window's or a key's body is: three nodes, the last two of them loops. The
 * bound of Must-show is 1 GB. */
static void hundred_thousand(void **state)
{
#if defined(WITH_ASAN)
	enum { N = 2000 };
#elif defined(WITH_TSAN)
	enum { N = 200 };
#else
	enum { N = 100000 };
#endif
	size_t before = resident(), after;
	struct weir_batch *b;
	struct graph **g = calloc(N, sizeof *g);
	struct trial t;

	assert_non_null(g);
	odd_begun = odd_ended = odd_cancelled = 0;
	trial_new(&t, e, "packets | loop_odd none 0 | print nth", &scheduler_depth);
	assert_true(trial_read(&t, &b));
	b->nsel = 1; /* one record for each */
	for (int i = 0; i < N; i++) {
		assert_int_equal(graph_new(&t.context, &t.plan->root, NULL, 0, &g[i]), 0);
		for (int k = 0; k < 3; k++) {
			int ret = graph_push(g[i], t.source, weir_batch_ref(b));

			assert_int_equal(ret, 0);
		}
	}
	after = resident() - before;
	assert_int_equal(odd_begun, N);
	assert_int_equal(odd_ended, 0);
	assert_int_equal(lines(&t.out), 3 * N);
	print_message(
	        "# %d loops: %zu MB resident, %zu MB counted\n", N, after >> 20, t.mem.used >> 20);
#if !defined(WITH_ASAN) && !defined(WITH_TSAN)
	assert_in_range(after, 0, 1000000000);
	/* the account is near the truth */
	assert_in_range(t.mem.used, after / 2, after + after / 4);
#endif
	for (int i = 0; i < N; i++) {
		if (i % 2)
			assert_int_equal(graph_end(g[i]), 0);
		graph_free(g[i]);
	}
	assert_int_equal(odd_ended, N);
	assert_int_equal(odd_cancelled, N / 2);
	free(g);
	weir_batch_unref(b);
	trial_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_callbacks),
		cmocka_unit_test(returns),
		cmocka_unit_test(fails),
		cmocka_unit_test(deaf),
		cmocka_unit_test(closed_in_the_midst),
#if !defined(WITH_ASAN) && !defined(WITH_TSAN)
		cmocka_unit_test(overflows),
		cmocka_unit_test(limited),
#endif
		cmocka_unit_test(hundred_thousand),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
