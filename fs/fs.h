/* SPDX-License-Identifier: MIT */
/* fs.h: one mount: what its parts share. No FUSE types here; ops.c has them.
 *
 * Lock order: control handle, then file states, then versions. None is held while the engine is
 * called for anything that may take long, nor while a request is answered.
 */
#ifndef FS_H
#define FS_H

#include "engine/core/query.h"
#include "fs/tree.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define NSEC 1000000000ll
#define FS_LONG 60.0 /* seconds: timeouts of what does not change */
#define FS_SHORT 1.0 /* of directories whose times move */

#define FS_REQUESTS 64

struct version;

struct fs {
	struct engine *engine;
	void *session; /* struct fuse_session */
	char *mountpoint;
	uid_t uid;
	gid_t gid;
	int64_t started;     /* ns since the epoch */
	uint32_t nonce;      /* generation of what only this run knows */
	struct jobs *jobs;   /* rendering */
	struct jobs *writes; /* of control files: these may open files, even of this mount */
	struct versions *versions;
	struct states *states;
	struct notify *notify;
	struct streams *streams;
	struct handles *handles;            /* what is open, but streams and versions */
	struct pump *pump;                  /* what answers those who wait for them; owns them */
	atomic_ulong requests[FS_REQUESTS]; /* by the kernel's numbers: see serve.h */
	atomic_bool stopping;
	atomic_flag ahead; /* readahead_raise() has been called */
};

int64_t fs_now(void);       /* ns since the epoch */
int64_t fs_monotonic(void); /* ns */
uint32_t fs_hash(const void *p, size_t n, uint32_t seed);

/* A query and its result, taken together. */
struct look {
	struct query *query;
	struct result *result; /* NULL: none yet */
	uint64_t run;          /* all bits */
	bool log;
};

/* 0, or -ESTALE where there is no such query. */
int look_at(struct fs *fs, uint32_t serial, struct look *ret);
void look_release(struct look *l);

/* The whole number whose low bits are `low`, at or before `now`. */
static inline uint64_t fs_expand(uint64_t now, uint64_t low, uint64_t mask)
{
	return now - ((now - low) & mask);
}

/* What an answer to a look-up says. */
struct entry {
	uint64_t ino;
	uint32_t generation;
	struct stat st;
	double entry_timeout, attr_timeout;
	struct version *version; /* counted as looked up once more; or NULL */
};

/* Child `name` of `dir`: kind, serial, row; versions are chosen by entry_fill(). */
int entry_child(struct fs *fs, const struct node *dir, const char *name, struct node *ret);
/* The entry of a child: the current version or epoch. */
int entry_fill(struct fs *fs, const struct node *n, struct entry *ret);
/* The entry of a known inode, as it is: for "." and "..". */
int entry_again(struct fs *fs, const struct node *n, struct entry *ret);
int entry_parent(struct fs *fs, const struct node *n, struct node *ret);
/* What stands behind a versioned inode; *ret is a reference. */
int entry_version(struct fs *fs, const struct node *n, struct version **ret);
/* Attributes of an inode. */
int entry_attr(struct fs *fs, const struct node *n, struct stat *st, double *timeout);
/* The plain parts of an inode's attributes: mode, owner, number, times at `mtime`. */
void entry_stat(
        struct fs *fs, const struct node *n, struct query *q, int64_t mtime, struct stat *st);
void entry_size(struct stat *st, int64_t size);

#endif
