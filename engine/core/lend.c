/* SPDX-License-Identifier: MIT */
/* lend.c: see lend.h. */
#include "engine/core/lend.h"

int lend(struct weir_batch *b, const struct weir_batch_ops *ops, void *priv, const uint64_t *needs,
        int (*emit)(void *arg, struct weir_batch *b), void *arg)
{
	int r;

	b->ops = ops;
	b->priv = priv;
	r = emit(arg, weir_batch_ref(b));
	for (uint32_t f = 0; f < b->schema->nfields && r >= 0; f++)
		if (__atomic_load_n(&b->refs, __ATOMIC_ACQUIRE) > 1 && bit_get(needs, f) &&
		        !weir_batch_col(b, f))
			r = -ENOMEM;
	b->ops = NULL;
	b->priv = NULL;
	weir_batch_unref(b);
	return r;
}

static int emit(void *arg, struct weir_batch *b)
{
	return weir_emit(arg, 0, b);
}

int lend_emit(
        struct weir_node *n, struct weir_batch *b, const struct weir_batch_ops *ops, void *priv)
{
	return lend(b, ops, priv, node_of(n)->plan->needs, emit, n);
}
