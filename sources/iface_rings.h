/* SPDX-License-Identifier: MIT */
/* iface_rings.h: several rings of an interface, each read by a thread of its own, as one stream.
 *
 * The kernel deals packets to the rings by the hash of their flow (PACKET_FANOUT), so those of a
 * flow stay in order, and what one CPU captures never waits for another. Here the rings are merged
 * by the packets' times. A ring that has nothing cannot say what it may still get, but a packet
 * that is in it by now is handed over soon (RING_RETIRE_MS): so the others' packets wait until it
 * has been seen empty RINGS_SLACK_MS after they came.
 *
 * One thread reads; any may call the rest. Queues are bounded: what is not read stays in the rings.
 */
#ifndef IFACE_RINGS_H
#define IFACE_RINGS_H

#include "sources/iface_tap.h"

#define RINGS_MAX 64
#define RINGS_SLACK_MS (4 * RING_RETIRE_MS)
#define RINGS_HOLD 128 /* hauls of a batch */

struct iface_rings;
struct haul;

struct rings_hold {
	uint32_t n;
	struct haul *haul[RINGS_HOLD];
};

/* Of open taps, which stay the caller's; threads are made with the first read. NULL: out of memory
 * or descriptors. */
struct iface_rings *iface_rings_new(struct tap *tap, uint32_t n, struct weir_mem *mem);
void iface_rings_free(struct iface_rings *r); /* before the taps are closed; NULL is fine */

/* As tap_take(), or -errno: a thread cannot be made. */
int iface_rings_take(struct iface_rings *r, struct weir_packet *pk, uint32_t *ret_n,
        struct rings_hold *hold, uint64_t *ret_bytes);
void iface_rings_drop(struct rings_hold *hold);
void iface_rings_idle(struct iface_rings *r, int64_t *ret_wake, int *ret_fd);

/* Nobody wants what has come so far. */
void iface_rings_disown(struct iface_rings *r);
bool iface_rings_pressed(const struct iface_rings *r);

#endif
