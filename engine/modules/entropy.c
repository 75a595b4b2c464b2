/* SPDX-License-Identifier: MIT */
/* entropy.c: Shannon's entropy of how records spread over the values of some fields:
 * H = log2 N - (1/N) sum c log2 c, over the counts c of the different values, N their sum
 * (C. E. Shannon, A Mathematical Theory of Communication, 1948). */

#include "engine/core/keytab.h"
#include "engine/core/libm.h"
#include "engine/core/option_rows.h"

struct config {
	struct weir_fields fields;
	const char *name;
	uint32_t count; /* input field, without `fields` */
};

struct state {
	struct keytab *tab;  /* with `fields` */
	double sum, sum_log; /* of c, of c log2 c; without `fields` */
	bool any;
};

static int entropy_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field f = {.name = c->name,
	        .kind = WEIR_F64,
	        .flags = WEIR_FIELD_ALWAYS,
	        .unit = "bits",
	        .doc = "Shannon entropy"};
	int r = weir_bind_new(b, "entropy", err);

	if (r == 0 && !c->fields.n) {
		enum weir_kind kind;

		r = weir_bind_find(b, "count", err);
		if (r < 0)
			return r;
		c->count = (uint32_t)r;
		kind = b->in->fields[r].kind;
		if (!weir_kind_is_number(kind))
			return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, "entropy",
			        "a number", "'count'", weir_kind_article(kind));
	}
	return r < 0 ? r : weir_bind_add(b, &f, err);
}

static int entropy_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	if (!c->fields.n)
		return 0;
	return keytab_new(
	        n->mem, n->in, c->fields.index, c->fields.n, 0, sizeof(uint64_t), &s->tab);
}

static void add(struct state *s, double c)
{
	if (!(c > 0))
		return;
	s->sum += c;
	s->sum_log += c * libm_log2(c);
	s->any = true;
}

static int entropy_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	const struct weir_col *count;
	struct keytab_rows r;
	int rc;

	if (c->fields.n) {
		rc = keytab_map(s->tab, b, &r);
		if (rc < 0)
			return rc;
		n->counters[0] += r.missing;
		for (uint32_t k = 0; k < r.n; k++)
			++*(uint64_t *)r.state[k];
		return 0;
	}
	count = weir_batch_col(b, c->count);
	if (!count)
		return -ENOMEM;
	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		uint32_t row = weir_batch_row(b, k);

		if (!weir_col_has(count, row))
			n->counters[0]++;
		else if (count->kind == WEIR_F64)
			add(s, weir_col_f64(count)[row]);
		else if (count->kind == WEIR_I64)
			add(s, (double)weir_col_i64(count)[row]);
		else
			add(s, (double)weir_col_u64(count)[row]);
	}
	return 0;
}

static int entropy_flush(struct weir_node *n, enum weir_mark mark)
{
	struct state *s = n->state;
	const struct config *c = n->config;
	struct weir_batch *b;
	struct weir_col *col;
	double h;

	if (c->fields.n) {
		s->sum = s->sum_log = 0;
		for (uint32_t i = 0; i < s->tab->n; i++)
			add(s, (double)*(uint64_t *)keytab_state(s->tab, i));
	}
	if (!s->any)
		return 0;
	b = weir_build(n, 1);
	col = b ? weir_batch_own(b, 0) : NULL;
	if (!col) {
		weir_batch_unref(b);
		return -ENOMEM;
	}
	h = libm_log2(s->sum) - s->sum_log / s->sum;
	*(double *)col->data = h > 0 ? h : 0;
	return weir_emit(n, 0, b);
}

static void entropy_close(struct weir_node *n)
{
	struct state *s = n->state;

	keytab_free(n->mem, s->tab);
}

static const char *const counters[] = {"missing", NULL};

static const struct weir_option options[] = {
        OPTION_FIELDS(offsetof(struct config, fields), 0,
                "the fields whose values' distribution is meant; without any, the "
                "distribution "
                "that the records' 'count's give"),
        OPTION_FIELD_NAME(offsetof(struct config, name), "entropy", "name of the figure"),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(entropy) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_BLOCKING,
        .name = "entropy",
        .summary = "Shannon entropy of the values of some fields",
        .doc = "One row: the entropy, in bits, of how the records spread over the different values "
               "of the fields: 0 where all agree, log2 of the number of values where all values "
               "come "
               "equally often. Without fields each record stands for one value, and its field "
               "'count' "
               "says how often that came. No records, no row.\n\n"
               "A record that lacks a field is dropped and counted as 'missing'.",
        .example = "packets | entropy dstport",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = entropy_bind,
        .open = entropy_open,
        .process = entropy_process,
        .flush = entropy_flush,
        .close = entropy_close,
};
