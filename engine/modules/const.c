/* SPDX-License-Identifier: MIT */
/* const.c: the same value for every record. */
#include "engine/core/columns.h"

static int const_bind(struct weir_bind *b, struct weir_err *err)
{
	struct columns *c = b->config;

	for (uint32_t i = 0; i < c->args.n; i++) {
		const struct weir_arg *a = &c->args.arg[i];
		struct weir_value v;

		if (a->expr && !weir_expr_constant(a->expr, &v))
			return weir_fail(err, WEIR_E_BAD_VALUE, a->pos, a->len,
			        a->text ? a->text : "expression", "const", "a constant");
	}
	return columns_add(b, c, "const", err);
}

static const struct weir_option options[] = {
        COLUMNS_NAME_OPTION,
        {.type = WEIR_OPT_ARGS,
                .name = "values",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct columns, args),
                .arg = "VALUE [as NAME]…",
                .doc = "numbers, addresses, strings, or words"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(const) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "const",
        .summary = "add a field with one value for all records",
        .doc = "Adds each value as an annotation to every record, named by 'as NAME', by -f, or "
               "'const'. It tells the parts of a union apart: '(lab | const lab as net + dmz | "
               "const "
               "dmz as net)'.",
        .example = "packets | const lab as net | print srcip net | head 5",
        .options = options,
        .config_size = sizeof(struct columns),
        .bind = const_bind,
        .process = columns_process,
};
