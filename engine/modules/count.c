/* SPDX-License-Identifier: MIT */
/* count.c: a running count for each tuple, as an annotation. The count lies beside its key; with -m
 * it is a sketch's, with --distinct that of different tuples. */
#include "engine/core/keyfollow.h"
#include "engine/core/option_rows.h"
#include "engine/core/spill.h"
#include "engine/sketch/counts.h"
#include "engine/sketch/notes.h"

struct config {
	struct weir_fields fields;
	const char *name;
	bool bytes;
	uint32_t len, out; /* fields of the input and of the output */
	struct counts_config sketch;
	struct notes notes;
};

struct state {
	struct keytab *tab;    /* with `fields` */
	bool passes;           /* its ids on */
	uint64_t all;          /* without fields */
	struct counts *counts; /* in place of tab */
};

static int count_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field f = {.name = c->name,
	        .kind = WEIR_U64,
	        .flags = WEIR_FIELD_ALWAYS,
	        .unit = c->bytes ? "bytes" : NULL,
	        .doc = "running count"};
	int r = c->bytes ? weir_bind_find(b, "len", err) : 0;

	if (r < 0)
		return r;
	c->len = (uint32_t)r;
	if (c->bytes && b->in->fields[r].kind != WEIR_U64)
		return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, "count -b", "a number",
		        "'len'", weir_kind_article(b->in->fields[r].kind));
	r = weir_bind_add(b, &f, err);
	if (r < 0)
		return r;
	c->out = (uint32_t)r;
	r = counts_bind(&c->sketch, b, c->fields.n, c->bytes, err);
	if (r < 0 || !counts_wanted(&c->sketch))
		return r;
	if (c->sketch.distinct)
		return notes_bind(
		        b, &c->notes, WEIR_F64, "relative standard error of the count", err);
	return notes_bind(b, &c->notes, WEIR_U64,
	        "the count is too high by more than this with a probability of 1.8 %", err);
}

static int count_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	if (counts_wanted(&c->sketch)) {
		s->counts = weir_calloc(n->mem, sizeof *s->counts);
		return s->counts ? counts_open(s->counts, &c->sketch, n, c->fields) : -ENOMEM;
	}
	if (!c->fields.n)
		return 0;
	s->passes = keyfollow_wanted(n);
	return keytab_new(
	        n->mem, n->in, c->fields.index, c->fields.n, 0, sizeof(uint64_t), &s->tab);
}

static void count_all(
        struct state *s, const uint16_t *rows, uint32_t n, const struct weir_col *len, uint64_t *to)
{
	uint64_t all = s->all;

	for (uint32_t k = 0; k < n; k++) {
		if (!len)
			all++;
		else if (weir_col_has(len, rows[k]))
			all += weir_col_u64(len)[rows[k]];
		to[rows[k]] = all;
	}
	s->all = all;
}

static void count_keys(const struct keytab_rows *r, const struct weir_col *len, uint64_t *to)
{
	if (!len) {
		for (uint32_t k = 0; k < r->n; k++)
			to[r->row[k]] = ++*(uint64_t *)r->state[k];
		return;
	}
	for (uint32_t k = 0; k < r->n; k++) {
		uint64_t *count = (uint64_t *)r->state[k];

		if (weir_col_has(len, r->row[k]))
			*count += weir_col_u64(len)[r->row[k]];
		to[r->row[k]] = *count;
	}
}

static int process_sketch(struct weir_node *n, struct weir_batch *b, const struct weir_col *len)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint64_t value[WEIR_BATCH_ROWS], bound[WEIR_BATCH_ROWS];
	bool wanted = weir_node_needs(n, c->notes.error);
	struct weir_batch *out = weir_view(n, b);
	uint16_t *rows = out ? weir_batch_sel(out, weir_batch_count(b)) : NULL;
	struct weir_col *count = rows ? weir_batch_own(out, c->out) : NULL;
	struct weir_col *error = count && wanted ? weir_batch_own(out, c->notes.error) : NULL;
	int m = -ENOMEM;

	if (count && (error || !wanted))
		m = counts_rows(s->counts, &c->sketch, b, len, rows, value, error ? bound : NULL);
	if (m < 0) {
		weir_batch_unref(out);
		return m;
	}
	n->counters[0] += weir_batch_count(b) - (uint32_t)m;
	for (int k = 0; k < m; k++)
		((uint64_t *)count->data)[rows[k]] = value[k];
	for (int k = 0; error && k < m; k++)
		((uint64_t *)error->data)[rows[k]] = bound[k];
	weir_batch_select(out, rows, (uint32_t)m);
	if (notes_fill(n, out, c->notes.memory, (union weir_datum){.u = counts_memory(s->counts)}) <
	        0) {
		weir_batch_unref(out);
		return -ENOMEM;
	}
	return weir_emit(n, 0, out);
}

static int count_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	const struct weir_col *len = NULL;
	struct weir_batch *out;
	struct weir_col *count;
	struct keytab_rows r;
	int rc = 0;

	if (c->bytes && !(len = weir_batch_col(b, c->len)))
		return -ENOMEM;
	if (counts_wanted(&c->sketch))
		return process_sketch(n, b, len);
	if (!c->fields.n)
		r.n = keypack_rows(b, r.row);
	else if ((rc = spill_map(n, s->tab, b, &r)) < 0)
		return rc;
	out = weir_view(n, b);
	count = out ? weir_batch_own(out, c->out) : NULL;
	if (!count)
		goto nomem;
	if (!c->fields.n) {
		count_all(s, r.row, r.n, len, count->data);
		return weir_emit(n, 0, out);
	}
	count_keys(&r, len, count->data);
	if (r.missing || r.nmissed) {
		uint16_t *rows = weir_batch_sel(out, r.n);

		if (!rows)
			goto nomem;
		n->counters[0] += r.missing;
		memcpy(rows, r.row, r.n * sizeof *rows);
		weir_batch_select(out, rows, r.n);
	}
	if (s->passes && keyfollow_pass(s->tab, &r, out) < 0)
		goto nomem;
	return weir_emit(n, 0, out);
nomem:
	weir_batch_unref(out);
	return -ENOMEM;
}

static void count_close(struct weir_node *n)
{
	struct state *s = n->state;

	keytab_free(n->mem, s->tab);
	if (s->counts)
		counts_release(s->counts);
	weir_free(n->mem, s->counts, sizeof *s->counts);
}

static const char *const counters[] = {"missing", NULL};

static const struct weir_option options[] = {
        OPTION_FIELDS(offsetof(struct config, fields), 0,
                "count records that agree in these fields; without any, all records"),
        OPTION_FIELD_NAME(offsetof(struct config, name), "count", "name of the annotation"),
        {.type = WEIR_OPT_FLAG,
                .name = "bytes",
                .letter = 'b',
                .offset = offsetof(struct config, bytes),
                .doc = "add up 'len' instead of counting records"},
        NOTES_MEMORY_OPTION(offsetof(struct config, sketch.memory), COUNTMIN_MIN,
                "count in a Count-Min sketch of this size"),
        {.type = WEIR_OPT_FLAG,
                .name = "distinct",
                .letter = 'd',
                .offset = offsetof(struct config, sketch.distinct),
                .doc = "estimate how many different tuples there were so far"},
        {.type = WEIR_OPT_U64,
                .name = "precision",
                .letter = 'p',
                .offset = offsetof(struct config, sketch.precision),
                .min = HLL_P_MIN,
                .max = HLL_P_MAX,
                .arg = "P",
                .doc = "with --distinct: of 2^P bytes; 14 if not given"},
        NOTES_SEED_OPTION(offsetof(struct config, sketch.seed)),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(count) = {
        .abi = WEIR_ABI,
        .flags = WEIR_KEYED | WEIR_VIEWS | WEIR_SPILLS,
        .name = "count",
        .summary = "running count of records by tuple of fields",
        .doc = "Adds to each record how many records so far, itself included, had the same values "
               "in the fields. 'last' of the same fields then leaves the totals.\n\n"
               "With -m SIZE the counts are those of a Count-Min sketch with conservative update, "
               "of "
               "that size whatever comes: never too low, and too high by more than the annotation "
               "'error' (e N / w for N counted so far and w = SIZE / 32 counters a row) with a "
               "probability of at most 1.8 %; for most tuples far less.\n\n"
               "With --distinct each record tells how many different tuples there were so far, as "
               "a "
               "HyperLogLog++ sketch estimates it: 'error' is the relative standard error, 0.0081 "
               "for "
               "P = 14 and 16 KB, half as much for P + 2; almost exact up to 2^P / 10 tuples. Both "
               "show "
               "their bytes as 'memory' where it is printed by name, and --seed makes answers the "
               "same "
               "in every run.\n\n"
               "A record that lacks one of the fields is dropped and counted as 'missing'.",
        .example = "packets | count srcip | last srcip | sort -r count | print srcip count",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .keys_offset = offsetof(struct config, fields),
        .counters = counters,
        .bind = count_bind,
        .open = count_open,
        .process = count_process,
        .close = count_close,
};
