/* SPDX-License-Identifier: MIT */
/* spill_block.h: up to WEIR_BATCH_ROWS records as bytes, a column at a time.
 *
 * A block is its head, the places of its records, where they have some (see spill.h), and for each
 * field a code, a bitmap of the records that have it, where not all do, and the values: numbers as
 * what they are above the least one, in as few of 0, 1, 2, 4 and 8 bytes as do; addresses in four
 * bytes where all are IPv4 hosts; the lengths of texts, and then the texts. A connection's five
 * fields take some 16 bytes, of 72 in memory.
 *
 * Blocks are read by the process that wrote them: they have no order of bytes or version to tell.
 */
#ifndef SPILL_BLOCK_H
#define SPILL_BLOCK_H

#include <weir/batch.h>

struct spill_head {
	uint32_t bytes; /* of the block, this included */
	uint16_t rows;
	bool placed;
};

/* A column of a block in memory. */
struct spill_column {
	const uint8_t *bits; /* rows that have a value; NULL: all */
	const uint8_t *six;  /* addresses: rows that are IPv6; NULL: none, or width tells */
	const uint8_t *data;
	const uint8_t *text; /* or IPv6 addresses, by number */
	uint64_t base;       /* numbers: to be added */
	uint8_t width;       /* bytes of each in data */
};

/* What the blocks of a file hold. */
struct spill_layout {
	const struct weir_schema *schema;
	const uint32_t *fields; /* borrowed */
	uint32_t nfields;
};

/* Bytes that rows[0..*n) may take; of fewer, in *n, at least one, where texts are long. All columns
 * are filled. */
size_t spill_block_room(const struct spill_layout *l, const struct weir_batch *b,
        const uint16_t *rows, uint32_t *n);

/* Writes them; place[k]: of rows[k]; NULL: they have none. The end of the block. */
uint8_t *spill_block_put(const struct spill_layout *l, const struct weir_batch *b,
        const uint16_t *rows, const uint64_t *place, uint32_t n, uint8_t *to);

/* Finds the columns of a block, to[0..nfields) (which refer to it), and copies the places. */
void spill_block_parse(const struct spill_layout *l, const uint8_t *from, uint32_t rows,
        struct spill_column *to, uint64_t *place);

/* Copies its rows to rows at … of a batch, whose columns are made, bitmaps too. 0 or -ENOMEM. */
int spill_block_get(const struct spill_layout *l, const struct spill_column *from, uint32_t rows,
        struct weir_batch *b, uint32_t at);

/* Makes the columns of a batch, bitmaps too. 0 or -ENOMEM. */
int spill_batch_own(const struct spill_layout *l, struct weir_batch *b);

/* Where no row of b[0..n) lacks a value, its columns' bitmaps go, and so on. */
void spill_batch_tidy(const struct spill_layout *l, struct weir_batch *b, uint32_t n);

static inline bool spill_has(const struct spill_column *c, uint32_t k)
{
	return !c->bits || (c->bits[k / 8] >> k % 8 & 1);
}

static inline uint64_t spill_number(const struct spill_column *c, uint32_t k)
{
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	switch (c->width) {
	case 0:
		return c->base;
	case 1:
		return c->base + c->data[k];
	case 2:
		memcpy(&two, c->data + 2 * (size_t)k, 2);
		return c->base + two;
	case 4:
		memcpy(&four, c->data + 4 * (size_t)k, 4);
		return c->base + four;
	}
	memcpy(&eight, c->data + 8 * (size_t)k, 8);
	return c->base + eight;
}

static inline void spill_address(const struct spill_column *c, uint32_t k, struct weir_ip *to)
{
	uint32_t num;

	if (c->width != 4) {
		memcpy(to, c->data + sizeof *to * k, sizeof *to);
	} else if (!c->six || !(c->six[k / 8] >> k % 8 & 1)) {
		*to = (struct weir_ip){.family = 4, .prefix = 32};
		memcpy(to->b, c->data + 4 * (size_t)k, 4);
	} else {
		*to = (struct weir_ip){.family = 6, .prefix = 128};
		memcpy(&num, c->data + 4 * (size_t)k, 4);
		memcpy(to->b, c->text + 16 * (size_t)num, 16);
	}
}

#endif
