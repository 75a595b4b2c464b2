/* SPDX-License-Identifier: MIT */
/* direct.h: where the addresses of a packet are, without a walk.
 *
 * Ethernet with at most two tags, IPv4 without options or IPv6, captured up to the addresses' end;
 * same conditions as ip.c. 0: it takes a walk to know.
 */
#ifndef PROTO_DIRECT_H
#define PROTO_DIRECT_H

#include "engine/proto/layer.h"

/* The offset of the header's type field, behind at most two tags. */
static inline uint32_t direct_type(const struct weir_packet *pk)
{
	const uint8_t *p = pk->data;
	uint32_t at = 12;

	for (unsigned tags = 0; tags < 2; tags++) {
		uint16_t type;

		if (at + 6 > pk->caplen)
			return at;
		type = get16(p + at);
		if ((type != 0x8100) & (type != 0x88a8))
			return at;
		at += 4;
	}
	return at;
}

/* Type, version and header length of IPv4 without options; a total length of 0 or at least 20. */
static inline bool direct_plain4(const uint8_t *type)
{
	static const uint8_t start[4] = {0x08, 0x00, 0x45, 0}, mask[4] = {0xff, 0xff, 0xff, 0};
	uint32_t is, want, care;

	memcpy(&is, type, 4);
	memcpy(&want, start, 4);
	memcpy(&care, mask, 4);
	return ((is & care) == want) & ((uint16_t)(get16(type + 4) - 1) >= 19);
}

/* Whether it is untagged IPv4; the source address then stands at DIRECT_IP4, the destination's
 * behind it. (With a tag it is found by direct_ip4(): an offset that depends on what was loaded
 * would hold up the loads behind it, a branch does not.) */
#define DIRECT_IP4 26

static inline bool direct_ip4_plain(const struct weir_packet *pk)
{
	return pk->linktype == LT_ETHERNET && pk->caplen >= 34 && direct_plain4(pk->data + 12);
}

/* The offset of the source address in any IPv4 packet. */
static inline uint32_t direct_ip4(const struct weir_packet *pk)
{
	uint32_t at;

	if ((pk->linktype != LT_ETHERNET) | (pk->caplen < 34))
		return 0;
	at = direct_type(pk);
	return at + 22 <= pk->caplen && direct_plain4(pk->data + at) ? at + 14 : 0;
}

/* The offset of an IPv6 header. */
static inline uint32_t direct_ip6(const struct weir_packet *pk)
{
	uint32_t at;
	const uint8_t *p = pk->data;

	if ((pk->linktype != LT_ETHERNET) | (pk->caplen < 54))
		return 0;
	at = direct_type(pk);
	if (at + 42 > pk->caplen)
		return 0;
	p += at;
	return ((p[0] == 0x86) & (p[1] == 0xdd) & (p[2] >> 4 == 6)) ? at + 2 : 0;
}

#endif
