/* SPDX-License-Identifier: MIT */
/* timeit.c: runs a command and says what it took.
 *
 * usage: timeit OUT COMMAND [ARG…]
 * The command's standard output goes to the file OUT, errors stay. Prints one line:
 * wall seconds, CPU seconds (user and system, all threads), peak resident KiB, exit status.
 *
 * First it takes WARM bytes of memory, writes to them, and gives them back. In a virtual machine
 * memory that was free for a few seconds may have gone back to the host, and who takes it next pays
 * many times what it costs otherwise, at random: nobody is to pay for that here.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/seconds.h"

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

#define WARM ((size_t)512 << 20)

static void warm(void)
{
	size_t all = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
	size_t n = WARM < all / 8 ? WARM : all / 8;
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	        -1, 0);

	if (p == MAP_FAILED)
		return;
	madvise(p, n, MADV_HUGEPAGE);
	for (size_t i = 0; i < n; i += 4096)
		p[i] = 1;
	munmap(p, n);
}

int main(int argc, char **argv)
{
	double began, took;
	struct rusage u;
	int status;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: timeit OUT COMMAND [ARG…]\n");
		return 2;
	}
	warm();
	began = now();
	pid = fork();
	if (pid == 0) {
		int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0666);

		if (fd < 0 || dup2(fd, 1) < 0) {
			perror(argv[1]);
			_exit(127);
		}
		close(fd);
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &u) < 0) {
		perror("timeit");
		return 1;
	}
	took = now() - began;
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	printf("%.4f %.4f %ld %d\n", took, seconds(u.ru_utime) + seconds(u.ru_stime), u.ru_maxrss,
	        status);
	return status;
}
