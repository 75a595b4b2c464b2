/* SPDX-License-Identifier: MIT */
/* histogram.c: how often a number falls between which bounds.
 *
 * Bins are half open, [low, high), and kept sorted; only those with records are. They are named by
 * a whole number: for bins of one width floor(v / width), for powers of two the exponent above
 * zero and its mirror image below, for given edges the number of edges at or below the value.
 */
#include <math.h>
#include <stdlib.h>
#include <weir/module.h>

#define BINS_MAX 65536
#define EDGES_MAX 1024

struct config {
	uint32_t field;
	double width;
	bool log2;
	const char *text; /* of the edges */
	uint32_t nedges;
	const double *edge;
	double scale; /* of the field's words: nanoseconds are shown as seconds */
};

struct bin {
	int64_t at;
	uint64_t count;
};

struct state {
	struct bin *bin;
	uint32_t n, cap;
	uint32_t last; /* where the record before went */
};

enum { LOW, HIGH, COUNT };

static int parse_edges(struct weir_bind *b, struct config *c, struct weir_err *err)
{
	double *edge = weir_bind_alloc(b, EDGES_MAX * sizeof *edge);
	const char *at = c->text;

	if (!edge)
		return -ENOMEM;
	weir_bind_blame(b, &c->text, 0);
	while (*at) {
		size_t n = strcspn(at, ", ");
		union weir_datum d;

		if (c->nedges == EDGES_MAX)
			return weir_fail(err, WEIR_E_OUT_OF_RANGE, b->pos, b->len,
			        "number of edges", "at most 1024");
		if (weir_kind_parse(WEIR_F64, at, n, &d) < 0 || !isfinite(d.f) ||
		        (c->nedges && d.f <= edge[c->nedges - 1]))
			return weir_fail(err, WEIR_E_BAD_VALUE, b->pos, b->len, c->text, "-e",
			        "rising numbers such as 64,128,1500");
		edge[c->nedges++] = d.f;
		at += n;
		at += strspn(at, ", ");
	}
	c->edge = edge;
	return 0;
}

static int histogram_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	const struct weir_field *f = &b->in->fields[c->field];
	struct weir_field out[] = {
	        [LOW] = {.name = "low", .kind = WEIR_F64, .doc = "lower bound of the bin, in it"},
	        [HIGH] = {.name = "high", .kind = WEIR_F64, .doc = "upper bound, not in it"},
	        [COUNT] = {.name = "count",
	                .kind = WEIR_U64,
	                .flags = WEIR_FIELD_ALWAYS,
	                .doc = "records in the bin"},
	};
	int r = 0;

	c->scale = f->kind == WEIR_TIME || f->kind == WEIR_DURATION ? 1e-9 : 1;
	if (!weir_kind_is_number(f->kind) && c->scale == 1) {
		weir_bind_blame(b, &c->field, 0);
		return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, "histogram", "a number",
		        f->name, weir_kind_article(f->kind));
	}
	if (!!c->width + c->log2 + !!c->text > 1)
		return weir_fail(err, WEIR_E_OPTION_CONFLICT, b->pos, b->len, c->text ? "-e" : "-l",
		        c->width ? "-w" : "-l");
	if (c->text)
		r = parse_edges(b, c, err);
	if (r == 0)
		r = weir_bind_new(b, "histogram", err);
	for (int i = 0; i < 3 && r >= 0; i++) {
		out[i].unit = i < COUNT ? f->unit : NULL;
		r = weir_bind_add(b, &out[i], err);
	}
	return r;
}

/* The number of v's bin. |v| beyond 2^62 widths are all in the outermost. */
static int64_t bin_of(const struct config *c, double v)
{
	int exponent;

	if (c->text) {
		uint32_t a = 0, z = c->nedges;

		while (a < z) {
			uint32_t mid = (a + z) / 2;

			if (c->edge[mid] <= v)
				a = mid + 1;
			else
				z = mid;
		}
		return a;
	}
	if (c->width) {
		v = floor(v / c->width);
		return v > 0x1p62 ? 1ll << 62 : v < -0x1p62 ? -(1ll << 62) : (int64_t)v;
	}
	if (!(v >= 1 || v <= -1))
		return 0;
	if (isinf(v))
		exponent = 1025;
	else
		frexp(v, &exponent); /* v = m * 2^exponent, .5 <= m < 1 */
	return v > 0 ? exponent : -exponent;
}

static double low_of(const struct config *c, int64_t at)
{
	if (c->text)
		return at ? c->edge[at - 1] : -INFINITY;
	if (c->width)
		return (double)at * c->width;
	if (at > 0)
		return ldexp(1, (int)at - 1);
	return at < 0 ? -ldexp(1, (int)-at) : -1;
}

static double high_of(const struct config *c, int64_t at)
{
	if (c->text)
		return at < c->nedges ? c->edge[at] : INFINITY;
	if (c->width)
		return (double)(at + 1) * c->width;
	if (at > 0)
		return ldexp(1, (int)at);
	return at < 0 ? -ldexp(1, (int)-at - 1) : 1;
}

static int grow(struct weir_node *n, struct state *s)
{
	uint32_t cap = s->cap ? 2 * s->cap : 64;
	struct bin *bin;

	if (s->n == BINS_MAX)
		return weir_node_fail(n, ERANGE, "more than 65536 bins, take wider ones");
	bin = weir_realloc(n->mem, s->bin, s->cap * sizeof *bin, cap * sizeof *bin);
	if (!bin)
		return -ENOMEM;
	s->bin = bin;
	s->cap = cap;
	return 0;
}

static int count(struct weir_node *n, struct state *s, int64_t at)
{
	uint32_t a = 0, z = s->n;

	if (s->last < s->n && s->bin[s->last].at == at) {
		s->bin[s->last].count++;
		return 0;
	}
	while (a < z) {
		uint32_t mid = (a + z) / 2;

		if (s->bin[mid].at < at)
			a = mid + 1;
		else
			z = mid;
	}
	if (a == s->n || s->bin[a].at != at) {
		if (s->n == s->cap || s->n == BINS_MAX) {
			int r = grow(n, s);

			if (r < 0)
				return r;
		}
		memmove(s->bin + a + 1, s->bin + a, (s->n - a) * sizeof *s->bin);
		s->bin[a] = (struct bin){.at = at};
		s->n++;
	}
	s->bin[a].count++;
	s->last = a;
	return 0;
}

static int histogram_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	const struct weir_col *col = weir_batch_col(b, c->field);
	int r = 0;

	if (!col)
		return -ENOMEM;
	for (uint32_t k = 0; k < weir_batch_count(b) && r == 0; k++) {
		uint32_t row = weir_batch_row(b, k);
		double v;

		if (!weir_col_has(col, row)) {
			n->counters[0]++;
			continue;
		}
		v = col->kind == WEIR_F64   ? weir_col_f64(col)[row]
		    : col->kind == WEIR_U64 ? (double)weir_col_u64(col)[row]
		                            : (double)weir_col_i64(col)[row] * c->scale;
		if (isnan(v))
			n->counters[0]++;
		else
			r = count(n, n->state, bin_of(c, v));
	}
	return r;
}

static int histogram_flush(struct weir_node *n, enum weir_mark mark)
{
	const struct config *c = n->config;
	const struct state *s = n->state;
	int r = 0;

	for (uint32_t at = 0; at < s->n && r >= 0; at += WEIR_BATCH_ROWS) {
		uint32_t rows = s->n - at < WEIR_BATCH_ROWS ? s->n - at : WEIR_BATCH_ROWS;
		struct weir_batch *b = weir_build(n, rows);
		struct weir_col *low = b ? weir_batch_own(b, LOW) : NULL;
		struct weir_col *high = low ? weir_batch_own(b, HIGH) : NULL;
		struct weir_col *sum = high ? weir_batch_own(b, COUNT) : NULL;
		bool open = c->text; /* the outermost bins have one bound only */

		if (!sum || (open && (!weir_batch_own_valid(b, low) ||
		                             !weir_batch_own_valid(b, high)))) {
			weir_batch_unref(b);
			return -ENOMEM;
		}
		for (uint32_t k = 0; k < rows; k++) {
			double l = low_of(c, s->bin[at + k].at), h = high_of(c, s->bin[at + k].at);

			((double *)low->data)[k] = l;
			((double *)high->data)[k] = h;
			((uint64_t *)sum->data)[k] = s->bin[at + k].count;
			if (open && isfinite(l))
				weir_valid_set(low->valid, k);
			if (open && isfinite(h))
				weir_valid_set(high->valid, k);
		}
		r = weir_emit(n, 0, b);
	}
	return r;
}

static void histogram_close(struct weir_node *n)
{
	struct state *s = n->state;

	weir_free(n->mem, s->bin, s->cap * sizeof *s->bin);
}

static const char *const counters[] = {"missing", NULL};

static const struct weir_option options[] = {
        {.type = WEIR_OPT_FIELD,
                .name = "field",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, field),
                .arg = "FIELD",
                .doc = "the number to look at"},
        {.type = WEIR_OPT_F64,
                .name = "width",
                .letter = 'w',
                .offset = offsetof(struct config, width),
                .min = 1e-9,
                .max = 1e18,
                .arg = "WIDTH",
                .doc = "bins of this width, from zero; of times and durations in seconds"},
        {.type = WEIR_OPT_FLAG,
                .name = "log2",
                .letter = 'l',
                .offset = offsetof(struct config, log2),
                .doc = "bins from each power of two to the next; so it is without -w and -e"},
        {.type = WEIR_OPT_STRING,
                .name = "edges",
                .letter = 'e',
                .offset = offsetof(struct config, text),
                .arg = "\"N,N…\"",
                .doc = "bins between these rising bounds, and one on each side"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(histogram) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_BLOCKING,
        .name = "histogram",
        .summary = "how often a number falls between which bounds",
        .doc = "One row for each bin that a record fell into, in rising order: 'low' (in the bin), "
               "'high' (not in it; below -1 by powers of two it is the other way round) and "
               "'count'. "
               "By powers of two, -1 to 1 is one bin. At most 65,536 bins.\n\n"
               "A record that lacks the field is dropped and counted as 'missing'.",
        .example = "packets | histogram len -e \"64,128,512,1024,1500\"",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = histogram_bind,
        .process = histogram_process,
        .flush = histogram_flush,
        .close = histogram_close,
};
