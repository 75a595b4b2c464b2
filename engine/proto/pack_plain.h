/* SPDX-License-Identifier: MIT */
/* pack_plain.h: keys of plain packets, moved from the packet to the record without a layer between.
 *
 * What is plain: plain.h. For keys that are made of addresses alone the IPv4 header is enough,
 * whatever follows it. What is not plain, or lacks one of the fields, is left to the caller.
 */
#ifndef PROTO_PACK_PLAIN_H
#define PROTO_PACK_PLAIN_H

#include "engine/proto/pack.h"

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

#endif
