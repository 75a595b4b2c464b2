/* SPDX-License-Identifier: MIT */
/* state_file.h: what a source remembers in a file (-o state=FILE): which files it has read how far.
 *
 *   weir-state 1
 *   of spool:/var/cap
 *   file 2049 131 1024 9f2c… 73912 73912
 *   file 2049 132 1024 04be… 24 0
 *   end 2 b1946ac9…
 *
 * A file has its identity (file_id.h: device, inode, bytes hashed, hash), the offset of the
 * first packet that is to be read next time, and its size where it was read to its end; the last
 * line has the number of files, and a hash of all that is before it: a file that is torn, or
 * another one, is told from one that is whole. It is written under another name in the same folder,
 * brought to disk and renamed, so that there is always a whole one. A lock on it keeps two readers
 * from using one state. An empty file is a new state. Who else may write the folder can put
 * anything under these names, so neither is followed where it is a link, nor opened where it is no
 * regular file, and the new one is made anew.
 */
#ifndef STATE_FILE_H
#define STATE_FILE_H

#include "sources/file_id.h"
#include <weir/source.h>

#define STATE_FILES_MAX (1u << 20)

struct state_entry {
	struct file_id id;
	uint64_t offset; /* in the decompressed file */
	uint64_t size;   /* bytes, at its end; 0: it was not read to it */
};

struct state_file {
	int dir, fd; /* its folder; the file, locked; -1: none */
	char *path;  /* as given */
	char *name;  /* in the folder, in `path` */
	char *of;
	struct state_entry *entry; /* what was in it, in the order of the file */
	uint32_t n;
};

/* Opens or makes the state at `path`, for a source that calls itself `of`. A file that is not one,
 * or another source's: -EINVAL, with *err. state_file_close() is due in any case. */
int state_file_open(struct state_file *s, const char *path, const char *of, struct weir_err *err);
void state_file_close(struct state_file *s);

/* Forgets what was read. */
void state_file_drop(struct state_file *s);

/* Replaces it. 0 or -errno: what was there before stays. */
int state_file_write(struct state_file *s, const struct state_entry *e, uint32_t n);

#endif
