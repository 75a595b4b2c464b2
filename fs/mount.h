/* SPDX-License-Identifier: MIT */
/* mount.h: `weir SOURCE… MOUNTPOINT [-o …]`. */
#ifndef MOUNT_H
#define MOUNT_H

#include "fs/mount_options.h"

/* Mounts and serves until it is unmounted; in the background once it is mounted, unless told
 * otherwise. Exit status. */
int mount_serve(const struct mount_options *o);

#endif
