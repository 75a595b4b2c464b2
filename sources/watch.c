/* SPDX-License-Identifier: MIT */
/* watch.c: see watch.h. */
#include "sources/watch.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42
#endif
#define FUSE_MAGIC 0x65735546
#define SMB2_MAGIC 0xfe534d42

void watch_init(struct watch *w)
{
	*w = (struct watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
	if (w->fd < 0) {
		w->error = -errno;
		w->slow = true;
	}
}

void watch_release(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* Others may change it without this kernel's knowing. */
static bool is_remote(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	switch ((uint32_t)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_MAGIC:
	case FUSE_MAGIC:
		return true;
	default:
		return false;
	}
}

int watch_add(struct watch *w, int fd, uint32_t mask)
{
	char path[40];
	int wd;

	if (w->fd < 0)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	wd = inotify_add_watch(w->fd, path, mask);
	if (wd < 0) {
		w->error = -errno;
		w->slow = true;
		return 0;
	}
	if (is_remote(fd))
		w->slow = true;
	return wd;
}

void watch_remove(struct watch *w, int wd)
{
	if (wd > 0)
		(void)inotify_rm_watch(w->fd, wd);
}

bool watch_read(struct watch *w, void (*each)(void *arg, const struct inotify_event *e), void *arg)
{
	char buf[16384] __attribute__((aligned(8)));
	bool any = false;
	ssize_t n;

	while (w->fd >= 0 && ((n = read(w->fd, buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR)))
		for (char *at = buf; n > 0 && at < buf + n;) {
			const struct inotify_event *e = (const struct inotify_event *)at;

			any = true;
			each(arg, e);
			at += sizeof *e + e->len;
		}
	return any;
}
