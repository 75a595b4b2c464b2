/* SPDX-License-Identifier: MIT */
/* keys.h: the tuples of a batch as 64-bit hashes, which is all that a sketch ever sees of them.
 *
 * The fields are packed side by side as for a table of keys (keypack.h: by the source itself where
 * it can, so that no column is made), and the packed bytes are hashed by the 64 x 64 -> 128 bit
 * multiplication of keyhash.h with secret words. IPv6 addresses and texts, which have no place
 * there, are hashed by themselves and added, each with its field. No dictionary of addresses is
 * kept: unlike keytab.h this takes no memory whatever the traffic holds.
 *
 * Two tuples have the same hash with a probability of 2^-64; the error bounds of the sketches leave
 * that out. The secret comes from a seed, or for seed 0 from the one that the process drew at its
 * start: then nobody can send tuples that collide, and answers differ within their bounds from run
 * to run.
 */
#ifndef SKETCH_KEYS_H
#define SKETCH_KEYS_H

#include "engine/core/keypack.h"

struct sketch_keys {
	struct keypack pack;
	uint8_t *packed; /* of the block at hand; padding is zero */
	size_t packed_size;
	uint64_t secret[6];
};

/* After a failure too, sketch_keys_release(). 0 or -ENOMEM. */
int sketch_keys_init(struct sketch_keys *k, struct weir_mem *mem, const struct weir_schema *s,
        struct weir_fields fields, uint64_t seed);
void sketch_keys_release(struct sketch_keys *k); /* a zeroed struct is fine */

/* Writes to rows[] the selected rows of b that have all fields, in order, and to hash[] their
 * hashes. Their number or -ENOMEM. */
int sketch_keys_hash(struct sketch_keys *k, struct weir_batch *b, uint16_t *rows, uint64_t *hash);

/* The same for rows[0..n), all different and in order: to at[] go the places in rows[] of those
 * that have all fields. */
int sketch_keys_hash_rows(struct sketch_keys *k, struct weir_batch *b, const uint16_t *rows,
        uint32_t n, uint16_t *at, uint64_t *hash);

#endif
