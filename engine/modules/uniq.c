/* SPDX-License-Identifier: MIT */
/* uniq.c: the first record of each tuple. Narrows the batch's selection; keeps packed keys only. */
#include "engine/core/keytab.h"

struct config {
	struct weir_fields fields;
};

struct state {
	struct keytab seen;
};

static int uniq_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	return keytab_init(&s->seen, n->mem, n->in, c->fields.index, c->fields.n, 0, 0);
}

static int uniq_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	struct state *s = n->state;
	struct keytab_rows r;
	struct weir_batch *out;
	uint16_t *rows;
	int rc = keytab_map(&s->seen, b, &r);

	if (rc < 0)
		return rc;
	n->counters[0] += r.missing;
	if (!r.nfresh)
		return 0;
	out = weir_view(n, b);
	rows = out ? weir_batch_sel(out, r.nfresh) : NULL;
	if (!rows) {
		weir_batch_unref(out);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < r.nfresh; i++)
		rows[i] = r.row[r.fresh[i]];
	weir_batch_select(out, rows, r.nfresh);
	return weir_emit(n, 0, out);
}

static void uniq_close(struct weir_node *n)
{
	struct state *s = n->state;

	keytab_release(&s->seen);
}

static const char *const counters[] = {"missing", NULL};

static const struct weir_option options[] = {
        {.type = WEIR_OPT_FIELDS,
                .name = "fields",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, fields),
                .arg = "FIELD…",
                .doc = "the fields of the tuple"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(uniq) = {
        .abi = WEIR_ABI,
        .flags = WEIR_KEYED | WEIR_VIEWS,
        .name = "uniq",
        .summary = "the first record of each tuple of fields",
        .doc = "Passes a record if no earlier one had the same values in all of the fields, as "
               "soon "
               "as it comes. It keeps every tuple that it has seen: about 30 bytes for each where "
               "the "
               "fields take up to 16 bytes.\n\n"
               "A record that lacks one of the fields is dropped and counted as 'missing'.",
        .example = "packets | uniq srcip dstip | print ts srcip dstip",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .keys_offset = offsetof(struct config, fields),
        .counters = counters,
        .open = uniq_open,
        .process = uniq_process,
        .close = uniq_close,
};
