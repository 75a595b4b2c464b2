// SPDX-License-Identifier: MIT
/* ip.c: IPv4, IPv6 with its extension headers, and the packets inside of tunnels.
 *
 * A header that contradicts itself (header length below 20, total length below the header) is not
 * taken for IP. A total length of 0 is what segmentation offload leaves: the packet then ends
 * where the frame does. Bytes behind the IP packet are padding and belong to nothing.
 *
 * RFC 791, RFC 8200, RFC 4302 (AH), RFC 2003 (IP in IP), RFC 4213 (6in4), RFC 2784 and 2890
 * (GRE), RFC 2637 (GRE version 1).
 */
#include "engine/proto/layer.h"

enum {
	P_HOPOPTS = 0,
	P_ICMP = 1,
	P_IPIP = 4,
	P_TCP = 6,
	P_UDP = 17,
	P_DCCP = 33,
	P_IPV6 = 41,
	P_ROUTING = 43,
	P_FRAGMENT = 44,
	P_GRE = 47,
	P_AH = 51,
	P_ICMP6 = 58,
	P_DSTOPTS = 60,
	P_SCTP = 132,
	P_UDPLITE = 136,
};

/* Extension headers that one packet may have before we give up on it: more than fit 1,500 bytes. */
#define CHAIN_MAX 256

static void ports(const struct walk *w, struct layer *d)
{
	const uint8_t *p = w->p + d->l4;

	if (d->l4 + 4u <= d->end) {
		d->have |= L_SPORT | L_DPORT;
		memcpy(&d->sport, p, 2);
		memcpy(&d->dport, p + 2, 2);
	} else if (d->l4 + 2u <= d->end) {
		d->have |= L_SPORT;
		memcpy(&d->sport, p, 2);
	}
}

static void upper(const struct walk *w, uint32_t off)
{
	struct layer *d = w->d;
	uint32_t full = 0;

	if (off > WALK_OFFSET_MAX || off > d->end)
		return;
	d->l4 = (uint16_t)off;
	d->have |= L_L4;
	switch (d->proto) {
	case P_TCP:
		d->have |= L_TCP;
		ports(w, d);
		full = 20;
		break;
	case P_UDP:
		d->have |= L_UDP;
		ports(w, d);
		full = 8;
		break;
	case P_ICMP:
	case P_ICMP6:
		d->have |= L_ICMP;
		full = 4;
		break;
	case P_DCCP:
	case P_SCTP:
	case P_UDPLITE:
		ports(w, d);
		break;
	}
	if (full && off + full <= d->end)
		d->have |= L_FULL4;
}

/*  0                   1                   2                   3
 *  |version|  ihl  |      tos      |          total length         |
 *  |         identification        |flags|     fragment offset     |
 *  |      ttl      |   protocol    |            checksum           |
 *  |                         source address                        |
 *  |                      destination address                      |  options … */
static void walk_ip4(struct walk *w, uint32_t off)
{
	struct layer *d = w->d;
	const uint8_t *h = w->p + off;
	uint32_t left = w->lim - off, ihl = (h[0] & 15u) * 4, total, fragment;

	if (ihl < 20)
		return;
	d->end = w->lim;
	if (left >= 4) {
		total = get16(h + 2);
		if (total && total < ihl)
			return;
		if (total && total < left)
			d->end = off + total;
	}
	d->l3 = (uint16_t)off;
	d->have |= L_IP4;
	if (left >= 10) {
		d->proto = h[9];
		d->have |= L_PROTO;
	}
	if (left >= 8 && get16(h + 6) & 0x3fff)
		d->have |= L_FRAG;
	if (left >= 16) {
		memcpy(&d->src, h + 12, 4);
		d->have |= L_SRC;
	}
	if (left < 20)
		return;
	memcpy(&d->dst, h + 16, 4);
	d->have |= L_DST | L_FULL3;
	fragment = get16(h + 6) & 0x1fff;
	if (!fragment && ihl <= left)
		upper(w, off + ihl);
}

/* The length of extension header `type` at h, of which `left` bytes are there; 0: it is none. May
 * be more than `left`. */
static uint32_t extension(uint8_t type, const uint8_t *h, uint32_t left)
{
	switch (type) {
	case P_HOPOPTS:
	case P_ROUTING:
	case P_DSTOPTS:
		return left < 2 ? UINT32_MAX : h[1] * 8u + 8;
	case P_FRAGMENT:
		return 8;
	case P_AH:
		return left < 2 ? UINT32_MAX : h[1] * 4u + 8;
	}
	return 0;
}

/* The extension headers from `at` on, of which the first is of type `next`. The protocol is known
 * where the last of them says it, even if that is cut; the upper header only where it is whole. */
static void chain(struct walk *w, uint8_t next, uint32_t at)
{
	struct layer *d = w->d;

	for (int i = 0; i < CHAIN_MAX && at <= WALK_OFFSET_MAX; i++) {
		uint32_t left = at < d->end ? d->end - at : 0,
		         len = extension(next, w->p + at, left);

		if (len == 0) {
			d->proto = next;
			d->have |= L_PROTO;
			upper(w, at);
			return;
		}
		if (left == 0)
			return;
		if (next == P_FRAGMENT && left >= 8) {
			uint16_t f = get16(w->p + at + 2);

			d->have |= f & 0xfff9 ? L_FRAG6 | L_FRAG : L_FRAG6;
			if (f & 0xfff8) {
				d->proto = w->p[at];
				d->have |= L_PROTO;
				return;
			}
		}
		next = w->p[at];
		if (len > left) {
			if (!extension(next, w->p, 0)) {
				d->proto = next;
				d->have |= L_PROTO;
			}
			return;
		}
		at += len;
	}
}

/*  |version| traffic class |              flow label               |
 *  |         payload length        |  next header  |   hop limit   |
 *  |                   source address, 16 bytes                    |
 *  |                 destination address, 16 bytes                 |  extension headers … */
static void walk_ip6(struct walk *w, uint32_t off)
{
	struct layer *d = w->d;
	const uint8_t *h = w->p + off;
	uint32_t left = w->lim - off, payload;

	d->l3 = (uint16_t)off;
	d->end = w->lim;
	d->have |= L_IP6;
	if (left >= 24)
		d->have |= L_SRC;
	if (left < 40) {
		if (left >= 7 && !extension(h[6], h, 0)) {
			d->proto = h[6];
			d->have |= L_PROTO;
		}
		return;
	}
	d->have |= L_DST | L_FULL3;
	payload = get16(h + 4);
	if (payload && payload + 40 < left)
		d->end = off + 40 + payload;
	chain(w, h[6], off + 40);
}

uint32_t ip6_fragment(const uint8_t *p, const struct layer *d)
{
	uint32_t at = d->l3 + 40u;
	uint8_t next = p[d->l3 + 6];

	for (int i = 0; i < CHAIN_MAX && next != P_FRAGMENT; i++) {
		uint32_t len = extension(next, p + at, d->end - at);

		if (len == 0 || len > d->end - at)
			break; /* cannot be: L_FRAG6 came this way */
		next = p[at];
		at += len;
	}
	return at;
}

void walk_ip(struct walk *w, uint32_t off)
{
	if (walk_has(w, off, 1) && w->p[off] >> 4 == 4)
		walk_ip4(w, off);
	else
		walk_ipv6(w, off);
}

void walk_ipv6(struct walk *w, uint32_t off)
{
	if (walk_has(w, off, 1) && w->p[off] >> 4 == 6)
		walk_ip6(w, off);
}

/*  |C|R|K|S| …  |A|  …  | version |         protocol type         |
 *  | checksum and offset (C or R), key (K), sequence (S), acknowledgement (A, version 1) | */
static void walk_gre(struct walk *w, uint32_t off)
{
	uint16_t flags, type;
	uint32_t at = off + 4;

	if (!walk_has(w, off, 4))
		return;
	flags = get16(w->p + off);
	type = get16(w->p + off + 2);
	if (flags & 0xc000)
		at += 4;
	if (flags & 0x2000)
		at += 4;
	if (flags & 0x1000)
		at += 4;
	if ((flags & 7) == 1 && flags & 0x80)
		at += 4;
	if (flags & 0x4000) /* source routes, RFC 1701: up to one of length 0 */
		for (int i = 0;; i++) {
			uint32_t len;

			if (i == CHAIN_MAX || !walk_has(w, at, 4))
				return;
			len = w->p[at + 3];
			at += 4 + len;
			if (len == 0)
				break;
		}
	if (type == 0x6558)
		walk_ethernet(w, at);
	else if (type == 0x880b) {
		if (walk_has(w, at, 2) && w->p[at] == 0xff && w->p[at + 1] == 0x03)
			at += 2;
		walk_ppp(w, at);
	} else if (type >= 0x8200 && type < 0x8210) {
		walk_wlan_frame(w, at); /* between Aruba's access points and their controller */
	} else {
		walk_ethertype(w, at, type);
	}
}

void walk_inner(const struct weir_packet *pk, const struct layer *outer, struct layer *in)
{
	struct walk w = {.p = pk->data, .lim = outer->end, .wire = pk->len, .d = in};

	memset(in, 0, sizeof *in);
	if (!(outer->have & L_L4))
		return;
	switch (outer->proto) {
	case P_IPIP:
		walk_ip(&w, outer->l4);
		break;
	case P_IPV6:
		walk_ipv6(&w, outer->l4);
		break;
	case P_GRE:
		walk_gre(&w, outer->l4);
		break;
	}
}
