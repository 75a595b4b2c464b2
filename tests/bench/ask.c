/* SPDX-License-Identifier: MIT */
/* ask.c: asks a mount a question and says how long it took.
 *
 * usage: ask MOUNTPOINT NAME QUERY OUT
 * From the write of the spec to queries/new until the last byte of the final out.csv has been read:
 * the state is polled, so that no table is refreshed on the way, and what is read goes into one
 * buffer, as with awk or grep. Then the answer is read again, into the file OUT, and the query
 * removed. Prints a line like timeit's, of which only the wall seconds are known here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/seconds.h"

#define POLL_NS 300000
#define PIECE (1u << 20)
#define SECONDS_MAX 120

static void fail(const char *what)
{
	fprintf(stderr, "ask: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* 1: done, 0: runs, -1: neither. */
static int state(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		fail(path);
	text[n] = 0;
	return strstr(text, "state: done") ? 1 : strstr(text, "state: running") ? 0 : -1;
}

/* Reads all of it; into `to` where there is one. */
static void answer(const char *path, FILE *to)
{
	static char piece[PIECE];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		fail(path);
	while ((n = read(fd, piece, sizeof piece)) > 0)
		if (to && fwrite(piece, 1, (size_t)n, to) != (size_t)n)
			fail("answer");
	if (n < 0)
		fail(path);
	close(fd);
}

int main(int argc, char **argv)
{
	char file[4096], status[4096], out[4096], dir[4096], spec[4096];
	size_t len;
	double began;
	int fd, s;
	FILE *f;

	if (argc != 5) {
		fprintf(stderr, "usage: ask MOUNTPOINT NAME QUERY OUT\n");
		return 2;
	}
	snprintf(file, sizeof file, "%s/queries/new", argv[1]);
	snprintf(dir, sizeof dir, "%.4000s/queries/%.80s", argv[1], argv[2]);
	snprintf(status, sizeof status, "%.4080s/status", dir);
	snprintf(out, sizeof out, "%.4080s/out.csv", dir);
	len = (size_t)snprintf(spec, sizeof spec, "%s: %s\n", argv[2], argv[3]);
	began = now();
	fd = open(file, O_WRONLY);
	if (fd < 0 || write(fd, spec, len) != (ssize_t)len || close(fd) < 0)
		fail(file);
	while ((s = state(status)) == 0 && now() - began < SECONDS_MAX)
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	if (s != 1) {
		fprintf(stderr, "ask: the query did not end well\n");
		return 1;
	}
	answer(out, NULL);
	printf("%.4f 0 0 0\n", now() - began);
	f = fopen(argv[4], "w");
	if (!f)
		fail(argv[4]);
	answer(out, f);
	if (fclose(f) != 0)
		fail(argv[4]);
	return rmdir(dir) < 0;
}
