/* SPDX-License-Identifier: MIT */
/* render_cell.h: one shown field of a renderer, and its values as text; shared by the formats.
 *
 * A cell is prepared for each batch (where its column lies) and then asked row by row; the switch
 * over its kind takes the same turn for every row, which branch predictors learn.
 */
#ifndef RENDER_CELL_H
#define RENDER_CELL_H

#include "engine/core/put.h"
#include "engine/store/render.h"

enum { CELL_WIDTH_MAX = 64 }; /* aligned text: wider values push the row */

struct render_cell {
	/* of the batch at hand */
	const void *data;
	const uint64_t *valid;
	/* the last time's whole second as text: times come in order, so it seldom changes */
	int64_t second; /* ns, a multiple of 10^9 and not negative */
	uint8_t second_len;
	char second_text[23]; /* with the point */
	/* the last number as text: what is counted, and shares of it, repeat */
	double number;
	uint8_t number_len; /* 0: none yet */
	char number_text[32];
	/* fixed */
	uint8_t kind;
	uint8_t digits;
	bool right;
	uint32_t field;
	uint32_t width;
	uint32_t key_len;
	char *key; /* JSON: "name": */
	const char *name;
};

static inline bool cell_has(const struct render_cell *c, uint32_t row)
{
	return !c->valid || (c->valid[row >> 6] >> (row & 63) & 1);
}

static inline bool cell_is_var(const struct render_cell *c)
{
	return c->kind == WEIR_STR || c->kind == WEIR_BYTES;
}

static inline const struct weir_str *cell_str(const struct render_cell *c, uint32_t row)
{
	return (const struct weir_str *)c->data + row;
}

/* Octets of the row's values of variable length. */
static inline size_t cells_len(const struct render *r, uint32_t row)
{
	size_t len = 0;

	for (uint32_t i = 0; i < r->nfields; i++)
		if (cell_is_var(&r->cells[i]) && cell_has(&r->cells[i], row))
			len += cell_str(&r->cells[i], row)->len;
	return len;
}

static inline char *cell_put_time(struct render_cell *c, int64_t ns, char *p)
{
	uint64_t in = (uint64_t)ns - (uint64_t)c->second;

	if (__builtin_expect(in >= 1000000000, 0)) {
		if (ns < 0 || !c->digits)
			return put_time(p, ns, c->digits);
		in = (uint64_t)ns % 1000000000;
		c->second = ns - (int64_t)in;
		c->second_len = (uint8_t)(put_time(c->second_text, c->second, 0) - c->second_text);
		c->second_text[c->second_len++] = '.';
	}
	memcpy(p, c->second_text, 16); /* 2^63 ns have 10 digits before the point */
	return put_fraction(p + c->second_len, (uint32_t)in, c->digits);
}

static inline char *cell_put_number(struct render_cell *c, double v, char *p)
{
	if (memcmp(&v, &c->number, sizeof v) != 0 || !c->number_len) {
		c->number = v;
		c->number_len = (uint8_t)(put_f64(c->number_text, v) - c->number_text);
	}
	memcpy(p, c->number_text, sizeof c->number_text);
	return p + c->number_len;
}

/* The value of any kind but str and bytes: at most WEIR_PRINT_MAX bytes at p are written. */
static inline __attribute__((always_inline)) char *cell_put(
        struct render_cell *c, uint32_t row, char *p)
{
	uint64_t v;

	switch (c->kind) {
	case WEIR_U64:
		v = ((const uint64_t *)c->data)[row];
		return __builtin_expect(v < 100000000, 1) ? put_below8(p, (uint32_t)v)
		                                          : put_u64(p, v);
	case WEIR_IP:
		return put_ip(p, (const struct weir_ip *)c->data + row);
	case WEIR_TIME:
	case WEIR_DURATION:
		return cell_put_time(c, ((const int64_t *)c->data)[row], p);
	case WEIR_I64:
		return put_i64(p, ((const int64_t *)c->data)[row]);
	case WEIR_F64:
		return cell_put_number(c, ((const double *)c->data)[row], p);
	case WEIR_MAC:
		return put_mac(p, ((const uint64_t *)c->data)[row]);
	case WEIR_SUBNET:
		return put_subnet(p, (const struct weir_ip *)c->data + row);
	case WEIR_BOOL:
		return weir_kind_print(WEIR_BOOL,
		        (const union weir_datum *)((const uint64_t *)c->data + row), 0, p);
	}
	return p;
}

/* Points the cells at the batch's columns. 0 or -ENOMEM. */
int render_prepare(struct render *r, struct weir_batch *b);

/* Row renderers, one for each format: append the selected rows of b, whose columns stand in the
 * cells. 0 or -ENOMEM. */
int render_csv_rows(struct render *r, struct weir_batch *b, struct text *to);
int render_tsv_rows(struct render *r, struct weir_batch *b, struct text *to);
int render_txt_rows(struct render *r, struct weir_batch *b, struct text *to);
int render_json_rows(struct render *r, struct weir_batch *b, struct text *to);
int render_pcap_rows(struct render *r, struct weir_batch *b, struct text *to);

void render_csv_header(struct render *r, struct text *to);
void render_tsv_header(struct render *r, struct text *to);
void render_txt_header(struct render *r, struct text *to);

/* Widths of aligned text: by kind and heading; by heading; by the values in the cells. */
void render_txt_preset(struct render *r);
void render_txt_fit(struct render *r, struct weir_batch *b);

/* One text as JSON (with its quotes); to[0 .. 6 * len + 2). */
char *render_json_str(char *to, const uint8_t *s, size_t len);
/* Texts as TSV has them; to[0 .. 2 * len). */
char *render_tsv_str(char *to, const uint8_t *s, size_t len);

/* Length of the UTF-8 sequence at s (RFC 3629: no surrogates, no overlong forms), 0 where there is
 * none. */
static inline unsigned utf8_len(const uint8_t *s, size_t left)
{
	unsigned n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n > left)
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90))
		return 0;
	if ((s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* The end of the room that `to` has, and its growth: p is where the next byte goes. */
static inline char *room(struct text *to, char *p, size_t need, char **end)
{
	if (__builtin_expect((size_t)(*end - p) >= need, 1))
		return p;
	if (p)
		text_grown(to, (size_t)(p - (to->p + to->len)));
	p = text_reserve(to, need > 65536 ? need : 65536);
	*end = p ? to->p + to->cap - 1 : NULL;
	return p;
}

#endif
