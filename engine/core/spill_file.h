/* SPDX-License-Identifier: MIT */
/* spill_file.h: records of one schema in an unnamed file, written at its end, read from its start.
 *
 * Only the fields asked for are kept, a column at a time in blocks of up to WEIR_BATCH_ROWS
 * records. The file is made by O_TMPFILE in the folder of `set spill`, with the rights of the
 * query's writer: it has no name, and is gone when the query is. The bytes of all files of a run
 * are counted against the size given there.
 */
#ifndef SPILL_FILE_H
#define SPILL_FILE_H

#include "engine/core/node.h"

struct spill_file {
	struct node *node; /* whose records: named in errors */
	const struct weir_schema *schema;
	const uint32_t *fields; /* borrowed */
	uint32_t nfields;
	int fd;
	uint64_t size; /* bytes written to the file; behind them stands buf[0..len) */
	uint64_t rows;
	uint8_t *buf;
	size_t buf_size, len;
};

/* 0 and *ret, or -errno and the run's error. */
int spill_file_new(struct node *node, const struct weir_schema *schema, const uint32_t *fields,
        uint32_t nfields, struct spill_file **ret);
void spill_file_free(struct spill_file *f); /* NULL is fine */

/* Appends rows[0..n) of b, `mark` (0 or 1) with them, in blocks of at most `block` records. 0 or
 * -errno: then the query cannot go on. */
int spill_file_write(struct spill_file *f, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        uint32_t block, uint8_t mark);

/* What is in the file when the reader is opened. */
struct spill_reader {
	struct spill_file *file;
	uint32_t most;    /* records in a batch, not less than in any block */
	uint64_t at, end; /* bytes of the file: the next that buf has not, the end */
	uint8_t *buf;
	size_t buf_size, from, len; /* buf[from..len) is still to be taken */
};

int spill_reader_open(struct spill_reader *r, struct spill_file *f, uint32_t most);
void spill_reader_close(struct spill_reader *r);

/* The next records, all of one mark, as a batch of up to `most` rows. 1, 0 at the end, -errno. */
int spill_reader_next(struct spill_reader *r, struct weir_batch **ret, uint8_t *ret_mark);

/* Whether files can be made in the folder of the plan's `set spill`: 0 or -errno and *err. */
int spill_try(const struct plan *p, const struct rights *rights, struct weir_err *err);

#endif
