/* SPDX-License-Identifier: MIT */
/* pack_plain.h: keys of plain packets, moved from the packet to the record without a layer between.
 *
 * What is plain: plain.h. For keys that are made of addresses alone the IPv4 header is enough,
 * whatever follows it. What is not plain, or lacks one of the fields, is left to the caller.
 */
#ifndef PROTO_PACK_PLAIN_H
#define PROTO_PACK_PLAIN_H

#include "engine/proto/pack.h"
#include "engine/proto/plain.h"

struct pack_plain {
	uint32_t size;                                      /* of a record: 8, 16, 24 or 32 */
	uint8_t from[WEIR_PACK_SIZE], rest[WEIR_PACK_SIZE]; /* bytes of the packet from 23 on */
	uint32_t have; /* what a packet must have, bits of struct layer */
	int seq;       /* where the sequence number goes, -1: nowhere */
	bool addresses;
};

/* The same record as from a layer; have: what of a layer's `have` it takes; seq: as above. */
struct pack_plain pack_plain_of(const struct pack_places *p, uint32_t have, int seq);

/* Records of pk[rows[0..n)], one behind the other. The places of those that are not packed go to
 * odd[], in order, and their number is returned; odd has room for n + 1. */
typedef uint32_t pack_plain(const struct pack_plain *p, const struct weir_packet *pk,
        const uint16_t *rows, uint32_t n, uint8_t *to, uint8_t *odd);

/* Portable; and what this machine does best. Same records. */
pack_plain pack_plain_portable;
pack_plain *pack_plain_best(void);

#define PLAIN6_IP 14
#define PLAIN6_SEQ 58

/* The same of one packet that is plain but for being IPv6, without extension headers: `head` gets
 * what a layer begins with. False: it is not, or lacks one of the fields. */
static inline bool pack_plain6(
        const struct pack_plain *p, const struct weir_packet *pk, uint8_t head[LAYER_KEY])
{
	const uint8_t *d = pk->data;
	const struct plain_half *h;
	uint64_t w[2] = {0, 0};
	uint32_t end, ports;

	if ((pk->linktype != LT_ETHERNET) | (pk->caplen < 58) || get16(d + 12) != 0x86dd ||
	        d[14] >> 4 != 6)
		return false;
	if (!p->addresses) {
		h = &plain_halves[d[20]];
		end = 54u + get16(d + 18);
		end = end < pk->caplen ? end : pk->caplen;
		if ((end < 20 + h->need) | ((~h->have & p->have) != 0))
			return false;
		memcpy(&ports, d + 54, 4);
		w[1] = ports | (uint64_t)d[20] << 48;
	}
	memcpy(head, w, sizeof w);
	return true;
}

#endif
