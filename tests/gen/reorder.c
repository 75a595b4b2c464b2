/* SPDX-License-Identifier: MIT */
/* reorder.c: reads a capture file (microseconds, the machine's byte order) from standard input and
 * writes its packets in another order to standard output, the same for the same arguments:
 *
 *	reorder DELAY SHARE SEED [AT BY]
 *
 * Each packet has a chance of SHARE in a thousand to come late, by up to DELAY microseconds of the
 * packets' time. With AT and BY the clock is set by BY seconds, which may be negative, before
 *packet number AT.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct packet {
	int64_t comes; /* us */
	uint32_t number;
	uint32_t head[4]; /* seconds, microseconds, bytes here, bytes on the wire */
	uint8_t *bytes;
};

static uint64_t seed;

/* S. Vigna's splitmix64. */
static uint64_t draw(void)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static int by_coming(const void *a, const void *b)
{
	const struct packet *x = a, *y = b;

	if (x->comes != y->comes)
		return x->comes < y->comes ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static int fail(const char *what)
{
	fprintf(stderr, "reorder: %s\n", what);
	return 1;
}

int main(int argc, char **argv)
{
	struct packet *p = NULL;
	uint32_t file[6], n = 0, room = 0, at = UINT32_MAX;
	int64_t delay, by = 0;
	uint64_t share;

	if (argc != 4 && argc != 6)
		return fail("usage: reorder DELAY SHARE SEED [AT BY] <FILE");
	delay = atoll(argv[1]);
	share = (uint64_t)atoll(argv[2]);
	seed = (uint64_t)atoll(argv[3]);
	if (argc == 6) {
		at = (uint32_t)atoll(argv[4]);
		by = atoll(argv[5]);
	}
	if (fread(file, sizeof file, 1, stdin) != 1 || file[0] != 0xa1b2c3d4)
		return fail("no capture file of this machine");
	for (;; n++) {
		struct packet *k;

		if (n == room) {
			room += 4096;
			p = realloc(p, room * sizeof *p);
		}
		if (!p)
			return fail("out of memory");
		k = &p[n];
		if (fread(k->head, sizeof k->head, 1, stdin) != 1)
			break;
		k->bytes = malloc(k->head[2] + 1);
		if (!k->bytes || (k->head[2] && fread(k->bytes, k->head[2], 1, stdin) != 1))
			return fail("cut short");
		k->number = n;
		k->comes = (int64_t)k->head[0] * 1000000 + k->head[1];
		if (delay && draw() % 1000 < share)
			k->comes += (int64_t)(draw() % (uint64_t)delay);
	}
	qsort(p, n, sizeof *p, by_coming);
	fwrite(file, sizeof file, 1, stdout);
	for (uint32_t i = 0; i < n; i++) {
		if (i >= at)
			p[i].head[0] += (uint32_t)by;
		fwrite(p[i].head, sizeof p[i].head, 1, stdout);
		fwrite(p[i].bytes, 1, p[i].head[2], stdout);
		free(p[i].bytes);
	}
	free(p);
	return fflush(stdout) ? fail("write") : 0;
}
