/* SPDX-License-Identifier: MIT */
/* spill_disk.h: several growing byte streams in one unnamed file, so that a table with 64 parts
 * takes one of the process's descriptors, of which all queries have a thousand together.
 *
 * A stream's bytes stand in extents of the file of SPILL_EXTENT bytes, taken when they are needed;
 * what is not written of one is a hole. A stream that goes gives its extents back as holes.
 */
#ifndef SPILL_DISK_H
#define SPILL_DISK_H

#include "engine/core/node.h"

#define SPILL_EXTENT ((uint64_t)256 << 10)

struct spill_disk {
	int fd;
	uint32_t streams;
	uint32_t extents; /* that were given away */
};

struct spill_stream {
	struct spill_disk *disk;
	struct weir_mem *mem;
	uint32_t *extent; /* by number in the stream: its number in the file */
	size_t extent_size;
	uint32_t n;
};

/* A stream in the file of another one, or (NULL) in a new file in the folder of `set spill`, made
 * with the rights of the query's writer. 0 or -errno. */
int spill_stream_open(
        struct spill_stream *s, struct run_context *run, const struct spill_stream *beside);
void spill_stream_close(struct spill_stream *s); /* a zeroed one is fine */

/* buf[0..n), n > 0, at byte `at`, which is the end. 0 or -errno; -ENOMEM is the query's memory. */
int spill_stream_write(struct spill_stream *s, const uint8_t *buf, size_t n, uint64_t at);

/* Up to n bytes from byte `at` on, which are there: how many, or -errno. */
ssize_t spill_stream_read(const struct spill_stream *s, uint8_t *buf, size_t n, uint64_t at);

#endif
