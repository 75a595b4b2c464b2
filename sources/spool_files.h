/* SPDX-License-Identifier: MIT */
/* spool_files.h: the files of a spool folder: which there are, which wait, which have been read.
 *
 * A file is known by its identity (file_id.h); its name is where it was seen last. So a file that
 * is renamed is not read again, and one that takes another's name is. Those that wait stand in a
 * heap by the time of their first packet, equal ones by name.
 */
#ifndef SPOOL_FILES_H
#define SPOOL_FILES_H

#include "sources/progress.h"

#define SPOOL_BUCKETS 4096
#define SPOOL_GONE 1024 /* files that are remembered for a while when their names are gone */

enum spool_state {
	SPOOL_REST, /* read as far as it is, or is not to be read */
	SPOOL_WAITS,
	SPOOL_READS,
};

struct spool_file {
	struct spool_file *by_name, *by_ino; /* the next ones in their buckets */
	struct spool_file *gone;             /* the next one whose name is gone */
	char *name;                          /* in the folder; NULL: it is not there any more … */
	char *was;                           /* … and was called so */
	struct file_id id;
	enum spool_state state;
	bool left;       /* the state has it, read in part */
	bool lost;       /* while it waited, and that has been said */
	uint64_t offset; /* read up to there, in the decompressed file */
	uint64_t size;   /* bytes, as far as it was read */
	int64_t changed; /* ns: time of its last change, when it was looked at */
	int64_t first;   /* time of its first packet */
	uint32_t scan;   /* number of the scan that has seen it last */
	struct progress_file at;
};

struct spool_files {
	struct weir_mem *mem;
	uint32_t max; /* files */
	uint32_t n, ngone;
	bool keeps; /* none is forgotten now */
	struct spool_file *by_name[SPOOL_BUCKETS], *by_ino[SPOOL_BUCKETS];
	struct spool_file *gone, *gone_last; /* the oldest first */
	struct spool_file **heap;            /* `max` places at most */
	uint32_t nheap, room;
};

void spool_files_init(struct spool_files *s, struct weir_mem *mem, uint32_t max);
void spool_files_release(struct spool_files *s);

struct spool_file *spool_files_named(const struct spool_files *s, const char *name);
/* The one that fd is, NULL: none. */
struct spool_file *spool_files_open(const struct spool_files *s, int fd);

/* A new one; `name` may be NULL, or that of a file here. Those that are gone are forgotten where
 * there is no room else. NULL: out of memory, or *ret_full. */
struct spool_file *spool_files_add(
        struct spool_files *s, const char *name, const struct file_id *id, bool *ret_full);
/* It has this name now; NULL: none, and it is forgotten by and by. 0 or -ENOMEM. */
int spool_files_rename(struct spool_files *s, struct spool_file *f, const char *name);

/* Puts it among those that wait. 0 or -ENOMEM. */
int spool_files_wait(struct spool_files *s, struct spool_file *f);
/* Takes the first one out, which is to be read; NULL: none. */
struct spool_file *spool_files_next(struct spool_files *s);

/* Calls each() for all that have a name; it may rename. */
void spool_files_each(
        struct spool_files *s, void (*each)(void *arg, struct spool_file *f), void *arg);

#endif
