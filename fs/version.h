/* SPDX-License-Identifier: MIT */
/* version.h: what stands behind the inode numbers of tables and logs.
 *
 * A version is immutable but for a log's growing end. It lives while the kernel has looked it up,
 * while somebody uses it, and for a minute after, under a cap in bytes and while its query is
 * there; past that its number gives ESTALE, unless table_revive() or logfile_revive() can make it
 * again.
 *
 * A table's rows count for its query's memory. So those of a version that a newer one has followed
 * are not held for that minute: the store has one of its own, which ends where the query needs the
 * memory.
 */
#ifndef VERSION_H
#define VERSION_H

#include "fs/fs.h"

#define VERSION_KEEP (60 * NSEC)
#define VERSIONS_BYTES (256ull << 20)

struct version {
	struct version *next; /* in its bucket */
	struct version *older, *newer;
	struct node node;
	uint64_t ino;
	uint32_t generation;
	int64_t mtime; /* ns since the epoch; logs: 0, asked for each time */
	/* protected by the lock of the versions */
	uint64_t nlookup;
	uint32_t refs;
	int64_t used; /* monotonic */
	bool listed;
	bool followed; /* by a newer version of its table, of the same run */
	/* one of: */
	char *text;                      /* owned */
	struct snapshot *snap;           /* table: reference */
	struct result *result;           /* log: reference */
	const struct rendered *rendered; /* the snapshot's; NULL: nothing to read */
	size_t len;                      /* of text, or rendered */
	uint64_t base;                   /* result: first row; lines: first byte */
	struct query *query;             /* reference, keeps a removed query readable; or NULL */
	uint64_t run;                    /* all bits */
};

struct versions *versions_new(void);
void versions_free(struct versions *vs);

struct version *version_new(const struct node *n); /* one reference */
/* Makes v known under its number, or gives back the one that is known already. */
struct version *version_insert(struct versions *vs, struct version *v);
struct version *version_get(struct versions *vs, uint64_t ino); /* reference or NULL */
struct version *version_ref(struct versions *vs, struct version *v);
void version_put(struct versions *vs, struct version *v); /* NULL is fine */
void version_looked_up(struct versions *vs, struct version *v);
void version_forget(struct versions *vs, uint64_t ino, uint64_t n);
uint64_t versions_count(struct versions *vs);
uint64_t versions_bytes(struct versions *vs); /* of their texts */
/* Bytes of text that versions had which went since this was asked last. */
uint64_t versions_dropped(struct versions *vs);
/* Drops what is old, or of a query that is not `listed` any more. Calls stale() for those that only
 * the kernel holds and that a look-up would not give again: so that it may forget them. */
void versions_prune(struct versions *vs, const struct serials *listed,
        void (*stale)(void *arg, const struct node *n), void *arg);

#endif
