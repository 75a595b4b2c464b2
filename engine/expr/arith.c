/* SPDX-License-Identifier: MIT */
/* arith.c: arithmetic on columns.
 *
 * Both operands have been brought to one kind. What does not fit has no value: integer overflow,
 * division by zero, a floating-point result that is infinite or not a number. Integer division cuts
 * towards zero, the remainder has the dividend's sign, as in C and SQL.
 */
#include "engine/expr/expr.h"

#include "engine/core/libm.h"

#define OPERANDS(type)                                                                             \
	const type *x = c->arg[0].data, *y = c->arg[1].data;                                       \
	uint32_t mx = c->arg[0].mask, my = c->arg[1].mask

#define CHECKED(name, type, result, builtin)                                                       \
	static int name(struct call *c)                                                            \
	{                                                                                          \
		OPERANDS(type);                                                                    \
		result *out = c->out;                                                              \
                                                                                                   \
		EACH_ROW(c->rows, r, {                                                             \
			if (__builtin_expect(builtin(x[r & mx], y[r & my], &out[r]), 0))           \
				call_absent(c, r);                                                 \
		});                                                                                \
		return 0;                                                                          \
	}

CHECKED(add_u64, uint64_t, uint64_t, __builtin_add_overflow)
CHECKED(sub_u64, uint64_t, int64_t, __builtin_sub_overflow)
CHECKED(mul_u64, uint64_t, uint64_t, __builtin_mul_overflow)
CHECKED(add_i64, int64_t, int64_t, __builtin_add_overflow)
CHECKED(sub_i64, int64_t, int64_t, __builtin_sub_overflow)
CHECKED(mul_i64, int64_t, int64_t, __builtin_mul_overflow)

#define DIVIDE(name, type, op, bad)                                                                \
	static int name(struct call *c)                                                            \
	{                                                                                          \
		OPERANDS(type);                                                                    \
		type *out = c->out;                                                                \
                                                                                                   \
		EACH_ROW(c->rows, r, {                                                             \
			type p = x[r & mx];                                                        \
			type q = y[r & my];                                                        \
                                                                                                   \
			if (bad) {                                                                 \
				out[r] = 0;                                                        \
				call_absent(c, r);                                                 \
			} else {                                                                   \
				out[r] = p op q;                                                   \
			}                                                                          \
		});                                                                                \
		return 0;                                                                          \
	}

DIVIDE(div_u64, uint64_t, /, q == 0)
DIVIDE(mod_u64, uint64_t, %, q == 0)
DIVIDE(div_i64, int64_t, /, q == 0 || (q == -1 && p == INT64_MIN))
DIVIDE(mod_i64, int64_t, %, q == 0 || (q == -1 && p == INT64_MIN))

#define FLOATING(name, expr, bad)                                                                  \
	static int name(struct call *c)                                                            \
	{                                                                                          \
		OPERANDS(double);                                                                  \
		double *out = c->out;                                                              \
                                                                                                   \
		EACH_ROW(c->rows, r, {                                                             \
			double p = x[r & mx];                                                      \
			double q = y[r & my];                                                      \
			double v = expr;                                                           \
                                                                                                   \
			out[r] = v;                                                                \
			if (__builtin_expect((bad) || v - v != 0, 0)) /* not finite */             \
				call_absent(c, r);                                                 \
		});                                                                                \
		return 0;                                                                          \
	}

FLOATING(add_f64, p + q, false)
FLOATING(sub_f64, p - q, false)
FLOATING(mul_f64, p *q, false)
FLOATING(div_f64, p / q, q == 0)
FLOATING(mod_f64, libm_fmod(p, q), q == 0)

kernel *arith_kernel(enum ast_op op, enum weir_kind kind)
{
	bool u = kind == WEIR_U64, f = kind == WEIR_F64;

	switch (op) {
	case AST_OP_ADD:
		return u ? add_u64 : f ? add_f64 : add_i64;
	case AST_OP_SUB:
		return u ? sub_u64 : f ? sub_f64 : sub_i64;
	case AST_OP_MUL:
		return u ? mul_u64 : f ? mul_f64 : mul_i64;
	case AST_OP_DIV:
		return u ? div_u64 : f ? div_f64 : div_i64;
	case AST_OP_MOD:
		return u ? mod_u64 : f ? mod_f64 : mod_i64;
	default:
		return NULL;
	}
}

int arith_neg_i64(struct call *c)
{
	const int64_t *x = c->arg[0].data;
	int64_t *out = c->out;
	uint32_t m = c->arg[0].mask;

	EACH_ROW(c->rows, r, {
		if (__builtin_sub_overflow((int64_t)0, x[r & m], &out[r]))
			call_absent(c, r);
	});
	return 0;
}

int arith_neg_f64(struct call *c)
{
	const double *x = c->arg[0].data;
	double *out = c->out;
	uint32_t m = c->arg[0].mask;

	EACH_ROW(c->rows, r, out[r] = -x[r & m];);
	return 0;
}

int to_i64_from_u64(struct call *c)
{
	const uint64_t *x = c->arg[0].data;
	int64_t *out = c->out;
	uint32_t m = c->arg[0].mask;

	EACH_ROW(c->rows, r, {
		uint64_t v = x[r & m];

		out[r] = (int64_t)v;
		if (v >> 63)
			call_absent(c, r);
	});
	return 0;
}

int to_f64_from_u64(struct call *c)
{
	const uint64_t *x = c->arg[0].data;
	double *out = c->out;
	uint32_t m = c->arg[0].mask;

	EACH_ROW(c->rows, r, out[r] = (double)x[r & m];);
	return 0;
}

int to_f64_from_i64(struct call *c)
{
	const int64_t *x = c->arg[0].data;
	double *out = c->out;
	uint32_t m = c->arg[0].mask;

	EACH_ROW(c->rows, r, out[r] = (double)x[r & m];);
	return 0;
}

/* Cuts towards zero. */
int to_i64_from_f64(struct call *c)
{
	const double *x = c->arg[0].data;
	int64_t *out = c->out;
	uint32_t m = c->arg[0].mask;

	EACH_ROW(c->rows, r, {
		double v = x[r & m];
		bool fits = v >= -9223372036854775808.0 && v < 9223372036854775808.0;

		out[r] = fits ? (int64_t)v : 0;
		if (!fits)
			call_absent(c, r);
	});
	return 0;
}
