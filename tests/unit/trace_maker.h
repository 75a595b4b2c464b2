/* SPDX-License-Identifier: MIT */
/* trace_maker.h: traces that a test writes, packet by packet, and the directory that holds one.
 *
 * Ethernet, microseconds, in the byte order of the machine. For files that are wrong or of other
 * formats, see captures.h.
 */
#ifndef TRACE_MAKER_H
#define TRACE_MAKER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Fields of packets: big endian. */
static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* EtherType and IPv4 or IPv6 header before `len` bytes of `proto`, where all is zero, as the
 * addresses stay; what is behind it. */
static inline uint8_t *put_ip(uint8_t *p, bool six, uint8_t proto, uint32_t len)
{
	put16(p, six ? 0x86dd : 0x0800);
	p[2] = six ? 0x60 : 0x45;
	put16(p + (six ? 6 : 4), six ? len : 20 + len);
	p[six ? 8 : 11] = proto;
	return p + (six ? 42 : 22);
}

struct made_trace {
	char dir[32], path[40];
};

/* A file without packets, in a directory of its own; to be closed by the caller. */
static inline FILE *trace_make(struct made_trace *t)
{
	static const uint32_t head[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	FILE *f;

	strcpy(t->dir, "/tmp/weir-unit-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	memcpy(t->path, t->dir, sizeof t->dir);
	strcat(t->path, "/t.pcap");
	f = fopen(t->path, "w");
	assert_non_null(f);
	fwrite(head, sizeof head, 1, f);
	return f;
}

/* A packet of `len` bytes, `us` after the beginning, of which `caplen` are at `p`. */
static inline void trace_put(FILE *f, uint64_t us, const void *p, uint32_t caplen, uint32_t len)
{
	uint32_t rec[4] = {
	        1600000000 + (uint32_t)(us / 1000000), (uint32_t)(us % 1000000), caplen, len};

	fwrite(rec, sizeof rec, 1, f);
	fwrite(p, caplen, 1, f);
}

/* 0, or -1 where something else is in the directory. */
static inline int trace_remove(const struct made_trace *t)
{
	unlink(t->path);
	return rmdir(t->dir);
}

#endif
