/* SPDX-License-Identifier: MIT */
/* packet.h: batches of packets, for sources that capture or read them.
 *
 * A source gets an empty batch, writes packet descriptors that point into its own blocks, and
 * hands the batch on; the engine decodes headers on demand, column by column. The bytes must
 * stay until the batch's `release` is called.
 */
#ifndef WEIR_PACKET_H
#define WEIR_PACKET_H

#include <weir/pack.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_packet {
	int64_t ts;          /* nanoseconds since the epoch */
	const uint8_t *data; /* caplen bytes */
	uint32_t caplen;     /* bytes captured */
	uint32_t len;        /* bytes on the wire */
	uint16_t linktype;   /* LINKTYPE_… (tcpdump.org/linktypes.html) */
	uint16_t flags;      /* 0 */
	uint32_t ifindex;    /* interface number within the trace, 0 where there is none */
};

/* The first thing in `priv` of every packet batch. */
struct weir_packets {
	void *owner;   /* the source's */
	void *decoded; /* the engine's */
	struct weir_packet pk[WEIR_BATCH_ROWS];
};

/* The packet schema, its times printed with `digits` fractional digits (6, 9, …). Shared:
 * returns a reference, NULL where out of memory. */
struct weir_schema *weir_packet_schema(unsigned digits);

/* The `fill` and the `pack` of packet batches, for a source's struct weir_batch_ops. */
int weir_packet_fill(struct weir_batch *b, uint32_t field);
int weir_packet_pack(struct weir_batch *b, const struct weir_pack *p, const uint16_t *rows,
        uint32_t n, uint8_t *to, struct weir_packed *ret);

#ifdef __cplusplus
}
#endif
#endif
