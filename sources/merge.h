/* SPDX-License-Identifier: MIT */
/* merge.h: several traces as one, by time.
 *
 * A heap of the traces' next packets, equal times by the order of the traces. Each file is opened
 * once at first, for its headers and its first time; where there are many, it is closed again until
 * its turn comes, so that a folder of thousands of files in sequence needs few descriptors and
 * little memory.
 */
#ifndef MERGE_H
#define MERGE_H

#include "sources/trace.h"
#include <weir/source.h>

#define MERGE_AHEAD 64 /* packets parsed ahead of each open trace */
#define MERGE_OPEN 32  /* with more files than this they are opened as their turn comes */
#define MERGE_FILES_MAX 65536
#define MERGE_LINKTYPES 8
#define MERGE_BARREN 64 /* files that begin with much that has no packet */

/* What the headers of one file say, for `info`. */
struct merge_about {
	enum trace_format format;
	enum packing packing;
	bool swap;
	uint8_t resolution, fcs;
	uint16_t major, minor;
	uint32_t snaplen, interfaces;
	uint32_t nlinktypes;
	uint16_t linktype[MERGE_LINKTYPES];
	uint64_t size; /* 0: unknown */
};

/* An open file. */
struct merge_pass {
	struct trace trace;
	struct block *block; /* of `ahead`, borrowed from the trace */
	uint64_t held;       /* number of the last batch that holds it, 0: none */
	uint32_t at, n;      /* ahead[at .. n) are to come */
	struct weir_packet ahead[MERGE_AHEAD];
};

struct merge_file {
	char *path;
	bool named;              /* by the user, not by a glob: wrong at open is an error */
	bool usable;             /* it could be opened, and is a capture file as far as it goes */
	struct merge_pass *pass; /* NULL: closed */
	int64_t next;            /* time of the next packet */
	uint64_t done;           /* bytes read by a pass that is over */
	struct merge_about about;
};

struct merge {
	struct weir_reader *reader;
	struct block_pool *pool; /* borrowed */
	struct merge_file **file;
	uint32_t nfiles, room;
	uint32_t nbarren;
	uint32_t *heap, nheap; /* indices of files by (next, index); room places */
	uint8_t digits;
	uint64_t size; /* of all, bytes on disk; 0: unknown */
};

/* What the headers say that have been read; *a is zeroed. */
void merge_describe(const struct trace *t, struct merge_about *a);

/* Adds a file; `named` as above. 0, -ENOMEM, -E2BIG. */
int merge_add(struct merge *m, const char *path, bool named);
/* Opens all that were added. 0 or -errno and *err; faults of single files are recorded. */
int merge_open(struct merge *m, struct weir_err *err);
void merge_release(struct merge *m);

/* 1 and *ret, whose next packet is ret->ahead[ret->at]; 0: the end of all; -EAGAIN: the pipe
 * *ret_fd has nothing yet, or, where that is -1, there is more to be read at once; -ENOMEM. */
int merge_first(struct merge *m, struct merge_pass **ret, int *ret_fd);

/* The packet that merge_first() gave was taken. */
void merge_took(struct merge *m);

/* The first trace has ended: its fault is recorded, it is closed. */
void merge_drop(struct merge *m);

uint64_t merge_done(const struct merge *m); /* bytes read */

#endif
