/* SPDX-License-Identifier: MIT */
/* tee.c: passes everything on, and to some stages on the side. */
#include <weir/module.h>

struct config {
	struct weir_blocks aside;
};

static int tee_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	/* the schema is the input's */
	int r = weir_emit(n, c->aside.first, weir_batch_ref(b));

	return r < 0 ? r : weir_emit(n, 0, weir_batch_ref(b));
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_BLOCK,
                .name = "( stages )",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED | WEIR_OPT_ASIDE,
                .offset = offsetof(struct config, aside),
                .arg = "( STAGES )",
                .doc = "what gets the records too"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(tee) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL,
        .name = "tee",
        .summary = "some stages on the side",
        .doc = "Passes every record on, and gives it to the stages too. What these leave is not "
               "part of the answer: they are for what they do besides, such as 'pcapwrite'. To "
               "have the answers of several stages write '( a + b )'.",
        .example = "packets | tee ( where dstport = 53 | pcapwrite dns.pcap ) | group dstport "
                   "count() | head 3",
        .options = options,
        .config_size = sizeof(struct config),
        .process = tee_process,
};
