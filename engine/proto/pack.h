/* SPDX-License-Identifier: MIT */
/* pack.h: the shuffle of packet keys: the first bytes of each layer moved to their places. */
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

/* Records of d[rows[0..n)], one behind the other. */
typedef void pack_layers(const struct pack_places *p, const struct layer *d, const uint16_t *rows,
        uint32_t n, uint8_t *to);

/* Portable; and what this machine does best. Same bytes. */
pack_layers pack_layers_portable;
pack_layers *pack_layers_best(void);

#endif
