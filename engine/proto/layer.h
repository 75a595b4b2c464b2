/* SPDX-License-Identifier: MIT */
/* layer.h: where the headers of one packet are.
 *
 * A first pass over a batch leaves one struct layer for each packet; every column is gathered
 * from it. `have` says what was found; a header that the snap length cut has its place set but
 * lacks L_FULL3 or L_FULL4, and then each field's bytes are checked against `end`.
 *
 * Invariants: l3 <= l4 <= 65535; end <= caplen; L_SRC, L_DST, L_PROTO, L_SPORT, L_DPORT are set
 * only where those bytes were captured and belong to the IP packet (padding does not).
 */
#ifndef PROTO_LAYER_H
#define PROTO_LAYER_H

#include <weir/packet.h>

enum {
	L_TYPE = 1,      /* ethertype */
	L_VLAN = 2,      /* vlan */
	L_IP4 = 4,       /* an IPv4 header begins at l3 */
	L_IP6 = 8,       /* an IPv6 header begins at l3 */
	L_SRC = 16,      /* source address */
	L_DST = 32,      /* destination address */
	L_PROTO = 64,    /* proto */
	L_L4 = 128,      /* the upper header begins at l4 (never in a later fragment) */
	L_SPORT = 256,   /* sport */
	L_DPORT = 512,   /* dport */
	L_TCP = 1024,    /* a TCP header begins at l4 */
	L_UDP = 2048,    /* a UDP header begins at l4 */
	L_ICMP = 4096,   /* an ICMP or ICMPv6 header begins at l4 */
	L_FULL3 = 8192,  /* the fixed IP header was captured whole */
	L_FULL4 = 16384, /* the fixed TCP, UDP or ICMP header was captured whole */
	L_FRAG = 32768,  /* a fragment, the first or a later one */
	L_FRAG6 = 65536, /* IPv6 with a fragment header */
	L_CUT = 131072,  /* L_SRC, L_DST and L_PROTO differ, or L_SPORT and L_DPORT do */
	L_BITS = 18,
};

/* The first LAYER_KEY bytes are what keys are mostly made of, see pack.c. */
#define LAYER_KEY 16

struct layer {
	uint32_t src, dst;     /* IPv4 addresses, network order */
	uint16_t sport, dport; /* network order */
	uint16_t vlan;         /* outermost VLAN id */
	uint8_t proto; /* IPv4 protocol, or the next header of the last IPv6 extension header */
	uint8_t zero;
	uint32_t have;
	uint16_t l3, l4;    /* offsets from the packet's first byte */
	uint32_t end;       /* offset at which the captured bytes of the IP packet end */
	uint16_t ethertype; /* host order */
	uint16_t zero2;
};

/* Which rows of a batch have something: the validity bitmap of a column. */
struct rows {
	uint64_t bits[WEIR_BATCH_ROWS / 64];
};

/* tcpdump.org/linktypes.html: those of which link.c knows what follows. */
enum {
	LT_NULL = 0,
	LT_ETHERNET = 1,
	LT_PPP = 9,
	LT_RAW_DLT = 12,
	LT_RAW_OPENBSD = 14,
	LT_PPP_HDLC = 50,
	LT_PPP_ETHER = 51,
	LT_RAW = 101,
	LT_C_HDLC = 104,
	LT_WLAN = 105,
	LT_LOOP = 108,
	LT_SLL = 113,
	LT_PRISM = 119,
	LT_RADIOTAP = 127,
	LT_AVS = 163,
	LT_PPP_PPPD = 166,
	LT_PPP_WITH_DIR = 204,
	LT_IPV4 = 228,
	LT_IPV6 = 229,
	LT_SLL2 = 276,
};

/* The walks of all packets of a batch. */
struct layers {
	struct layer *d;           /* NULL: not walked yet */
	uint32_t n, all, any;      /* packets; and, or of their `have` */
	struct rows *rows[L_BITS]; /* by bit of `have`: the rows that have it; NULL: not made yet */
};

/* The decoded state of a batch, at weir_packets.decoded. */
struct decoded {
	struct layers outer, inner;
};

/* A walk down the headers of one packet. */
struct walk {
	const uint8_t *p;
	uint32_t lim;   /* captured bytes that may be read */
	uint32_t wire;  /* bytes that were on the wire */
	unsigned depth; /* encapsulations so far */
	struct layer *d;
};

#define WALK_DEPTH 16
#define WALK_OFFSET_MAX 0xff00u

/* The bit that says the same as `bit` in packets whose `have`s together are `any`: fields that are
 * there in the same packets need one bitmap. */
static inline uint32_t layer_bit(uint32_t any, uint32_t bit)
{
	if (any & L_CUT)
		return bit;
	return bit == L_DST || bit == L_PROTO ? L_SRC : bit == L_DPORT ? L_SPORT : bit;
}

/* Sets L_CUT at the end of a walk. */
static inline void layer_cut(struct layer *d)
{
	uint32_t ip = d->have & (L_SRC | L_DST | L_PROTO), ports = d->have & (L_SPORT | L_DPORT);

	if ((ip && ip != (L_SRC | L_DST | L_PROTO)) || (ports && ports != (L_SPORT | L_DPORT)))
		d->have |= L_CUT;
}

static inline uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return __builtin_bswap16(v);
}

static inline uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

static inline uint64_t get48(const uint8_t *p)
{
	return (uint64_t)get16(p) << 32 | get32(p + 2);
}

static inline uint16_t get16le(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* Whether `n` bytes at `off` may be read. */
static inline bool walk_has(const struct walk *w, uint32_t off, uint32_t n)
{
	return off <= WALK_OFFSET_MAX && off <= w->lim && n <= w->lim - off;
}

/* link.c: from the link layer up. */
void walk_link(struct walk *w, const struct weir_packet *pk);
void walk_ethernet(struct walk *w, uint32_t off);
void walk_ethertype(struct walk *w, uint32_t off, uint16_t type);
void walk_llc(struct walk *w, uint32_t off);
/* At the PPP protocol number, one or two bytes. */
void walk_ppp(struct walk *w, uint32_t off);
/* The link addresses of a packet: 48 bits each; false where there is none. */
bool link_source(const struct weir_packet *pk, uint64_t *ret);
bool link_destination(const struct weir_packet *pk, uint64_t *ret);

/* wlan.c: IEEE 802.11 with the headers that capture drivers put before it. */
void walk_wlan(struct walk *w, uint16_t linktype);
void walk_wlan_frame(struct walk *w, uint32_t off);
bool wlan_address(const struct weir_packet *pk, bool source, uint64_t *ret);

/* ip.c: IP and up; inner packets of tunnels. The header's own version counts, also where what
 * stands before says IPv4; where it says IPv6 nothing else is taken (tshark does the same). */
void walk_ip(struct walk *w, uint32_t off);
void walk_ipv6(struct walk *w, uint32_t off);
/* The packet that `outer` carries, where it is IP in IP, GRE or 6in4; else in->have stays 0. */
void walk_inner(const struct weir_packet *pk, const struct layer *outer, struct layer *in);
/* Offset of the IPv6 fragment header of a packet with L_FRAG6. */
uint32_t ip6_fragment(const uint8_t *p, const struct layer *d);

/* names.c */
extern const struct weir_names protocol_names[], ethertype_names[], linktype_names[];

#endif
