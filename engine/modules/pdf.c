/* SPDX-License-Identifier: MIT */
/* pdf.c: each record's share of the total of a field. Behind a table that can answer twice nothing
 * is kept but the total. Otherwise all records are; those that there is no memory for stand in a
 * file, behind the others (engine/core/spill.h). */
#include "engine/core/coltab.h"
#include "engine/core/option_rows.h"
#include "engine/core/spill.h"

#include <math.h>

struct config {
	uint32_t count; /* input field */
	const char *name;
	uint32_t out;
};

struct state {
	struct coltab rows;
	struct spill_file *more; /* rows behind them */
	uint32_t count;          /* field in rows.layout */
	double total;            /* as the kind says, one of these two */
	unsigned __int128 whole;
};

static int pdf_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field f = {.name = c->name, .kind = WEIR_F64, .doc = "share of the total"};
	enum weir_kind kind;
	int r;

	if (c->count == UINT32_MAX) {
		r = weir_bind_find(b, "count", err);
		if (r < 0)
			return r;
		c->count = (uint32_t)r;
	}
	kind = b->in->fields[c->count].kind;
	if (!weir_kind_is_number(kind)) {
		weir_bind_blame(b, &c->count, 0);
		return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, "pdf", "a number",
		        b->in->fields[c->count].name, weir_kind_article(kind));
	}
	r = weir_bind_add(b, &f, err);
	if (r < 0)
		return r;
	c->out = (uint32_t)r;
	return 0;
}

static int pdf_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	/* kept for the output anyway, or for this alone */
	uint32_t extra = !weir_node_needs(n, c->count);
	int r = coltab_open(&s->rows, n, &c->count, extra);

	for (uint32_t i = 0; r == 0 && i < s->rows.layout.n; i++)
		if (s->rows.layout.f[i].field == c->count)
			s->count = i;
	return r;
}

/* The rows of b that have a count, which is added to the total. Their number, or -ENOMEM. */
static int add_up(struct weir_node *n, struct weir_batch *b, uint16_t *rows)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	const struct weir_col *count = weir_batch_col(b, c->count);
	uint32_t m = 0;

	if (!count)
		return -ENOMEM;
	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		uint32_t row = weir_batch_row(b, k);

		rows[m] = (uint16_t)row;
		m += weir_col_has(count, row);
	}
	n->counters[0] += weir_batch_count(b) - m;
	for (uint32_t k = 0; k < m; k++)
		if (count->kind == WEIR_U64)
			s->whole += weir_col_u64(count)[rows[k]];
		else if (count->kind == WEIR_I64)
			s->whole += (unsigned __int128)(__int128)weir_col_i64(count)[rows[k]];
		else
			s->total += weir_col_f64(count)[rows[k]];
	return (int)m;
}

static int pdf_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	struct state *s = n->state;
	uint16_t rows[WEIR_BATCH_ROWS];
	int m = add_up(n, b, rows);

	if (m < 0)
		return m;
	if (s->more || spill_is_full(n, s->rows.size / 2))
		return spill_append(n, &s->more, b, rows, (uint32_t)m);
	return coltab_append(&s->rows, b, rows, (uint32_t)m);
}

static int pdf_look(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	uint16_t rows[WEIR_BATCH_ROWS];
	int r = add_up(n, b, rows);

	return r < 0 ? r : 0;
}

static double total(const struct state *s, enum weir_kind kind)
{
	return kind == WEIR_F64 ? s->total : (double)(__int128)s->whole;
}

static inline double number(enum weir_kind kind, union weir_datum v)
{
	return kind == WEIR_F64 ? v.f : kind == WEIR_I64 ? (double)v.i : (double)v.u;
}

/* Of a total of nothing there are no shares, nor one that is too large for a number. `rows`: NULL
 * for the first m of b. */
static int drop_others(
        struct weir_batch *b, struct weir_col *shares, const uint16_t *rows, uint32_t m)
{
	const double *v = shares->data;
	bool all = true;

	for (uint32_t k = 0; k < m; k++)
		all &= isfinite(v[rows ? rows[k] : k]) != 0;
	if (all)
		return 0;
	if (!weir_batch_own_valid(b, shares))
		return -ENOMEM;
	for (uint32_t k = 0; k < m; k++) {
		uint32_t row = rows ? rows[k] : k;

		if (isfinite(v[row]))
			weir_valid_set(shares->valid, row);
	}
	return 0;
}

static inline double share(double v, double all)
{
	return all != 0 && isfinite(all) ? v / all : NAN;
}

static void fill(const struct state *s, uint32_t first, uint32_t m, double *to)
{
	const struct row_field *f = &s->rows.layout.f[s->count];
	const double all = total(s, f->kind);

	for (uint32_t k = 0; k < m; k++) {
		union weir_datum v = {.u = row_word(f, coltab_record(&s->rows, first + k))};

		to[k] = share(number(f->kind, v), all);
	}
}

/* Hands b's records that have a count on with their shares. */
static int share_out(struct weir_node *n, struct weir_batch *b)
{
	const struct config *c = n->config;
	const struct weir_col *count = weir_batch_col(b, c->count);
	struct weir_batch *out = weir_view(n, b);
	struct weir_col *p = out && count ? weir_batch_own(out, c->out) : NULL;
	uint16_t *sel = p ? weir_batch_sel(out, weir_batch_count(b)) : NULL;
	uint32_t m = 0;
	double all;

	if (!sel) {
		weir_batch_unref(out);
		return -ENOMEM;
	}
	all = total(n->state, count->kind);
	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		uint32_t row = weir_batch_row(b, k);
		union weir_datum v = {.u = weir_col_u64(count)[row]};

		((double *)p->data)[row] = share(number(count->kind, v), all);
		sel[m] = (uint16_t)row;
		m += weir_col_has(count, row);
	}
	if (drop_others(out, p, sel, m) < 0) {
		weir_batch_unref(out);
		return -ENOMEM;
	}
	weir_batch_select(out, sel, m);
	return weir_emit(n, 0, out);
}

static int pdf_again(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	return share_out(n, b);
}

static int pdf_flush(struct weir_node *n, enum weir_mark mark)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	for (uint32_t first = 0; first < s->rows.n; first += WEIR_BATCH_ROWS) {
		uint32_t left = s->rows.n - first;
		uint32_t m = left < WEIR_BATCH_ROWS ? left : WEIR_BATCH_ROWS;
		struct weir_batch *b = coltab_build(&s->rows, n, NULL, first, m);
		struct weir_col *p = b ? weir_batch_own(b, c->out) : NULL;
		int r;

		if (!p) {
			weir_batch_unref(b);
			return -ENOMEM;
		}
		fill(s, first, m, p->data);
		r = drop_others(b, p, NULL, m);
		if (r < 0) {
			weir_batch_unref(b);
			return r;
		}
		r = weir_emit(n, 0, b);
		if (r < 0)
			return r;
	}
	return s->more ? spill_each(n, s->more, share_out) : 0;
}

static void pdf_close(struct weir_node *n)
{
	struct state *s = n->state;

	coltab_release(&s->rows);
	spill_file_free(s->more);
}

static const char *const counters[] = {"missing", NULL};

static const struct weir_option options[] = {
        {.type = WEIR_OPT_FIELD,
                .name = "count",
                .flags = WEIR_OPT_POSITIONAL,
                .offset = offsetof(struct config, count),
                .preset = "count",
                .arg = "FIELD",
                .doc = "the number whose shares are wanted"},
        OPTION_FIELD_NAME(offsetof(struct config, name), "probability", "name of the annotation"),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(pdf) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_BLOCKING | WEIR_SPILLS,
        .name = "pdf",
        .summary = "each record's share of the total count",
        .doc = "A table of all records, each with its 'count' (or the field named) divided by the "
               "total over all of them: a probability density where the counts are those of "
               "different values. Of a total of 0 there are no shares, and the annotation has "
               "no value.\n\n"
               "A record that lacks the field is dropped and counted as 'missing'.",
        .example = "packets | count dstport | last dstport | pdf | print dstport probability",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = pdf_bind,
        .open = pdf_open,
        .process = pdf_process,
        .look = pdf_look,
        .again = pdf_again,
        .flush = pdf_flush,
        .close = pdf_close,
};
