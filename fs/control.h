/* SPDX-License-Identifier: MIT */
/* control.h: the files that are written to: queries/new, spec, ctl.
 *
 * One struct for each open descriptor. What is certainly wrong fails the write; the rest is
 * checked at the flush of the owner of the first write, at fsync, before a read on the same
 * descriptor, and at release. A shell's `>` flushes before any data: that is nothing. A write at
 * offset 0 after a commit starts a new spec, one behind it extends and installs again.
 *
 * Rights are those of who opened the file, taken at the open, and nobody else writes to it: a
 * descriptor that a program inherits or is handed carries neither its user's rights to others
 * (somebody who has root's program say a spec on its standard error) nor theirs to its user. One
 * exception: what root has opened others may write to, since an NFS server opens files as root, one
 * for all its clients, and writes as the client. Each text there is that of one writer, with that
 * writer's rights, and a new one begins only where none is under way.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "fs/fs.h"

struct control;

/* A thread that waits for the answer to a write. */
struct peer {
	uid_t uid;
	gid_t gid;
	pid_t thread;
};

/* `n`: NODE_NEW, NODE_SPEC or NODE_CTL. 0 or -errno. */
int control_open(struct fs *fs, const struct node *n, bool append, const struct cred *who,
        struct control **ret);
/* The whole of it, or -errno; -EPERM: it is not this writer's to write. */
int control_write(struct control *c, const char *p, size_t len, uint64_t off, uint64_t lock_owner,
        const struct peer *peer);
/* Bytes read. `*to` is the caller's, at least `size`. */
int64_t control_read(struct control *c, uint64_t off, char *to, size_t size);
/* 0 or -errno. */
int control_flush(struct control *c, uint64_t lock_owner);
int control_sync(struct control *c);
/* Commits what is left and frees it. Those that are never released are freed with the mount's
 * handles; what they have not committed is lost. */
void control_release(struct control *c);

#endif
