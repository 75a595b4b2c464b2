/* SPDX-License-Identifier: MIT */
/* gather.h: rows of several batches copied into one, in an order of the caller's choice. */
#ifndef GATHER_H
#define GATHER_H

#include <weir/module.h>

/* A row to be copied. map: output field -> the batch's field, -1: none; NULL: the same. */
struct pick {
	struct weir_batch *batch;
	const int32_t *map;
	uint32_t row;
};

/* A built batch for up to `rows` rows, with room in the columns that anybody reads. NULL: out of
 * memory. */
struct weir_batch *gather_new(struct weir_node *n, uint32_t rows);

/* Copies pick[0..k) to the rows from `at` on. 0 or -ENOMEM. */
int gather(struct weir_node *n, struct weir_batch *to, uint32_t at, const struct pick *pick,
        uint32_t k);

/* The same of one field, whose column is made, whoever reads it. */
int gather_field(
        struct weir_batch *to, uint32_t field, uint32_t at, const struct pick *pick, uint32_t k);

/* The batch whose rows b's rows are. */
static inline struct weir_batch *gather_root(struct weir_batch *b)
{
	while (b->parent)
		b = b->parent;
	return b;
}

/* Copied rows keep their place: the root's number, not 0, and the row that each was there. So the
 * order of records is known however often they are parted and united. */
uint64_t gather_origin(struct weir_batch *root);

/* Numbers what a node emits one after another, *last 0 at first, so that the order of its batches
 * is known, too: gather_of_one(). Nothing is done for views and for what has a number. */
void gather_number(struct weir_batch *b, uint64_t *last);

static inline uint64_t gather_known(const struct weir_batch *root)
{
	return __atomic_load_n(&root->origin, __ATOMIC_RELAXED);
}

/* Whether a and b were numbered by one node: the lower number was first. */
static inline bool gather_of_one(const struct weir_batch *a, const struct weir_batch *b)
{
	uint64_t one = gather_known(a);

	return one && one >> 32 == gather_known(b) >> 32;
}

/* For a batch whose rows are all of one origin; place: by row, in the batch's own memory. */
static inline void gather_placed(struct weir_batch *b, uint64_t origin, const uint16_t *place)
{
	b->origin = origin;
	b->place = place;
}

static inline bool gather_same_origin(const struct weir_batch *a, const struct weir_batch *b)
{
	return a == b || (gather_known(a) && gather_known(a) == gather_known(b));
}

/* Emits copies of all rows of batch[0..nbatches), which have one origin, in the order of their
 * places. */
int gather_in_order(
        struct weir_node *n, struct weir_batch *const *batch, size_t nbatches, uint64_t origin);

static inline uint32_t gather_place(const struct weir_batch *root, uint32_t row)
{
	return root->place ? root->place[row] : row;
}

#endif
