/* SPDX-License-Identifier: MIT */
/* last.c: the last record of each tuple. The fields that somebody reads lie packed beside the key;
 * those of the tuple itself are read back from the key. */
#include "engine/core/keytab.h"
#include "engine/core/lend.h"
#include "engine/core/option_rows.h"
#include "engine/core/row.h"
#include "engine/core/spill.h"

struct config {
	struct weir_fields fields;
};

struct from {
	uint32_t out; /* output field */
	bool key;
	uint32_t i; /* in the key, or in the row */
};

struct state {
	struct keytab tab;
	struct row_layout row;
	struct heap heap;
	struct from *from;
	uint32_t nfrom, cap;
};

/* Whether field f is read back from the key; a number that is made canonical there is not. */
static int in_key(const struct config *c, const struct weir_schema *in, uint32_t f)
{
	for (uint32_t i = 0; i < c->fields.n; i++)
		if (c->fields.index[i] == f && in->fields[f].kind != WEIR_F64)
			return (int)i;
	return -1;
}

static int last_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint32_t nkept = 0, *kept;
	int r;

	heap_init(&s->heap, n->mem);
	s->tab.mem = n->mem;
	s->cap = n->out->nfields;
	s->from = weir_calloc(n->mem, (s->cap + 1) * sizeof *s->from);
	kept = weir_alloc(n->mem, (s->cap + 1) * sizeof *kept);
	r = s->from && kept ? 0 : -ENOMEM;
	for (uint32_t f = 0; f < s->cap && r == 0; f++) {
		struct from *from = &s->from[s->nfrom];
		int in = weir_node_origin(n, f), key;

		if (in < 0 || !weir_node_needs(n, f))
			continue;
		key = in_key(c, n->in, (uint32_t)in);
		*from = (struct from){f, key >= 0, key >= 0 ? (uint32_t)key : nkept};
		if (key < 0)
			kept[nkept++] = (uint32_t)in;
		s->nfrom++;
	}
	if (r == 0)
		r = row_layout_init(&s->row, n->mem, n->in, kept, nkept, 0, 8);
	if (r == 0)
		r = keytab_init(
		        &s->tab, n->mem, n->in, c->fields.index, c->fields.n, 0, s->row.size);
	weir_free(n->mem, kept, (s->cap + 1) * sizeof *kept);
	return r;
}

static int last_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint32_t count = weir_batch_count(b);
	struct keytab_rows r;
	int rc;

	if (!count)
		return 0;
	if (c->fields.n) {
		rc = spill_map(n, &s->tab, b, &r);
		n->counters[0] += rc == 0 ? r.missing : 0;
	} else {
		uint16_t row = (uint16_t)weir_batch_row(b, count - 1);

		rc = keytab_map_rows(&s->tab, b, &row, 1, NULL, &r);
	}
	if (rc == 0)
		rc = weir_node_fresh(n, b, r.row, r.fresh, r.nfresh);
	return rc < 0 ? rc : row_store(&s->row, &s->heap, b, r.row, r.n, r.state);
}

static int last_begin(struct weir_node *n, enum weir_mark mark, uint32_t *ret_rows)
{
	const struct state *s = n->state;

	*ret_rows = s->tab.n;
	return 0;
}

/* A part of the answer, whose columns are made when they are asked for: who looks at a table first
 * reads one of them. */
struct part {
	struct weir_node *n;
	uint32_t first, m;
};

static int part_fill(struct weir_batch *b, uint32_t field)
{
	const struct part *p = b->priv;
	struct state *s = p->n->state;
	const struct from *from = s->from, *end = s->from + s->nfrom;
	uint8_t *state[WEIR_BATCH_ROWS];
	struct weir_col *none;

	while (from < end && from->out != field)
		from++;
	if (from == end) {
		none = weir_batch_own(b, field);
		return none && weir_batch_own_valid(b, none) ? 0 : -ENOMEM;
	}
	if (from->key)
		return keytab_load(&s->tab, from->i, p->first, p->m, b, field);
	keytab_states(&s->tab, p->first, p->m, state);
	return row_load(&s->row, from->i, state, p->m, b, field);
}

static const struct weir_batch_ops part_ops = {.fill = part_fill};

static int last_part(struct weir_node *n, uint32_t first, uint32_t m)
{
	struct part p = {n, first, m};
	struct weir_batch *b = weir_build(n, m);

	return b ? lend_emit(n, b, &part_ops, &p) : -ENOMEM;
}

static void last_close(struct weir_node *n)
{
	struct state *s = n->state;

	if (s->from)
		weir_free(n->mem, s->from, (s->cap + 1) * sizeof *s->from);
	keytab_release(&s->tab);
	row_layout_release(&s->row);
	heap_release(&s->heap);
}

static const char *const counters[] = {"missing", NULL};

static const struct weir_option options[] = {
        OPTION_FIELDS(offsetof(struct config, fields), 0,
                "the fields of the tuple; without any, the last of all records"),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(last) = {
        .abi = WEIR_ABI,
        .flags = WEIR_KEYED | WEIR_BLOCKING | WEIR_SPILLS,
        .name = "last",
        .summary = "the last record of each tuple of fields",
        .doc = "A table with, for each tuple of values of the fields, the last record that has it, "
               "in "
               "the order in which the tuples first appeared. Behind 'count' or another module "
               "with a "
               "running figure it leaves the totals.\n\n"
               "A record that lacks one of the fields is dropped and counted as 'missing'.",
        .example = "packets | count srcip | last srcip | print srcip count",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .keys_offset = offsetof(struct config, fields),
        .counters = counters,
        .open = last_open,
        .process = last_process,
        .begin = last_begin,
        .part = last_part,
        .close = last_close,
};
