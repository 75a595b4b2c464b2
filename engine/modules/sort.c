/* SPDX-License-Identifier: MIT */
/* sort.c: records in the order of some fields.
 *
 * With a limit (set by the planner for `sort … | head N`) it keeps the best N and what came since
 * they were picked, at most as many again; what cannot be among them is passed over by a look at
 * its first field alone. Without one, what there is no memory for becomes sorted runs on disk, see
 * engine/core/runs.h.
 */
#include "engine/core/option_rows.h"
#include "engine/core/order.h"
#include "engine/core/runs.h"
#include "engine/core/spill.h"

#define SLACK 64
#define ORDER_BYTES 36 /* a row, while rows are put into order */

struct config {
	struct weir_fields fields;
	bool reverse;
	uint64_t limit; /* 0: none */
};

struct state {
	struct coltab rows;
	struct runs runs; /* what came before them */
	uint32_t *key;    /* fields in rows.layout */
	uint32_t nkeys;
	bool bounded;   /* `worst` holds */
	uint64_t worst; /* first field of the N-th row, as order_word(), turned if reverse */
};

static int sort_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int r;

	s->nkeys = c->fields.n;
	s->rows.mem = n->mem;
	s->key = weir_alloc(n->mem, (s->nkeys + 1) * sizeof *s->key);
	if (!s->key)
		return -ENOMEM;
	r = coltab_open(&s->rows, n, c->fields.index, c->fields.n);
	if (r == 0)
		r = runs_init(&s->runs, n, &c->fields, c->reverse);
	for (uint32_t i = 0; i < s->nkeys; i++)
		s->key[i] = i;
	return r;
}

static uint64_t limit_of(const struct config *c)
{
	return c->limit <= RUNS_LIMIT ? c->limit : 0;
}

/* The ids of all rows in their order, *ret_size bytes to be freed; NULL: out of memory. */
static uint32_t *ordered(struct weir_node *n, size_t *ret_size)
{
	const struct config *c = n->config;
	const struct state *s = n->state;
	uint32_t *ids;

	*ret_size = (s->rows.n + 1) * sizeof *ids;
	ids = weir_alloc(n->mem, *ret_size);
	if (ids && order_rows(&s->rows, s->key, s->nkeys, c->reverse, ids) < 0) {
		weir_free(n->mem, ids, *ret_size);
		ids = NULL;
	}
	return ids;
}

static int trim(struct weir_node *n)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	const struct row_field *f = &s->rows.layout.f[s->key[0]];
	size_t size;
	uint32_t *ids = ordered(n, &size);
	int r = ids ? coltab_keep(&s->rows, ids, (uint32_t)c->limit) : -ENOMEM;

	weir_free(n->mem, ids, size);
	if (r < 0)
		return r;
	if (f->form <= ROW_8) {
		const uint8_t *worst = coltab_record(&s->rows, s->rows.n - 1);

		s->bounded = row_has(f, worst);
		s->worst = order_word(f->kind, row_word(f, worst)) ^ (c->reverse ? UINT64_MAX : 0);
	}
	return 0;
}

/* The selected rows that may be among the best N: not worse than the N-th, which wins ties where
 * there is no second field. */
static int promising(struct weir_node *n, struct weir_batch *b, uint16_t *rows)
{
	const struct config *c = n->config;
	const struct state *s = n->state;
	const struct weir_col *col = weir_batch_col(b, c->fields.index[0]);
	uint64_t flip = c->reverse ? UINT64_MAX : 0;
	bool ties = s->nkeys > 1;
	uint32_t m = 0;

	if (!col)
		return -ENOMEM;
	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		uint32_t row = weir_batch_row(b, k);
		uint64_t v = order_word(col->kind, weir_col_u64(col)[row]) ^ flip;

		rows[m] = (uint16_t)row;
		m += (v < s->worst || (ties && v == s->worst)) && weir_col_has(col, row);
	}
	return (int)m;
}

/* The rows become a run on disk. */
static int spill(struct weir_node *n)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	size_t size;
	uint32_t *ids = ordered(n, &size);
	int r = ids ? runs_add(&s->runs, &s->rows, ids) : -ENOMEM;

	weir_free(n->mem, ids, size);
	if (r < 0)
		return r;
	coltab_release(&s->rows);
	return coltab_open(&s->rows, n, c->fields.index, c->fields.n);
}

static int sort_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint64_t limit = limit_of(c);
	int r;

	if (s->bounded) {
		uint16_t rows[WEIR_BATCH_ROWS];

		r = promising(n, b, rows);
		if (r > 0)
			r = coltab_append(&s->rows, b, rows, (uint32_t)r);
	} else {
		r = coltab_add(&s->rows, b);
	}
	if (r == 0 && limit && s->rows.n >= 2 * limit && s->rows.n >= limit + SLACK)
		r = trim(n);
	else if (r == 0 && !limit && s->rows.n >= WEIR_BATCH_ROWS &&
	         spill_is_full(n, (size_t)s->rows.n * ORDER_BYTES))
		r = spill(n);
	return r;
}

static int sort_flush(struct weir_node *n, enum weir_mark mark)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint32_t *ids, count = s->rows.n;
	size_t size;
	int r;

	if (s->runs.n) {
		r = s->rows.n ? spill(n) : 0;
		return r < 0 ? r : runs_emit(&s->runs, c->limit);
	}
	ids = ordered(n, &size);
	if (c->limit && c->limit < count)
		count = (uint32_t)c->limit;
	r = ids ? coltab_emit(&s->rows, n, ids, count) : -ENOMEM;
	weir_free(n->mem, ids, size);
	return r;
}

static void sort_close(struct weir_node *n)
{
	struct state *s = n->state;

	if (s->key)
		weir_free(n->mem, s->key, (s->nkeys + 1) * sizeof *s->key);
	coltab_release(&s->rows);
	runs_release(&s->runs);
}

static const struct weir_option options[] = {
        OPTION_FIELDS(offsetof(struct config, fields), WEIR_OPT_REQUIRED,
                "what to sort by, the first field counting most"),
        {.type = WEIR_OPT_FLAG,
                .name = "reverse",
                .letter = 'r',
                .offset = offsetof(struct config, reverse),
                .doc = "largest first"},
        {.type = WEIR_OPT_U64,
                .name = "limit",
                .offset = offsetof(struct config, limit),
                .max = 1e15,
                .arg = "N",
                .doc = "the first N only, as '| head N' behind it has it too; 0: all"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(sort) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_BLOCKING | WEIR_SPILLS,
        .name = "sort",
        .summary = "records in the order of some fields",
        .doc = "A table of all records, smallest first, or largest first with -r. Records that are "
               "equal in the fields stay in the order in which they came; those that lack a field "
               "come last either way. IPv4 stands before IPv6.\n\n"
               "'sort … | head N' keeps no more than it needs for the first N.",
        .example = "packets | group srcip sum(len) as bytes | sort -r bytes | head 10",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .open = sort_open,
        .process = sort_process,
        .flush = sort_flush,
        .close = sort_close,
};
