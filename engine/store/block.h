/* SPDX-License-Identifier: MIT */
/* block.h: rows at rest: the tail that grows, blocks that are packed, views to read both.
 *
 * New rows are copied into the *tail*, column by column at their full width. A full tail is packed
 * into a *block*: one allocation, immutable, numbers as differences from the least in 0, 1, 2, 4 or
 * 8 bytes (frame of reference, Goldstein et al., ICDE 1998), IPv4 in 4 bytes, texts end to end. A
 * packet's ts srcip dstip srcport dstport len take about 20 bytes instead of 72.
 *
 * Equal rows pack to equal bytes: blocks are compared by memcmp.
 *
 * A tail's rows below `rows` never change and do not move, so readers that hold a reference read
 * them while the writer appends behind. References, `rows` and what is marked so are protected by
 * the lock of the result that owns them.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "engine/store/result.h"
#include <weir/batch.h>

/* Which fields are kept. */
struct keep {
	const struct weir_schema *schema;
	uint32_t n;
	uint32_t *field;   /* kept column -> field */
	int32_t *col;      /* field -> kept column, or -1 */
	uint32_t nvars;    /* kept columns of texts or bytes */
	uint32_t row_size; /* bytes that a row is reckoned with, without its texts */
};

int keep_init(
        struct keep *k, const struct weir_schema *schema, const uint32_t *shown, uint32_t nshown);
void keep_release(struct keep *k);

enum packing {
	PACK_NONE,  /* no row has a value */
	PACK_DELTA, /* words: base + width bytes */
	PACK_IP4,   /* hosts, 4 bytes */
	PACK_IP6,   /* hosts, 16 bytes */
	PACK_MIXED, /* IPv4 hosts in 4 bytes, and a list of the others */
	PACK_IP,    /* struct weir_ip */
	PACK_VAR,   /* rows + 1 offsets of 32 bits, then the bytes */
};

struct block_col {
	uint8_t packing, width, partial; /* partial: a bitmap of the rows that have a value */
	uint64_t base;
	uint64_t data, valid; /* offsets in the block */
};

struct block {
	uint32_t refs; /* under the lock */
	uint32_t rows;
	uint64_t first;       /* number of its first row */
	uint64_t size;        /* of the allocation */
	uint64_t at;          /* logs: typed bytes before it, ever; under the lock */
	int64_t pos[FORMATS]; /* logs: where its text starts; under the lock */
	struct block_col col[];
};

/* Packs `rows` rows (at most WEIR_BATCH_ROWS) of dense columns, one for each kept field. NULL: out
 * of memory. refs is 1. */
struct block *block_pack(
        const struct keep *k, const struct weir_col *cols, uint32_t rows, struct weir_mem *mem);
bool block_equal(const struct keep *k, const struct block *a, const struct block *b);
void block_free(struct block *b, struct weir_mem *mem);

/* Rows [from, from + n) of a PACK_MIXED column; n > 0. */
void block_mixed(struct weir_ip *to, const char *data, uint32_t rows, uint32_t from, uint32_t n);

struct tail_piece;

struct tail_col {
	void *data;
	uint8_t *has; /* a byte each: a bit could not be set without touching a reader's */
};

struct tail {
	uint32_t refs;       /* under the lock */
	uint32_t rows;       /* to be read; written by the writer under the lock */
	uint64_t rows_bytes; /* reckoned typed size of `rows`; under the lock */
	uint32_t filled;     /* writer's: rows appended, not yet shown */
	uint32_t cap;
	uint64_t first; /* number of its first row */
	uint64_t bytes; /* reckoned typed size of the filled rows; writer's */
	uint64_t size, pieces_size;
	struct tail_piece *pieces; /* bytes of texts; they never move */
	struct tail_col col[];
};

struct tail *tail_new(const struct keep *k, uint32_t cap, struct weir_mem *mem);
void tail_free(struct tail *t, struct weir_mem *mem);
/* Empties a tail that nobody else holds. */
void tail_reset(struct tail *t, struct weir_mem *mem);

/* Appends selected rows k, k + 1, … of the batch until `rows` are in the tail or its bytes pass
 * `bytes` (one row at least goes into an empty one). Their number, 0: it is full, or -ENOMEM. */
int tail_append(struct tail *t, const struct keep *keep, struct weir_batch *b, uint32_t k,
        uint32_t rows, uint64_t bytes, struct weir_mem *mem);
/* The filled rows as a block; NULL: out of memory. */
struct block *tail_pack(struct tail *t, const struct keep *k, struct weir_mem *mem);

/* A whole batch as a block, without the way over a tail; NULL where that cannot be done. */
struct block *batch_pack(
        const struct keep *k, struct weir_batch *b, uint64_t limit, struct weir_mem *mem);

/* Rows of a block or a tail as a batch with the kept fields of the schema (others must not be
 * asked for). It borrows from what it shows. */
struct view {
	struct weir_batch batch;
	const struct keep *keep;
	struct view_col {
		void *data;
		uint64_t *valid;
	} * own; /* room for WEIR_BATCH_ROWS values of each kept column */
};

int view_init(struct view *v, const struct keep *k);
void view_release(struct view *v);
/* Rows [from, to). `field` -1: all kept fields, else that one alone. 0 or -ENOMEM. */
int view_block(struct view *v, const struct block *b, uint32_t from, uint32_t to, int field);
int view_tail(struct view *v, const struct tail *t, uint32_t from, uint32_t to, int field);

#endif
