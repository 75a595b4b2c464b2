/* SPDX-License-Identifier: MIT */
/* spill_file.h: records of one schema on disk, written at the end, read from the start.
 *
 * Only the fields asked for are kept, in blocks (spill_block.h). Files are
 * made by O_TMPFILE in the folder of `set spill`, with the rights of the query's writer: they have
 * no names, can get none, and are gone when the query is (spill_disk.h). The bytes of all of a run
 * are counted against the size given there.
 */
#ifndef SPILL_FILE_H
#define SPILL_FILE_H

#include "engine/core/node.h"
#include "engine/core/spill_block.h"
#include "engine/core/spill_disk.h"

struct spill_file {
	struct node *node; /* whose records: named in errors */
	struct spill_layout layout;
	struct spill_stream stream;
	uint64_t size; /* bytes written to the stream; behind them stands buf[0..len) */
	uint8_t *buf;
	size_t buf_size, len, write; /* write: bytes that are written at once */
};

/* beside: another one, with which it shares a file of the disk; NULL: none. 0 and *ret, or -errno
 * and the run's error. */
int spill_file_new(struct node *node, const struct spill_layout *layout, size_t write,
        const struct spill_file *beside, struct spill_file **ret);
void spill_file_free(struct spill_file *f); /* NULL is fine */

/* Appends rows[0..n) of b, place[k] with rows[k] (NULL: none), in blocks of at most `block`
 * records. 0 or -errno: then the query cannot go on. */
int spill_file_write(struct spill_file *f, struct weir_batch *b, const uint16_t *rows,
        const uint64_t *place, uint32_t n, uint32_t block);

/* Hands on a batch that was built, of which the first `n` rows are there: appends them, as above,
 * or emits them, where there is no file. Consumes it; NULL: nothing happens. 0 or -errno. */
int spill_hand_on(struct spill_file *to, struct weir_node *node, struct weir_batch *b,
        const uint64_t *place, uint32_t n, uint32_t block);

/* Writes what is in memory, and gives that back. 0 or -errno. */
int spill_file_settle(struct spill_file *f);

/* A part of a file: bytes from … to - 1. */
struct spill_range {
	struct spill_file *file;
	uint64_t from, to;
};

/* All that is in the file, settled. */
static inline struct spill_range spill_range_all(struct spill_file *f)
{
	return (struct spill_range){f, 0, f->size};
}

struct spill_reader {
	struct spill_file *file;
	struct spill_column *column; /* of the block at hand */
	uint64_t at, end;            /* bytes of the file: the next that buf has not, the end */
	uint8_t *buf;
	size_t buf_size, from, len; /* buf[from..len) is still to be taken */
	size_t read;                /* bytes that are read at once */
};

/* The file may grow meanwhile. */
int spill_reader_open(struct spill_reader *r, const struct spill_range *range, size_t read);
void spill_reader_close(struct spill_reader *r);

/* The next block, in r->column until the next one: its rows, 0 at the end, or -errno. */
int spill_reader_block(struct spill_reader *r, uint64_t *place);

/* The next records as a batch of up to `most` rows, not less than any block has; place[k]: of row
 * k. 1, 0 at the end, -errno. */
int spill_reader_next(
        struct spill_reader *r, uint32_t most, struct weir_batch **ret, uint64_t *place);

/* Whether files can be made in the folder of the plan's `set spill`: 0 or -errno and *err. */
int spill_try(const struct plan *p, const struct rights *rights, struct weir_err *err);

#endif
