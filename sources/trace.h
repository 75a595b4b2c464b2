/* SPDX-License-Identifier: MIT */
/* trace.h: one capture file as runs of packet descriptors.
 *
 * trace_open() tells the format by content, trace_next() walks on. The descriptors point into the
 * block that is handed out beside them. A fault in the file ends it: what came before counts, and
 * `fault` says what was wrong at which offset.
 *
 * No call goes through more than TRACE_BARREN bytes that give no packet, so whoever reads can be
 * stopped whatever is in the file.
 */
#ifndef TRACE_H
#define TRACE_H

#include "sources/input.h"
#include <limits.h>
#include <weir/packet.h>

enum trace_format { TRACE_NONE, TRACE_PCAP, TRACE_PCAPNG };

/* One interface of a pcapng section; a pcap file is described by one, too. */
struct trace_iface {
	uint16_t linktype;
	uint8_t resolution; /* as if_tsresol has it: 6 is 10^-6 s, 0x80 | 10 is 2^-10 s */
	uint8_t fcs;        /* bits of frame check sequence at the packets' ends */
	uint32_t snaplen;   /* 0: no limit */
	int64_t offset;     /* if_tsoffset, s */
	uint64_t mul;       /* ns = ticks * mul … */
	uint32_t quick;     /* … where the upper half of ticks is below this */
};

#define TRACE_IFACES_MAX 65536 /* in one section */

struct trace {
	struct input in;
	struct weir_mem *mem;
	enum trace_format format;
	bool swap; /* the file's byte order is not the machine's */
	bool ended;
	uint16_t major, minor;
	/* See trace_next(). With max 0 (pcapng only) up to the first packet: 0. */
	int (*walk)(struct trace *t, struct weir_packet *to, unsigned max);
	/* pcap */
	uint32_t header; /* bytes before each packet */
	uint32_t limit;  /* largest length captured that is believed */
	uint32_t snap;   /* packets are cut to this */
	uint32_t scale;  /* ns in a fraction's unit */
	uint8_t lengths; /* enum in trace_pcap.c */
	bool kuznetzov;
	/* pcapng: of this section; pcap: one */
	struct trace_iface *iface;
	uint32_t niface, iface_room;
	uint32_t iface_base; /* interfaces of the sections before */
	uint32_t sections;
	uint8_t digits;        /* of the times, 6 or 9; 9 where the header has not come yet */
	char fault[200];       /* empty: none */
	uint64_t fault_offset; /* into the decompressed file */
};

#define TRACE_BARREN (16u << 20) /* as large as blocks can be that have no packet */

#define TRACE_GROWING UINT_MAX /* instead of a patience: see in.from.growing; it never waits */

/* Takes over fd. Reads up to the first packet; waits up to `patience` ms where fd is a pipe. Where
 * there is none by then, or none in much (trace_is_busy()), the rest is left to trace_next()
 * (`format` may be TRACE_NONE, and interfaces be missing).
 * 0, also for a file that is empty or cut short in its header (then `fault` is set and there are
 * no packets); -EINVAL: no capture file, `fault` says why; -ENOMEM. trace_release() is due in any
 * case. */
int trace_open(
        struct trace *t, int fd, struct block_pool *pool, struct weir_mem *mem, unsigned patience);
void trace_release(struct trace *t);

/* The next packets, up to `max` (not 0), all in one block: their number and *ret_block, borrowed
 * until the next call. 0: the end, see t->fault. -EAGAIN: a pipe has nothing yet, or
 * trace_is_busy(). -ENOMEM. */
int trace_next(struct trace *t, struct weir_packet *to, unsigned max, struct block **ret_block);

/* The last call has given up before much that has no packet: there is more to be read at once. */
static inline bool trace_is_busy(const struct trace *t)
{
	return t->in.from.busy;
}

/* ---- for the formats ---- */

/* Ends the trace with a fault at the current place (plus `at` bytes); returns 0. */
int trace_fault(struct trace *t, size_t at, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Ends the trace where input_need() said that `what` is not all there; returns 0. A clean end
 * where nothing at all is left. */
int trace_cut(struct trace *t, const char *what, size_t need);

/* Adds an interface; NULL: out of memory. */
struct trace_iface *trace_iface_add(struct trace *t);

/* What libpcap believes a packet of this link type can have at most. */
uint32_t trace_packet_max(uint16_t linktype);

/* With 24 bytes at in.at: read the file's header and set `walk`. 0, -EAGAIN, -ENOMEM. */
int trace_open_pcap(struct trace *t);
int trace_open_pcapng(struct trace *t);

#endif
