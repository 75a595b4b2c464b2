/* SPDX-License-Identifier: MIT */
/* convert.c: what stands behind a field's dot: ts.iso, payload.hex, srcip.int.
 *
 * A table by kind; the manual page lists it. Text goes to memory of the batch, whose size is
 * settled before the loop.
 */
#include "engine/core/civil.h"
#include "engine/core/put.h"
#include "engine/expr/expr.h"

#include <stdio.h>

#define ARG(type) const type *x = c->arg[0].data
#define MASK uint32_t m = c->arg[0].mask

static int same_word(struct call *c)
{
	ARG(uint64_t);
	MASK;
	uint64_t *out = c->out;

	EACH_ROW(c->rows, r, out[r] = x[r & m];);
	return 0;
}

static int same_text(struct call *c)
{
	ARG(struct weir_str);
	MASK;
	struct weir_str *out = c->out;

	EACH_ROW(c->rows, r, out[r] = x[r & m];);
	return 0;
}

/* Seconds, exact to the last bit that a double has where the whole is small. */
static int ns_to_seconds(struct call *c)
{
	ARG(int64_t);
	MASK;
	double *out = c->out;

	EACH_ROW(c->rows, r, out[r] = (double)x[r & m] / 1e9;);
	return 0;
}

static inline int divide_floor(struct call *c, int64_t by)
{
	ARG(int64_t);
	MASK;
	int64_t *out = c->out;

	EACH_ROW(c->rows, r, out[r] = civil_floor(x[r & m], by););
	return 0;
}

static int ns_to_whole_seconds(struct call *c)
{
	return divide_floor(c, NS_PER_SEC);
}

static int ns_to_ms(struct call *c)
{
	return divide_floor(c, 1000000);
}

static int ns_to_us(struct call *c)
{
	return divide_floor(c, 1000);
}

static inline void set_text(struct weir_str *s, const char *p, const char *end)
{
	s->p = (const uint8_t *)p;
	s->len = (uint64_t)(end - p);
}

static char *put_date(char *to, const struct civil *t)
{
	int64_t year = t->year;

	if (year < 0 || year > 9999)
		return to; /* not with 64-bit nanoseconds */
	to = put_4(to, (uint32_t)year);
	*to++ = '-';
	to = put_2(to, t->month);
	*to++ = '-';
	return put_2(to, t->day);
}

static char *put_clock(char *to, const struct civil *t, unsigned digits)
{
	to = put_2(to, t->hour);
	*to++ = ':';
	to = put_2(to, t->minute);
	*to++ = ':';
	to = put_2(to, t->second);
	if (!digits)
		return to;
	*to++ = '.';
	return put_fraction(to, t->ns, digits);
}

/* Calls put(to, value) for each row with WEIR_PRINT_MAX bytes of room. */
#define PUT_ROWS(type, ...)                                                                        \
	do {                                                                                       \
		ARG(type);                                                                         \
		MASK;                                                                              \
		struct weir_str *out = c->out;                                                     \
		char *to = weir_batch_alloc(c->b, (size_t)c->rows->n * WEIR_PRINT_MAX + 1);        \
                                                                                                   \
		if (!to)                                                                           \
			return -ENOMEM;                                                            \
		EACH_ROW(c->rows, r, {                                                             \
			const char *start = to;                                                    \
			const type *v = &x[r & m];                                                 \
                                                                                                   \
			if (c->valid[r >> 6] >> (r & 63) & 1)                                      \
				to = __VA_ARGS__;                                                  \
			set_text(&out[r], start, to);                                              \
		});                                                                                \
		return 0;                                                                          \
	} while (0)

static char *put_sql(char *to, int64_t ns, unsigned digits, char between, bool z)
{
	struct civil t;

	civil_from_time(ns, &t);
	to = put_date(to, &t);
	*to++ = between;
	to = put_clock(to, &t, digits);
	if (z)
		*to++ = 'Z';
	return to;
}

static char *put_only_date(char *to, int64_t ns)
{
	struct civil t;

	civil_from_time(ns, &t);
	return put_date(to, &t);
}

static char *put_only_clock(char *to, int64_t ns, unsigned digits)
{
	struct civil t;

	civil_from_time(ns, &t);
	return put_clock(to, &t, digits);
}

static int time_sql(struct call *c)
{
	unsigned digits = c->e->kids[0]->digits;

	PUT_ROWS(int64_t, put_sql(to, *v, digits, ' ', false));
}

static int time_iso(struct call *c)
{
	unsigned digits = c->e->kids[0]->digits;

	PUT_ROWS(int64_t, put_sql(to, *v, digits, 'T', true));
}

static int time_date(struct call *c)
{
	PUT_ROWS(int64_t, put_only_date(to, *v));
}

static int time_clock(struct call *c)
{
	unsigned digits = c->e->kids[0]->digits;

	PUT_ROWS(int64_t, put_only_clock(to, *v, digits));
}

static int word_str(struct call *c)
{
	enum weir_kind kind = c->e->kids[0]->kind;
	unsigned digits = c->e->kids[0]->digits;

	PUT_ROWS(uint64_t,
	        weir_kind_print(kind, (const union weir_datum *)(const void *)v, digits, to));
}

static int addr_str(struct call *c)
{
	if (c->e->kids[0]->kind == WEIR_SUBNET)
		PUT_ROWS(struct weir_ip, put_subnet(to, v));
	PUT_ROWS(struct weir_ip, put_ip(to, v));
}

static char *put_name(char *to, uint64_t v, const struct weir_names *names)
{
	for (; names && names->name; names++) {
		size_t len;

		if (names->value != v)
			continue;
		len = strlen(names->name);
		len = len < WEIR_PRINT_MAX ? len : WEIR_PRINT_MAX - 1;
		memcpy(to, names->name, len);
		return to + len;
	}
	return put_u64(to, v);
}

static int u64_name(struct call *c)
{
	const struct weir_names *names = c->e->kids[0]->names;

	PUT_ROWS(uint64_t, put_name(to, *v, names));
}

static char *put_word_hex(char *to, uint64_t v)
{
	int shift = v ? (63 - __builtin_clzll(v)) / 4 * 4 : 0;

	*to++ = '0';
	*to++ = 'x';
	for (; shift >= 0; shift -= 4)
		*to++ = put_hexes[2 * (v >> shift & 15) + 1];
	return to;
}

static int u64_hex(struct call *c)
{
	PUT_ROWS(uint64_t, put_word_hex(to, *v));
}

static char *put_mac_hex(char *to, uint64_t v)
{
	for (int shift = 40; shift >= 0; shift -= 8)
		to = put_hex2(to, (uint8_t)(v >> shift));
	return to;
}

static int mac_hex(struct call *c)
{
	PUT_ROWS(uint64_t, put_mac_hex(to, *v));
}

/* The three octets of the maker. */
static int mac_oui(struct call *c)
{
	PUT_ROWS(uint64_t, put_mac(to, *v) - 9);
}

static int ip_hex(struct call *c)
{
	PUT_ROWS(struct weir_ip, put_hex(to, v->b, v->family == 4 ? 4 : 16));
}

static int ip_int(struct call *c)
{
	ARG(struct weir_ip);
	MASK;
	uint64_t *out = c->out;

	EACH_ROW(c->rows, r, {
		const struct weir_ip *v = &x[r & m];

		out[r] = (uint64_t)v->b[0] << 24 | v->b[1] << 16 | v->b[2] << 8 | v->b[3];
		if (v->family != 4)
			call_absent(c, r);
	});
	return 0;
}

static int ip_family(struct call *c)
{
	ARG(struct weir_ip);
	MASK;
	uint64_t *out = c->out;

	EACH_ROW(c->rows, r, out[r] = x[r & m].family;);
	return 0;
}

static int subnet_prefix(struct call *c)
{
	ARG(struct weir_ip);
	MASK;
	uint64_t *out = c->out;

	EACH_ROW(c->rows, r, out[r] = x[r & m].prefix;);
	return 0;
}

static int subnet_ip(struct call *c)
{
	ARG(struct weir_ip);
	MASK;
	struct weir_ip *out = c->out;

	EACH_ROW(c->rows, r, {
		out[r] = x[r & m];
		out[r].prefix = out[r].family == 4 ? 32 : 128;
	});
	return 0;
}

/* Bytes of text in all rows that have one, for one allocation. */
static size_t total_text(const struct call *c)
{
	ARG(struct weir_str);
	MASK;
	size_t total = 0;

	EACH_ROW(c->rows, r, {
		if (c->valid[r >> 6] >> (r & 63) & 1)
			total += x[r & m].len;
	});
	return total;
}

/* Writes `per` octets for each octet v at `to`. */
#define MAP_TEXT(per, ...)                                                                         \
	do {                                                                                       \
		ARG(struct weir_str);                                                              \
		MASK;                                                                              \
		struct weir_str *out = c->out;                                                     \
		char *to = weir_batch_alloc(c->b, total_text(c) * (per) + 8);                      \
                                                                                                   \
		if (!to)                                                                           \
			return -ENOMEM;                                                            \
		EACH_ROW(c->rows, r, {                                                             \
			const struct weir_str *s = &x[r & m];                                      \
			uint64_t len = c->valid[r >> 6] >> (r & 63) & 1 ? s->len : 0;              \
			const char *start = to;                                                    \
                                                                                                   \
			for (uint64_t i = 0; i < len; i++) {                                       \
				uint8_t v = s->p[i];                                               \
                                                                                                   \
				__VA_ARGS__;                                                       \
			}                                                                          \
			set_text(&out[r], start, to);                                              \
		});                                                                                \
		return 0;                                                                          \
	} while (0)

int text_hex(struct call *c)
{
	MAP_TEXT(2, to = put_hex2(to, v));
}

int text_lower(struct call *c)
{
	MAP_TEXT(1, *to++ = (char)(v >= 'A' && v <= 'Z' ? v | 32 : v));
}

int text_upper(struct call *c)
{
	MAP_TEXT(1, *to++ = (char)(v >= 'a' && v <= 'z' ? v & ~32 : v));
}

static int text_ascii(struct call *c)
{
	MAP_TEXT(1, *to++ = (char)(v >= ' ' && v < 127 ? v : '.'));
}

int text_length(struct call *c)
{
	ARG(struct weir_str);
	MASK;
	uint64_t *out = c->out;

	EACH_ROW(c->rows, r, out[r] = x[r & m].len;);
	return 0;
}

/* Text as a value of the result's kind; absent where it is none. */
static int text_parse(struct call *c)
{
	enum weir_kind kind = c->e->kind;
	ARG(struct weir_str);
	MASK;

	EACH_ROW(c->rows, r, {
		const struct weir_str *s = &x[r & m];
		union weir_datum d = {0};

		if (!(c->valid[r >> 6] >> (r & 63) & 1))
			continue;
		if (weir_kind_parse(kind, (const char *)s->p, s->len, &d) < 0)
			call_absent(c, r);
		if (weir_storage_of(kind) == WEIR_ADDR)
			((struct weir_ip *)c->out)[r] = d.ip;
		else
			((uint64_t *)c->out)[r] = d.u;
	});
	return 0;
}

#define K(kind) (1u << WEIR_##kind)

static const struct conversion conversions[] = {
        {"sql", K(TIME), WEIR_STR, time_sql, "2026-11-21 10:00:00.000000, UTC"},
        {"iso", K(TIME), WEIR_STR, time_iso, "2026-11-21T10:00:00.000000Z"},
        {"date", K(TIME), WEIR_STR, time_date, "2026-11-21, UTC"},
        {"clock", K(TIME), WEIR_STR, time_clock, "10:00:00.000000, UTC"},
        {"double", K(TIME) | K(DURATION), WEIR_F64, ns_to_seconds, "seconds"},
        {"int", K(TIME) | K(DURATION), WEIR_I64, ns_to_whole_seconds, "whole seconds, downwards"},
        {"ms", K(TIME) | K(DURATION), WEIR_I64, ns_to_ms, "whole milliseconds"},
        {"us", K(TIME) | K(DURATION), WEIR_I64, ns_to_us, "whole microseconds"},
        {"ns", K(TIME) | K(DURATION), WEIR_I64, same_word, "nanoseconds"},
        {"double", K(U64), WEIR_F64, to_f64_from_u64, "floating-point number"},
        {"double", K(I64), WEIR_F64, to_f64_from_i64, "floating-point number"},
        {"double", K(F64) | K(STR), WEIR_F64, NULL, "floating-point number"},
        {"int", K(U64), WEIR_I64, to_i64_from_u64, "signed number"},
        {"int", K(F64), WEIR_I64, to_i64_from_f64, "signed number, cut towards zero"},
        {"int", K(I64) | K(BOOL) | K(STR), WEIR_I64, NULL, "signed number"},
        {"hex", K(U64), WEIR_STR, u64_hex, "0x1f"},
        {"name", K(U64), WEIR_STR, u64_name, "the value's name where it has one: tcp"},
        {"int", K(MAC), WEIR_U64, same_word, "number of 48 bits"},
        {"hex", K(MAC), WEIR_STR, mac_hex, "12 hexadecimal digits"},
        {"oui", K(MAC), WEIR_STR, mac_oui, "the maker's part: 00:01:02"},
        {"int", K(IP), WEIR_U64, ip_int, "an IPv4 address as number of 32 bits"},
        {"hex", K(IP), WEIR_STR, ip_hex, "8 or 32 hexadecimal digits"},
        {"family", K(IP) | K(SUBNET), WEIR_U64, ip_family, "4 or 6"},
        {"ip", K(SUBNET), WEIR_IP, subnet_ip, "first address"},
        {"prefix", K(SUBNET), WEIR_U64, subnet_prefix, "length of the prefix in bits"},
        {"hex", K(STR) | K(BYTES), WEIR_STR, text_hex, "hexadecimal digits"},
        {"lower", K(STR) | K(BYTES), WEIR_STR, text_lower, "ASCII letters in lower case"},
        {"upper", K(STR) | K(BYTES), WEIR_STR, text_upper, "ASCII letters in upper case"},
        {"ascii", K(STR) | K(BYTES), WEIR_STR, text_ascii, "a dot for what cannot be printed"},
        {"length", K(STR) | K(BYTES), WEIR_U64, text_length, "octets"},
        {"bytes", K(STR), WEIR_BYTES, same_text, "the octets"},
        {"str", K(BYTES) | K(STR), WEIR_STR, same_text, "the octets as text"},
        {"uint", K(STR), WEIR_U64, text_parse, "number"},
        {"ip", K(STR), WEIR_IP, text_parse, "address"},
        {"mac", K(STR), WEIR_MAC, text_parse, "MAC address"},
        {"time", K(STR), WEIR_TIME, text_parse, "time: epoch seconds or ISO 8601"},
        {"str", K(BOOL) | K(U64) | K(I64) | K(F64) | K(TIME) | K(DURATION) | K(MAC), WEIR_STR,
                word_str, "text as it is printed"},
        {"str", K(IP) | K(SUBNET), WEIR_STR, addr_str, "text as it is printed"},
};

const struct conversion *conversion_find(enum weir_kind from, const char *name, size_t len)
{
	const struct conversion *cv;

	for (size_t i = 0; (cv = conversion_at(from, i)); i++)
		if (strlen(cv->name) == len && !memcmp(cv->name, name, len))
			return cv;
	return NULL;
}

const struct conversion *conversion_at(enum weir_kind from, size_t at)
{
	for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++)
		if (conversions[i].from >> from & 1 && !at--)
			return &conversions[i];
	return NULL;
}

kernel *conversion_kernel(const struct conversion *c, enum weir_kind from)
{
	if (c->fn)
		return c->fn;
	return from == WEIR_STR ? text_parse : same_word;
}

bool expr_conversion_doc(size_t i, struct expr_doc *ret)
{
	const struct conversion *c = &conversions[i];
	size_t n = 0;

	if (i >= sizeof conversions / sizeof *conversions)
		return false;
	*ret = (struct expr_doc){.name = c->name, .doc = c->doc};
	for (enum weir_kind k = WEIR_BOOL; k < WEIR_KINDS; k++)
		if (c->from >> k & 1)
			n += (size_t)snprintf(ret->of + n, sizeof ret->of - n, "%s%s",
			        n ? ", " : "", weir_kind_name(k));
	return true;
}
