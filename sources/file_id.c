/* SPDX-License-Identifier: MIT */
/* file_id.c: see file_id.h. */
#include "sources/file_id.h"

#include <errno.h>
#include <unistd.h>

/* The first n bytes; fewer where there are fewer. */
static ssize_t head(int fd, uint8_t *to, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, to + got, n - got, (off_t)got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

static uint64_t hash(const uint8_t *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3;
	return h;
}

int file_id_of(int fd, struct file_id *ret)
{
	uint8_t p[FILE_ID_HEAD];
	ssize_t n = head(fd, p, sizeof p);
	struct stat st;

	if (n < 0)
		return (int)n;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = (struct file_id){st.st_dev, st.st_ino, (uint32_t)n, hash(p, (size_t)n)};
	return 0;
}

bool file_id_is(const struct file_id *id, int fd)
{
	uint8_t p[FILE_ID_HEAD];
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == id->dev && st.st_ino == id->ino &&
	       id->len <= sizeof p && head(fd, p, id->len) == id->len &&
	       hash(p, id->len) == id->hash;
}
