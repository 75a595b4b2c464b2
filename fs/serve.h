/* SPDX-License-Identifier: MIT */
/* serve.h: the loop of a mount. */
#ifndef SERVE_H
#define SERVE_H

#include "fs/fs.h"

/* Answers the kernel's requests until the mount goes or a signal that ends it comes. The signals
 * must be blocked, and their handlers set; they are taken here alone. 0 or -errno. */
int serve_loop(struct fs *fs);
/* The kind of the requests that fs->requests[i] counts; NULL: there are none. */
const char *serve_request_name(unsigned i);

#endif
