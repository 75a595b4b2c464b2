/* SPDX-License-Identifier: MIT */
/* render_json.c: JSON Lines (RFC 8259 objects, one a line). */
#include "engine/store/render_cell.h"

#include <math.h>

static char *escape(char *to, uint8_t c)
{
	static const char named[32] = {
	        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

	*to++ = '\\';
	if (c >= 32 || named[c]) {
		*to++ = c >= 32 ? (char)c : named[c];
		return to;
	}
	memcpy(to, "u00", 3);
	return put_hex2(to + 3, c);
}

char *render_json_str(char *to, const uint8_t *s, size_t len)
{
	*to++ = '"';
	for (size_t i = 0; i < len;) {
		unsigned n;

		if (s[i] >= 32 && s[i] < 128) {
			if (s[i] == '"' || s[i] == '\\')
				*to++ = '\\';
			*to++ = (char)s[i++];
			continue;
		}
		if (s[i] < 32) {
			to = escape(to, s[i++]);
			continue;
		}
		n = utf8_len(s + i, len - i);
		memcpy(to, n ? (const char *)s + i : "\xef\xbf\xbd", n ? n : 3);
		to += n ? n : 3;
		i += n ? n : 1;
	}
	*to++ = '"';
	return to;
}

static inline char *put_value(struct render_cell *c, uint32_t row, char *p)
{
	const struct weir_str *s;

	switch (c->kind) {
	case WEIR_F64:
		if (!isfinite(((const double *)c->data)[row])) {
			memcpy(p, "null", 4);
			return p + 4;
		}
		return cell_put(c, row, p);
	case WEIR_STR:
		s = cell_str(c, row);
		return render_json_str(p, s->p, s->len);
	case WEIR_BYTES:
		s = cell_str(c, row);
		*p++ = '"';
		p = put_hex(p, s->p, s->len);
		*p++ = '"';
		return p;
	case WEIR_IP:
	case WEIR_SUBNET:
	case WEIR_MAC:
		*p++ = '"';
		p = cell_put(c, row, p);
		*p++ = '"';
		return p;
	}
	return cell_put(c, row, p);
}

int render_json_rows(struct render *r, struct weir_batch *b, struct text *to)
{
	uint32_t n = weir_batch_count(b);
	char *p = NULL, *end = NULL;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t row = weir_batch_row(b, k);
		bool any = false;

		p = room(to, p, r->fixed + (r->nvars ? 6 * cells_len(r, row) : 0), &end);
		if (!p)
			return -ENOMEM;
		*p++ = '{';
		for (uint32_t i = 0; i < r->nfields; i++) {
			struct render_cell *c = &r->cells[i];

			if (!cell_has(c, row))
				continue;
			memcpy(p, c->key, c->key_len);
			p = put_value(c, row, p + c->key_len);
			*p++ = ',';
			any = true;
		}
		p -= any;
		*p++ = '}';
		*p++ = '\n';
	}
	if (p)
		text_grown(to, (size_t)(p - (to->p + to->len)));
	return 0;
}
