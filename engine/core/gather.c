/* SPDX-License-Identifier: MIT */
/* gather.c: a column at a time; text is copied too, so that nothing of the batches is held. */
#include "engine/core/gather.h"

struct weir_batch *gather_new(struct weir_node *n, uint32_t rows)
{
	struct weir_batch *b = weir_build(n, rows);

	for (uint32_t f = 0; b && f < n->out->nfields; f++) {
		struct weir_col *c;

		if (!weir_node_needs(n, f))
			continue;
		c = weir_batch_own(b, f);
		if (!c || !weir_batch_own_valid(b, c)) {
			weir_batch_unref(b);
			return NULL;
		}
	}
	return b;
}

static int copy_text(struct weir_batch *to, struct weir_str *d, const struct weir_str *s)
{
	uint8_t *p = weir_batch_alloc(to, s->len);

	if (!p)
		return -ENOMEM;
	if (s->len)
		memcpy(p, s->p, s->len);
	*d = (struct weir_str){p, s->len};
	return 0;
}

static int gather_field(
        struct weir_batch *to, uint32_t field, uint32_t at, const struct pick *pick, uint32_t k)
{
	enum weir_kind kind = to->schema->fields[field].kind;
	size_t size = weir_kind_size(kind);
	struct weir_col *d = &to->cols[field];

	for (uint32_t i = 0; i < k; i++) {
		int32_t in = pick[i].map ? pick[i].map[field] : (int32_t)field;
		const struct weir_col *c;
		const char *from;

		if (in < 0)
			continue;
		c = weir_batch_col(pick[i].batch, (uint32_t)in);
		if (!c)
			return -ENOMEM;
		if (!weir_col_has(c, pick[i].row))
			continue;
		weir_valid_set(d->valid, at + i);
		from = (const char *)c->data + pick[i].row * size;
		if (weir_storage_of(kind) != WEIR_VAR)
			memcpy((char *)d->data + (at + i) * size, from, size);
		else if (copy_text(to, (struct weir_str *)d->data + at + i,
		                 (const struct weir_str *)from) < 0)
			return -ENOMEM;
	}
	return 0;
}

int gather(struct weir_node *n, struct weir_batch *to, uint32_t at, const struct pick *pick,
        uint32_t k)
{
	int r = 0;

	for (uint32_t f = 0; f < n->out->nfields && r == 0; f++)
		if (weir_node_needs(n, f))
			r = gather_field(to, f, at, pick, k);
	return r;
}
