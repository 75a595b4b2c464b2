/* SPDX-License-Identifier: MIT */
/* trace_pcapng.c: the pcapng capture file (draft-ietf-opsawg-pcapng).
 *
 *   +------------+--------------+----------------------------+--------------+
 *   | type       | total length | body, padded to 4          | total length |
 *   +------------+--------------+----------------------------+--------------+
 *
 * A section header sets the byte order and forgets the interfaces; an interface description sets
 * link type and time resolution; packets are in enhanced, simple and obsolete packet blocks; all
 * other blocks and all comments are skipped.
 *
 * Stricter than the draft, as libpcap is: no block above 16 MiB (or what the link type's largest
 * packet needs), both lengths of a block equal, resolutions up to 2^-63 and 10^-19 s. More
 * lenient than libpcap: sections may differ in byte order, interfaces in link type and snap
 * length. A simple packet has no time: 0, as libpcap has it.
 */
#include "sources/trace.h"

#include "sources/wire.h"
#include <errno.h>
#include <inttypes.h>

enum {
	SECTION = 0x0a0d0d0a,
	INTERFACE = 1,
	PACKET = 2,
	SIMPLE = 3,
	ENHANCED = 6,
};

#define BLOCK_MIN 12
#define BLOCK_MAX (16u << 20)
#define PACKET_MORE (128u << 10) /* headers and options around the largest packet */

/* One block, checked: its type, total length and body. */
struct ng_block {
	uint32_t type, total;
	struct wire body;
};

static uint32_t block_max(const struct trace *t)
{
	uint32_t max = BLOCK_MAX;

	for (uint32_t i = 0; i < t->niface; i++)
		if (trace_packet_max(t->iface[i].linktype) + PACKET_MORE > max)
			max = trace_packet_max(t->iface[i].linktype) + PACKET_MORE;
	return max;
}

/* Looks at the block at in.at, whole; 1, or as trace_next(). */
static int look(struct trace *t, struct ng_block *b)
{
	int r = input_need(&t->in, BLOCK_MIN);
	const uint8_t *p;

	if (r <= 0)
		return r < 0 ? r : trace_cut(t, "a block header", BLOCK_MIN);
	p = t->in.at;
	b->type = load_swap_u32(p, t->swap);
	if (b->type == SECTION) { /* reads the same in both orders */
		uint32_t order = load_u32(p + 8);

		if (order != 0x1a2b3c4d && order != 0x4d3c2b1a)
			return trace_fault(t, 8, "section of unknown byte order");
		t->swap = order != 0x1a2b3c4d;
	}
	b->total = load_swap_u32(p + 4, t->swap);
	if (b->total < BLOCK_MIN || b->total % 4)
		return trace_fault(t, 4, "block of %u bytes, not a multiple of 4 from %u up",
		        b->total, BLOCK_MIN);
	if (b->total > BLOCK_MAX && b->total > block_max(t))
		return trace_fault(t, 4, "block of %u bytes, more than %u", b->total, block_max(t));
	r = input_need(&t->in, b->total);
	if (r <= 0)
		return r < 0 ? r : trace_cut(t, "a block", b->total);
	p = t->in.at;
	if (load_swap_u32(p + b->total - 4, t->swap) != b->total)
		return trace_fault(t, b->total - 4,
		        "the lengths at the block's two ends differ: %u and %u", b->total,
		        load_swap_u32(p + b->total - 4, t->swap));
	b->body = wire_of(p + 8, b->total - BLOCK_MIN);
	return 1;
}

/* Ticks since the epoch as ns, pinned to what fits. */
static int64_t slow_time(const struct trace_iface *f, uint64_t ticks)
{
	unsigned n = f->resolution & 0x7f;
	__int128 ns;

	if (f->resolution & 0x80) {
		uint64_t mask = (1ull << n) - 1;

		ns = (__int128)(ticks >> n) * 1000000000;
		ns += (int64_t)((unsigned __int128)(ticks & mask) * 1000000000 >> n);
	} else if (n <= 9) {
		uint64_t mul = 1;

		for (; n < 9; n++)
			mul *= 10;
		ns = (__int128)ticks * mul;
	} else {
		for (; n > 9; n--)
			ticks /= 10;
		ns = ticks;
	}
	ns += (__int128)f->offset * 1000000000;
	if (ns > INT64_MAX)
		return INT64_MAX;
	return ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

static inline int64_t time_of(const struct trace_iface *f, uint32_t high, uint32_t low)
{
	uint64_t ticks = (uint64_t)high << 32 | low;

	if (__builtin_expect(high < f->quick, 1))
		return (int64_t)(ticks * f->mul);
	return slow_time(f, ticks);
}

/* ---- section, interface ---- */

static int section(struct trace *t, struct ng_block *b)
{
	wire_skip(&b->body, 4);
	t->major = wire_u16(&b->body, t->swap);
	t->minor = wire_u16(&b->body, t->swap);
	wire_skip(&b->body, 8);
	if (b->body.bad)
		return trace_fault(t, 4, "section header of %u bytes", b->total);
	if (t->major != 1 || (t->minor != 0 && t->minor != 2))
		return trace_fault(t, 12, "pcapng of unknown version %u.%u", t->major, t->minor);
	t->sections++;
	t->iface_base += t->niface;
	t->niface = 0;
	return 1;
}

static int resolution(struct trace *t, struct trace_iface *f, uint8_t value)
{
	unsigned n = value & 0x7f;

	if (value & 0x80 ? n > 63 : n > 19)
		return trace_fault(t, 0, "interface with a time resolution of %d^-%u s",
		        value & 0x80 ? 2 : 10, n);
	f->resolution = value;
	if (value & 0x80 ? n >= 20 : n > 6)
		t->digits = 9;
	return 1;
}

/* Resolutions of 10^0 to 10^-9 s need but a product, as long as it fits. */
static void quicken(struct trace_iface *f)
{
	f->quick = 0;
	if (f->offset || f->resolution > 9)
		return;
	f->mul = 1;
	for (unsigned n = f->resolution; n < 9; n++)
		f->mul *= 10;
	f->quick = (uint32_t)((INT64_MAX / f->mul) >> 32);
}

static int interface(struct trace *t, struct ng_block *b)
{
	struct trace_iface *f;
	struct wire *w = &b->body;
	int r = 1;

	if (t->niface == TRACE_IFACES_MAX)
		return trace_fault(t, 0, "more than %u interfaces", TRACE_IFACES_MAX);
	f = trace_iface_add(t);
	if (!f)
		return -ENOMEM;
	f->linktype = wire_u16(w, t->swap);
	wire_skip(w, 2);
	f->snaplen = wire_u32(w, t->swap);
	if (w->bad)
		return trace_fault(t, 4, "interface description of %u bytes", b->total);
	while (r == 1 && wire_left(w) >= 4) {
		uint16_t code = wire_u16(w, t->swap), len = wire_u16(w, t->swap);
		struct wire v = wire_of(w->at, len < wire_left(w) ? len : wire_left(w));

		if (code == 0)
			break;
		wire_skip(w, (len + 3u) & ~3u);
		if (code == 9 && len == 1)
			r = resolution(t, f, wire_u8(&v));
		else if (code == 14 && len == 8)
			f->offset = (int64_t)wire_u64(&v, t->swap);
		else if (code == 13 && len == 1)
			f->fcs = wire_u8(&v);
		else if (code == 9 || code == 14)
			r = trace_fault(t, 0, "interface with a time option of %u bytes", len);
		if (w->bad)
			r = trace_fault(t, 0, "interface option %u of %u bytes, beyond the block",
			        code, len);
	}
	quicken(f);
	return r;
}

/* ---- packets ---- */

/* The rest of a packet block, which begins with the packet's bytes. */
static int packet(struct trace *t, struct ng_block *b, struct weir_packet *to, uint32_t iface)
{
	to->data = wire_bytes(&b->body, to->caplen);
	if (b->body.bad)
		return trace_fault(
		        t, 0, "a packet of %u bytes in a block of %u", to->caplen, b->total);
	to->linktype = t->iface[iface].linktype;
	to->flags = 0;
	to->ifindex = t->iface_base + iface;
	return 1;
}

/* An enhanced or an obsolete packet block; they differ in how the interface is written. */
static int enhanced(struct trace *t, struct ng_block *b, struct weir_packet *to)
{
	struct wire *w = &b->body;
	uint32_t iface, high, low;

	if (b->type == PACKET) {
		iface = wire_u16(w, t->swap);
		wire_skip(w, 2); /* drops */
	} else {
		iface = wire_u32(w, t->swap);
	}
	high = wire_u32(w, t->swap);
	low = wire_u32(w, t->swap);
	to->caplen = wire_u32(w, t->swap);
	to->len = wire_u32(w, t->swap);
	if (w->bad)
		return trace_fault(t, 4, "packet block of %u bytes", b->total);
	if (iface >= t->niface)
		return trace_fault(t, 8, "a packet of interface %u, which is not described", iface);
	to->ts = time_of(&t->iface[iface], high, low);
	return packet(t, b, to, iface);
}

static int simple(struct trace *t, struct ng_block *b, struct weir_packet *to)
{
	to->len = wire_u32(&b->body, t->swap);
	if (b->body.bad)
		return trace_fault(t, 4, "packet block of %u bytes", b->total);
	if (t->niface == 0)
		return trace_fault(t, 8, "a packet of interface 0, which is not described");
	to->caplen = to->len;
	if (t->iface[0].snaplen && t->iface[0].snaplen < to->caplen)
		to->caplen = t->iface[0].snaplen;
	to->ts = time_of(&t->iface[0], 0, 0);
	return packet(t, b, to, 0);
}

/* Enhanced packets at in.at that lie whole in the block and need no care. */
static inline __attribute__((always_inline)) unsigned run(
        struct trace *t, struct weir_packet *to, unsigned max, bool swap)
{
	const uint8_t *p = t->in.at, *end = t->in.end;
	const struct trace_iface *ifaces = t->iface;
	uint32_t niface = t->niface, base = t->iface_base;
	unsigned n = 0;

	while (n < max && (size_t)(end - p) >= 32) {
		uint32_t total = load_swap_u32(p + 4, swap), caplen = load_swap_u32(p + 20, swap);
		uint32_t iface = load_swap_u32(p + 8, swap);

		__builtin_prefetch((const void *)((uintptr_t)p + 1024));
		if (load_swap_u32(p, swap) != ENHANCED || (size_t)(end - p) < total || total < 32 ||
		        total % 4 || total - 32 < caplen || iface >= niface ||
		        load_swap_u32(p + total - 4, swap) != total)
			break;
		to[n] = (struct weir_packet){
		        .ts = time_of(&ifaces[iface], load_swap_u32(p + 12, swap),
		                load_swap_u32(p + 16, swap)),
		        .data = p + 28,
		        .caplen = caplen,
		        .len = load_swap_u32(p + 24, swap),
		        .linktype = ifaces[iface].linktype,
		        .ifindex = base + iface,
		};
		n++;
		p += total;
	}
	t->in.at = p;
	return n;
}

/* Whatever stands at in.at: 1 where it was a packet, 2 another block, or as trace_next(). With
 * `to` NULL a packet is left there: 0. */
static int careful(struct trace *t, struct weir_packet *to)
{
	struct ng_block b;
	bool is_packet;
	int r = look(t, &b);

	if (r <= 0)
		return r;
	is_packet = b.type == ENHANCED || b.type == PACKET || b.type == SIMPLE;
	if (is_packet && !to)
		return 0;
	if (b.type == SECTION)
		r = section(t, &b);
	else if (b.type == INTERFACE)
		r = interface(t, &b);
	else if (b.type == SIMPLE)
		r = simple(t, &b, to);
	else if (is_packet)
		r = enhanced(t, &b, to);
	if (r <= 0)
		return r;
	t->in.at += b.total;
	return is_packet ? 1 : 2;
}

/* Between pieces the walk stops anyway, and goes on with the next one only. */
static bool is_enough(const struct trace *t, uint64_t since)
{
	return input_offset(&t->in) - since >= TRACE_BARREN && !t->in.pieces;
}

static int walk(struct trace *t, struct weir_packet *to, unsigned max)
{
	uint64_t from = input_offset(&t->in);
	int r;

	do {
		unsigned n = t->swap ? run(t, to, max, true) : run(t, to, max, false);

		if (n)
			return (int)n;
		r = careful(t, max ? to : NULL);
	} while (r == 2 && !is_enough(t, from));
	if (r != 2)
		return r;
	t->in.from.busy = true;
	return -EAGAIN;
}

int trace_open_pcapng(struct trace *t)
{
	struct ng_block b;
	int r = look(t, &b);

	if (r == -EAGAIN)
		return r;
	if (r > 0)
		r = section(t, &b);
	if (r <= 0)
		return r;
	t->in.at += b.total;
	t->walk = walk;
	return 0;
}
