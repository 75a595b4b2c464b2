/* SPDX-License-Identifier: MIT */
/* file.c: see file.h. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

enum { OUT = 1 << 20 };

uint64_t file_now, file_sent;
static uint8_t out[OUT];
static size_t out_len;
static int out_fd = STDOUT_FILENO;

void file_open(void)
{
	if (strcmp(opt.path, "-") == 0)
		return;
	out_fd = open(opt.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (out_fd < 0)
		die(opt.path);
}

static void flush(void)
{
	for (size_t at = 0; at < out_len;) {
		ssize_t n = write(out_fd, out + at, out_len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("write");
		at += (size_t)n;
	}
	out_len = 0;
}

void file_put(const void *p, size_t n)
{
	memcpy(out + out_len, p, n);
	out_len += n;
}

static void put16(uint16_t v)
{
	v = opt.swap ? __builtin_bswap16(v) : v;
	file_put(&v, 2);
}

static void put32(uint32_t v)
{
	v = opt.swap ? __builtin_bswap32(v) : v;
	file_put(&v, 4);
}

void file_header(void)
{
	if (!opt.ng) {
		put32(opt.ns ? 0xa1b23c4d : 0xa1b2c3d4);
		put16(2);
		put16(4);
		put32(0);
		put32(0);
		put32((uint32_t)opt.snaplen);
		put32(1);
		return;
	}
	put32(0x0a0d0d0a); /* section header */
	put32(28);
	put32(0x1a2b3c4d);
	put16(1);
	put16(0);
	put32(UINT32_MAX);
	put32(UINT32_MAX);
	put32(28);
	put32(1); /* interface description, if_tsresol */
	put32(32);
	put16(1);
	put16(0);
	put32((uint32_t)opt.snaplen);
	put16(9);
	put16(1);
	file_put((uint8_t[]){opt.ns ? 9 : 6, 0, 0, 0}, 4);
	put32(0); /* end of options */
	put32(32);
}

/* The buffer has room for a packet of the snap length and its headers then. */
void file_packet(uint32_t caplen, uint32_t len)
{
	uint64_t t = opt.ns ? file_now : file_now / 1000;

	if (out_len + opt.snaplen + 64 > OUT || out_len > OUT / 2)
		flush();
	if (!opt.ng) {
		put32((uint32_t)(file_now / 1000000000));
		put32((uint32_t)(file_now % 1000000000 / (opt.ns ? 1 : 1000)));
	} else {
		put32(6);
		put32(32 + ((caplen + 3) & ~3u));
		put32(0);
		put32((uint32_t)(t >> 32));
		put32((uint32_t)t);
	}
	put32(caplen);
	put32(len);
}

void file_packet_end(uint32_t caplen)
{
	file_sent++;
	if (!opt.ng)
		return;
	file_put("\0\0\0", -caplen & 3);
	put32(32 + ((caplen + 3) & ~3u));
}

void file_close(void)
{
	flush();
	if (close(out_fd) < 0)
		die(opt.path);
}
