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

#endif
