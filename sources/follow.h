/* SPDX-License-Identifier: MIT */
/* follow.h: a capture file that is read as it is written, and what takes its place.
 *
 * Like `tail -F`: the end of the file is waited at. When another file has its name (a writer that
 * rotates by rename), the old one is read until nobody writes it any more, to its end, and then the
 * new one; a file that is truncated, or overwritten in place, is read from its beginning again, and
 * that is a fault, since nobody knows what was lost. A file that is removed is waited for. Where
 * several files of the name have come since the one that is read, the last is what can be had: the
 * others are a fault, as far as the folder's events tell of them.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "sources/grown.h"
#include "sources/packet_batch.h"
#include "sources/progress.h"
#include "sources/watch.h"

struct follow {
	struct weir_reader *reader;
	struct block_pool *pool; /* borrowed */
	const char *path;        /* borrowed */
	struct grown file;
	struct progress progress;
	struct progress_file at; /* the last settled place, in this file or one before it */
	struct watch watch;
	int wd_file, wd_folder;
	int64_t quiet;   /* CLOCK_MONOTONIC ns: nothing new since; 0: not known */
	uint64_t size;   /* of the file, then */
	uint64_t before; /* bytes of the files that are over */
	bool closing;    /* the file is read to its end, for another one is there */
	bool missing;    /* there is none of its name */
	uint32_t come;   /* files that got its name since it was looked at last */
	bool unheard;    /* events were lost since then */
	int64_t start;   /* where standard input stood; -1: not known yet */
	/* atomic: for stats */
	uint64_t files, replaced, truncated, removed, missed;
};

/* `state`: see state_file.h, or NULL. 0 or -errno and *err; follow_close() is due in any case. */
int follow_open(struct follow *f, struct weir_reader *r, const char *path, const char *state,
        struct block_pool *pool, struct weir_err *err);
void follow_close(struct follow *f);

/* As weir_source.read; never 0. */
int follow_read(struct follow *f, struct packet_batch *out, struct weir_batch **ret);
void follow_taken(struct follow *f, uint64_t batches);
void follow_stats(const struct follow *f, void (*line)(void *arg, const char *key, uint64_t value),
        void *arg);

#endif
