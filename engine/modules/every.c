/* SPDX-License-Identifier: MIT */
/* every.c: how often the answer of a query is renewed. The planner reads the option; records pass
 * untouched. */
#include <weir/module.h>

struct config {
	int64_t period; /* first: the planner takes it from here */
};

static int every_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	struct weir_batch *v = weir_view(n, b);

	return v ? weir_emit(n, 0, v) : -ENOMEM;
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_DURATION,
                .name = "period",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, period),
                .min = 0.1,
                .max = 86400,
                .arg = "TIME",
                .doc = "the time from one refresh to the next"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(every) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "every",
        .summary = "set how often the answer is renewed",
        .doc = "Sets the refresh of this query, as 'set refresh TIME' does; where it stands in the "
               "pipeline makes no difference. A table that nobody reads is not renewed, nor one "
               "that "
               "has not changed.",
        .example = "packets | every 5s | group srcip count()",
        .options = options,
        .config_size = sizeof(struct config),
        .process = every_process,
};
