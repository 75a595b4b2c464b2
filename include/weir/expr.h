/* SPDX-License-Identifier: MIT */
/* expr.h: bound expressions, evaluated over the selected rows of a batch.
 *
 * A bound expression is immutable and may be used by several threads at once; scratch columns
 * come from the batch. A comparison with a field that is not there is false; an arithmetic
 * operation on one has no value.
 */
#ifndef WEIR_EXPR_H
#define WEIR_EXPR_H

#include <weir/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_expr;

enum weir_kind weir_expr_kind(const struct weir_expr *e);

/* A constant's value; false where the expression depends on a field. */
bool weir_expr_constant(const struct weir_expr *e, struct weir_value *ret);

/* Sets kind, digits, bits and names of *f as they fit a field that holds the expression's values;
 * the names are borrowed from the input schema. */
void weir_expr_describe(const struct weir_expr *e, struct weir_field *f);

/* Evaluates for the selected rows of b into *ret (storage of the batch, or a borrowed column).
 * 0 or -ENOMEM. */
int weir_expr_eval(const struct weir_expr *e, struct weir_batch *b, struct weir_col *ret);

/* Writes to `rows` (room for weir_batch_count(b)) the selected rows for which the condition is
 * true, in order; for an expression that is not true or false, those where it has a value.
 * Returns their number or -ENOMEM. */
int weir_expr_select(const struct weir_expr *e, struct weir_batch *b, uint16_t *rows);

#ifdef __cplusplus
}
#endif
#endif
