/* SPDX-License-Identifier: MIT */
/* keys.h: the tuples of a batch as 64-bit hashes, which is all that a sketch ever sees of them.
 *
 * The fields are gathered, column by column, into words of 64 bits that several narrow fields share
 * (two IPv4 addresses are one word); words are mixed two at a time by the 64 x 64 -> 128 bit
 * multiplication of keyhash.h with secret words. An IPv6 address or a text is mixed in behind them,
 * for the rows that have one, so that other rows pay nothing. No dictionary is kept: unlike
 * keytab.h this takes no memory whatever the traffic holds.
 *
 * Two tuples have the same hash with a probability of 2^-64; the error bounds of the sketches leave
 * that out. The secret comes from a seed, or for seed 0 from the one that the process drew at its
 * start: then nobody can send tuples that collide, and answers differ within their bounds from run
 * to run.
 */
#ifndef SKETCH_KEYS_H
#define SKETCH_KEYS_H

#include "engine/core/keypack.h"

struct sketch_place {
	uint32_t field;
	enum weir_kind kind;
	uint32_t word;
	uint8_t shift, bits;
	bool first; /* in its word */
};

struct sketch_keys {
	struct keypack pack;        /* says which rows have all fields */
	struct sketch_place *place; /* sorted by word */
	uint32_t n, words;
	uint64_t secret[6];
};

/* After a failure too, sketch_keys_release(). 0 or -ENOMEM. */
int sketch_keys_init(struct sketch_keys *k, struct weir_mem *mem, const struct weir_schema *s,
        struct weir_fields fields, uint64_t seed);
void sketch_keys_release(struct sketch_keys *k); /* a zeroed struct is fine */

/* Writes to rows[] the selected rows of b that have all fields, in order, and to hash[] their
 * hashes. Their number or -ENOMEM. */
int sketch_keys_hash(
        const struct sketch_keys *k, struct weir_batch *b, uint16_t *rows, uint64_t *hash);

/* The same for the rows given, of which those without a field leave: their places in rows[] go to
 * at[]. */
int sketch_keys_hash_rows(const struct sketch_keys *k, struct weir_batch *b, const uint16_t *rows,
        uint32_t n, uint16_t *at, uint64_t *hash);

#endif
