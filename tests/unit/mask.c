// SPDX-License-Identifier: MIT
/* mask.c: conditions by masks are those by lists, and all loops say what a look at each value
 * says: values at and around every limit, some missing, NaN, batches of every length. Columns end
 * where the heap does, so that ASan sees a read behind them. */
#include "engine/expr/mask.h"
#include "engine/core/arena.h"
#include "tests/unit/drawn_batch.h"
#include "tests/unit/one_schema.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const double doubles[] = {0, -0.0, 1, 1.5, -1.5, 5e-324, -5e-324, 1.7976931348623157e308,
        -1.7976931348623157e308, INFINITY, -INFINITY, NAN};

/* Mostly near each other, else anything. */
static uint64_t draw_word(void)
{
	static const uint64_t edge[] = {
	        0, 1, 63, 64, 65, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX};

	switch (rnd(4)) {
	case 0:
		return edge[rnd(COUNT(edge))];
	case 1:
		return rnd64();
	default:
		return rnd(100);
	}
}

static double draw_double(void)
{
	return rnd(2) ? doubles[rnd(COUNT(doubles))] : (double)rnd(7) - 3;
}

static struct weir_ip draw_address(void)
{
	bool six = !rnd(4);
	struct weir_ip ip = {six ? 6 : 4, six ? 128 : 32};

	for (int i = 0; i < (six ? 16 : 4); i++)
		ip.b[i] = (uint8_t)rnd(3);
	return ip;
}

/* ---- loops ---- */

struct columns {
	uint64_t *word;
	double *number;
	struct weir_ip *address;
};

static struct columns draw_columns(uint32_t n)
{
	struct columns c = {malloc(n * sizeof *c.word), malloc(n * sizeof *c.number),
	        malloc(n * sizeof *c.address)};

	for (uint32_t i = 0; i < n; i++) {
		c.word[i] = draw_word();
		c.number[i] = draw_double();
		c.address[i] = draw_address();
	}
	return c;
}

static void free_columns(struct columns *c)
{
	free(c->word);
	free(c->number);
	free(c->address);
}

#define SAYS(loops, n, mask, i, ...)                                                               \
	do {                                                                                       \
		for (uint32_t i = 0; i < (n); i++)                                                 \
			if ((mask[i / 64] >> i % 64 & 1) != (__VA_ARGS__))                         \
				fail_msg("%s, %u values, at %u, line %d", (loops)->name, n, i,     \
				        __LINE__);                                                 \
	} while (0)

static uint64_t first_word(const struct weir_ip *ip)
{
	uint64_t w;

	memcpy(&w, ip, sizeof w);
	return w;
}

static void check_loops(const struct mask_loops *l, const struct columns *c, uint32_t n)
{
	uint64_t *mask = malloc((n + 63) / 64 * 8), lo = draw_word(), x = draw_word(), few[SET_FEW];
	double k = draw_double(), h = draw_double();
	struct weir_ip ip = draw_address(), under = draw_address();
	uint64_t bits, net;

	l->range(c->word, n, lo, x, mask);
	SAYS(l, n, mask, i, c->word[i] - lo <= x);
	l->narrow(c->word, n, lo, x, mask);
	SAYS(l, n, mask, i, c->word[i] - lo < 64 && (x >> (c->word[i] - lo) & 1));
	for (int i = 0; i < SET_FEW; i++)
		few[i] = draw_word();
	l->few(c->word, n, few, mask);
	SAYS(l, n, mask, i,
	        c->word[i] == few[0] || c->word[i] == few[1] || c->word[i] == few[2] ||
	                c->word[i] == few[3]);
	l->between(c->number, n, k, h, mask);
	SAYS(l, n, mask, i, c->number[i] >= k && c->number[i] <= h);
	bits = first_word(&under);
	net = first_word(&ip) & bits;
	l->net4(c->address, n, bits, net, mask);
	SAYS(l, n, mask, i, (first_word(&c->address[i]) & bits) == net);
	free(mask);
}

static void check_rows(const struct mask_loops *l, uint32_t n)
{
	uint64_t *mask = malloc((n + 63) / 64 * 8);
	uint16_t *rows = malloc(n * sizeof *rows);
	uint32_t share = rnd(3), m = 0, got;

	for (uint32_t w = 0; w < (n + 63) / 64; w++) {
		mask[w] = rnd64();
		mask[w] = share && rnd(4) ? (share == 1 ? 0 : UINT64_MAX) : mask[w];
	}
	if (n % 64)
		mask[n / 64] &= UINT64_MAX >> (64 - n % 64);
	got = l->rows(mask, n, rows);
	for (uint32_t i = 0; i < n; i++)
		if (mask[i / 64] >> i % 64 & 1) {
			if (m >= got || rows[m] != i)
				fail_msg("%s, %u rows: %u is not there", l->name, n, i);
			m++;
		}
	assert_int_equal(m, got);
	free(mask);
	free(rows);
}

static void loops_agree(void **state)
{
	const struct mask_loops *l = NULL;

	assert_string_equal(mask_loops_at(0)->name, "portable");
	for (uint32_t n = 1; n <= WEIR_BATCH_ROWS; n++) {
		struct columns c = draw_columns(n);

		for (uint32_t i = 0; mask_loops_at(i); i++) {
			l = mask_loops_at(i);
			check_loops(l, &c, n);
			check_rows(l, n);
		}
		free_columns(&c);
	}
	assert_ptr_equal(l, mask_loops_best());
}

/* ---- conditions ---- */

enum { WORD, SIGNED, NUMBER, ADDRESS, FLAG, OTHER, TEXT, FIELDS };

static const struct weir_field fields[FIELDS] = {{"word", WEIR_U64}, {"signed", WEIR_I64},
        {"number", WEIR_F64}, {"address", WEIR_IP}, {"flag", WEIR_BOOL}, {"other", WEIR_U64},
        {"text", WEIR_STR}};

static struct arena arena;

static struct weir_expr *node(enum expr_op op, enum weir_kind kind, uint32_t nkids)
{
	struct weir_expr *e = arena_alloc(&arena, sizeof *e);

	e->op = op;
	e->kind = kind;
	e->nkids = nkids;
	e->kids = arena_alloc(&arena, (nkids + 1) * sizeof *e->kids);
	return e;
}

static struct weir_expr *field(uint32_t f)
{
	struct weir_expr *e = node(X_FIELD, fields[f].kind, 0);

	e->field = f;
	return e;
}

static struct weir_expr *about(enum expr_op op, uint32_t f)
{
	struct weir_expr *e = node(op, WEIR_BOOL, 1);

	e->kids[0] = field(f);
	e->inverted = rnd(2);
	return e;
}

static struct weir_expr *draw_set(void)
{
	struct weir_expr *e = about(X_SET, rnd(2) ? WORD : SIGNED);
	struct weir_value v[100];
	uint32_t n = 1 + rnd(rnd(2) ? 5 : COUNT(v));
	bool near = rnd(2); /* on both sides of what a word holds */

	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct weir_value){
		        e->kids[0]->kind, {.u = near ? (i & 1) * (62 + rnd(4)) : draw_word()}};
	e->set = set_new(&arena, e->kids[0]->kind, v, n);
	assert_non_null(e->set);
	return e;
}

static struct weir_expr *draw_net(void)
{
	struct weir_expr *e = about(X_NET, ADDRESS);
	struct weir_ip net = draw_address(), mask = {.family = 0xff};

	net.prefix = 0;
	memset(mask.b, 0xff, rnd(net.family == 6 ? 17 : 5));
	for (int i = 0; i < 16; i++)
		net.b[i] &= mask.b[i];
	memcpy(e->net, &net, sizeof net);
	memcpy(e->mask, &mask, sizeof mask);
	return e;
}

/* Of two fields, or of text: they have no mask. */
static struct weir_expr *draw_other(void)
{
	struct weir_expr *e;

	if (rnd(2)) {
		e = about(X_LIKE, TEXT);
		e->value = (struct weir_value){WEIR_STR, {.s = {(const uint8_t *)"a%", 2}}};
		return e;
	}
	e = node(X_COMPARE, WEIR_BOOL, 2);
	e->kids[0] = field(WORD);
	e->kids[1] = field(OTHER);
	e->class = CLASS_U64;
	e->cmp = AST_OP_LE;
	return e;
}

static struct weir_expr *draw_leaf(void)
{
	static const enum ast_op op[] = {
	        AST_OP_EQ, AST_OP_NE, AST_OP_LT, AST_OP_LE, AST_OP_GT, AST_OP_GE};
	struct weir_expr *e;

	switch (rnd(8)) {
	case 0:
		return field(rnd(FIELDS));
	case 1:
		return about(X_EXISTS, rnd(FIELDS));
	case 2:
		e = about(X_F64, NUMBER);
		e->cmp = op[rnd(COUNT(op))];
		e->number = draw_double();
		return e;
	case 3:
		return draw_set();
	case 4:
		return draw_net();
	case 5:
		return draw_other();
	default:
		e = about(X_RANGE, rnd(2) ? WORD : SIGNED);
		e->lo = draw_word();
		e->span = draw_word();
		return e;
	}
}

static struct weir_expr *draw_condition(uint32_t depth)
{
	static const enum expr_op op[] = {X_AND, X_OR, X_NOT};
	struct weir_expr *e;

	if (!depth || !rnd(4))
		return draw_leaf();
	e = node(op[rnd(3)], WEIR_BOOL, 1);
	e->nkids = e->op == X_NOT ? 1 : 2 + rnd(2);
	e->kids = arena_alloc(&arena, e->nkids * sizeof *e->kids);
	for (uint32_t i = 0; i < e->nkids; i++)
		e->kids[i] = draw_condition(depth - 1);
	return e;
}

static void draw_value(struct weir_batch *b, uint32_t f, uint32_t row, const void *arg)
{
	static const char text[] = "abca";
	void *data = b->cols[f].data;

	if (fields[f].kind == WEIR_F64)
		((double *)data)[row] = draw_double();
	else if (fields[f].kind == WEIR_IP)
		((struct weir_ip *)data)[row] = draw_address();
	else if (fields[f].kind == WEIR_STR)
		((struct weir_str *)data)[row] =
		        (struct weir_str){(const uint8_t *)text + rnd(3), rnd(2)};
	else
		((uint64_t *)data)[row] = fields[f].kind == WEIR_BOOL ? rnd(2) : draw_word();
}

/* What holds for the rows in `sel`, as many as say so; where those are not all, it is done by
 * lists. */
static void select_some(const struct weir_expr *e, struct weir_batch *b, const uint16_t *sel,
        uint32_t n, bool *holds)
{
	uint16_t rows[WEIR_BATCH_ROWS + 1];
	int k;

	weir_batch_select(b, sel, n);
	rows[n] = 0x7777;
	k = weir_expr_select(e, b, rows);
	assert_in_range(k, 0, n);
	assert_int_equal(rows[n], 0x7777);
	for (int i = 0; i < k; i++) {
		assert_true(rows[i] < b->n && (!i || rows[i] > rows[i - 1]));
		holds[rows[i]] = true;
	}
}

static void check_condition(const struct weir_expr *e, struct weir_batch *b, bool *some)
{
	bool by_list[WEIR_BATCH_ROWS] = {0}, by_mask[WEIR_BATCH_ROWS] = {0};
	uint16_t sel[WEIR_BATCH_ROWS];
	uint32_t n = 0, m;

	for (uint32_t r = 0; r < b->n; r += 2)
		sel[n++] = (uint16_t)r;
	m = n;
	for (uint32_t r = 1; r < b->n; r += 2)
		sel[m++] = (uint16_t)r;
	if (b->n > 1) {
		select_some(e, b, sel, n, by_list);
		select_some(e, b, sel + n, b->n - n, by_list);
	}
	select_some(e, b, NULL, b->n, by_mask);
	if (b->n > 1)
		assert_memory_equal(by_list, by_mask, sizeof by_list);
	/* a list of all rows, in place */
	for (uint32_t r = 0; r < b->n; r++)
		sel[r] = (uint16_t)r;
	weir_batch_select(b, sel, b->n);
	m = (uint32_t)weir_expr_select(e, b, sel);
	for (uint32_t r = 0, k = 0; r < b->n; r++) {
		assert_int_equal(k < m && sel[k] == r, by_mask[r]);
		k += by_mask[r];
	}
	for (uint32_t r = 0; r < b->n; r++)
		some[by_mask[r]] = true;
}

static void masks_are_lists(void **state)
{
	static const uint32_t missing[] = {0, 10, 50, 100};
	uint32_t masks = 0, mixed = 0, tell = 0;

	for (uint32_t round = 0; round < 4000; round++) {
		struct weir_batch *b = drawn_batch(pool, schema, missing[rnd(4)], draw_value, NULL);
		struct weir_expr *e;
		bool some[2] = {false, false};

		arena_init(&arena, NULL);
		e = draw_condition(3);
		mask_note(e);
		check_condition(e, b, some);
		masks += e->by_mask;
		mixed += e->nkids > 1 && e->kids[0]->by_mask && !e->by_mask;
		tell += some[0] && some[1];
		arena_release(&arena);
		weir_batch_unref(b);
	}
	/* the draws are of some use */
	assert_true(masks > 500 && mixed > 200 && tell > 1000);
}

static void no_rows(void **state)
{
	struct weir_batch *b = pool_batch(pool, schema, 0);
	uint16_t rows[1] = {0x7777};
	struct weir_expr *e;

	weir_batch_own(b, ADDRESS);
	arena_init(&arena, NULL);
	e = draw_net();
	mask_note(e);
	assert_int_equal(weir_expr_select(e, b, rows), 0);
	assert_int_equal(rows[0], 0x7777);
	arena_release(&arena);
	weir_batch_unref(b);
}

static int setup(void **state)
{
	return one_schema(weir_schema_new("test", fields, FIELDS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(loops_agree),
	        cmocka_unit_test(masks_are_lists), cmocka_unit_test(no_rows)};

	return cmocka_run_group_tests(tests, setup, one_schema_end);
}
