/* SPDX-License-Identifier: MIT */
/* blast.c: sends the packets of a trace into an interface, over and over, as fast as it can.
 *
 * usage: blast INTERFACE TRACE SECONDS [PER_SECOND [PACKETS]]
 * PER_SECOND: that many instead, evenly; 0: as fast as it can. PACKETS of the trace at most are
 * sent again and again.
 * Prints a line: packets sent, their bytes, seconds.
 *
 * Why not tcpreplay: a packet costs it a system call. Here packets lie in memory one behind the
 * other, and sendmmsg(2) takes many, past the queueing discipline (PACKET_QDISC_BYPASS). A ring of
 * packets that the kernel sends from (PACKET_TX_RING) was not faster on a veth pair: a packet of it
 * is in pages of the ring, which the kernel has to pin, and every receiver to gather.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/seconds.h"

#define MANY 64
#define PACKETS_MAX 4000000u
#define BYTES_MAX ((size_t)1 << 30)

struct packets {
	uint32_t n;
	struct iovec *v;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "blast: %s: %s\n", what, why);
	exit(1);
}

static struct packets load(const char *trace, uint32_t most)
{
	struct packets p = {.v = calloc(most, sizeof *p.v)};
	uint8_t *at = malloc(BYTES_MAX), *end = at + BYTES_MAX;
	char why[PCAP_ERRBUF_SIZE] = "";
	pcap_t *from = pcap_open_offline(trace, why);
	const uint8_t *data;
	struct pcap_pkthdr *h;

	if (!from || !p.v || !at)
		fail(trace, from ? strerror(ENOMEM) : why);
	while (p.n < most && pcap_next_ex(from, &h, &data) == 1) {
		if (h->caplen < ETHER_HDR_LEN || h->caplen > (size_t)(end - at))
			continue;
		memcpy(at, data, h->caplen);
		p.v[p.n++] = (struct iovec){at, h->caplen};
		at += (h->caplen + 7) & ~7u;
	}
	pcap_close(from);
	if (!p.n)
		fail(trace, "no packets");
	return p;
}

static int open_socket(const char *name)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1, size = 4 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) < 0)
		fail(name, strerror(errno));
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
	return fd;
}

/* How many may go out now, of `many`. */
static uint32_t due(uint64_t sent, double began, double rate, uint32_t many)
{
	double at = now() - began, d = at * rate - (double)sent;

	if (rate <= 0)
		return many;
	if (d < 1) {
		double ns = (1 - d) / rate * 1e9;

		nanosleep(&(struct timespec){.tv_nsec = ns > 1e8 ? 100000000 : (long)ns}, NULL);
		return 0;
	}
	return d < many ? (uint32_t)d : many;
}

static uint64_t blast(int fd, const struct packets *p, double seconds, double rate, uint64_t *bytes)
{
	struct mmsghdr m[MANY] = {0};
	double began = now();
	uint64_t sent = 0;
	uint32_t at = 0;

	while (now() - began < seconds) {
		uint32_t n = due(sent, began, rate, p->n - at < MANY ? p->n - at : MANY);
		int done;

		for (uint32_t i = 0; i < n; i++) {
			m[i].msg_hdr.msg_iov = &p->v[at + i];
			m[i].msg_hdr.msg_iovlen = 1;
		}
		done = n ? sendmmsg(fd, m, n, 0) : 0;
		if (done < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
			if (errno != EMSGSIZE)
				fail("send", strerror(errno));
			at++; /* longer than the interface takes */
		}
		for (int i = 0; i < done; i++)
			*bytes += p->v[at + (uint32_t)i].iov_len;
		sent += done > 0 ? (uint64_t)done : 0;
		at += done > 0 ? (uint32_t)done : 0;
		at = at >= p->n ? 0 : at;
	}
	return sent;
}

int main(int argc, char **argv)
{
	uint32_t most = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : PACKETS_MAX;
	uint64_t sent, bytes = 0;
	struct packets p;
	double began;
	int fd;

	if (argc < 4 || argc > 6) {
		fprintf(stderr, "usage: blast INTERFACE TRACE SECONDS [PER_SECOND [PACKETS]]\n");
		return 2;
	}
	p = load(argv[2], most && most < PACKETS_MAX ? most : PACKETS_MAX);
	fd = open_socket(argv[1]);
	began = now();
	sent = blast(fd, &p, atof(argv[3]), argc > 4 ? atof(argv[4]) : 0, &bytes);
	printf("%llu %llu %.3f\n", (unsigned long long)sent, (unsigned long long)bytes,
	        now() - began);
	return 0;
}
