/* SPDX-License-Identifier: MIT */
/* gather.c: a column at a time; text is copied too, so that nothing of the batches is held. */
#include "engine/core/gather.h"

#include "engine/core/node.h"

/* Each field f of the node's output that anybody reads; of a batch of one row this is half the
 * work. */
#define EACH_NEEDED(n, f)                                                                          \
	for (uint32_t word_ = 0, f; word_ <= (n)->out->nfields / 64; word_++)                      \
		for (uint64_t left_ = node_of(n)->plan->needs[word_];                              \
		        left_ && (f = word_ * 64 + (uint32_t)__builtin_ctzll(left_), true);        \
		        left_ &= left_ - 1)

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
