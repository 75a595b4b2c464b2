/* SPDX-License-Identifier: MIT */
/* trace_pcap.c: the classic capture file (draft-ietf-opsawg-pcap).
 *
 *   file header (24 bytes)                   packet header (16 bytes)
 *   +-------------------------------+        +-------------------------------+
 *   | magic: byte order, resolution |        | seconds                       |
 *   | major         | minor         |        | fraction: us or ns            |
 *   | time zone, unused             |        | length captured               |
 *   | accuracy, unused              |        | length on the wire            |
 *   | snap length                   |        +-------------------------------+
 *   | FCS, link type                |        Kuznetzov's Linux patch: 8 more
 *   +-------------------------------+
 *
 * What is believed follows libpcap: versions 2.0 to 2.4 and 543.0 (DG/UX), whose older ones have
 * the two lengths swapped; a packet above the snap length is cut to it; one above what its link
 * type can have is a fault, and nothing behind it can be found; seconds and fraction are signed.
 *
 * The walk is the hottest loop of the source: made once for each byte order and resolution, two
 * loads and two stores of 16 bytes for a packet. It waits for memory: a prefetch takes 5 % off. All
 * odd cases leave it.
 */
#include "sources/trace.h"

#include "sources/wire.h"
#include <errno.h>

enum lengths { LENGTHS_RIGHT, LENGTHS_SWAPPED, LENGTHS_MAYBE };

#define HEADER 16
#define HEADER_KUZNETZOV 24

/* Packets at *at that lie whole before end and need no care; moves *at on. */
static inline __attribute__((always_inline)) unsigned run(const uint8_t **at, const uint8_t *end,
        struct weir_packet *to, unsigned max, uint32_t believed, uint16_t linktype, bool swap,
        int64_t scale)
{
	const uint8_t *p = *at, *last = end - HEADER;
	const struct weir_packet odd = {.linktype = linktype};
	struct weir_packet *w = to, *full = to + max;
	uint64_t rest; /* of a packet: link type, and what is 0 */

	memcpy(&rest, &odd.linktype, sizeof rest);
	if (end - p < HEADER)
		return 0;
	for (; w < full && p <= last; w++) {
		uint32_t caplen = load_swap_u32(p + 8, swap);

		__builtin_prefetch((const void *)((uintptr_t)p + 1024));
		if ((caplen > believed) | (caplen > (size_t)(last - p)))
			break;
		w->ts = (int32_t)load_swap_u32(p, swap) * 1000000000ll +
		        (int32_t)load_swap_u32(p + 4, swap) * scale;
		if (swap) {
			w->caplen = caplen;
			w->len = load_swap_u32(p + 12, swap);
		} else {
			memcpy(&w->caplen, p + 8, 8);
		}
		p += HEADER;
		w->data = p;
		memcpy(&w->linktype, &rest, sizeof rest);
		p += caplen;
	}
	*at = p;
	return (unsigned)(w - to);
}

_Static_assert(offsetof(struct weir_packet, len) == offsetof(struct weir_packet, caplen) + 4 &&
                       sizeof(struct weir_packet) - offsetof(struct weir_packet, linktype) == 8,
        "run() writes these bytes");

/* One packet with all care: 1, or as trace_next(). */
static int careful(struct trace *t, struct weir_packet *to)
{
	uint32_t caplen, len;
	int r = input_need(&t->in, t->header);
	struct wire w;

	if (r <= 0)
		return r < 0 ? r : trace_cut(t, "a packet header", t->header);
	w = wire_of(t->in.at, t->header);
	to->ts = (int32_t)wire_u32(&w, t->swap) * 1000000000ll;
	to->ts += (int32_t)wire_u32(&w, t->swap) * (int64_t)t->scale;
	caplen = wire_u32(&w, t->swap);
	len = wire_u32(&w, t->swap);
	to->ifindex = t->kuznetzov ? wire_u32(&w, t->swap) : 0;
	if (t->lengths == LENGTHS_SWAPPED || (t->lengths == LENGTHS_MAYBE && caplen > len)) {
		uint32_t other = caplen;

		caplen = len;
		len = other;
	}
	if (caplen > t->limit)
		return trace_fault(t, 8, "a packet of %u bytes, more than the %u that can be",
		        caplen, t->limit);
	r = input_need(&t->in, t->header + (size_t)caplen);
	if (r <= 0)
		return r < 0 ? r : trace_cut(t, "a packet", t->header + (size_t)caplen);
	to->data = t->in.at + t->header;
	to->caplen = caplen < t->snap ? caplen : t->snap;
	to->len = len;
	to->linktype = t->iface->linktype;
	to->flags = 0;
	t->in.at += t->header + (size_t)caplen;
	return 1;
}

static inline __attribute__((always_inline)) int walk(
        struct trace *t, struct weir_packet *to, unsigned max, bool swap, int64_t scale)
{
	uint32_t believed = t->limit < t->snap ? t->limit : t->snap;
	unsigned n = run(&t->in.at, t->in.end, to, max, believed, t->iface->linktype, swap, scale);

	/* the rest of the block is for the next call: one that crosses its end, a fault */
	return n ? (int)n : careful(t, to);
}

static int walk_us(struct trace *t, struct weir_packet *to, unsigned max)
{
	return walk(t, to, max, false, 1000);
}

static int walk_ns(struct trace *t, struct weir_packet *to, unsigned max)
{
	return walk(t, to, max, false, 1);
}

static int walk_swapped_us(struct trace *t, struct weir_packet *to, unsigned max)
{
	return walk(t, to, max, true, 1000);
}

static int walk_swapped_ns(struct trace *t, struct weir_packet *to, unsigned max)
{
	return walk(t, to, max, true, 1);
}

static int walk_odd(struct trace *t, struct weir_packet *to, unsigned max)
{
	return careful(t, to);
}

static bool version(struct trace *t)
{
	if (t->major == 2 && t->minor == 4)
		t->lengths = LENGTHS_RIGHT;
	else if (t->major == 2 && t->minor == 3)
		t->lengths = LENGTHS_MAYBE;
	else if ((t->major == 2 && t->minor < 3) || (t->major == 543 && t->minor == 0))
		t->lengths = LENGTHS_SWAPPED;
	else
		return false;
	return true;
}

int trace_open_pcap(struct trace *t)
{
	struct wire w = wire_of(t->in.at, 24);
	struct trace_iface *f = trace_iface_add(t);
	uint32_t magic = wire_le32(&w), link;

	if (!f)
		return -ENOMEM;
	t->swap = magic >> 16 != 0xa1b2 ? WIRE_SWAP_BE : WIRE_SWAP_LE;
	magic = load_swap_u32(t->in.at, t->swap);
	t->major = wire_u16(&w, t->swap);
	t->minor = wire_u16(&w, t->swap);
	if (!version(t))
		return trace_fault(t, 4, "pcap of unknown version %u.%u", t->major, t->minor);
	wire_skip(&w, 8);
	f->snaplen = wire_u32(&w, t->swap);
	link = wire_u32(&w, t->swap);
	f->linktype = (uint16_t)link;
	if (link & 0x04000000)
		f->fcs = (uint8_t)((link >> 28) * 16);
	t->limit = trace_packet_max(f->linktype);
	t->snap = f->snaplen && f->snaplen <= INT32_MAX ? f->snaplen : t->limit;
	t->kuznetzov = magic == 0xa1b2cd34;
	t->header = t->kuznetzov ? HEADER_KUZNETZOV : HEADER;
	if (t->kuznetzov && f->linktype == 1)
		t->snap += 14; /* cooked captures had a made-up Ethernet header in front */
	t->scale = magic == 0xa1b23c4d ? 1 : 1000;
	f->resolution = t->scale == 1 ? 9 : 6;
	t->digits = f->resolution;
	if (t->kuznetzov || t->lengths != LENGTHS_RIGHT)
		t->walk = walk_odd;
	else if (t->swap)
		t->walk = t->scale == 1 ? walk_swapped_ns : walk_swapped_us;
	else
		t->walk = t->scale == 1 ? walk_ns : walk_us;
	t->in.at += 24;
	return 0;
}
