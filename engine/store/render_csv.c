/* SPDX-License-Identifier: MIT */
/* render_csv.c: CSV (RFC 4180 with LF) and TSV. See render.h for what is decided where. */
#include "engine/store/render_cell.h"

/* ---- texts ---- */

static inline bool csv_special(uint8_t c)
{
	return c == ',' || c == '"' || c == '\n' || c == '\r';
}

/* to[0 .. 2 * len + 2) */
static char *csv_str(char *to, const uint8_t *s, size_t len)
{
	size_t i = 0;
	char *p;

	while (i < len && !csv_special(s[i]))
		i++;
	if (i == len && len && s[0] != '#') {
		memcpy(to, s, len);
		return to + len;
	}
	p = to;
	*p++ = '"';
	if (i)
		memcpy(p, s, i);
	p += i;
	for (; i < len; i++) {
		if (s[i] == '"')
			*p++ = '"';
		*p++ = (char)s[i];
	}
	*p++ = '"';
	return p;
}

char *render_tsv_str(char *to, const uint8_t *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = (char)s[i];

		switch (c) {
		case '\t':
			c = 't';
			break;
		case '\n':
			c = 'n';
			break;
		case '\r':
			c = 'r';
			break;
		case 0:
			c = '0';
			break;
		case '\\':
			break;
		default:
			*to++ = c;
			continue;
		}
		*to++ = '\\';
		*to++ = c;
	}
	return to;
}

/* ---- rows ---- */

static inline __attribute__((always_inline)) char *put_var(
        const struct render_cell *c, uint32_t row, char *p, bool csv)
{
	const struct weir_str *s = cell_str(c, row);

	if (c->kind == WEIR_STR)
		return csv ? csv_str(p, s->p, s->len) : render_tsv_str(p, s->p, s->len);
	if (csv && !s->len) {
		memcpy(p, "\"\"", 2);
		return p + 2;
	}
	return put_hex(p, s->p, s->len);
}

static inline __attribute__((always_inline)) int rows(
        struct render *r, struct weir_batch *b, struct text *to, bool csv)
{
	uint32_t n = weir_batch_count(b), nfields = r->nfields, nvars = r->nvars;
	char *p = NULL, *end = NULL, sep = csv ? ',' : '\t';
	size_t fixed = r->fixed;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t row = weir_batch_row(b, k);
		struct render_cell *c = r->cells;

		p = room(to, p, fixed + (nvars ? 2 * cells_len(r, row) : 0), &end);
		if (!p)
			return -ENOMEM;
		for (uint32_t i = 0; i < nfields; i++, c++) {
			if (cell_has(c, row))
				p = nvars && cell_is_var(c) ? put_var(c, row, p, csv)
				                            : cell_put(c, row, p);
			*p++ = sep;
		}
		p[-(nfields != 0)] = '\n';
		p += !nfields;
	}
	if (p)
		text_grown(to, (size_t)(p - (to->p + to->len)));
	return 0;
}

int render_csv_rows(struct render *r, struct weir_batch *b, struct text *to)
{
	return rows(r, b, to, true);
}

int render_tsv_rows(struct render *r, struct weir_batch *b, struct text *to)
{
	return rows(r, b, to, false);
}

static void header(struct render *r, struct text *to, bool csv)
{
	for (uint32_t i = 0; i < r->nfields; i++) {
		const char *name = r->cells[i].name;
		size_t len = strlen(name);
		char *p = text_reserve(to, 2 * len + 2);

		if (!p)
			return;
		text_grown(to, (size_t)((csv ? csv_str(p, (const uint8_t *)name, len)
		                             : render_tsv_str(p, (const uint8_t *)name, len)) -
		                        p));
		text_add(to, i + 1 == r->nfields ? "\n" : csv ? "," : "\t", 1);
	}
	if (!r->nfields)
		text_add(to, "\n", 1);
}

void render_csv_header(struct render *r, struct text *to)
{
	header(r, to, true);
}

void render_tsv_header(struct render *r, struct text *to)
{
	header(r, to, false);
}
