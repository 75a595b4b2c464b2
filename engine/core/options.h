/* SPDX-License-Identifier: MIT */
/* options.h: from the words of a stage to the config struct that its option table describes. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "engine/lang/ast.h"

/* What the fields of a stage are bound to, and where bound expressions are remembered. */
struct option_scope {
	const char *name; /* the stage's, for messages */
	uint32_t pos, len;
	const struct weir_schema *in; /* NULL for sources */
	struct arena *arena;
	void (*use)(void *arg, uint32_t field);
	void (*keep)(void *arg, struct weir_expr *e); /* to expr_release() with the plan */
	void *arg;
};

/* Presets, then the arguments, ranges and required rows checked. 0 or -errno and *err. */
int options_bind(const struct weir_option *rows, const struct ast_arg *args, uint32_t nargs,
        const struct option_scope *scope, void *config, struct weir_err *err);

/* Sets one row (by long name) from a text at `pos` in the spec, a flag with value NULL; -ENOENT,
 * with no *err, where the table has no such row. */
int options_set(const struct weir_option *rows, const char *name, const char *value, uint32_t pos,
        const struct option_scope *scope, void *config, struct weir_err *err);

const struct weir_option *options_find(const struct weir_option *rows, const char *name);

#endif
