/* SPDX-License-Identifier: MIT */
/* readahead.h: how far the kernel reads ahead in files of a mount. */
#ifndef READAHEAD_H
#define READAHEAD_H

/* Raises it to READAHEAD_KB, if that is allowed (root); else nothing changes. To be called after
 * the kernel's first request has been answered, which sets it to 128 KiB. */
void readahead_raise(const char *mountpoint);

#endif
