// SPDX-License-Identifier: MIT
/* link.c: from the first byte of a frame to the IP header, for each link type that we know.
 *
 * `ethertype` is that of the innermost payload (behind all VLAN tags; 0x8847 for MPLS, 0x8864 for
 * PPPoE), and `vlan` the outermost tag's id. Both are there only where the frame carries them: a
 * raw IP packet has neither. Link types that are not here have link fields and bytes only.
 *
 * tcpdump.org/linktypes.html; IEEE 802.3, 802.1Q, 802.2; RFC 1042 (SNAP), RFC 1661 and 1662
 * (PPP), RFC 2516 (PPPoE), RFC 3032 (MPLS).
 */
#include "engine/proto/layer.h"

enum { ARPHRD_NETLINK_ = 824, ARPHRD_IPGRE_ = 778 };

static bool deeper(struct walk *w)
{
	return w->depth++ < WALK_DEPTH;
}

/* What follows belongs to a payload of `n` bytes at `off`. */
static void trim(struct walk *w, uint32_t off, uint32_t n)
{
	if (w->lim > off && n < w->lim - off)
		w->lim = off + n;
	if (w->wire > off && n < w->wire - off)
		w->wire = off + n;
}

void walk_ppp(struct walk *w, uint32_t off)
{
	uint16_t proto;

	if (!walk_has(w, off, 1) || !deeper(w))
		return;
	if (w->p[off] & 1) { /* compressed to one byte, RFC 1661 section 6.5 */
		proto = w->p[off];
		off += 1;
	} else {
		if (!walk_has(w, off, 2))
			return;
		proto = get16(w->p + off);
		off += 2;
	}
	switch (proto) {
	case 0x0021:
		walk_ip(w, off);
		break;
	case 0x0057:
		walk_ipv6(w, off);
		break;
	case 0x0281:
	case 0x0283:
		walk_ethertype(w, off, 0x8847);
		break;
	}
}

static void walk_pppoe(struct walk *w, uint32_t off)
{
	if (!walk_has(w, off, 6) || w->p[off] != 0x11 || w->p[off + 1] != 0)
		return;
	trim(w, off + 6, get16(w->p + off + 4));
	walk_ppp(w, off + 6);
}

/* |  label, 20 bits  | class |S| ttl |, up to the one with S; what follows is told by its nibble */
static void walk_mpls(struct walk *w, uint32_t off)
{
	for (int i = 0; i < WALK_DEPTH && walk_has(w, off, 4); i++, off += 4)
		if (w->p[off + 2] & 1) {
			walk_ip(w, off + 4);
			return;
		}
}

static void set_type(struct walk *w, uint16_t type)
{
	w->d->ethertype = type;
	w->d->have |= L_TYPE;
}

void walk_llc(struct walk *w, uint32_t off)
{
	const uint8_t *h = w->p + off;

	if (!walk_has(w, off, 3) || !deeper(w))
		return;
	if (h[0] == 0xaa && h[1] == 0xaa && h[2] == 0x03) {
		uint32_t oui;

		if (!walk_has(w, off, 8))
			return;
		oui = (uint32_t)h[3] << 16 | (uint32_t)h[4] << 8 | h[5];
		if (oui == 0 || oui == 0x0000f8)
			walk_ethertype(w, off + 8, get16(h + 6));
	} else if (h[0] == 0x06 && h[1] == 0x06 && h[2] == 0x03) {
		walk_ip(w, off + 3);
	}
}

static void walk_type_or_length(struct walk *w, uint32_t off, uint16_t type)
{
	if (type <= 1500) {
		trim(w, off, type);
		if (walk_has(w, off, 2) && get16(w->p + off) != 0xffff)
			walk_llc(w, off);
	} else {
		walk_ethertype(w, off, type);
	}
}

void walk_ethertype(struct walk *w, uint32_t off, uint16_t type)
{
	if (!deeper(w))
		return;
	set_type(w, type);
	switch (type) {
	case 0x0800:
		walk_ip(w, off);
		break;
	case 0x86dd:
		walk_ipv6(w, off);
		break;
	case 0x8100:
	case 0x88a8:
	case 0x9100:
	case 0x9200:
		if (!walk_has(w, off, 4)) {
			if (!(w->d->have & L_VLAN) && walk_has(w, off, 2)) {
				w->d->vlan = get16(w->p + off) & 0xfff;
				w->d->have |= L_VLAN;
			}
			return;
		}
		if (!(w->d->have & L_VLAN)) {
			w->d->vlan = get16(w->p + off) & 0xfff;
			w->d->have |= L_VLAN;
		}
		w->d->have &= ~(uint32_t)L_TYPE;
		walk_type_or_length(w, off + 4, get16(w->p + off + 2));
		break;
	case 0x8847:
	case 0x8848:
		walk_mpls(w, off);
		break;
	case 0x8864:
		walk_pppoe(w, off);
		break;
	}
}

void walk_ethernet(struct walk *w, uint32_t off)
{
	if (walk_has(w, off, 14) && deeper(w))
		walk_type_or_length(w, off + 14, get16(w->p + off + 12));
}

/* Linux cooked: a protocol number that is an ethertype, or one of Linux' own small numbers. */
static void walk_cooked(struct walk *w, uint32_t off, uint16_t proto, uint16_t arphrd)
{
	if (arphrd == ARPHRD_NETLINK_)
		return;
	if (proto == 0x0004)
		walk_llc(w, off);
	else if (proto >= 0x0600)
		walk_ethertype(w, off, proto);
}

/* An address family in either byte order. */
static void walk_family(struct walk *w)
{
	uint32_t family;

	if (!walk_has(w, 0, 4))
		return;
	family = get32(w->p);
	if (family & 0xffff0000)
		family = __builtin_bswap32(family);
	switch (family) {
	case 2:
	case 10: /* Linux */
	case 23: /* Windows */
	case 24: /* NetBSD, OpenBSD, BSD/OS */
	case 28: /* FreeBSD */
	case 30: /* Darwin */
		walk_ip(w, 4);
	}
}

static void walk_chdlc(struct walk *w, uint32_t off)
{
	if (walk_has(w, off, 4))
		walk_ethertype(w, off + 4, get16(w->p + off + 2));
}

/* PPP with or without its address and control bytes; Cisco's framing on the same lines. */
static void walk_ppp_frame(struct walk *w, uint32_t off)
{
	if (!walk_has(w, off, 2))
		return;
	if (w->p[off] == 0xff && w->p[off + 1] == 0x03)
		walk_ppp(w, off + 2);
	else if (w->p[off] == 0x0f || w->p[off] == 0x8f)
		walk_chdlc(w, off);
	else
		walk_ppp(w, off);
}

void walk_link(struct walk *w, const struct weir_packet *pk)
{
	switch (pk->linktype) {
	case LT_ETHERNET:
		walk_ethernet(w, 0);
		break;
	case LT_NULL:
	case LT_LOOP:
		walk_family(w);
		break;
	case LT_RAW_DLT:
	case LT_RAW_OPENBSD:
	case LT_RAW:
	case LT_IPV4:
		walk_ip(w, 0);
		break;
	case LT_IPV6:
		walk_ipv6(w, 0);
		break;
	case LT_SLL:
		if (walk_has(w, 0, 16))
			walk_cooked(w, 16, get16(w->p + 14), get16(w->p + 2));
		break;
	case LT_SLL2:
		if (walk_has(w, 0, 20))
			walk_cooked(w, 20, get16(w->p), get16(w->p + 8));
		break;
	case LT_PPP:
	case LT_PPP_HDLC:
		walk_ppp_frame(w, 0);
		break;
	case LT_PPP_PPPD: /* the direction stands in the place of the address */
		if (walk_has(w, 0, 2) && w->p[0] <= 1 && w->p[1] == 0x03)
			walk_ppp(w, 2);
		else
			walk_ppp_frame(w, 0);
		break;
	case LT_PPP_WITH_DIR:
		walk_ppp_frame(w, 1);
		break;
	case LT_PPP_ETHER:
		walk_pppoe(w, 0);
		break;
	case LT_C_HDLC:
		walk_chdlc(w, 0);
		break;
	case LT_WLAN:
	case LT_PRISM:
	case LT_RADIOTAP:
	case LT_AVS:
		walk_wlan(w, pk->linktype);
		break;
	}
}

static bool mac_at(const struct weir_packet *pk, uint32_t off, uint64_t *ret)
{
	if (pk->caplen < off + 6)
		return false;
	*ret = get48(pk->data + off);
	return true;
}

static bool is_wlan(uint16_t linktype)
{
	return linktype == LT_WLAN || linktype == LT_PRISM || linktype == LT_RADIOTAP ||
	       linktype == LT_AVS;
}

bool link_source(const struct weir_packet *pk, uint64_t *ret)
{
	switch (pk->linktype) {
	case LT_ETHERNET:
		return mac_at(pk, 6, ret);
	case LT_SLL: /* the address's length, then the address */
		return pk->caplen >= 6 && get16(pk->data + 4) == 6 && mac_at(pk, 6, ret);
	case LT_SLL2:
		return pk->caplen >= 12 && pk->data[11] == 6 && mac_at(pk, 12, ret);
	}
	return is_wlan(pk->linktype) && wlan_address(pk, true, ret);
}

bool link_destination(const struct weir_packet *pk, uint64_t *ret)
{
	if (pk->linktype == LT_ETHERNET)
		return mac_at(pk, 0, ret);
	return is_wlan(pk->linktype) && wlan_address(pk, false, ret);
}
