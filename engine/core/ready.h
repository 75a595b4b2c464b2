/* SPDX-License-Identifier: MIT */
/* ready.h: the keys of a batch, packed and hashed for a table by another thread than the table's.
 *
 * Where one lane has all records of a stretch, its thread is what the others wait for, and packing
 * and hashing are half of what its first table does. They need nothing of the table but how its
 * keys are laid out: who reads the packets does them, and has these in its cache. The keys go with
 * the view that the lane gets, in blocks, and are there for one table: the numbers of IPv6
 * addresses are put into them in place.
 */
#ifndef READY_H
#define READY_H

#include "engine/core/keypack.h"

#define READY_BLOCKS ((WEIR_BATCH_ROWS + WEIR_PACK_ROWS - 1) / WEIR_PACK_ROWS)

/* Keys as keypack_pack() makes them, but with ready_digest() in place of an IPv6 address. */
struct ready_block {
	uint32_t n, nip6;
	uint16_t *row;
	uint8_t *key;
	uint32_t *hash;    /* with the families in the lowest bits */
	uint8_t *families; /* by place; NULL where there is no IPv6 address */
	struct weir_pack_ip6 *ip6;
};

struct ready {
	const struct keypack *pack;
	const uint16_t *sel; /* rows that were selected */
	uint32_t nsel, nblocks;
	bool taken;
	struct ready_block block[READY_BLOCKS];
};

/* Puts what stands for them into the keys of a block where there are IPv6 addresses, and their
 * families to families[], by place, which is zero before. */
void ready_digest(const struct keypack *p, const struct weir_pack_ip6 *ip6, uint32_t nip6,
        uint8_t *keys, uint8_t *families);

/* For the selected rows of b, which then has it (b->ready). 0 or -ENOMEM. Keys are not wide and
 * have no prefix; p lives longer than b. */
int ready_make(struct weir_batch *b, const struct keypack *p);

/* What b has for a table of such keys, once; else NULL. */
struct ready *ready_take(struct weir_batch *b, const struct keypack *p);

#endif
