/* SPDX-License-Identifier: MIT */
/* head.c: the first N records. */
#include <weir/module.h>

struct config {
	uint64_t n;
};

struct state {
	uint64_t left;
};

static int head_open(struct weir_node *n, struct weir_err *err)
{
	struct state *s = n->state;
	const struct config *c = n->config;

	s->left = c->n;
	return 0;
}

static int head_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	struct state *s = n->state;
	uint32_t k = weir_batch_count(b);
	struct weir_batch *v;
	int r;

	if (!s->left)
		return WEIR_DONE;
	v = weir_view(n, b);
	if (!v)
		return -ENOMEM;
	if (k > s->left) {
		uint16_t *sel = weir_batch_sel(v, (uint32_t)s->left);

		if (!sel) {
			weir_batch_unref(v);
			return -ENOMEM;
		}
		k = (uint32_t)s->left;
		for (uint32_t i = 0; i < k; i++)
			sel[i] = (uint16_t)weir_batch_row(b, i);
		weir_batch_select(v, sel, k);
	}
	s->left -= k;
	r = weir_emit(n, 0, v);
	return r < 0 ? r : s->left ? 0 : WEIR_DONE;
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_U64,
                .name = "N",
                .flags = WEIR_OPT_POSITIONAL,
                .offset = offsetof(struct config, n),
                .preset = "10",
                .arg = "N",
                .doc = "how many records to let through"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(head) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL,
        .name = "head",
        .summary = "the first N records",
        .doc = "Passes the first N records on and ends the query where nothing else could change "
               "its "
               "answer. Behind a blocking module it takes the first N rows of each version of the "
               "table; directly behind 'sort' both run as one bounded heap.",
        .example = "packets | print ts srcip dstip len | head 5",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .open = head_open,
        .process = head_process,
};
