/* SPDX-License-Identifier: MIT */
/* row.h: some fields of a record as a few packed bytes, for tables that keep records.
 *
 * A layout gives each field a fixed place: a number takes the bytes that its `bits` need, an IPv4
 * address lies in its place, text and IPv6 addresses lie in a heap and their place points there. A
 * field that can be missing (and every address) has a state byte behind. Packing and unpacking go
 * column by column over many records.
 *
 * Invariant: a record is all zero before it is first stored to; then every pointer in it is a
 * cell of the heap or NULL, whatever the state.
 */
#ifndef ROW_H
#define ROW_H

#include "engine/core/heap.h"

enum row_form { ROW_1, ROW_2, ROW_4, ROW_8, ROW_IP, ROW_TEXT };

enum { ROW_ABSENT, ROW_THERE, ROW_V6 };

struct row_field {
	uint32_t field; /* of the records stored */
	enum weir_kind kind;
	uint8_t form;  /* enum row_form */
	uint16_t at;   /* byte in the record */
	int32_t state; /* byte in the record, -1: always there */
};

struct row_layout {
	struct weir_mem *mem;
	uint32_t n;
	struct row_field *f;
	uint32_t size; /* of a record, a multiple of `align` */
};

/* The fields of schema `s`, in the order given, `base` bytes (a multiple of 8) being kept free at
 * the beginning of the record. `align`: 1, 2, 4 or 8. 0 or -ENOMEM. */
int row_layout_init(struct row_layout *l, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n, uint32_t base, uint32_t align);
void row_layout_release(struct row_layout *l);

/* Stores n rows of b to the records at to[0..n), in order. -ENOMEM: some are stored in part. */
int row_store(const struct row_layout *l, struct heap *h, struct weir_batch *b,
        const uint16_t *rows, uint32_t n, uint8_t *const *to);

/* Fills rows 0..n of the built batch's own column `out` with field i of the layout. Text is
 * copied into the batch. */
int row_load(const struct row_layout *l, uint32_t i, uint8_t *const *from, uint32_t n,
        struct weir_batch *b, uint32_t out);

static inline bool row_has(const struct row_field *f, const uint8_t *rec)
{
	return f->state < 0 || rec[f->state] != ROW_ABSENT;
}

/* The value of a number field. */
static inline uint64_t row_word(const struct row_field *f, const uint8_t *rec)
{
	static const uint8_t bytes[] = {1, 2, 4, 8, 8, 8};
	uint64_t v = 0;

	memcpy(&v, rec + f->at, bytes[f->form]);
	return v;
}

/* The value of an address field that is there. */
static inline struct weir_ip row_ip(const struct row_field *f, const uint8_t *rec)
{
	struct weir_ip ip = {.family = 4, .prefix = 32};
	struct heap_cell *c;

	if (rec[f->state] == ROW_V6) {
		memcpy(&c, rec + f->at, sizeof c);
		memcpy(&ip, c->bytes, sizeof ip);
	} else {
		memcpy(ip.b, rec + f->at, 4);
	}
	return ip;
}

/* The cell of a text field that is there. */
static inline struct heap_cell *row_text(const struct row_field *f, const uint8_t *rec)
{
	struct heap_cell *c;

	memcpy(&c, rec + f->at, sizeof c);
	return c;
}

/* Gives what a record points to back to the heap and clears it. */
void row_clear(const struct row_layout *l, struct heap *h, uint8_t *rec);

#endif
