/* SPDX-License-Identifier: MIT */
/* calls.c: how often a second a system call on a file or directory can be made, by one thread.
 *
 * usage: calls WHAT PATH [MILLISECONDS [ATTRIBUTE]]     prints a rate
 *   open     open, read all, close; a second
 *   stat     a second
 *   xattr    getxattr; a second
 *   list     entries of the directory and those in it, read with getdents; a second
 *   read     bytes of the file, in pieces of 1 MiB; a second
 *   wake     stat with a pause of 2 ms before each, so that all have gone to sleep; a second, the
 *            pauses not counted
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/bench/seconds.h"

#define PIECE (1u << 20)
#define BATCH 64 /* calls between two looks at the clock */

static char buf[PIECE];
static const char *attribute;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static long file(const char *path)
{
	int fd = open(path, O_RDONLY);
	long sum = 0;
	ssize_t n;

	if (fd < 0)
		fail(path);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		sum += n;
	if (n < 0 || close(fd) < 0)
		fail(path);
	return sum;
}

static long list(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char sub[4096];
	long n = 0;

	if (!d)
		fail(path);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
		if (e->d_type == DT_DIR)
			n += list(sub);
	}
	closedir(d);
	return n;
}

static long once(const char *what, const char *path)
{
	struct stat st;

	if (strcmp(what, "open") == 0)
		return file(path) > 0;
	if (strcmp(what, "read") == 0)
		return file(path);
	if (strcmp(what, "list") == 0)
		return list(path);
	if (strcmp(what, "xattr") == 0) {
		if (getxattr(path, attribute, buf, sizeof buf) < 0)
			fail(path);
		return 1;
	}
	if (stat(path, &st) < 0)
		fail(path);
	return 1;
}

int main(int argc, char **argv)
{
	double seconds = argc > 3 ? atof(argv[3]) / 1000 : 1, began, took = 0;
	long n = 0;
	int many;

	if (argc < 3) {
		fprintf(stderr, "usage: calls WHAT PATH [MILLISECONDS [ATTRIBUTE]]\n");
		return 2;
	}
	many = strcmp(argv[1], "read") == 0 || strcmp(argv[1], "list") == 0 ? 1 : BATCH;
	attribute = argc > 4 ? argv[4] : "user.n";
	once(argv[1], argv[2]);
	if (strcmp(argv[1], "wake") == 0) {
		for (; took < seconds / 10 && n < 500; n++) {
			nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
			began = now();
			once("stat", argv[2]);
			took += now() - began;
		}
	} else {
		for (began = now(); (took = now() - began) < seconds;)
			for (int i = 0; i < many; i++)
				n += once(argv[1], argv[2]);
	}
	printf("%.0f\n", (double)n / took);
	return 0;
}
