/* SPDX-License-Identifier: MIT */
/* render_measure.c: how long a batch's text is, without writing it.
 *
 * Sizes of files are asked for more often than their bytes. Column by column: digits are counted
 * and octets compared, which takes a quarter of the time that writing takes. Must agree with the
 * row renderers to the byte; kinds that are rare are written to a scratch buffer and counted.
 */
#include "engine/store/render_cell.h"

#include <stdlib.h>

/* Decimal digits of v: by its bits, then one comparison (H. Warren, Hacker's Delight, 11-4). */
static inline uint32_t digits_of(uint64_t v)
{
	static const uint64_t ten[20] = {0, 10, 100, 1000, 10000, 100000, 1000000, 10000000,
	        100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000,
	        100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
	        1000000000000000000, 10000000000000000000ull};
	uint32_t t = ((64 - (uint32_t)__builtin_clzll(v | 1)) * 1233) >> 12;

	return t + (v >= ten[t]);
}

static inline uint32_t ip4_len(const uint8_t b[4])
{
	uint32_t n = 7;

	for (int i = 0; i < 4; i++)
		n += (b[i] > 9) + (b[i] > 99);
	return n;
}

static uint64_t json_str_len(const uint8_t *s, uint64_t len)
{
	uint64_t n = 2;

	for (uint64_t i = 0; i < len;) {
		unsigned u;

		if (s[i] >= 32 && s[i] < 128) {
			n += 1 + (s[i] == '"' || s[i] == '\\');
			i++;
		} else if (s[i] < 32) {
			n += s[i] == '\b' || s[i] == '\t' || s[i] == '\n' || s[i] == '\f' ||
			                     s[i] == '\r'
			             ? 2
			             : 6;
			i++;
		} else {
			u = utf8_len(s + i, len - i);
			n += u ? u : 3;
			i += u ? u : 1;
		}
	}
	return n;
}

static uint64_t csv_str_len(const uint8_t *s, uint64_t len)
{
	uint64_t quotes = 0;
	bool special = !len || s[0] == '#';

	for (uint64_t i = 0; i < len; i++) {
		quotes += s[i] == '"';
		special |= s[i] == ',' || s[i] == '"' || s[i] == '\n' || s[i] == '\r';
	}
	return len + (special ? 2 + quotes : 0);
}

static uint64_t tsv_str_len(const uint8_t *s, uint64_t len)
{
	uint64_t n = len;

	for (uint64_t i = 0; i < len; i++)
		n += s[i] == '\t' || s[i] == '\n' || s[i] == '\r' || s[i] == 0 || s[i] == '\\';
	return n;
}

static uint64_t var_len(const struct render_cell *c, uint32_t row, enum result_format f)
{
	const struct weir_str *s = cell_str(c, row);

	if (c->kind == WEIR_BYTES)
		return 2 * s->len + (f == FORMAT_JSON || (f == FORMAT_CSV && !s->len) ? 2 : 0);
	return f == FORMAT_JSON  ? json_str_len(s->p, s->len)
	       : f == FORMAT_CSV ? csv_str_len(s->p, s->len)
	                         : tsv_str_len(s->p, s->len);
}

static uint32_t time_len(const struct render_cell *c, int64_t ns)
{
	uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;

	return (ns < 0) + digits_of(v / 1000000000) + (c->digits ? 1u + c->digits : 0);
}

static uint32_t other_len(struct render_cell *c, uint32_t row, enum result_format f)
{
	char to[2 * WEIR_PRINT_MAX];
	double v;

	if (c->kind == WEIR_F64 && f == FORMAT_JSON) {
		v = ((const double *)c->data)[row];
		if (v - v != 0) /* not finite */
			return 4;
	}
	return (uint32_t)(cell_put(c, row, to) - to);
}

/* Does something with the length of each value that the column has. `b`, `c`, `f`: the batch, the
 * cell, the format; in DO(length): `row`. */
#define BY_KIND(DO)                                                                                \
	do {                                                                                       \
		const uint64_t *word = c->data;                                                    \
		const struct weir_ip *ip = c->data;                                                \
                                                                                                   \
		switch (c->kind) {                                                                 \
		case WEIR_U64:                                                                     \
			DO(digits_of(word[row]));                                                  \
			break;                                                                     \
		case WEIR_TIME:                                                                    \
		case WEIR_DURATION:                                                                \
			DO(time_len(c, (int64_t)word[row]));                                       \
			break;                                                                     \
		case WEIR_IP:                                                                      \
			DO(ip[row].family == 4 ? ip4_len(ip[row].b) : other_len(c, row, f));       \
			break;                                                                     \
		case WEIR_MAC:                                                                     \
			DO(17);                                                                    \
			break;                                                                     \
		case WEIR_BOOL:                                                                    \
			DO(word[row] ? 4 : 5);                                                     \
			break;                                                                     \
		case WEIR_STR:                                                                     \
		case WEIR_BYTES:                                                                   \
			DO(var_len(c, row, f));                                                    \
			break;                                                                     \
		default:                                                                           \
			DO(other_len(c, row, f));                                                  \
		}                                                                                  \
	} while (0)

#define SUM(length)                                                                                \
	do {                                                                                       \
		if (!c->valid && !b->sel)                                                          \
			for (uint32_t row = 0; row < n; row++)                                     \
				sum += (length);                                                   \
		else                                                                               \
			for (uint32_t k = 0; k < n; k++) {                                         \
				uint32_t row = weir_batch_row(b, k);                               \
                                                                                                   \
				if (cell_has(c, row)) {                                            \
					sum += (length);                                           \
					++*has;                                                    \
				}                                                                  \
			}                                                                          \
		if (!c->valid && !b->sel)                                                          \
			*has = n;                                                                  \
	} while (0)

/* Bytes of the column's values alone, and how many there are. */
static uint64_t column_len(
        struct render_cell *c, struct weir_batch *b, enum result_format f, uint32_t *has)
{
	uint32_t n = weir_batch_count(b);
	uint64_t sum = 0;

	*has = 0;
	BY_KIND(SUM);
	if (f == FORMAT_JSON &&
	        (c->kind == WEIR_IP || c->kind == WEIR_SUBNET || c->kind == WEIR_MAC))
		sum += 2ull * *has;
	return sum;
}

#define ADD(length)                                                                                \
	do {                                                                                       \
		for (uint32_t k = 0; k < n; k++) {                                                 \
			uint32_t row = weir_batch_row(b, k);                                       \
                                                                                                   \
			if (cell_has(c, row))                                                      \
				to[k] += more + (uint64_t)(length);                                \
		}                                                                                  \
	} while (0)

int render_lines_measure(struct render *r, struct weir_batch *b, uint64_t *to)
{
	enum result_format f = FORMAT_TSV;
	uint32_t n = weir_batch_count(b);

	if (render_prepare(r, b) < 0)
		return -ENOMEM;
	memset(to, 0, n * sizeof *to);
	for (uint32_t i = 0; i < r->nfields; i++) {
		struct render_cell *c = &r->cells[i];
		uint64_t more = tsv_str_len((const uint8_t *)c->name, strlen(c->name)) + 3;

		BY_KIND(ADD);
	}
	return 0;
}

/* Rows that have a value in any of the cells: JSON writes one comma less than values there. */
static uint32_t rows_with_any(const struct render *r, struct weir_batch *b)
{
	uint32_t n = weir_batch_count(b), some = 0;

	for (uint32_t i = 0; i < r->nfields; i++)
		if (!r->cells[i].valid)
			return n;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t row = weir_batch_row(b, k), i = 0;

		while (i < r->nfields && !cell_has(&r->cells[i], row))
			i++;
		some += i < r->nfields;
	}
	return some;
}

static int64_t by_rendering(struct render *r, struct weir_batch *b)
{
	struct text t = TEXT_INIT;
	int ret = render_batch(r, b, &t);
	int64_t n = ret < 0 ? ret : (int64_t)t.len;

	text_release(&t);
	return n;
}

int64_t render_measure(struct render *r, struct weir_batch *b)
{
	uint64_t rows = weir_batch_count(b), sum = 0;

	if (r->format == FORMAT_TXT || r->format == FORMAT_PCAP)
		return by_rendering(r, b);
	if (render_prepare(r, b) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->nfields; i++) {
		struct render_cell *c = &r->cells[i];
		uint32_t has;

		sum += column_len(c, b, r->format, &has);
		if (r->format == FORMAT_JSON)
			sum += (c->key_len + 1ull) * has;
	}
	if (r->format == FORMAT_JSON)
		return (int64_t)(sum + 3 * rows - rows_with_any(r, b));
	/* as many separators, the line's end among them, as fields */
	return (int64_t)(sum + rows * (r->nfields ? r->nfields : 1));
}
