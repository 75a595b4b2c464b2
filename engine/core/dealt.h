/* SPDX-License-Identifier: MIT */
/* dealt.h: packed keys that go with the parts of a batch to its lanes.
 *
 * Who deals a batch packs keys, to hash them, and has the packets in its cache. The first node of a
 * lane packs its own, from the same packets, which are in another CPU's cache as a rule. So what is
 * packed for dealing is that node's whole key, laid out as it does that; the views that lanes get
 * pack by copying. Another key is packed by the source, as ever.
 *
 * Keys stand by row. What the source says besides of a block of rows (addresses that are IPv6,
 * fields that are missing) is kept for each block.
 */
#ifndef DEALT_H
#define DEALT_H

#include "engine/core/keypack.h"

struct dealt;

/* For batch b, n rows to come; NULL: out of memory. It lives as long as b. */
struct dealt *dealt_new(struct weir_batch *b, const struct keypack *key);

/* Packs rows[0..n), n <= WEIR_PACK_ROWS, behind those of the call before: also to `to`, one behind
 * the other, and *ret. 1; 0: the source does not do it all; -ENOMEM. */
int dealt_pack(
        struct dealt *d, const uint16_t *rows, uint32_t n, uint8_t *to, struct weir_packed *ret);

/* The view of b packs by it. */
void dealt_attach(struct dealt *d, struct weir_batch *view);

#endif
