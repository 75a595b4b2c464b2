/* SPDX-License-Identifier: MIT */
/* packet_batch.c: see packet_batch.h. */
#include "sources/packet_batch.h"

#include <errno.h>

/* The blocks of a batch; lives in the batch's memory. */
struct hold {
	uint32_t n, room;
	struct block *block[];
};

static void release(struct weir_batch *b)
{
	struct hold *h = ((struct weir_packets *)b->priv)->owner;

	for (uint32_t i = 0; h && i < h->n; i++)
		block_unref(h->block[i]);
}

static const struct weir_batch_ops ops = {
        .fill = weir_packet_fill, .pack = weir_packet_pack, .release = release};

int packet_batch_begin(struct packet_batch *b, struct weir_reader *r, uint32_t blocks)
{
	struct weir_packets *p;
	struct hold *h;

	if (b->batch)
		return 0;
	b->batch = weir_source_packets(r, &ops);
	if (!b->batch)
		return -ENOMEM;
	b->batch->n = 0;
	b->turns = 0;
	b->batches++;
	p = b->batch->priv;
	p->owner = h = weir_batch_alloc(b->batch, sizeof *h + blocks * sizeof *h->block);
	if (!h)
		return -ENOMEM;
	h->n = 0;
	h->room = blocks;
	return 0;
}

void packet_batch_release(struct packet_batch *b)
{
	weir_batch_unref(b->batch);
	b->batch = NULL;
}

static struct hold *hold_of(const struct packet_batch *b)
{
	return ((struct weir_packets *)b->batch->priv)->owner;
}

void packet_batch_hold(struct packet_batch *b, struct block *block)
{
	struct hold *h = hold_of(b);

	h->block[h->n++] = block_ref(block);
}

bool packet_batch_took(
        struct packet_batch *b, const struct input *in, uint32_t n, struct block *block)
{
	struct hold *h = hold_of(b);

	b->batch->n += (uint16_t)n;
	if (!h->n || h->block[h->n - 1] != block)
		h->block[h->n++] = block_ref(block);
	if (!b->turns || b->turn != in->turns) {
		b->turn = in->turns;
		b->turns++;
	}
	return b->batch->n < WEIR_BATCH_ROWS && b->turns < PACKET_BATCH_TURNS && h->n < h->room;
}

int packet_batch_hand_on(struct packet_batch *b, struct weir_batch **ret)
{
	b->batch->nsel = b->batch->n;
	*ret = b->batch;
	b->batch = NULL;
	return 1;
}
