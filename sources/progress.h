/* SPDX-License-Identifier: MIT */
/* progress.h: how far the files of a source have been worked off, as distinct from read.
 *
 * Batches are given to queries; some time later the engine says how many of them all have worked
 * off (weir_source.taken). For each batch, and each file that ended, there is a *mark*: where the
 * next packet is. A mark is settled with the batches before it, and then the file is that far. What
 * is settled goes to a state file where there is one, at most once a second and at the end.
 *
 * All by the thread that reads.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "sources/state_file.h"

struct progress_file {
	struct file_id id;
	uint64_t offset; /* settled: of the first packet that has not been worked off */
	uint64_t size;   /* settled: its bytes, at its end; 0: it is not */
	uint32_t marks;  /* that point here */
};

struct progress_mark {
	uint64_t after; /* batches */
	struct progress_file *file;
	struct file_id id;
	uint64_t offset, size;
};

struct progress {
	struct weir_reader *reader;
	struct state_file state;
	bool keeps; /* there is a state */
	uint64_t given, taken;
	struct progress_mark *mark; /* [at .. at + n), modulo room */
	uint32_t at, n, room;
	bool dirty;   /* the state is behind */
	bool failed;  /* it could not be written; said */
	int64_t due;  /* CLOCK_MONOTONIC ns: it is not written before */
	int64_t last; /* the same: when a batch was given */
};

/* `state` NULL: nothing is remembered. `of`: what the source calls itself in it. 0, or -errno and
 * *err; progress_close() is due in any case. */
int progress_open(struct progress *p, struct weir_reader *r, const char *state, const char *of,
        struct weir_err *err);
void progress_close(struct progress *p); /* the marks are dropped, the state is not written */

/* A batch is about to be given, which ends at `offset` of the file; NULL: at the end of one that
 * has a mark already. 0 or -ENOMEM. */
int progress_batch(
        struct progress *p, struct progress_file *f, const struct file_id *id, uint64_t offset);
/* The file has ended, of `size` bytes (not 0); `pending`: a batch that has not been given yet has
 * packets of it. */
int progress_end(struct progress *p, struct progress_file *f, const struct file_id *id,
        uint64_t offset, uint64_t size, bool pending);

/* So many batches have been worked off. */
void progress_taken(struct progress *p, uint64_t batches);

/* When to look again for what is settled by then, or to be written; 0: nothing is. The longer it
 * takes, the less often. */
int64_t progress_wake(const struct progress *p);
/* Whether to write the state now; `last`: it is the last time. */
bool progress_is_due(const struct progress *p, bool last);
/* Writes it; an error is a fault of the source, and it is tried again. */
void progress_write(struct progress *p, const struct state_entry *e, uint32_t n);

#endif
