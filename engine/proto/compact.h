/* SPDX-License-Identifier: MIT */
/* compact.h: the headers of a batch of packets in about 22 bytes a packet, without the packets.
 *
 * What keys are made of and what is summed up: the first half of struct layer as it is, the length,
 * the time as a distance. All that has few values (what was found, TCP flags, link type …) is a
 * *kind*, one number in the layer's spare byte. IPv6 addresses stand once each beside the keys,
 * which hold their numbers. A batch made from it has the columns and packs the keys that the
 * packets' own batch has and packs, as far as the fields are covered; the others fail with
 * -ENODATA.
 *
 * Immutable once made, so that any number of threads may use it.
 */
#ifndef PROTO_COMPACT_H
#define PROTO_COMPACT_H

#include "engine/proto/layer.h"

/* In `have` of a kind, besides what a layer has. */
enum {
	COMPACT_IP = 1 << 18,       /* L_IP4 or L_IP6 */
	COMPACT_FRAGMENT = 1 << 19, /* whether it is a fragment is known */
	COMPACT_FLAGS = 1 << 20,    /* TCP flags are known */
	COMPACT_BITS = 21,
};

struct compact_kind {
	uint32_t have;
	uint16_t flags, ethertype; /* 0 where there is none */
	uint32_t ifindex;
	uint16_t linktype, zero;
};

struct compact {
	uint32_t n, all, any; /* packets; and, or of their `have` */
	uint32_t nkinds;
	uint32_t most; /* where there is no caplen: the lesser of len and this */
	uint8_t ts_size, len_size, caplen_size; /* bytes; caplen: 0, there is none */
	int64_t first;                          /* added to each of ts */
	/* LAYER_KEY bytes a packet, as a layer begins; zero where a field is not there; byte
	 * COMPACT_KIND is the kind, unless `wide` has it. src and dst of IPv6 are places in ip6. */
	const uint8_t *key;
	const void *ts, *len, *caplen;
	const struct compact_kind *kind;
	const uint16_t *wide; /* NULL: there are at most 256 kinds */
	const uint8_t (*ip6)[16];
	/* of packets that are equal in addresses, ports and protocol; NULL: not numbered */
	const uint32_t *flow;
};

#define COMPACT_KIND 15

/* Where compact_make() puts it: `size` bytes, aligned to 16; NULL: there is no more room. */
typedef void *compact_room(void *arg, size_t size);

/* Whether a compact form has all fields of `needs` (bits) of this schema. */
bool compact_covers(const struct weir_schema *s, const uint64_t *needs);

/* Whether any of them is in a packet's headers: if not, nothing is decoded to fill them. */
bool compact_decodes(const uint64_t *needs);

/* Whether all of f[0..n) are fields that packets with the same `flow` have in common; their names.
 */
bool compact_is_flow(const struct weir_pack_field *f, uint32_t n);
extern const char *const compact_flow[]; /* NULL behind the last */

/* Of a batch of packets with all its rows, which is decoded for it. 0, -ENOMEM (also where room()
 * gave none), -EINVAL: it is no such batch. */
int compact_make(struct weir_batch *b, compact_room *room, void *arg, struct compact *ret);

/* The first thing in `priv` of a batch made from a compact form. */
struct compact_rows {
	const struct compact *c;
	struct rows *rows[COMPACT_BITS]; /* by bit of `have`; NULL: not made yet */
};

/* `fill` and `pack` of such batches. */
int compact_fill(struct weir_batch *b, uint32_t field);
int compact_pack(struct weir_batch *b, const struct weir_pack *p, const uint16_t *rows, uint32_t n,
        uint8_t *to, struct weir_packed *ret);

#endif
