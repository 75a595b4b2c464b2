/* SPDX-License-Identifier: MIT */
/* privileges.h: a mount that root begins and somebody else goes on with (-o user=).
 *
 * What needs root is done first: interfaces and files are opened, the tree is mounted. Then the
 * process becomes the user, for good, with no capability but CAP_NET_RAW where an interface is
 * captured from, which may have to be opened anew. Nobody can unmount then but root: so a process
 * stays behind as root that reads nothing, waits for the other, passes signals on to it, and
 * detaches a mount that it left.
 */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

struct privileges_user {
	uid_t uid;
	gid_t gid;
};

/* Finds a user by name or number (mount(8) makes `user=root` of fstab's `user`: then nothing
 * changes); says on stderr what is wrong: -errno. */
int privileges_find(const char *name, struct privileges_user *ret);
/* Becomes the user; while the process has one thread. Says what is wrong: -errno. */
int privileges_drop(const struct privileges_user *u, bool keep_raw);
/* Returns in a child, 0 or -errno; the caller's process waits for that, detaches `mountpoint` if it
 * is dead then, and exits as the child did. `ready` >= 0: not in the foreground; the caller's
 * process closes it, and leaves its terminal and its folder. */
int privileges_split(const char *mountpoint, int ready);

/* Tells the service manager, if there is one (sd_notify(3)): "READY=1". */
void privileges_tell(const char *state);

#endif
