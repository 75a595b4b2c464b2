/* SPDX-License-Identifier: MIT */
/* bind.h: from a parsed expression to one that runs over batches of a schema. */
#ifndef EXPR_BIND_H
#define EXPR_BIND_H

#include "engine/lang/ast.h"
#include <weir/expr.h>

/* Called for each input field that the expression reads. */
typedef void expr_use(void *arg, uint32_t field);

/* Binds `a` to records of schema `in`; the result lives in the arena. `want` is the kind that a
 * bare word or a string is parsed as where nothing else tells (WEIR_NONE: text). 0 or -errno with
 * *err (unknown field with did-you-mean, kinds that do not fit). */
int expr_bind(const struct ast *a, const struct weir_schema *in, enum weir_kind want,
        struct arena *arena, expr_use *use, void *use_arg, struct weir_expr **ret,
        struct weir_err *err);

/* The field that the expression is, -1 where it is more than a plain field. */
int expr_field(const struct weir_expr *e);

/* Frees what is not in the arena (compiled patterns). NULL is fine. */
void expr_release(struct weir_expr *e);

/* Whether NAME is an expression function; for the planner's WEIR_OPT_ARGS. */
bool expr_is_function(const char *name, size_t len);

/* Fails with UNKNOWN_FUNCTION at the name, and the nearest function that there is. */
int expr_unknown_function(const char *name, uint32_t pos, struct weir_err *err);

/* Fails with UNKNOWN_FIELD at pos, and the nearest field of `in`. */
int expr_unknown_field(const struct weir_schema *in, const char *name, uint32_t pos, uint32_t len,
        struct weir_err *err);

/* A field's conversion ("ts.sql", "seq.double", "payload.hex"): `name` is not a field of `in`,
 * but all before its last '.' is, and what follows is a conversion of its kind. Index of that
 * field and *ret_kind, else -errno with *err (UNKNOWN_FIELD or UNKNOWN_CONVERSION). */
int expr_conversion(const struct weir_schema *in, const char *name, size_t len, uint32_t pos,
        enum weir_kind *ret_kind, struct weir_err *err);

/* The i-th function ("hour(t)") or conversion (".iso", of: "time"), for the manual; false after
 * the last. */
struct expr_doc {
	const char *name, *doc;
	char of[96]; /* kinds, separated by ", " */
};
bool expr_function_doc(size_t i, struct expr_doc *ret);
bool expr_conversion_doc(size_t i, struct expr_doc *ret);

#endif
