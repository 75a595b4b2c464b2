/* SPDX-License-Identifier: MIT */
/* function.c: the functions of expressions, as a table.
 *
 * None has the name of an aggregate (min, max, sum, first …), which `group` takes for itself.
 * Calendar parts are UTC.
 */
#include "engine/core/civil.h"
#include "engine/core/libm.h"
#include "engine/expr/expr.h"
#include <math.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static int abs_i64(struct call *c)
{
	const int64_t *x = c->arg[0].data;
	int64_t *out = c->out;
	uint32_t m = c->arg[0].mask;

	EACH_ROW(c->rows, r, {
		int64_t v = x[r & m];

		out[r] = v;
		if (v < 0 && __builtin_sub_overflow((int64_t)0, v, &out[r]))
			call_absent(c, r);
	});
	return 0;
}

static int same_u64(struct call *c)
{
	const uint64_t *x = c->arg[0].data;
	uint64_t *out = c->out;
	uint32_t m = c->arg[0].mask;

	EACH_ROW(c->rows, r, out[r] = x[r & m];);
	return 0;
}

#define F64(name, ...)                                                                             \
	static int name(struct call *c)                                                            \
	{                                                                                          \
		const double *x = c->arg[0].data;                                                  \
		double *out = c->out;                                                              \
		uint32_t m = c->arg[0].mask;                                                       \
                                                                                                   \
		EACH_ROW(c->rows, r, {                                                             \
			double v = x[r & m];                                                       \
                                                                                                   \
			out[r] = __VA_ARGS__;                                                      \
			if (out[r] - out[r] != 0) /* not a number, or infinite */                  \
				call_absent(c, r);                                                 \
		});                                                                                \
		return 0;                                                                          \
	}

F64(abs_f64, fabs(v))
F64(floor_f64, floor(v))
F64(ceil_f64, ceil(v))
F64(round_f64, libm_round(v))
F64(sqrt_f64, sqrt(v))
F64(exp_f64, libm_exp(v))
F64(log_f64, libm_log(v))
F64(log2_f64, libm_log2(v))
F64(log10_f64, libm_log10(v))

static int pow_f64(struct call *c)
{
	const double *x = c->arg[0].data, *y = c->arg[1].data;
	double *out = c->out;

	EACH_ROW(c->rows, r, {
		double v = libm_pow(x[r & c->arg[0].mask], y[r & c->arg[1].mask]);

		out[r] = v;
		if (v - v != 0)
			call_absent(c, r);
	});
	return 0;
}

static kernel *pick_abs(enum weir_kind kind)
{
	return kind == WEIR_F64 ? abs_f64 : kind == WEIR_U64 ? same_u64 : abs_i64;
}

/* The first (least) or last (greatest) of the arguments in the order of their kind. Absent where
 * one of them is. */
static int extreme(struct call *c, int sign)
{
	enum weir_kind kind = c->e->kind;

	EACH_ROW(c->rows, r, {
		union weir_datum best = {0};

		if (!(c->valid[r >> 6] >> (r & 63) & 1))
			continue;
		for (uint32_t i = 0; i < c->e->nkids; i++) {
			const struct vec *v = &c->arg[i];
			union weir_datum d = {0};

			memcpy(&d, (const char *)v->data + (r & v->mask) * weir_kind_size(kind),
			        weir_kind_size(kind));
			if (!i || weir_kind_compare(kind, &d, &best) * sign > 0)
				best = d;
		}
		memcpy((char *)c->out + r * weir_kind_size(kind), &best, weir_kind_size(kind));
	});
	return 0;
}

static int least(struct call *c)
{
	return extreme(c, -1);
}

static int greatest(struct call *c)
{
	return extreme(c, 1);
}

#define CIVIL(name, ...)                                                                           \
	static int name(struct call *c)                                                            \
	{                                                                                          \
		const int64_t *x = c->arg[0].data;                                                 \
		uint64_t *out = c->out;                                                            \
		uint32_t m = c->arg[0].mask;                                                       \
                                                                                                   \
		EACH_ROW(c->rows, r, {                                                             \
			struct civil t;                                                            \
                                                                                                   \
			civil_from_time(x[r & m], &t);                                             \
			out[r] = (uint64_t)(__VA_ARGS__);                                          \
		});                                                                                \
		return 0;                                                                          \
	}

CIVIL(time_year, t.year)
CIVIL(time_month, t.month)
CIVIL(time_day, t.day)
CIVIL(time_weekday, t.weekday)
CIVIL(time_hour, t.hour)
CIVIL(time_minute, t.minute)
CIVIL(time_second, t.second)

/* The start of the interval of length y that x lies in; intervals begin at zero (the epoch). */
static int trunc_i64(struct call *c)
{
	const int64_t *x = c->arg[0].data, *y = c->arg[1].data;
	int64_t *out = c->out;

	EACH_ROW(c->rows, r, {
		int64_t v = x[r & c->arg[0].mask], by = y[r & c->arg[1].mask], rest;

		out[r] = 0;
		if (by <= 0) {
			call_absent(c, r);
			continue;
		}
		rest = v % by;
		if (rest < 0)
			rest += by;
		if (__builtin_sub_overflow(v, rest, &out[r]))
			call_absent(c, r);
	});
	return 0;
}

static int subnet_of(struct call *c)
{
	const struct weir_ip *x = c->arg[0].data;
	struct weir_ip *out = c->out;

	EACH_ROW(c->rows, r, {
		const struct weir_ip *ip = &x[r & c->arg[0].mask];
		const struct vec *len = &c->arg[c->e->nkids == 3 && ip->family == 6 ? 2 : 1];
		int64_t bits = ((const int64_t *)len->data)[r & len->mask];
		int64_t full = ip->family == 4 ? 32 : 128;

		memset(&out[r], 0, sizeof out[r]);
		if (bits < 0 || bits > 128 || !ip->family) {
			call_absent(c, r);
			continue;
		}
		bits = bits < full ? bits : full;
		out[r].family = ip->family;
		out[r].prefix = (uint8_t)bits;
		memcpy(out[r].b, ip->b, (size_t)bits / 8);
		if (bits % 8)
			out[r].b[bits / 8] = ip->b[bits / 8] & (uint8_t)(0xff00 >> bits % 8);
	});
	return 0;
}

static bool in_any(const struct weir_ip *ip, const struct weir_ip *nets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (weir_ip_in(ip, &nets[i]))
			return true;
	return false;
}

/* RFC 1918, RFC 4193 (fc00::/7). */
static int is_private(struct call *c)
{
	static const struct weir_ip nets[] = {
	        {4, 8, 0, {10}}, {4, 12, 0, {172, 16}}, {4, 16, 0, {192, 168}}, {6, 7, 0, {0xfc}}};
	const struct weir_ip *x = c->arg[0].data;
	uint64_t *out = c->out;

	EACH_ROW(c->rows, r, out[r] = in_any(&x[r & c->arg[0].mask], nets, 4););
	return 0;
}

static int is_multicast(struct call *c)
{
	static const struct weir_ip nets[] = {{4, 4, 0, {224}}, {6, 8, 0, {0xff}}};
	const struct weir_ip *x = c->arg[0].data;
	uint64_t *out = c->out;

	EACH_ROW(c->rows, r, out[r] = in_any(&x[r & c->arg[0].mask], nets, 2););
	return 0;
}

static inline const struct weir_str *text_arg(const struct call *c, uint32_t i, uint32_t r)
{
	return &((const struct weir_str *)c->arg[i].data)[r & c->arg[i].mask];
}

#define TEXT_TEST(name, ...)                                                                       \
	static int name(struct call *c)                                                            \
	{                                                                                          \
		uint64_t *out = c->out;                                                            \
                                                                                                   \
		EACH_ROW(c->rows, r, {                                                             \
			const struct weir_str *s = text_arg(c, 0, r);                              \
			const struct weir_str *t = text_arg(c, 1, r);                              \
                                                                                                   \
			out[r] = 0;                                                                \
			if (c->valid[r >> 6] >> (r & 63) & 1)                                      \
				out[r] = (__VA_ARGS__);                                            \
		});                                                                                \
		return 0;                                                                          \
	}

TEXT_TEST(text_contains, !t->len || (s->len && memmem(s->p, s->len, t->p, t->len)))
TEXT_TEST(text_starts, s->len >= t->len && (!t->len || !memcmp(s->p, t->p, t->len)))
TEXT_TEST(text_ends, s->len >= t->len && (!t->len || !memcmp(s->p + s->len - t->len, t->p, t->len)))

/* From octet y (0 is the first, -1 the last) at most z of them. */
static int text_substr(struct call *c)
{
	struct weir_str *out = c->out;

	EACH_ROW(c->rows, r, {
		const struct weir_str *s = text_arg(c, 0, r);
		int64_t from = ((const int64_t *)c->arg[1].data)[r & c->arg[1].mask], n = INT64_MAX;
		uint64_t at;

		out[r] = (struct weir_str){0};
		if (!(c->valid[r >> 6] >> (r & 63) & 1))
			continue;
		if (c->e->nkids == 3)
			n = ((const int64_t *)c->arg[2].data)[r & c->arg[2].mask];
		if (from < 0)
			from = (uint64_t) - (from + 1) < s->len ? (int64_t)s->len + from : 0;
		at = (uint64_t)from < s->len ? (uint64_t)from : s->len;
		out[r].p = s->p ? s->p + at : NULL;
		out[r].len = s->len - at;
		if (n < 0)
			out[r].len = 0;
		else if (out[r].len > (uint64_t)n)
			out[r].len = (uint64_t)n;
	});
	return 0;
}

/* y bits of x from bit z (0 is the lowest) on. */
static int bits_of(struct call *c)
{
	const int64_t *x = c->arg[0].data, *from = c->arg[1].data, *n = c->arg[2].data;
	uint64_t *out = c->out;

	EACH_ROW(c->rows, r, {
		int64_t f = from[r & c->arg[1].mask], k = n[r & c->arg[2].mask];

		out[r] = 0;
		if (f < 0 || f > 63 || k < 0 || k > 64) {
			call_absent(c, r);
			continue;
		}
		out[r] = (uint64_t)x[r & c->arg[0].mask] >> f;
		if (k < 64)
			out[r] &= (1ull << k) - 1;
	});
	return 0;
}

/* XXH3 of the value's octets: the same on every machine of one byte order, for sampling. */
static int hash_of(struct call *c)
{
	enum weir_kind kind = c->e->kids[0]->kind;
	uint64_t *out = c->out;

	EACH_ROW(c->rows, r, {
		const struct vec *v = &c->arg[0];
		uint32_t i = r & v->mask;

		out[r] = 0;
		if (!(c->valid[r >> 6] >> (r & 63) & 1))
			continue;
		if (weir_storage_of(kind) == WEIR_VAR) {
			const struct weir_str *s = text_arg(c, 0, r);

			out[r] = XXH3_64bits(s->p, s->len);
		} else {
			size_t size = weir_kind_size(kind);

			out[r] = XXH3_64bits((const char *)v->data + i * size, size);
		}
	});
	return 0;
}

static const struct function functions[] = {
        {"abs", 1, 1, "u", .pick = pick_abs, .usage = "abs(x)",
                .doc = "the number or duration without its sign"},
        {"bits", 3, 3, "I", WEIR_U64, .fn = bits_of, .usage = "bits(x, from, n)",
                .doc = "n bits of the number x, from bit `from` (0 is the lowest)"},
        {"ceil", 1, 1, "F", WEIR_F64, .fn = ceil_f64, .usage = "ceil(x)",
                .doc = "the next whole number upwards"},
        {"coalesce", 1, 16, "*", .op = X_COALESCE, .usage = "coalesce(x, y, …)",
                .doc = "the first that is there"},
        {"contains", 2, 2, "s", WEIR_BOOL, .fn = text_contains, .usage = "contains(s, t)",
                .doc = "whether text s holds text t"},
        {"day", 1, 1, "t", WEIR_U64, .fn = time_day, .usage = "day(t)",
                .doc = "day of the month, from 1"},
        {"ends", 2, 2, "s", WEIR_BOOL, .fn = text_ends, .usage = "ends(s, t)",
                .doc = "whether text s ends in t"},
        {"exists", 1, 1, "x", WEIR_BOOL, .op = X_EXISTS, .usage = "exists(x)",
                .doc = "whether x has a value"},
        {"exp", 1, 1, "F", WEIR_F64, .fn = exp_f64, .usage = "exp(x)",
                .doc = "e to the power of x"},
        {"floor", 1, 1, "F", WEIR_F64, .fn = floor_f64, .usage = "floor(x)",
                .doc = "the next whole number downwards"},
        {"greatest", 1, 16, "*", .fn = greatest, .usage = "greatest(x, y, …)",
                .doc = "the greatest of several values"},
        {"hash", 1, 1, "x", WEIR_U64, .fn = hash_of, .usage = "hash(x)",
                .doc = "a number that is the same for equal values of one kind"},
        {"hex", 1, 1, "s", WEIR_STR, .fn = text_hex, .usage = "hex(s)",
                .doc = "text or bytes as hexadecimal digits"},
        {"hour", 1, 1, "t", WEIR_U64, .fn = time_hour, .usage = "hour(t)", .doc = "0 to 23, UTC"},
        {"if", 3, 3, "b*", .op = X_IF, .usage = "if(condition, x, y)",
                .doc = "x where the condition holds, else y"},
        {"least", 1, 16, "*", .fn = least, .usage = "least(x, y, …)",
                .doc = "the least of several values"},
        {"length", 1, 1, "s", WEIR_U64, .fn = text_length, .usage = "length(s)",
                .doc = "octets of a text"},
        {"log", 1, 1, "F", WEIR_F64, .fn = log_f64, .usage = "log(x)", .doc = "natural logarithm"},
        {"log10", 1, 1, "F", WEIR_F64, .fn = log10_f64, .usage = "log10(x)",
                .doc = "logarithm to base 10"},
        {"log2", 1, 1, "F", WEIR_F64, .fn = log2_f64, .usage = "log2(x)",
                .doc = "logarithm to base 2"},
        {"lower", 1, 1, "s", WEIR_STR, .fn = text_lower, .usage = "lower(s)",
                .doc = "ASCII letters in lower case"},
        {"minute", 1, 1, "t", WEIR_U64, .fn = time_minute, .usage = "minute(t)", .doc = "0 to 59"},
        {"month", 1, 1, "t", WEIR_U64, .fn = time_month, .usage = "month(t)", .doc = "1 to 12"},
        {"multicast", 1, 1, "a", WEIR_BOOL, .fn = is_multicast, .usage = "multicast(a)",
                .doc = "whether an address is in 224.0.0.0/4 or ff00::/8"},
        {"pow", 2, 2, "F", WEIR_F64, .fn = pow_f64, .usage = "pow(x, y)",
                .doc = "x to the power of y"},
        {"private", 1, 1, "a", WEIR_BOOL, .fn = is_private, .usage = "private(a)",
                .doc = "whether an address is in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or "
                       "fc00::/7"},
        {"round", 1, 1, "F", WEIR_F64, .fn = round_f64, .usage = "round(x)",
                .doc = "the nearest whole number, halves away from zero"},
        {"second", 1, 1, "t", WEIR_U64, .fn = time_second, .usage = "second(t)", .doc = "0 to 59"},
        {"sqrt", 1, 1, "F", WEIR_F64, .fn = sqrt_f64, .usage = "sqrt(x)", .doc = "square root"},
        {"starts", 2, 2, "s", WEIR_BOOL, .fn = text_starts, .usage = "starts(s, t)",
                .doc = "whether text s begins with t"},
        {"subnet", 2, 3, "aI", WEIR_SUBNET, .fn = subnet_of, .usage = "subnet(a, n [, m])",
                .doc = "the subnet of n bits (of an IPv6 address: m) that an address lies in"},
        {"substr", 2, 3, "sI", WEIR_STR, .fn = text_substr, .usage = "substr(s, from [, n])",
                .doc = "n octets of a text from octet `from` (0 is the first, -1 the last)"},
        {"trunc", 2, 2, "td", WEIR_TIME, .fn = trunc_i64, .usage = "trunc(t, d)",
                .doc = "the start of the interval of length d that a time lies in"},
        {"upper", 1, 1, "s", WEIR_STR, .fn = text_upper, .usage = "upper(s)",
                .doc = "ASCII letters in upper case"},
        {"weekday", 1, 1, "t", WEIR_U64, .fn = time_weekday, .usage = "weekday(t)",
                .doc = "0 is Sunday"},
        {"year", 1, 1, "t", WEIR_U64, .fn = time_year, .usage = "year(t)", .doc = "such as 2026"},
};

const struct function *function_find(const char *name, size_t len)
{
	const struct function *f;

	for (size_t i = 0; (f = function_at(i)); i++)
		if (strlen(f->name) == len && !memcmp(f->name, name, len))
			return f;
	return NULL;
}

const struct function *function_at(size_t i)
{
	return i < sizeof functions / sizeof *functions ? &functions[i] : NULL;
}

bool expr_function_doc(size_t i, struct expr_doc *ret)
{
	const struct function *f = function_at(i);

	if (!f)
		return false;
	*ret = (struct expr_doc){.name = f->usage, .doc = f->doc};
	return true;
}
