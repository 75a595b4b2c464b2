/* SPDX-License-Identifier: MIT */
/* served.c: see served.h. */
#include "engine/core/served.h"

/* In the batch's memory. */
struct own {
	struct compact_rows rows; /* first */
	struct served s;
};

static void release(struct weir_batch *b)
{
	struct own *own = b->priv;

	if (own)
		own->s.let_go(own->s.holder);
}

static const uint32_t *numbers(struct weir_batch *b, const struct weir_pack_field *f, uint32_t n,
        uint32_t *ret_most, const void **ret_of)
{
	const struct own *own = b->priv;

	if (!own->s.form->flow || !compact_is_flow(f, n))
		return NULL;
	*ret_most = own->s.flows;
	*ret_of = own->s.of;
	return own->s.form->flow;
}

static const struct weir_batch_ops ops = {
        .fill = compact_fill, .pack = compact_pack, .numbers = numbers, .release = release};

struct weir_batch *served_batch(struct weir_reader *pub, const struct served *s)
{
	struct weir_batch *b = weir_source_batch(pub);
	struct own *own = b ? weir_batch_alloc(b, sizeof *own) : NULL;

	if (!own) {
		weir_batch_unref(b);
		s->let_go(s->holder);
		return NULL;
	}
	*own = (struct own){.rows.c = s->form, .s = *s};
	b->ops = &ops;
	b->priv = own;
	b->n = b->nsel = (uint16_t)s->form->n;
	return b;
}
