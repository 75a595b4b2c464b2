/* SPDX-License-Identifier: MIT */
/* iface_tap.h: packets out of the ring of an interface, with what keeps their bytes in place.
 *
 * They point into the ring (see ring.h); those of blocks that are nearly empty, and all of them for
 * a while when others were kept long, are copied to blocks of our own. One thread takes; any may
 * drop a hold.
 */
#ifndef IFACE_TAP_H
#define IFACE_TAP_H

#include "sources/block.h"
#include "sources/iface_link.h"

#define TAP_HOLD 8 /* blocks of a batch */

/* What a batch's packets point into. */
struct tap_hold {
	uint32_t nloans, ncopies;
	struct loan *loan[TAP_HOLD];
	struct block *copy[TAP_HOLD];
};

struct tap {
	struct iface_link link;
	struct block_pool *pool;
	struct taken at;    /* what is being worked off: `n` more packets from `first` on */
	uint32_t copied;    /* bytes of `copy` that are used */
	struct block *copy; /* of the block at hand; NULL: it is lent */
	uint32_t batches, naps;
	uint64_t came;        /* bytes of blocks since there was nothing last */
	uint64_t taken, over; /* atomic: packets taken out, and passed over */
};

/* `fanout`: shared with other taps of the interface, see ring.h; NULL: this one has all of it. The
 * loopback interface is not shared: `first` has it. */
int tap_open(struct tap *t, const struct iface_config *c, struct ring_fanout *fanout, bool first,
        struct weir_mem *mem, struct weir_err *err);
void tap_close(struct tap *t); /* of a zeroed one too, and after a failed open */

/* Fills pk[0 .. *ret_n) with at most WEIR_BATCH_ROWS packets, and the empty hold; *ret_bytes: what
 * was captured of them. 1; 0: there were no more; -ENOMEM. */
int tap_take(struct tap *t, struct weir_packet *pk, uint32_t *ret_n, struct tap_hold *hold,
        uint64_t *ret_bytes);
void tap_drop(struct tap_hold *hold);

/* There was nothing: when (CLOCK_MONOTONIC; 0: never) to look again, or when *ret_fd is readable.
 */
void tap_idle(struct tap *t, int64_t *ret_wake, int *ret_fd);

#endif
