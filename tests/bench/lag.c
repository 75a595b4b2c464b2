/* SPDX-License-Identifier: MIT */
/* lag.c: how long after its time stamp a row could be read.
 *
 * usage: lag FILE SECONDS
 * Reads the rows that come into FILE, an out.csv (looked at again every POLL_NS) or a stream (whose
 * reads wait). A row's first column is its packet's time in seconds; what the clock says when the
 * row has been read, less that, is its lag: the clock is the one that the kernel stamps packets
 * with. Prints a line, in ms: median, 99 %, largest, number of rows.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/seconds.h"

#define POLL_NS 500000
#define ROWS_MAX 1000000u
#define PIECE 65536

static double lag[ROWS_MAX];
static uint32_t rows;

static void over(int signal)
{
	(void)signal;
}

/* The whole lines of `text`; returns the bytes of the rest. */
static size_t take(char *text, size_t n)
{
	struct timespec t;
	char *at = text, *end;

	clock_gettime(CLOCK_REALTIME, &t);
	for (; (end = memchr(at, '\n', (size_t)(text + n - at))); at = end + 1) {
		char *dot;
		long long s = strtoll(at, &dot, 10);
		double fraction = *dot == '.' ? strtod(dot, NULL) : 0;

		if (dot != at && rows < ROWS_MAX)
			lag[rows++] =
			        ((double)(t.tv_sec - s) + (double)t.tv_nsec / 1e9 - fraction) * 1e3;
	}
	n -= (size_t)(at - text);
	memmove(text, at, n);
	return n;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct sigaction a = {.sa_handler = over}; /* no SA_RESTART: it ends a read */
	static char text[PIECE];
	size_t rest = 0;
	double end;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: lag FILE SECONDS\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd < 0) {
		fprintf(stderr, "lag: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	sigaction(SIGALRM, &a, NULL);
	end = now() + atof(argv[2]);
	alarm((unsigned)atoi(argv[2]) + 1);
	while (now() < end) {
		ssize_t n = read(fd, text + rest, sizeof text - rest);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			fprintf(stderr, "lag: %s: %s\n", argv[1], strerror(errno));
			return 1;
		}
		if (n > 0)
			rest = take(text, rest + (size_t)n);
		else
			nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	}
	qsort(lag, rows, sizeof *lag, by_size);
	printf("%.3f %.3f %.3f %u\n", rows ? lag[rows / 2] : -1,
	        rows ? lag[rows - 1 - rows / 100] : -1, rows ? lag[rows - 1] : -1, rows);
	return !rows;
}
