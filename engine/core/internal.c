/* SPDX-License-Identifier: MIT */
/* internal.c: the modules that the planner itself puts into graphs. No user can name them. */
#include "engine/core/coltab.h"
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

/* hold: keeps a stream to make a table of it, where a union unites it with one. The records are
 * copied: a batch may have columns far longer than its rows, as those have that an instance of a
 * split gets; and behind a batch itself what the branches leave would be in the order of the
 * records where by chance they are of one batch. */
static int hold_open(struct weir_node *n, struct weir_err *err)
{
	return coltab_open(n->state, n, NULL, 0);
}

static int hold_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	return coltab_add(n->state, b);
}

static int hold_flush(struct weir_node *n, enum weir_mark mark)
{
	const struct coltab *rows = n->state;

	return coltab_emit(rows, n, NULL, rows->n);
}

static void hold_close(struct weir_node *n)
{
	coltab_release(n->state);
}

const struct weir_module module_hold = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_BLOCKING,
        .name = "hold",
        .summary = "a stream kept to be united with a table",
        .state_size = sizeof(struct coltab),
        .open = hold_open,
        .process = hold_process,
        .flush = hold_flush,
        .close = hold_close,
};

/* stamp: gives records that were made in a scope's body what the scope says of all of them. */
struct stamp_config {
	uint32_t level; /* bodies to go out to reach that of the scope */
	uint32_t n;
	struct stamp_field {
		uint32_t out, stamp; /* output field; number among the scope's stamps */
	} * f;
};

static int stamp_bind(struct weir_bind *b, struct weir_err *err)
{
	const struct planner *pl = ((struct binding *)b)->pl;
	const struct plan_node *scope = pl->stamping->scope;
	struct stamp_config *c = b->config;

	c->f = weir_bind_alloc(b, scope->nstamps * sizeof *c->f);
	if (!c->f)
		return -ENOMEM;
	for (const struct plan_graph *g = pl->g; g != pl->stamping; g = g->outer)
		c->level++;
	pl->stamping->stamped = true;
	for (uint32_t i = 0; i < scope->nstamps; i++) {
		struct weir_field f = scope->out->fields[scope->stamps[i]];
		int r;

		if (weir_schema_find(b->in, f.name, strlen(f.name)) >= 0)
			continue;
		f.flags &= ~(uint32_t)(WEIR_FIELD_PACKET | WEIR_FIELD_HIDDEN);
		r = weir_bind_add(b, &f, err);
		if (r < 0)
			return r;
		c->f[c->n++] = (struct stamp_field){(uint32_t)r, i};
	}
	return 0;
}

static int stamp_fill(struct weir_batch *view, uint32_t field, const struct weir_value *v)
{
	struct weir_col *col = weir_batch_own(view, field);
	size_t size = col ? weir_kind_size(col->kind) : 0;
	struct weir_str text;

	if (!col || (v->kind == WEIR_NONE && !weir_batch_own_valid(view, col)))
		return -ENOMEM;
	if (v->kind == WEIR_NONE)
		return 0;
	for (uint32_t row = 0; row < view->n; row++)
		memcpy((char *)col->data + row * size, &v->d, size);
	if (weir_storage_of(v->kind) != WEIR_VAR)
		return 0;
	/* the batch may live longer than the body */
	text = v->d.s;
	if (batch_keep_text(view, &text) < 0)
		return -ENOMEM;
	for (uint32_t row = 0; row < view->n; row++)
		((struct weir_str *)col->data)[row].p = text.p;
	return 0;
}

static int stamp_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct stamp_config *c = n->config;
	const struct graph *g = node_of(n)->graph;
	struct weir_batch *view = weir_view(n, b);
	int r = view ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < c->level; i++)
		g = g->scope->graph;
	for (uint32_t i = 0; i < c->n && r == 0; i++)
		if (weir_node_needs(n, c->f[i].out))
			r = stamp_fill(view, c->f[i].out, &g->stamp[c->f[i].stamp]);
	if (r == 0)
		return weir_emit(n, 0, view);
	weir_batch_unref(view);
	return r;
}

static const struct weir_option no_options[] = {WEIR_OPTIONS_END};

const struct weir_module module_stamp = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL,
        .name = "stamp",
        .summary = "what a scope says of all records of a body",
        .options = no_options,
        .config_size = sizeof(struct stamp_config),
        .bind = stamp_bind,
        .process = stamp_process,
};
