/* SPDX-License-Identifier: MIT */
/* readways.c: reads a file in ways that no common tool is sure to use, and writes it to standard
 * output: `readways mmap|sendfile|pread|splice|readv FILE`. pread reads backwards, in odd pieces.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int by_mmap(int fd, size_t size)
{
	char *p = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;

	if (p == MAP_FAILED)
		return fail("mmap");
	return fwrite(p, 1, size, stdout) == size ? 0 : fail("write");
}

static int by_sendfile(int fd)
{
	int pipes[2];
	char buf[65536];
	ssize_t n;

	if (pipe(pipes) < 0)
		return fail("pipe");
	while ((n = sendfile(pipes[1], fd, NULL, sizeof buf / 2)) > 0)
		while (n > 0) {
			ssize_t m = read(pipes[0], buf, sizeof buf);

			if (m <= 0 || fwrite(buf, 1, (size_t)m, stdout) != (size_t)m)
				return fail("read");
			n -= m;
		}
	return n < 0 ? fail("sendfile") : 0;
}

static int by_splice(int fd)
{
	int pipes[2];
	char buf[65536];
	ssize_t n;

	if (pipe(pipes) < 0)
		return fail("pipe");
	while ((n = splice(fd, NULL, pipes[1], NULL, sizeof buf / 2, 0)) > 0)
		while (n > 0) {
			ssize_t m = read(pipes[0], buf, sizeof buf);

			if (m <= 0 || fwrite(buf, 1, (size_t)m, stdout) != (size_t)m)
				return fail("read");
			n -= m;
		}
	return n < 0 ? fail("splice") : 0;
}

static int by_pread(int fd, size_t size)
{
	char *p = malloc(size + 1);
	size_t at = size;
	int r = 0;

	while (p && at && !r) {
		size_t n = at < 4099 ? at : 4099;

		at -= n;
		if (pread(fd, p + at, n, (off_t)at) != (ssize_t)n)
			r = fail("pread");
	}
	if (!r && fwrite(p, 1, size, stdout) != size)
		r = fail("write");
	free(p);
	return r;
}

static int by_readv(int fd)
{
	char a[7], b[4096];
	struct iovec v[2] = {{a, sizeof a}, {b, sizeof b}};
	ssize_t n;

	while ((n = readv(fd, v, 2)) > 0) {
		size_t first = (size_t)n < sizeof a ? (size_t)n : sizeof a;

		fwrite(a, 1, first, stdout);
		fwrite(b, 1, (size_t)n - first, stdout);
	}
	return n < 0 ? fail("readv") : 0;
}

int main(int argc, char **argv)
{
	struct stat st;
	int fd = argc == 3 ? open(argv[2], O_RDONLY) : -1;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(argc == 3 ? argv[2] : "usage: readways WAY FILE");
	if (strcmp(argv[1], "mmap") == 0)
		return by_mmap(fd, (size_t)st.st_size);
	if (strcmp(argv[1], "sendfile") == 0)
		return by_sendfile(fd);
	if (strcmp(argv[1], "splice") == 0)
		return by_splice(fd);
	if (strcmp(argv[1], "readv") == 0)
		return by_readv(fd);
	return by_pread(fd, (size_t)st.st_size);
}
