/* SPDX-License-Identifier: MIT */
/* count.c: a running count for each tuple, as an annotation. The count lies beside its key. */
#include "engine/core/keytab.h"

struct config {
	struct weir_fields fields;
	const char *name;
	bool bytes;
	uint32_t len, out; /* fields of the input and of the output */
};

struct state {
	struct keytab tab;
	uint64_t all; /* without fields */
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
	return 0;
}

static int count_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	return keytab_init(
	        &s->tab, n->mem, n->in, c->fields.index, c->fields.n, 0, sizeof(uint64_t));
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
	if (c->fields.n)
		rc = keytab_map(&s->tab, b, &r);
	else
		r.n = (uint32_t)(rc = keypack_rows(&s->tab.pack, b, r.row));
	if (rc < 0)
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
	if (r.missing) {
		uint16_t *rows = weir_batch_sel(out, r.n);

		if (!rows)
			goto nomem;
		n->counters[0] += r.missing;
		memcpy(rows, r.row, r.n * sizeof *rows);
		weir_batch_select(out, rows, r.n);
	}
	return weir_emit(n, 0, out);
nomem:
	weir_batch_unref(out);
	return -ENOMEM;
}

static void count_close(struct weir_node *n)
{
	struct state *s = n->state;

	keytab_release(&s->tab);
}

static const char *const counters[] = {"missing", NULL};

static const struct weir_option options[] = {
        {.type = WEIR_OPT_FIELDS,
                .name = "fields",
                .flags = WEIR_OPT_POSITIONAL,
                .offset = offsetof(struct config, fields),
                .arg = "FIELD…",
                .doc = "count records that agree in these fields; without any, all records"},
        {.type = WEIR_OPT_NAME,
                .name = "field",
                .letter = 'f',
                .offset = offsetof(struct config, name),
                .preset = "count",
                .arg = "NAME",
                .doc = "name of the annotation"},
        {.type = WEIR_OPT_FLAG,
                .name = "bytes",
                .letter = 'b',
                .offset = offsetof(struct config, bytes),
                .doc = "add up 'len' instead of counting records"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(count) = {
        .abi = WEIR_ABI,
        .flags = WEIR_KEYED | WEIR_VIEWS,
        .name = "count",
        .summary = "running count of records by tuple of fields",
        .doc = "Adds to each record how many records so far, itself included, had the same values "
               "in the fields. 'last' of the same fields then leaves the totals.\n\n"
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
