/* SPDX-License-Identifier: MIT */
/* render_txt.c: aligned text, for people.
 *
 * Widths are known before the first row: by kind and heading where the rows are a stream, by the
 * values (render_fit()) where they are a table. A value wider than its column pushes the rest of
 * its row to the right; nothing is cut off.
 */
#include "engine/store/render_cell.h"

/* Bytes and columns of a text with its control characters made visible. to: 4 * len bytes. */
static char *txt_str(char *to, const uint8_t *s, size_t len, size_t *columns)
{
	char *start = to;
	size_t more = 0; /* continuation bytes */

	for (size_t i = 0; i < len;) {
		unsigned n = utf8_len(s + i, len - i);

		if (n == 1 && s[i] >= 32 && s[i] != 127) {
			*to++ = (char)s[i++];
		} else if (n > 1 && !(n == 2 && s[i] == 0xc2 && s[i + 1] < 0xa0)) { /* not C1 */
			memcpy(to, s + i, n);
			to += n;
			i += n;
			more += n - 1;
		} else if (s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
			*to++ = '\\';
			*to++ = s[i] == '\n' ? 'n' : s[i] == '\t' ? 't' : 'r';
			i++;
		} else {
			*to++ = '\\';
			*to++ = 'x';
			to = put_hex2(to, s[i++]);
		}
	}
	*columns = (size_t)(to - start) - more;
	return to;
}

static char *put_value(struct render_cell *c, uint32_t row, char *p, size_t *columns)
{
	const struct weir_str *s;
	char *end;

	if (c->kind == WEIR_STR) {
		s = cell_str(c, row);
		return txt_str(p, s->p, s->len, columns);
	}
	if (c->kind == WEIR_BYTES) {
		s = cell_str(c, row);
		*columns = 2 * s->len;
		return put_hex(p, s->p, s->len);
	}
	end = cell_put(c, row, p);
	*columns = (size_t)(end - p);
	return end;
}

int render_txt_rows(struct render *r, struct weir_batch *b, struct text *to)
{
	uint32_t n = weir_batch_count(b);
	char *p = NULL, *end = NULL;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t row = weir_batch_row(b, k);
		char *start;

		p = room(to, p, r->fixed + (r->nvars ? 4 * cells_len(r, row) : 0), &end);
		if (!p)
			return -ENOMEM;
		start = p;
		for (uint32_t i = 0; i < r->nfields; i++) {
			struct render_cell *c = &r->cells[i];
			size_t columns = 0, pad;
			char *at = p;

			if (cell_has(c, row))
				p = put_value(c, row, p, &columns);
			pad = columns < c->width ? c->width - columns : 0;
			if (c->right && pad) {
				memmove(at + pad, at, (size_t)(p - at));
				memset(at, ' ', pad);
			} else {
				memset(p, ' ', pad);
			}
			p += pad;
			*p++ = ' ';
			*p++ = ' ';
		}
		while (p > start && p[-1] == ' ')
			p--;
		*p++ = '\n';
	}
	if (p)
		text_grown(to, (size_t)(p - (to->p + to->len)));
	return 0;
}

/* Names are the schema's, which may come from a CSV header: as hostile as values. */
static size_t name_columns(const struct render_cell *c, struct text *to)
{
	size_t len = strlen(c->name), columns = 0;
	char *p = text_reserve(to, 4 * len);

	if (p)
		text_grown(to, (size_t)(txt_str(p, (const uint8_t *)c->name, len, &columns) - p));
	return columns;
}

static void pad_with(struct text *to, size_t n)
{
	char *p = text_reserve(to, n);

	if (p) {
		memset(p, ' ', n);
		text_grown(to, n);
	}
}

void render_txt_header(struct render *r, struct text *to)
{
	struct text name = TEXT_INIT;

	for (uint32_t i = 0; i < r->nfields; i++) {
		struct render_cell *c = &r->cells[i];
		size_t columns, pad;

		text_clear(&name);
		columns = name_columns(c, &name);
		pad = columns < c->width ? c->width - columns : 0;
		if (c->right)
			pad_with(to, pad);
		if (name.p)
			text_add(to, name.p, name.len);
		if (i + 1 < r->nfields)
			pad_with(to, (c->right ? 0 : pad) + 2);
	}
	text_add(to, "\n", 1);
	to->failed |= name.failed;
	text_release(&name);
}

/* ---- widths ---- */

static uint32_t kind_width(const struct weir_field *f)
{
	switch (f->kind) {
	case WEIR_BOOL:
		return 5;
	case WEIR_U64:
		return f->bits && f->bits <= 8 ? 3 : f->bits && f->bits <= 16 ? 5 : 10;
	case WEIR_I64:
		return 10;
	case WEIR_F64:
		return 12;
	case WEIR_TIME:
		return 10 + (f->digits ? 1u + f->digits : 0);
	case WEIR_DURATION:
		return 5 + (f->digits ? 1u + f->digits : 0);
	case WEIR_IP:
		return 15;
	case WEIR_SUBNET:
		return 18;
	case WEIR_MAC:
		return 17;
	default:
		return 16;
	}
}

static void widen(struct render_cell *c, size_t columns)
{
	if (columns > c->width)
		c->width = columns < CELL_WIDTH_MAX ? (uint32_t)columns : CELL_WIDTH_MAX;
}

static void fit_names(struct render *r)
{
	struct text name = TEXT_INIT;

	for (uint32_t i = 0; i < r->nfields; i++) {
		text_clear(&name);
		widen(&r->cells[i], name_columns(&r->cells[i], &name));
	}
	text_release(&name);
}

void render_txt_preset(struct render *r)
{
	for (uint32_t i = 0; i < r->nfields; i++) {
		struct render_cell *c = &r->cells[i];

		c->width = kind_width(&r->schema->fields[c->field]);
		c->right = weir_kind_is_number(c->kind) || c->kind == WEIR_TIME ||
		           c->kind == WEIR_DURATION;
	}
	fit_names(r);
}

void render_txt_fit(struct render *r, struct weir_batch *b)
{
	char fixed[WEIR_PRINT_MAX];

	if (!b) {
		for (uint32_t i = 0; i < r->nfields; i++)
			r->cells[i].width = 0;
		fit_names(r);
		return;
	}
	for (uint32_t i = 0; i < r->nfields; i++) {
		struct render_cell *c = &r->cells[i];

		for (uint32_t k = 0; k < weir_batch_count(b) && c->width < CELL_WIDTH_MAX; k++) {
			uint32_t row = weir_batch_row(b, k);
			char some[16 * CELL_WIDTH_MAX];
			const struct weir_str *s;
			size_t columns;

			if (!cell_has(c, row))
				continue;
			if (!cell_is_var(c)) {
				widen(c, (size_t)(cell_put(c, row, fixed) - fixed));
				continue;
			}
			/* no longer a piece than could matter: a column takes 1 to 4 bytes */
			s = cell_str(c, row);
			columns = 2 * s->len;
			if (s->len >= 4 * CELL_WIDTH_MAX)
				columns = CELL_WIDTH_MAX;
			else if (c->kind == WEIR_STR)
				txt_str(some, s->p, s->len, &columns);
			widen(c, columns);
		}
	}
}
