/* SPDX-License-Identifier: MIT */
/* skip.c: all but the first N records. */
#include <weir/module.h>

struct config {
	uint64_t n;
};

struct state {
	uint64_t left;
};

static int skip_open(struct weir_node *n, struct weir_err *err)
{
	struct state *s = n->state;
	const struct config *c = n->config;

	s->left = c->n;
	return 0;
}

static int skip_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	struct state *s = n->state;
	uint32_t k = weir_batch_count(b), from = (uint32_t)(s->left < k ? s->left : k);
	struct weir_batch *v;

	s->left -= from;
	if (from == k)
		return 0;
	v = weir_view(n, b);
	if (!v)
		return -ENOMEM;
	if (from) {
		uint16_t *sel = weir_batch_sel(v, k - from);

		if (!sel) {
			weir_batch_unref(v);
			return -ENOMEM;
		}
		for (uint32_t i = from; i < k; i++)
			sel[i - from] = (uint16_t)weir_batch_row(b, i);
		weir_batch_select(v, sel, k - from);
	}
	return weir_emit(n, 0, v);
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_U64,
                .name = "N",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, n),
                .arg = "N",
                .doc = "how many records to leave out"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(skip) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL,
        .name = "skip",
        .summary = "all but the first N records",
        .doc = "Leaves out the first N records and passes the rest on. Behind a blocking module it "
               "leaves out the first N rows of each version of the table.",
        .example = "packets | group srcip sum(len) as bytes | sort -r bytes | skip 1 | head 3",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .open = skip_open,
        .process = skip_process,
};
