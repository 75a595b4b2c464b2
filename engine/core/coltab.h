/* SPDX-License-Identifier: MIT */
/* coltab.h: a growing table of records by row id 0, 1, 2 …: appended, overwritten, gathered.
 *
 * It keeps only the fields asked for (what weir_node_needs() says), packed record by record, so
 * that writing or gathering rows in any order costs one cache miss each. Input is columns, output
 * is columns. Text is copied into the query's memory.
 */
#ifndef COLTAB_H
#define COLTAB_H

#include "engine/core/row.h"

struct coltab {
	struct weir_mem *mem;
	struct row_layout layout; /* layout.f[i] is the i-th field kept */
	struct heap heap;
	uint8_t *rec;
	size_t size;  /* of rec, bytes */
	uint32_t n;   /* rows */
	int32_t *out; /* coltab_open(): output field of the i-th, else NULL */
};

/* Keeps these fields of schema `s`. After a failure too, coltab_release(). */
int coltab_init(struct coltab *t, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n);

/* For a module: keeps the input fields that the node's needed output fields repeat, and `extra`
 * (nextra may be 0). */
int coltab_open(struct coltab *t, struct weir_node *n, const uint32_t *extra, uint32_t nextra);
void coltab_release(struct coltab *t);

/* Drops all rows, keeps the memory of the records. */
void coltab_clear(struct coltab *t);

/* Appends `n` rows of b. -ENOMEM: none is there. */
int coltab_append(struct coltab *t, struct weir_batch *b, const uint16_t *rows, uint32_t n);

/* Appends all selected rows of b. */
int coltab_add(struct coltab *t, struct weir_batch *b);

/* Overwrites row ids[k] with rows[k] of b, in order, so that of several the last stays. An id that
 * is not there yet makes the table as long (rows between have no values). */
int coltab_put(struct coltab *t, struct weir_batch *b, const uint16_t *rows, const uint32_t *ids,
        uint32_t n);

/* Keeps only rows ids[0..n), all different, as rows 0..n in this order. -ENOMEM: as before. */
int coltab_keep(struct coltab *t, const uint32_t *ids, uint32_t n);

/* Fills rows 0..n of column `out` of the built batch with field i of rows ids[0..n); at most
 * WEIR_BATCH_ROWS. */
int coltab_gather(const struct coltab *t, uint32_t i, const uint32_t *ids, uint32_t n,
        struct weir_batch *b, uint32_t out);

/* After coltab_open(): a new batch of the node with rows ids[0..n) (NULL: first … first + n - 1),
 * every kept column filled. NULL: out of memory. */
struct weir_batch *coltab_build(const struct coltab *t, struct weir_node *n, const uint32_t *ids,
        uint32_t first, uint32_t count);

/* Emits rows ids[0..n) (NULL: 0 … n - 1), a batch at a time. */
int coltab_emit(const struct coltab *t, struct weir_node *n, const uint32_t *ids, uint32_t count);

static inline uint8_t *coltab_record(const struct coltab *t, uint32_t id)
{
	return t->rec + (size_t)id * t->layout.size;
}

#endif
