/* SPDX-License-Identifier: MIT */
/* internal.c: the modules that the planner itself puts into graphs. No user can name them. */
#include "engine/core/node.h"
#include "engine/core/planner.h"
#include "engine/core/union.h"

int hold_keep(struct weir_node *n, struct hold *h, struct weir_batch *b)
{
	if (h->n == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 64;
		void *p = weir_realloc(
		        n->mem, h->batch, h->cap * sizeof *h->batch, cap * sizeof *h->batch);

		if (!p)
			return -ENOMEM;
		h->batch = p;
		h->cap = cap;
	}
	h->batch[h->n++] = weir_batch_ref(b);
	return 0;
}

int hold_emit(struct weir_node *n, const struct hold *h)
{
	int r = 0;

	for (size_t i = 0; i < h->n && r >= 0; i++)
		r = weir_emit(n, 0, weir_batch_ref(h->batch[i]));
	return r;
}

void hold_drop(struct weir_node *n, struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		weir_batch_unref(h->batch[i]);
	weir_free(n->mem, h->batch, h->cap * sizeof *h->batch);
	*h = (struct hold){0};
}

/* derive: columns for conversions and named expressions in field arguments. */
static int derive_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct derive_config *c = n->config;
	struct weir_batch *v = weir_view(n, b);

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n; i++)
		if (weir_node_needs(n, c->first + i)) {
			struct weir_col col;
			/* over the view, so that the scratch lives as long as the columns */
			int r = weir_expr_eval(c->expr[i], v, &col);

			if (r < 0) {
				weir_batch_unref(v);
				return r;
			}
			v->cols[c->first + i] = col;
		}
	return weir_emit(n, 0, v);
}

const struct weir_module module_derive = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "derive",
        .summary = "columns for conversions",
        .process = derive_process,
};

/* hold: keeps a stream to make a table of it, where a union unites it with one. */
static int hold_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	for (uint32_t f = 0; f < n->out->nfields; f++)
		if (weir_node_needs(n, f) && !weir_batch_col(b, f))
			return -ENOMEM;
	return hold_keep(n, n->state, b);
}

static int hold_flush(struct weir_node *n, enum weir_mark mark)
{
	return hold_emit(n, n->state);
}

static void hold_close(struct weir_node *n)
{
	hold_drop(n, n->state);
}

const struct weir_module module_hold = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_BLOCKING,
        .name = "hold",
        .summary = "a stream kept to be united with a table",
        .state_size = sizeof(struct hold),
        .process = hold_process,
        .flush = hold_flush,
        .close = hold_close,
};

/* stamp: gives records that were made in a scope's body the scope's annotation, which is the same
 * for all of them. */
struct stamp_config {
	uint32_t field;
};

static int stamp_bind(struct weir_bind *b, struct weir_err *err)
{
	const struct plan_node *scope = ((struct binding *)b)->pl->scope;
	struct stamp_config *c = b->config;
	int r = weir_bind_add(b, &scope->out->fields[scope->out->nfields - 1], err);

	c->field = (uint32_t)r;
	return r < 0 ? r : 0;
}

static int stamp_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct stamp_config *c = n->config;
	const struct weir_value *v = &node_of(n)->graph->stamp;
	struct weir_batch *view = weir_view(n, b);
	struct weir_col *col = view ? weir_batch_own(view, c->field) : NULL;

	if (!col || (v->kind == WEIR_NONE && !weir_batch_own_valid(view, col))) {
		weir_batch_unref(view);
		return -ENOMEM;
	}
	for (uint32_t row = 0; v->kind != WEIR_NONE && row < view->n; row++)
		((uint64_t *)col->data)[row] = v->d.u;
	return weir_emit(n, 0, view);
}

static const struct weir_option no_options[] = {WEIR_OPTIONS_END};

const struct weir_module module_stamp = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL,
        .name = "stamp",
        .summary = "the annotation of a scope",
        .options = no_options,
        .config_size = sizeof(struct stamp_config),
        .bind = stamp_bind,
        .process = stamp_process,
};
