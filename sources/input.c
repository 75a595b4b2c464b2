/* SPDX-License-Identifier: MIT */
/* input.c: a window that moves over a file. */
#include "sources/input.h"

#include <errno.h>
#include <string.h>

#define LINE 64 /* reads go to aligned places */

void input_init(struct input *in, int fd, struct block_pool *pool)
{
	*in = (struct input){.pool = pool};
	unpack_init(&in->from, fd);
}

void input_release(struct input *in)
{
	unpack_release(&in->from);
	block_unref(in->block);
	*in = (struct input){.from.fd = -1, .ended = true};
}

/* Goes on in a new block, which begins with what is left of this one. */
static int turn(struct input *in, size_t need)
{
	size_t left = input_left(in), pad = -left & (LINE - 1);
	struct block *b = block_new(in->pool, need + LINE);

	if (!b)
		return -ENOMEM;
	if (left)
		memcpy(b->data + pad, in->at, left);
	block_unref(in->block);
	in->block = b;
	in->at = b->data + pad;
	in->end = b->data + pad + left;
	return 0;
}

int input_need(struct input *in, size_t need)
{
	while (input_left(in) < need) {
		const uint8_t *brim = in->block ? in->block->data + in->block->size : NULL;
		ssize_t n;

		if (in->ended)
			return 0;
		if ((size_t)(brim - in->at) < need) {
			if (turn(in, need) < 0)
				return -ENOMEM;
			brim = in->block->data + in->block->size;
		}
		n = unpack_read(&in->from, in->end, (size_t)(brim - in->end));
		if (n == -EAGAIN || n == -ENOMEM)
			return (int)n;
		if (n <= 0) {
			in->ended = true;
			continue;
		}
		in->end += n;
		in->end_offset += (uint64_t)n;
	}
	return 1;
}
