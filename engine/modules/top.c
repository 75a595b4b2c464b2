/* SPDX-License-Identifier: MIT */
/* top.c: records of tuples that come more often than the average one. */
#include "engine/core/keytab.h"

struct config {
	struct weir_fields fields;
	double factor;
};

struct state {
	struct keytab tab;
	uint64_t records; /* that had all fields */
};

static int top_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	return keytab_init(
	        &s->tab, n->mem, n->in, c->fields.index, c->fields.n, 0, sizeof(uint64_t));
}

static int top_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct keytab_rows r;
	struct weir_batch *out;
	uint32_t kept = 0, fresh = 0;
	uint16_t *rows;
	int rc = keytab_map(&s->tab, b, &r);

	if (rc < 0)
		return rc;
	n->counters[0] += r.missing;
	out = weir_view(n, b);
	rows = out ? weir_batch_sel(out, r.n) : NULL;
	if (!rows) {
		weir_batch_unref(out);
		return -ENOMEM;
	}
	for (uint32_t k = 0; k < r.n; k++) {
		uint64_t count = ++*(uint64_t *)r.state[k];

		fresh += fresh < r.nfresh && r.fresh[fresh] == k;
		s->records++;
		rows[kept] = r.row[k];
		kept += (double)count * (r.before + fresh) > c->factor * (double)s->records;
	}
	weir_batch_select(out, rows, kept);
	return weir_emit(n, 0, out);
}

static void top_close(struct weir_node *n)
{
	struct state *s = n->state;

	keytab_release(&s->tab);
}

static const char *const counters[] = {"missing", NULL};

static const struct weir_option options[] = {
        {.type = WEIR_OPT_FIELDS,
                .name = "fields",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, fields),
                .arg = "FIELD…",
                .doc = "the fields of the tuple"},
        {.type = WEIR_OPT_F64,
                .name = "factor",
                .letter = 'x',
                .offset = offsetof(struct config, factor),
                .min = 0,
                .max = 1e12,
                .preset = "2",
                .arg = "N",
                .doc = "how many times the average a tuple must have come"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(top) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL,
        .name = "top",
        .summary = "records of tuples that come more often than the average",
        .doc = "Passes a record if its tuple has come, itself included, more than N times as often "
               "as the average tuple so far (records so far by tuples so far). For the largest N "
               "of "
               "something use 'sort -r FIELD | head N'.\n\n"
               "A record that lacks one of the fields is dropped and counted as 'missing'.",
        .example = "packets | top srcip -x 5 | print ts srcip dstip",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .open = top_open,
        .process = top_process,
        .close = top_close,
};
