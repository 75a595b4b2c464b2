/* SPDX-License-Identifier: MIT */
/* control.h: the files that are written to: queries/new, spec, ctl.
 *
 * One struct for each open descriptor. What is certainly wrong fails the write; the rest is
 * checked at the flush of the owner of the first write, at fsync, before a read on the same
 * descriptor, and at release. A shell's `>` flushes before any data: that is nothing. A write at
 * offset 0 after a commit starts a new spec, one behind it extends and installs again.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "fs/fs.h"

struct control;

/* `n`: NODE_NEW, NODE_SPEC or NODE_CTL. 0 or -errno. */
int control_open(struct fs *fs, const struct node *n, bool append, struct control **ret);
/* The whole of it, or -errno. */
int control_write(struct control *c, const char *p, size_t len, uint64_t off, uint64_t lock_owner,
        const struct cred *who);
/* Bytes read. `*to` is the caller's, at least `size`. */
int64_t control_read(struct control *c, uint64_t off, char *to, size_t size);
/* 0 or -errno. */
int control_flush(struct control *c, uint64_t lock_owner);
int control_sync(struct control *c);
/* Commits what is left and frees it. */
void control_release(struct control *c);

#endif
