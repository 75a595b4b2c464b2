/* SPDX-License-Identifier: MIT */
/* readahead.c: how far the kernel reads ahead in files of a mount.
 *
 * Whoever reads a large answer from its beginning waits for each piece to be rendered. With pieces
 * enough ahead that goes on beside him. FUSE itself cannot ask for more than 128 KiB; the folder of
 * the mount's backing device can (Documentation/ABI/testing/sysfs-class-bdi).
 */
#include "fs/readahead.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define READAHEAD_KB "4096"

/* "MAJOR:MINOR" of the last mount on `mountpoint`; not by stat(2), which would ask ourselves.
 * False: not found, or a name that mountinfo writes in another way. */
static bool device_of(const char *mountpoint, char *ret, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;
	bool found = false;

	while (f && getline(&line, &cap, f) > 0) {
		char *save, *field = strtok_r(line, " ", &save), *device = NULL;

		for (int i = 1; field && i < 5; i++) {
			field = strtok_r(NULL, " ", &save);
			if (i == 2)
				device = field;
		}
		if (!field || !device || strcmp(field, mountpoint) != 0)
			continue;
		found = (size_t)snprintf(ret, size, "%s", device) < size;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

void readahead_raise(const char *mountpoint)
{
	char device[32], path[96];
	int fd;

	if (!device_of(mountpoint, device, sizeof device))
		return;
	snprintf(path, sizeof path, "/sys/class/bdi/%s/read_ahead_kb", device);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, READAHEAD_KB, sizeof READAHEAD_KB - 1); /* or it stays as it is */
	close(fd);
}
