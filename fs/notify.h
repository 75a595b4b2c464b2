/* SPDX-License-Identifier: MIT */
/* notify.h: what the kernel is told unasked, from a thread of its own: a notification waits for
 * locks that a request in progress may hold, so no request's thread may send one. The same thread
 * drops old versions. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "fs/fs.h"

struct notify *notify_new(struct fs *fs);
/* A query came or went: what queries/ and streams/ have, and their times. */
void notify_queries(struct notify *n);
/* Query `serial` has begun another run: the kernel forgets the records of the one before. Returns
 * when it has, or after a second: it may have to wait for a look-up in the query's folder. */
void notify_run(struct notify *n, uint32_t serial);
void notify_free(struct notify *n);

#endif
