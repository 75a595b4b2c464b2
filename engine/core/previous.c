/* SPDX-License-Identifier: MIT */
/* previous.c: see previous.h. */
#include "engine/core/previous.h"

const char *const previous_counters[] = {"missing", NULL};

int previous_number(struct weir_bind *b, struct weir_err *err)
{
	struct previous_config *c = b->config;
	const struct weir_field *f = &b->in->fields[c->field];

	c->kind = f->kind;
	if (weir_kind_is_number(f->kind) || f->kind == WEIR_TIME || f->kind == WEIR_DURATION)
		return 0;
	weir_bind_blame(b, &c->field, 0);
	return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, b->module->name, "a number",
	        f->name, weir_kind_article(f->kind));
}

int previous_bind(struct weir_bind *b, enum weir_kind kind, const char *unit, bool clock,
        struct weir_err *err)
{
	struct previous_config *c = b->config;
	struct weir_field f = {.name = c->name, .kind = kind, .unit = unit};
	int r;

	if (clock) {
		r = record_time_check(b, &c->time, b->module->name, err);
		if (r < 0)
			return r;
	} else {
		c->time = UINT32_MAX;
	}
	if (kind == WEIR_DURATION)
		f.digits = b->in->fields[c->field == UINT32_MAX ? c->time : c->field].digits;
	r = weir_bind_pass(b, err);
	if (r < 0 || (r = weir_bind_add(b, &f, err)) < 0)
		return r;
	c->out = (uint32_t)r;
	return 0;
}

int previous_open(struct weir_node *n, struct weir_err *err)
{
	const struct previous_config *c = n->config;
	struct previous_state *s = n->state;

	return keymap_init(&s->map, n->mem, c->by, sizeof(struct previous));
}

void previous_close(struct weir_node *n)
{
	struct previous_state *s = n->state;

	keymap_release(&s->map);
}

/* Keeps the rows in which c has a value. */
static void require(struct weir_node *n, struct previous_rows *r, const struct weir_col *c)
{
	uint32_t m = 0;

	if (!c->valid)
		return;
	for (uint32_t i = 0; i < r->n; i++) {
		bool there = weir_col_has(c, r->row[i]);

		r->row[m] = r->row[i];
		m += there;
		n->counters[0] += !there;
	}
	r->n = m;
}

int previous_begin(struct weir_node *n, struct weir_batch *b, struct previous_rows *r)
{
	const struct previous_config *c = n->config;
	struct previous_state *s = n->state;
	struct weir_batch *v = weir_view(n, b);
	uint32_t k = weir_batch_count(b), m = 0;

	r->view = NULL;
	if (!v)
		return -ENOMEM;
	r->n = k;
	r->row = weir_batch_sel(v, k);
	r->entry = weir_batch_alloc(v, (k + 1) * sizeof *r->entry);
	r->value = c->field == UINT32_MAX ? NULL : weir_batch_col(b, c->field);
	r->time = c->time == UINT32_MAX ? NULL : weir_batch_col(b, c->time);
	if (!r->row || !r->entry || (c->field != UINT32_MAX && !r->value) ||
	        (c->time != UINT32_MAX && !r->time))
		goto failed;
	for (uint32_t i = 0; i < k; i++)
		r->row[i] = (uint16_t)weir_batch_row(b, i);
	if (r->value)
		require(n, r, r->value);
	if (r->time)
		require(n, r, r->time);
	if (keymap_rows(&s->map, b, r->row, r->n, r->entry, &n->counters[0]) < 0)
		goto failed;
	for (uint32_t i = 0; i < r->n; i++) {
		r->row[m] = r->row[i];
		r->entry[m] = r->entry[i];
		m += r->entry[i] != NULL;
	}
	r->n = m;
	weir_batch_select(v, r->row, m);
	r->out = weir_batch_own(v, c->out);
	r->valid = r->out ? weir_batch_own_valid(v, r->out) : NULL;
	if (!r->valid)
		goto failed;
	if (m == 0)
		weir_batch_unref(v);
	else
		r->view = v;
	return 0;
failed:
	weir_batch_unref(v);
	return -ENOMEM;
}
