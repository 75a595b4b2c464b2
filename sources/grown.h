/* SPDX-License-Identifier: MIT */
/* grown.h: one capture file that is read while somebody may write it.
 *
 * What is behind the last whole packet waits until the rest of it comes; only once grown_end() has
 * said that nothing comes any more, it is a fault. Whether the bytes read are still those of the
 * file that was opened is looked at behind every read of the file, and before its packets are
 * given: a file that was truncated, or overwritten in place, is left, not misread. Who overwrites a
 * file truncates it first, or changes its first bytes; somebody who writes into the middle of one
 * is not noticed.
 */
#ifndef GROWN_H
#define GROWN_H

#include "sources/file_id.h"
#include "sources/trace.h"

struct grown {
	struct trace trace;
	struct file_id id;
	uint64_t from;    /* packets before this offset are passed over */
	uint64_t checked; /* bytes of the file that it has had when its first ones were looked at */
	bool open;
};

/* Takes over fd. `from`: offset of the first packet that is wanted, in the decompressed file; 0:
 * all. As trace_open(), which see; grown_close() is due in any case. */
int grown_open(
        struct grown *g, int fd, uint64_t from, struct block_pool *pool, struct weir_mem *mem);
void grown_close(struct grown *g);

/* Nothing is written any more: the end of the file is the end. */
void grown_end(struct grown *g);

/* As trace_next(); -EAGAIN: nothing yet, or trace_is_busy(); -ESTALE: it is another file now, or
 * shorter. */
int grown_next(struct grown *g, struct weir_packet *to, unsigned max, struct block **ret_block);

/* Offset of the next packet. */
uint64_t grown_offset(const struct grown *g);

/* Whether a process has it open for writing: 1, 0, or -errno where the system does not say. Who
 * asks must own the file, or be root. */
int grown_is_written(int fd);

#endif
