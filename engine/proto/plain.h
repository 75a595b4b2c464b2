/* SPDX-License-Identifier: MIT */
/* plain.h: the layers of plain packets: what most packets of most traces are.
 *
 * Plain: Ethernet without tags, IPv4 without options, no fragment, TCP, UDP or ICMP whose fixed
 * header was captured whole. All that is looked for has its place then, so a row costs the same few
 * instructions whatever stands in it, and no branch is taken that depends on its bytes.
 */
#ifndef PROTO_PLAIN_H
#define PROTO_PLAIN_H

#include "engine/proto/layer.h"

#define LAYER_IP_BITS (L_TYPE | L_SRC | L_DST | L_PROTO | L_FULL3)
#define LAYER_PORT_BITS (L_L4 | L_SPORT | L_DPORT | L_FULL4)
#define PLAIN_NEVER (1u << 20) /* longer than an IP packet */

/* Up to where the widest load goes; what is shorter is not taken for plain. */
#define PLAIN_SHORTEST 39

/* The second half of the layer of a plain packet, by protocol. Where `end` stands in a layer is
 * here what `end` must be at least: 34 more than the fixed header of the protocol. */
struct plain_half {
	uint32_t have;
	uint16_t l3, l4;
	uint32_t need;
	uint16_t ethertype, zero;
};

extern const struct plain_half plain_halves[256];

/* Or not of Ethernet. */
static inline bool plain_too_short(const struct weir_packet *pk)
{
	return (pk->linktype != LT_ETHERNET) | (pk->caplen < PLAIN_SHORTEST);
}

/* Where the IP packet ends among the captured bytes, if it is plain. */
static inline uint32_t plain_end(const struct weir_packet *pk)
{
	uint32_t end = 14u + get16(pk->data + 16);

	return end < pk->caplen ? end : pk->caplen;
}

/* Of n packets those that are plain: their layers. The places of the others go to odd[], in order,
 * their layers are left undefined; `*all` and `*any`: and, or of the `have` of those that are
 * plain. Returns how many are odd. */
typedef uint32_t plain_layers(const struct weir_packet *pk, uint32_t n, struct layer *d,
        uint16_t *odd, uint32_t *all, uint32_t *any);

/* Portable; and what this machine does best. Same layers. */
plain_layers plain_layers_portable;
plain_layers *plain_layers_best(void);

#endif
