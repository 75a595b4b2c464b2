/* SPDX-License-Identifier: MIT */
/* watch.h: inotify(7) for a source: what happens in a folder, or to a file.
 *
 * Where it cannot be had (fs.inotify.max_user_instances, max_user_watches), or does not see what
 * others do (network file systems), `slow` says so: the source has to look by itself now and then.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>

struct watch {
	int fd; /* readable where something happened; -1: none */
	bool slow;
	int error; /* 0, or the -errno that is why */
};

void watch_init(struct watch *w);
void watch_release(struct watch *w);

/* Watches what is open at `fd` (a folder, a file) for `mask`: its number, from 1, or 0: cannot. */
int watch_add(struct watch *w, int fd, uint32_t mask);
void watch_remove(struct watch *w, int wd); /* 0 is fine */

/* Calls each(arg, event) for all that has happened; whether anything has. An event of mask
 * IN_Q_OVERFLOW says that some were lost. */
bool watch_read(struct watch *w, void (*each)(void *arg, const struct inotify_event *e), void *arg);

#endif
