/* SPDX-License-Identifier: MIT */
/* expr.h: bound expressions from the inside.
 *
 * A node is either a *condition* (it narrows a list of rows, see select.c, or marks those of a
 * whole batch, see mask.c) or a *value* (it fills a column, see eval.c); each can stand where the
 * other is asked for. Every node works on the rows that it is given and no others, so `and`, `or`,
 * `if` and `coalesce` short-cut by rows. Nodes are immutable; what an evaluation needs comes from
 * the batch.
 *
 * Absent values: a comparison with one is false (and `not` of that is true), any other operation
 * on one is absent, except where a function says otherwise.
 */
#ifndef EXPR_EXPR_H
#define EXPR_EXPR_H

#include "engine/expr/bind.h"

enum expr_op {
	/* values */
	X_CONST, /* value; value.kind is WEIR_NONE where it is absent */
	X_FIELD, /* field */
	X_CALL,  /* fn(kids) */
	X_IF,    /* kid 0 ? kid 1 : kid 2 */
	X_COALESCE,
	/* conditions; kind is WEIR_BOOL */
	X_AND,
	X_OR,
	X_NOT,
	X_EXISTS,  /* kid 0 is there */
	X_RANGE,   /* kid 0, an integer or the like, lies in lo..lo+span, else where inverted */
	X_F64,     /* kid 0 cmp number */
	X_COMPARE, /* kid 0 cmp kid 1, of class */
	X_NET,     /* kid 0 under mask equals net, else where inverted */
	X_INSIDE,  /* kid 0, address or subnet, lies in kid 1, subnet; else where inverted */
	X_SET,     /* kid 0 is one of set */
	X_LIKE,    /* kid 0 matches the SQL pattern in value */
	X_MATCH,   /* kid 0 matches pattern */
};

/* How two columns compare. */
enum expr_class {
	CLASS_U64,
	CLASS_I64,
	CLASS_UI, /* u64 with i64 */
	CLASS_F64,
	CLASS_ADDR,
	CLASS_VAR,
};

/* A column over some rows; mask 0: one value, at place 0, for all. */
struct vec {
	const void *data;
	const uint64_t *valid; /* NULL: all there. With mask 0 too: bit 0 */
	uint32_t mask;
};

/* Row numbers, ascending; sel NULL: 0..n-1. */
struct rows {
	const uint16_t *sel;
	uint32_t n;
};

/* Twice the loop, so that the common case of all rows has no indirection. */
#define EACH_ROW(rows, r, ...)                                                                     \
	do {                                                                                       \
		if (!(rows)->sel) {                                                                \
			for (uint32_t r = 0; r < (rows)->n; r++) {                                 \
				__VA_ARGS__                                                        \
			}                                                                          \
		} else {                                                                           \
			for (uint32_t k_ = 0; k_ < (rows)->n; k_++) {                              \
				uint32_t r = (rows)->sel[k_];                                      \
				__VA_ARGS__                                                        \
			}                                                                          \
		}                                                                                  \
	} while (0)

static inline bool vec_has(const struct vec *v, uint32_t row)
{
	row &= v->mask;
	return !v->valid || (v->valid[row >> 6] >> (row & 63) & 1);
}

/* One call of a kernel: for each row writes out, or takes the row's bit out of valid, which
 * begins as what all arguments have in common. */
struct call {
	const struct weir_expr *e;
	struct weir_batch *b;
	const struct rows *rows;
	const struct vec *arg;
	void *out; /* a place for every row of the batch */
	uint64_t *valid;
};

static inline void call_absent(struct call *c, uint32_t row)
{
	c->valid[row >> 6] &= ~(1ull << (row & 63));
}

/* 0 or -ENOMEM. */
typedef int kernel(struct call *c);

struct expr_set;
struct pattern;

struct weir_expr {
	enum expr_op op;
	enum weir_kind kind;
	uint8_t digits; /* of times and durations */
	uint8_t bits;
	uint8_t cost; /* rough, to order the kids of `and` */
	bool inverted;
	bool by_mask; /* mask.c has a loop for all of it */
	enum ast_op cmp;
	enum expr_class class;
	uint32_t nkids;
	struct weir_expr **kids;
	const struct weir_names *names;
	uint32_t pos, len; /* in the spec */
	union {
		uint32_t field;
		struct weir_value value;
		struct {
			uint64_t lo, span;
		};
		double number;
		struct {
			uint64_t net[3], mask[3]; /* the 20 bytes, the last 4 of the 24 zero */
		};
		kernel *fn;
		const struct expr_set *set;
		struct pattern *pattern;
	};
	struct pattern *patterns; /* of a root: all of them, to be freed */
};

/* ---- eval.c, select.c ---- */

int expr_vec(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, struct vec *ret);
/* Row numbers to `out`, which may be in->sel. Their number or -ENOMEM. */
int expr_select(
        const struct weir_expr *e, struct weir_batch *b, const struct rows *in, uint16_t *out);
static inline bool expr_is_condition(const struct weir_expr *e)
{
	return e->op >= X_AND;
}

/* ---- set.c ---- */

/* The constants (all of `kind`, or addresses and subnets) as a set in the arena; NULL: out of
 * memory. */
const struct expr_set *set_new(
        struct arena *a, enum weir_kind kind, const struct weir_value *v, uint32_t n);
int set_select(const struct expr_set *s, const struct vec *v, const struct rows *in, uint16_t *out);

/* Integers that lie near each other, lo + i for each bit i of `bits`; else bits is 0 and they are
 * so few, one of them as often as it takes. */
#define SET_FEW 4
struct set_few {
	uint64_t lo, bits;
	uint64_t few[SET_FEW];
};

/* NULL: the set is none of such. */
const struct set_few *set_few(const struct expr_set *s);

/* Its members where they are integers and at most max, else 0. */
uint32_t set_words(const struct expr_set *s, uint64_t *v, uint32_t max);
/* Of a set of addresses: the ranges of one family, and the i-th, in network order. */
uint32_t set_ranges(const struct expr_set *s, unsigned six);
void set_range(const struct expr_set *s, unsigned six, uint32_t i, uint8_t lo[16], uint8_t hi[16]);

/* ---- pattern.c ---- */

/* Compiles a regular expression. 0 or -errno with *err. */
int pattern_new(const char *text, size_t len, bool utf, uint32_t pos, uint32_t pos_len,
        struct pattern **ret, struct weir_err *err);
void pattern_free(struct pattern *p); /* and all that it is chained to */
void pattern_chain(struct pattern *p, struct pattern *next);
int pattern_select(const struct pattern *p, struct weir_batch *b, const struct vec *v,
        const struct rows *in, uint16_t *out);
bool like_match(const struct weir_str *pattern, const struct weir_str *s, bool utf);

/* ---- arith.c ---- */

/* The kernel of a binary operation on two values of one of the kinds U64, I64 (times and
 * durations too) and F64. With `diff` (U64 only) the result of - is I64. */
kernel *arith_kernel(enum ast_op op, enum weir_kind kind);
extern kernel arith_neg_i64, arith_neg_f64;
extern kernel to_i64_from_u64, to_f64_from_u64, to_f64_from_i64, to_i64_from_f64;

/* ---- bind.c, bind_op.c, bind_call.c, compare.c ---- */

struct binder {
	const struct weir_schema *in;
	struct arena *arena;
	expr_use *use;
	void *use_arg;
	struct pattern *patterns;
	struct weir_pool *pool; /* for folding, made when first needed */
	unsigned depth;
};

/* A node at the place of `a` with room for nkids; NULL: out of memory. */
struct weir_expr *bind_new(struct binder *b, enum expr_op op, enum weir_kind kind,
        const struct ast *a, uint32_t nkids);
struct weir_expr *bind_call(struct binder *b, kernel *fn, enum weir_kind kind, const struct ast *a,
        struct weir_expr *x, struct weir_expr *y);
/* d NULL: absent. */
struct weir_expr *bind_const(
        struct binder *b, const struct ast *a, enum weir_kind kind, const union weir_datum *d);
int bind_operator(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err);
int bind_no_memory(const struct ast *a, struct weir_err *err);
/* Replaces a node whose kids are all constant by its value. */
int bind_fold(struct binder *b, const struct ast *a, struct weir_expr **e, struct weir_err *err);
/* 1 and *ret; 0 where `a` is a string or a word that is no field: a literal of a kind yet to be
 * told; else -errno. */
int bind_typed(struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err);
/* The literal `a` (any of its types) as a value of `kind`; `names` may be NULL; `subject` is what
 * it is a value for. */
int bind_literal(struct binder *b, const struct ast *a, enum weir_kind kind,
        const struct weir_names *names, const char *subject, struct weir_expr **ret,
        struct weir_err *err);
int bind_unknown(struct binder *b, const struct ast *a, const struct weir_names *names,
        struct weir_err *err);
/* Brings a number to U64, I64 or F64. */
int bind_number(struct binder *b, const struct ast *a, enum weir_kind kind, struct weir_expr **e,
        struct weir_err *err);
/* The kind that holds both numbers. */
enum weir_kind bind_wider(enum weir_kind a, enum weir_kind b);
/* What messages call an expression. */
const char *bind_text(const struct ast *a);
int bind_comparison(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err);
int bind_in(struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err);
int bind_call_of(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err);
int bind_condition(
        struct binder *b, const struct ast *a, struct weir_expr **ret, struct weir_err *err);
/* `or` of nkids conditions; constants are folded. */
int bind_or(struct binder *b, const struct ast *a, struct weir_expr **kids, uint32_t nkids,
        struct weir_expr **ret, struct weir_err *err);

/* ---- convert.c ---- */

struct conversion {
	const char *name;
	uint32_t from; /* bits 1 << kind */
	enum weir_kind to;
	kernel *fn; /* NULL: see conversion_kernel() */
	const char *doc;
};

const struct conversion *conversion_find(enum weir_kind from, const char *name, size_t len);
/* Where the table has none: text is parsed, the words of another kind are taken as they are. */
kernel *conversion_kernel(const struct conversion *c, enum weir_kind from);
extern kernel text_hex, text_lower, text_upper, text_length;
/* The i-th conversion of a kind, NULL after the last. */
const struct conversion *conversion_at(enum weir_kind from, size_t i);

/* ---- function.c ---- */

struct function {
	const char *name;
	uint8_t min, max; /* arguments */
	/* Kinds of the arguments, a letter each, the last for all that follow:
	 *   n number  F number, taken as f64  I integer, taken as i64  u number or duration
	 *   t time  d duration  a address  s text or bytes  b condition  x anything
	 *   * anything, brought to one kind with all other * (numbers to the wider one) */
	const char *args;
	enum weir_kind kind; /* of the result; WEIR_NONE: that of the last argument */
	enum expr_op op;     /* the node to make; 0: X_CALL of fn, or of what pick gives */
	kernel *fn;
	kernel *(*pick)(enum weir_kind kind); /* by the kind of the last argument */
	const char *usage, *doc;
};

const struct function *function_find(const char *name, size_t len);
const struct function *function_at(size_t i); /* NULL after the last */

#endif
