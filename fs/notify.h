/* SPDX-License-Identifier: MIT */
/* notify.h: what the kernel is told unasked, from a thread of its own: a notification waits for
 * locks that a request in progress may hold, so no request's thread may send one. The same thread
 * drops old versions. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "fs/fs.h"

struct notify *notify_new(struct fs *fs);
/* The directory's attributes have changed. */
void notify_dir(struct notify *n, enum node_kind kind, uint32_t serial);
void notify_free(struct notify *n);

#endif
