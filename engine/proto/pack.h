/* SPDX-License-Identifier: MIT */
/* pack.h: the shuffle of packet keys: the first bytes of each layer, or of what else has them in
 * the same order (compact.h), moved to their places. */
#ifndef PROTO_PACK_H
#define PROTO_PACK_H

#include <weir/packet.h>

#include "engine/proto/layer.h"

/* Byte j of a record is byte from[j] of the layer, or 0 where from[j] is LAYER_NONE, or'ed with
 * rest[j]. */
#define LAYER_NONE 0x80

struct pack_places {
	uint32_t size; /* of a record: 8, 16, 24 or 32 */
	uint8_t from[WEIR_PACK_SIZE], rest[WEIR_PACK_SIZE];
};

/* Records of rows[0..n), one behind the other; a row's LAYER_KEY bytes stand at `keys` + row *
 * stride. */
typedef void pack_layers(const struct pack_places *p, const void *keys, size_t stride,
        const uint16_t *rows, uint32_t n, uint8_t *to);

/* Portable; and what this machine does best. Same bytes. */
pack_layers pack_layers_portable;
pack_layers *pack_layers_best(void);

/* Where a field stands in the layer, and the bits of `have` that say that it is there. */
struct pack_place {
	uint32_t have;
	uint8_t from, bytes; /* bytes: 0 where it is no place of the layer's */
	bool swapped;        /* network order */
};

bool pack_place_of(uint32_t field, struct pack_place *ret);

/* The field at byte `at` of the records. */
void pack_put(struct pack_places *p, const struct pack_place *s, uint32_t at);

#endif
