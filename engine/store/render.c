/* SPDX-License-Identifier: MIT */
/* render.c: what all formats share: the shown fields, the columns of a batch, dispatch. */
#include "engine/store/render_cell.h"

#include <stdlib.h>

static const char *const names[FORMATS] = {"csv", "tsv", "txt", "json", "pcap"};

const char *result_format_name(enum result_format f)
{
	return (unsigned)f < FORMATS ? names[f] : NULL;
}

int result_format_by_name(const char *name)
{
	for (int f = 0; f < FORMATS; f++)
		if (strcmp(names[f], name) == 0)
			return f;
	return -1;
}

uint32_t render_shown(const struct weir_schema *schema, uint32_t *to)
{
	const uint32_t marked = WEIR_FIELD_DEFAULT | WEIR_FIELD_ANNOTATION;
	uint32_t n = 0;
	bool any = false;

	for (uint32_t i = 0; i < schema->nfields; i++)
		any |= (schema->fields[i].flags & marked) != 0;
	for (uint32_t i = 0; i < schema->nfields; i++) {
		uint32_t flags = schema->fields[i].flags;

		if (flags & WEIR_FIELD_HIDDEN || (any && !(flags & marked)))
			continue;
		if (!weir_schema_shadowed(schema, i))
			to[n++] = i;
	}
	return n;
}

static int cell_init(struct render_cell *c, const struct weir_field *f, uint32_t field, bool json)
{
	size_t len = strlen(f->name);
	char *end;

	*c = (struct render_cell){
	        .kind = (uint8_t)f->kind,
	        .digits = f->digits > 9 ? 9 : f->digits,
	        .field = field,
	        .name = f->name,
	        .second_len = f->digits ? 2 : 1,
	        .second_text = "0.",
	};
	if (!json)
		return 0;
	c->key = malloc(6 * len + 3);
	if (!c->key)
		return -ENOMEM;
	end = render_json_str(c->key, (const uint8_t *)f->name, len);
	*end++ = ':';
	c->key_len = (uint32_t)(end - c->key);
	return 0;
}

static void find_packet(struct render *r)
{
	const struct weir_schema *s = r->schema;

	for (uint32_t i = 0; i < s->nfields; i++)
		if (s->fields[i].flags & WEIR_FIELD_PACKET && s->fields[i].kind == WEIR_BYTES)
			r->packet = (int)i;
	r->ts = weir_schema_find(s, "ts", 2);
	r->len = weir_schema_find(s, "len", 3);
	r->link = weir_schema_find(s, "linktype", 8);
	if (r->ts >= 0 && s->fields[r->ts].kind != WEIR_TIME)
		r->ts = -1;
	if (r->len >= 0 && s->fields[r->len].kind != WEIR_U64)
		r->len = -1;
	if (r->link >= 0 && s->fields[r->link].kind != WEIR_U64)
		r->link = -1;
}

int render_init(struct render *r, enum result_format format, const struct weir_schema *schema,
        const uint32_t *fields, uint32_t nfields)
{
	uint32_t *own = NULL;
	int ret = 0;

	*r = (struct render){.format = format, .schema = schema, .packet = -1};
	find_packet(r);
	if (format == FORMAT_PCAP)
		return r->packet < 0 ? -EINVAL : 0;
	if (!fields) {
		own = malloc((schema->nfields + 1) * sizeof *own);
		if (!own)
			return -ENOMEM;
		nfields = render_shown(schema, own);
		fields = own;
	}
	r->cells = calloc(nfields + 1, sizeof *r->cells);
	if (!r->cells)
		ret = -ENOMEM;
	r->fixed = 64;
	for (uint32_t i = 0; ret == 0 && i < nfields; i++) {
		struct render_cell *c = &r->cells[i];

		ret = cell_init(c, &schema->fields[fields[i]], fields[i], format == FORMAT_JSON);
		r->nfields = i + 1;
		r->fixed += WEIR_PRINT_MAX + 4 + CELL_WIDTH_MAX + c->key_len;
		r->nvars += cell_is_var(c);
	}
	free(own);
	if (ret == 0 && format == FORMAT_TXT)
		render_txt_preset(r);
	if (ret < 0)
		render_release(r);
	return ret;
}

void render_release(struct render *r)
{
	for (uint32_t i = 0; i < r->nfields; i++)
		free(r->cells[i].key);
	free(r->cells);
	r->cells = NULL;
	r->nfields = 0;
}

int render_prepare(struct render *r, struct weir_batch *b)
{
	for (uint32_t i = 0; i < r->nfields; i++) {
		const struct weir_col *c = weir_batch_col(b, r->cells[i].field);

		if (!c)
			return -ENOMEM;
		r->cells[i].data = c->data;
		r->cells[i].valid = c->valid;
	}
	return 0;
}

int render_fit(struct render *r, struct weir_batch *b)
{
	int ret;

	if (r->format != FORMAT_TXT)
		return 0;
	if (b) {
		ret = render_prepare(r, b);
		if (ret < 0)
			return ret;
	}
	render_txt_fit(r, b);
	return 0;
}

void render_header(struct render *r, struct text *to)
{
	switch (r->format) {
	case FORMAT_CSV:
		render_csv_header(r, to);
		break;
	case FORMAT_TSV:
		render_tsv_header(r, to);
		break;
	case FORMAT_TXT:
		render_txt_header(r, to);
		break;
	case FORMAT_JSON:
	case FORMAT_PCAP:
	case FORMATS:
		break;
	}
}

int render_batch(struct render *r, struct weir_batch *b, struct text *to)
{
	int ret = render_prepare(r, b);

	if (ret < 0 || to->failed)
		return -ENOMEM;
	switch (r->format) {
	case FORMAT_CSV:
		return render_csv_rows(r, b, to);
	case FORMAT_TSV:
		return render_tsv_rows(r, b, to);
	case FORMAT_TXT:
		return render_txt_rows(r, b, to);
	case FORMAT_JSON:
		return render_json_rows(r, b, to);
	case FORMAT_PCAP:
		return render_pcap_rows(r, b, to);
	case FORMATS:
		break;
	}
	return -EINVAL;
}

void render_end(struct render *r, struct text *to)
{
	if (r->format == FORMAT_PCAP && !r->started) {
		r->linktype = 1; /* LINKTYPE_ETHERNET */
		render_pcap_header(r, to);
	}
}
