/* SPDX-License-Identifier: MIT */
/* expr.c: a field computed from others. */
#include "engine/core/columns.h"

static int expr_module_bind(struct weir_bind *b, struct weir_err *err)
{
	return columns_add(b, b->config, "expr", err);
}

static const struct weir_option options[] = {
        COLUMNS_NAME_OPTION,
        {.type = WEIR_OPT_ARGS,
                .name = "expressions",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct columns, args),
                .arg = "EXPR [as NAME]…",
                .doc = "what to compute"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(expr) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "expr",
        .summary = "add a field computed from others",
        .doc = "Adds the value of each expression as an annotation, named by 'as NAME', by -f, or "
               "'expr'. Where a field that it reads is not there, it has no value.",
        .example = "packets | expr len*8 as bits | print srcip bits | head 5",
        .options = options,
        .config_size = sizeof(struct columns),
        .bind = expr_module_bind,
        .process = columns_process,
};
