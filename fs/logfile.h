/* SPDX-License-Identifier: MIT */
/* logfile.h: files that only grow: results of streaming queries, a query's log, queries/errors.
 *
 * Behind one name stand epoch inodes. An epoch has a fixed base, so byte `off` of it is always
 * the same; it only grows; before the oldest byte kept it reads ESTALE. A look-up gets the newest
 * epoch, and the base moves on once more than twice the retention lies behind it.
 */
#ifndef LOGFILE_H
#define LOGFILE_H

#include "fs/version.h"

/* The epoch that a look-up gets; *ret is a reference. */
int logfile_current(
        struct fs *fs, const struct node *n, const struct look *l, struct version **ret);
/* An epoch by number that is not known here (any more). */
int logfile_revive(struct fs *fs, const struct node *n, struct version **ret);
int64_t logfile_size(struct fs *fs, struct version *v); /* or -errno */
int64_t logfile_time(struct fs *fs, struct version *v);
/* Bytes read, 0 at the end, -ESTALE. */
int64_t logfile_read(struct fs *fs, struct version *v, uint64_t off, char *to, size_t size);

#endif
