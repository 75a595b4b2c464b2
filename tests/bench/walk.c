/* SPDX-License-Identifier: MIT */
/* walk.c: what any program has to do for a question about headers: the trace read in blocks of a
 * megabyte into one buffer, from record to record, and a look at each packet's addresses, protocol
 * and ports. Prints packets, bytes, and what it saw, added up.
 *
 * usage: walk FILE        (pcap in this byte order, Ethernet)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (1u << 20)
#define MOST 262144 /* bytes of a packet */

static uint8_t buffer[BLOCK + MOST + 16];

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

int main(int argc, char **argv)
{
	uint64_t packets = 0, bytes = 0, seen = 0;
	size_t have = 0, at = 24;
	ssize_t n;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0) {
		fprintf(stderr, argc == 2 ? "walk: %s: %s\n" : "usage: walk FILE\n",
		        argc == 2 ? argv[1] : "", strerror(errno));
		return 2;
	}
	while ((n = read(fd, buffer + have, BLOCK)) > 0) {
		have += (size_t)n;
		while (at + 16 <= have) {
			uint32_t caplen = get32(buffer + at + 8);
			const uint8_t *p = buffer + at + 16;

			if (caplen > MOST) {
				fprintf(stderr, "walk: a packet of %u bytes\n", caplen);
				return 1;
			}
			if (at + 16 + caplen > have)
				break;
			packets++;
			bytes += get32(buffer + at + 12);
			if (caplen >= 38)
				seen += p[23] + get32(p + 26) + get32(p + 30) + get32(p + 34);
			at += 16 + caplen;
		}
		if (at > have)
			continue;
		memmove(buffer, buffer + at, have - at);
		have -= at;
		at = 0;
	}
	printf("%llu,%llu,%llu\n", (unsigned long long)packets, (unsigned long long)bytes,
	        (unsigned long long)seen);
	close(fd);
	return n < 0;
}
