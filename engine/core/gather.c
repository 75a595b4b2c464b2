/* SPDX-License-Identifier: MIT */
/* gather.c: a column at a time; text is copied too, so that nothing of the batches is held. */
#include "engine/core/gather.h"

#include <string.h>

#include "engine/core/node.h"

/* Each field f of the node's output that anybody reads; of a batch of one row this is half the
 * work. */
#define EACH_NEEDED(n, f)                                                                          \
	for (uint32_t word_ = 0, f; word_ <= (n)->out->nfields / 64; word_++)                      \
		for (uint64_t left_ = node_of(n)->plan->needs[word_];                              \
		        left_ && (f = word_ * 64 + (uint32_t)__builtin_ctzll(left_), true);        \
		        left_ &= left_ - 1)

/* In its upper half who numbers, in the lower one which. */
static uint64_t first_number(void)
{
	static uint64_t last; /* atomic */

	return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) << 32;
}

void gather_number(struct weir_batch *b, uint64_t *last)
{
	if (b->parent || b->origin)
		return;
	if (!*last)
		*last = first_number();
	b->origin = ++*last;
}

uint64_t gather_origin(struct weir_batch *root)
{
	uint64_t origin = gather_known(root), fresh;

	if (origin)
		return origin;
	fresh = first_number();
	/* several threads may have views of it */
	if (__atomic_compare_exchange_n(
	            &root->origin, &origin, fresh, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return fresh;
	return origin;
}

struct weir_batch *gather_new(struct weir_node *n, uint32_t rows)
{
	struct weir_batch *b = weir_build(n, rows);

	if (!b)
		return NULL;
	EACH_NEEDED(n, f)
	{
		struct weir_col *c = weir_batch_own(b, f);

		if (!c || !weir_batch_own_valid(b, c)) {
			weir_batch_unref(b);
			return NULL;
		}
	}
	return b;
}

int gather_field(
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
		memcpy((char *)d->data + (at + i) * size, from, size);
		if (weir_storage_of(kind) == WEIR_VAR &&
		        batch_keep_text(to, (struct weir_str *)d->data + at + i) < 0)
			return -ENOMEM;
	}
	return 0;
}

int gather(struct weir_node *n, struct weir_batch *to, uint32_t at, const struct pick *pick,
        uint32_t k)
{
	EACH_NEEDED(n, f)
	{
		int r = gather_field(to, f, at, pick, k);

		if (r < 0)
			return r;
	}
	return 0;
}

/* All rows by their place, those of one place as they came. */
static void sort(struct weir_batch *const *batch, size_t n, struct pick *to, uint16_t *place)
{
	uint32_t at[WEIR_BATCH_ROWS + 1] = {0};

	for (int put = 0; put < 2; put++) {
		for (size_t i = 0; i < n; i++) {
			struct weir_batch *b = batch[i], *root = gather_root(b);

			for (uint32_t k = 0; k < weir_batch_count(b); k++) {
				uint32_t row = weir_batch_row(b, k), p = gather_place(root, row);

				if (put) {
					place[at[p]] = (uint16_t)p;
					to[at[p]++] = (struct pick){b, NULL, row};
				} else {
					at[p + 1]++;
				}
			}
		}
		for (uint32_t p = 0; p < WEIR_BATCH_ROWS && !put; p++)
			at[p + 1] += at[p];
	}
}

static int emit_part(struct weir_node *n, const struct pick *pick, const uint16_t *place,
        uint32_t rows, uint64_t origin)
{
	struct weir_batch *b = gather_new(n, rows);
	uint16_t *own = b ? weir_batch_alloc(b, rows * sizeof *own) : NULL;
	int r = own ? gather(n, b, 0, pick, rows) : -ENOMEM;

	if (r < 0) {
		weir_batch_unref(b);
		return r;
	}
	memcpy(own, place, rows * sizeof *own);
	gather_placed(b, origin, own);
	b->token = pick->batch->token;
	return weir_emit(n, 0, b);
}

int gather_in_order(
        struct weir_node *n, struct weir_batch *const *batch, size_t nbatches, uint64_t origin)
{
	struct pick *pick;
	uint16_t *place;
	size_t rows = 0;
	int r = -ENOMEM;

	for (size_t i = 0; i < nbatches; i++)
		rows += weir_batch_count(batch[i]);
	pick = weir_alloc(n->mem, rows * sizeof *pick);
	place = weir_alloc(n->mem, rows * sizeof *place);
	if (pick && place) {
		sort(batch, nbatches, pick, place);
		r = 0;
	}
	for (size_t at = 0, part; at < rows && r == 0; at += part) {
		part = rows - at < WEIR_BATCH_ROWS ? rows - at : WEIR_BATCH_ROWS;
		r = emit_part(n, pick + at, place + at, (uint32_t)part, origin);
	}
	weir_free(n->mem, pick, rows * sizeof *pick);
	weir_free(n->mem, place, rows * sizeof *place);
	return r;
}
