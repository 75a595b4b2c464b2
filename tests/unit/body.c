/* SPDX-License-Identifier: MIT */
/* body.c: a module that makes instances of its children by itself, through the public API: a turn
 * of STRETCH records goes to a new instance of the one child, the next to one of the other.
 *
 * The trace is written here: packet i has 54 + i % 1400 bytes, so all answers are arithmetic.
 */
#include "tests/unit/trial.h"

#define PACKETS 10000
#define STRETCH 700

/* ---- the module ---- */

struct config {
	struct weir_blocks odd, even;
	uint32_t turn; /* output field */
};

struct state {
	struct weir_body *body;
	uint64_t turn, records;
};

static int turns_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field f = {.name = "turn", .kind = WEIR_U64, .flags = WEIR_FIELD_ALWAYS};
	int r = weir_bind_add(b, &f, err);

	if (r < 0)
		return r;
	c->turn = (uint32_t)r;
	weir_bind_blocks_only(b);
	return weir_bind_stamp(b, c->turn);
}

static int push(struct weir_node *n, struct weir_batch *b, uint32_t from, uint32_t k)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct weir_batch *v = weir_view(n, b);
	uint16_t *rows = weir_batch_sel(v, k);
	struct weir_col *turn = weir_batch_own(v, c->turn);

	for (uint32_t i = 0; i < k; i++) {
		rows[i] = (uint16_t)weir_batch_row(b, from + i);
		((uint64_t *)turn->data)[rows[i]] = s->turn;
	}
	weir_batch_select(v, rows, k);
	return weir_body_push(s->body, v);
}

static int turns_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int r = 0;

	for (uint32_t i = 0, k; i < weir_batch_count(b) && r >= 0; i += k) {
		k = weir_batch_count(b) - i;
		if (!s->body) {
			bool odd = ++s->turn % 2;

			s->body = weir_body_open(n, odd ? c->odd.first : c->even.first, NULL);
			if (!s->body)
				return -ENOMEM;
		}
		if (k > STRETCH - s->records)
			k = (uint32_t)(STRETCH - s->records);
		r = push(n, b, i, k);
		s->records += k;
		if (r >= 0 && s->records == STRETCH) {
			r = weir_body_end(s->body);
			s->body = NULL;
			s->records = 0;
		}
	}
	return r < 0 ? r : 0;
}

static int turns_flush(struct weir_node *n, enum weir_mark mark)
{
	struct state *s = n->state;
	struct weir_body *body = s->body;

	if (mark != WEIR_END || !body)
		return 0;
	s->body = NULL;
	return weir_body_end(body);
}

static void turns_close(struct weir_node *n)
{
	weir_body_close(((struct state *)n->state)->body);
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_BLOCK,
                .name = "odd",
                .flags = WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, odd)},
        {.type = WEIR_OPT_BLOCK,
                .name = "even",
                .flags = WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, even)},
        WEIR_OPTIONS_END,
};

static const struct weir_module module_turns = {
        .abi = WEIR_ABI,
        .flags = WEIR_SCOPE,
        .name = "turns",
        .summary = "by turns",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .bind = turns_bind,
        .process = turns_process,
        .flush = turns_flush,
        .close = turns_close,
};

/* ---- runs ---- */

static struct made_trace trace;
static struct engine *e;

static int setup(void **state)
{
	FILE *f = trace_make(&trace);

	for (uint32_t i = 0; i < PACKETS; i++) {
		uint8_t p[54] = {[5] = 1, [7] = 1, 2, 3, 4, 5}, *tcp = put_ip(p + 12, false, 6, 20);

		put32(p + 26, 0x0a000000 + i % 7);
		put32(p + 30, 0xc0a80000);
		put16(tcp + 12, 0x5010);
		trace_put(f, i * 10000ull, p, sizeof p, 54 + i % 1400);
	}
	assert_int_equal(fclose(f), 0);
	e = trace_engine(&trace);
	return registry_add(&module_turns);
}

static int teardown(void **state)
{
	engine_free(e);
	return trace_remove(&trace);
}

/* The rows of a query over the whole trace, or with `batches` over so many and without an end. What
 * it took is given back. */
static char *answer(const char *query, const struct scheduler *s, int batches)
{
	struct weir_batch *b;
	struct trial t;
	struct text rows;

	trial_new(&t, e, query, s);
	for (int i = 0; (!batches || i < batches) && trial_read(&t, &b); i++)
		assert_true(graph_push(t.graph, t.source, b) >= 0);
	if (!batches)
		assert_int_equal(graph_end(t.graph), 0);
	rows = t.out;
	t.out = (struct text)TEXT_INIT;
	trial_free(&t);
	text_add(&rows, "", 1);
	return rows.p;
}

static void same(const char *query, const char *want)
{
	char *depth = answer(query, &scheduler_depth, 0);
	char *breadth = answer(query, &scheduler_breadth, 0);

	assert_string_equal(depth, want);
	assert_string_equal(breadth, want);
	free(depth);
	free(breadth);
	free(answer(query, &scheduler_depth, 3));
	free(answer(query, &scheduler_breadth, 3));
}

static void two_children(void **state)
{
	struct text want = TEXT_INIT;

	for (uint32_t turn = 1, first = 0; first < PACKETS; turn++, first += STRETCH) {
		uint32_t n = PACKETS - first < STRETCH ? PACKETS - first : STRETCH;
		uint64_t bytes = 0;

		for (uint32_t i = first; i < first + n; i++)
			bytes += 54 + i % 1400;
		if (turn % 2)
			text_printf(&want, "%u,%u,\n", n, turn);
		else
			text_printf(&want, ",%u,%llu\n", turn, (unsigned long long)bytes);
	}
	text_add(&want, "", 1);
	same("packets | turns --odd ( group count() as n ) --even ( group sum(len) as bytes )",
	        want.p);
	text_release(&want);
}

static void passed_on(void **state)
{
	struct text want = TEXT_INIT;

	for (uint32_t i = 0; i < PACKETS; i++) {
		uint32_t turn = i / STRETCH + 1;

		if (turn % 2 || i % 1400 > 100)
			text_printf(&want, "%u,%u\n", 54 + i % 1400, turn);
	}
	text_add(&want, "", 1);
	same("packets | turns --odd ( where true ) --even ( where len > 154 ) | print len turn",
	        want.p);
	text_release(&want);
}

/* 14 full turns and one of 200 records; each has seven keys. */
static void scopes_within(void **state)
{
	same("packets | turns --odd ( split srcip ( count | last ) ) --even ( split srcip ( head 1 "
	     ") "
	     ") | group count() as n",
	        "105\n");
	same("packets | split srcip ( turns --odd ( group count() as n ) --even ( head 0 ) ) | "
	     "group "
	     "sum(n) as n",
	        /* each key has 1428 or 1429 records: 700 and 28 or 29 of them in odd turns */
	        "5100\n");
}

static void wrong(void **state)
{
	static const struct {
		const char *query, *text;
	} bad[] = {
	        {"packets | turns --odd ( count )", "'turns' needs --even"},
	        {"packets | turns --odd ( count ) --evn ( count )",
	                "'turns' has no option '--evn' (did you mean '--even'?)"},
	        {"packets | turns --odd ( count | print count ) --even ( expr srcip as count | "
	         "print "
	         "count )",
	                "'turns' needs a number, but count is an address"},
	};
	struct rights all = {.all = true};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct weir_err err = WEIR_ERR_INIT;
		struct plan *p;

		assert_true(plan_make(e, bad[i].query, strlen(bad[i].query), &all, &p, &err) < 0);
		assert_string_equal(err.text, bad[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(two_children),
	        cmocka_unit_test(passed_on),
	        cmocka_unit_test(scopes_within),
	        cmocka_unit_test(wrong),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
