/* SPDX-License-Identifier: MIT */
/* packet_batch.h: the batch of packets that a source is filling.
 *
 * Packets are written where they stay; the batch keeps the blocks that they lie in until it goes.
 */
#ifndef PACKET_BATCH_H
#define PACKET_BATCH_H

#include "sources/input.h"
#include <weir/source.h>

#define PACKET_BATCH_TURNS 3   /* blocks of one file: it ends with the first packet in the last */
#define PACKET_BATCH_BLOCKS 16 /* and in pieces, if they are cut otherwise; or of several files */

struct packet_batch {
	struct weir_batch *batch; /* NULL: none is being filled */
	uint64_t batches;         /* begun so far */
	uint32_t turns, turn;     /* blocks with packets of the batch; the last one of them */
};

/* Sees to it that there is a batch, with room for so many blocks. 0 or -ENOMEM. */
int packet_batch_begin(struct packet_batch *b, struct weir_reader *r, uint32_t blocks);
void packet_batch_release(struct packet_batch *b);

static inline uint32_t packet_batch_count(const struct packet_batch *b)
{
	return b->batch ? b->batch->n : 0;
}

/* Where the next packets go, and how many. */
static inline struct weir_packet *packet_batch_room(struct packet_batch *b, uint32_t *ret_room)
{
	struct weir_packets *p = b->batch->priv;

	*ret_room = WEIR_BATCH_ROWS - b->batch->n;
	return p->pk + b->batch->n;
}

/* Keeps one more block, for which there is room. */
void packet_batch_hold(struct packet_batch *b, struct block *block);

/* n packets were written, all in `block` of `in`; whether to go on: there is room, and the bytes of
 * the first ones are still in the cache. */
bool packet_batch_took(
        struct packet_batch *b, const struct input *in, uint32_t n, struct block *block);

/* What is there goes: 1. */
int packet_batch_hand_on(struct packet_batch *b, struct weir_batch **ret);

#endif
