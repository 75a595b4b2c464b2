/* SPDX-License-Identifier: MIT */
/* counts.c: the choice between the two sketches. */
#include "engine/sketch/counts.h"

#include "engine/core/libm.h"
#include "engine/sketch/notes.h"

static int conflict(
        const struct weir_bind *b, const char *option, const char *with, struct weir_err *err)
{
	return weir_fail(err, WEIR_E_OPTION_CONFLICT, b->pos, b->len, option, with);
}

int counts_bind(struct counts_config *c, struct weir_bind *b, uint32_t nfields, bool bytes,
        struct weir_err *err)
{
	if (c->precision && !c->distinct)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, b->pos, b->len, b->module->name,
		        "--distinct for -p");
	if (!counts_wanted(c))
		return notes_seed(b, c->seed, "-m or --distinct for --seed", err);
	if (c->memory && c->distinct)
		return conflict(b, "-m", "--distinct", err);
	if (bytes && c->distinct)
		return conflict(b, "-b", "--distinct", err);
	if (!nfields)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, b->pos, b->len, b->module->name,
		        c->memory ? "fields for -m" : "fields for --distinct");
	if (!c->precision)
		c->precision = COUNTS_PRECISION;
	weir_bind_flags(b, WEIR_SERIAL); /* one sketch for all keys */
	return 0;
}

int counts_open(struct counts *s, const struct counts_config *c, struct weir_node *n,
        struct weir_fields fields)
{
	int r = sketch_keys_init(&s->keys, n->mem, n->in, fields, c->seed);

	heap_init(&s->heap, n->mem);
	return r < 0 || c->distinct ? r : countmin_init(&s->countmin, n->mem, c->memory);
}

void counts_release(struct counts *s)
{
	sketch_keys_release(&s->keys);
	countmin_release(&s->countmin);
	heap_release(&s->heap);
}

static int add_distinct(struct counts *s, const struct counts_config *c, const uint64_t *hash,
        uint32_t n, uint64_t *ret, uint64_t *error)
{
	unsigned p = (unsigned)c->precision;
	union weir_datum e;

	for (uint32_t k = 0; k < n; k++) {
		int r = hll_add(&s->hll, &s->heap, p, hash[k]);

		if (r < 0)
			return r;
		if (r)
			s->distinct = (uint64_t)libm_round(hll_estimate(s->hll, p));
		ret[k] = s->distinct;
		if (error) {
			e.f = hll_error(s->hll, p);
			error[k] = e.u;
		}
	}
	return 0;
}

int counts_rows(struct counts *s, const struct counts_config *c, struct weir_batch *b,
        const struct weir_col *by, uint16_t *rows, uint64_t *ret, uint64_t *error)
{
	uint64_t hash[WEIR_BATCH_ROWS], add[WEIR_BATCH_ROWS];
	int n = sketch_keys_hash(&s->keys, b, rows, hash);

	if (n <= 0)
		return n;
	if (c->distinct)
		return add_distinct(s, c, hash, (uint32_t)n, ret, error) < 0 ? -ENOMEM : n;
	for (int k = 0; by && k < n; k++)
		add[k] = weir_col_has(by, rows[k]) ? weir_col_u64(by)[rows[k]] : 0;
	countmin_add(&s->countmin, hash, by ? add : NULL, (uint32_t)n, ret, error);
	return n;
}

uint64_t counts_memory(const struct counts *s)
{
	return s->countmin.size + (s->hll ? s->hll->len : 0);
}
