/* SPDX-License-Identifier: MIT */
/* input.c: a window that moves over a file. */
#include "sources/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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

int input_seek(struct input *in, uint64_t offset)
{
	if (offset <= in->end_offset) {
		in->at = in->end - (in->end_offset - offset);
		return 0;
	}
	if (lseek(in->from.fd, (off_t)(in->from.start + offset), SEEK_SET) < 0)
		return -errno;
	in->from.in_at = in->from.in_end = 0;
	in->from.done = in->end_offset = offset;
	in->at = in->end;
	return 0;
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
	in->turns++;
	return 0;
}

/* ---- pieces ---- */

void input_in_pieces(struct input *in, struct pieces *p)
{
	in->pieces = p;
	in->filled = in->end;
	in->brim = in->end_offset;
}

/* Goes on in a block of the input's own, which a packet of several pieces fits into. */
static int widen(struct input *in, size_t need)
{
	size_t left = (size_t)(in->filled - in->at);
	struct block *b = block_new(in->pool, need + PIECE);

	if (!b)
		return -ENOMEM;
	memcpy(b->data, in->at, left);
	block_unref(in->block);
	in->block = b;
	in->end = b->data + (in->end - in->at);
	in->at = b->data;
	in->filled = b->data + left;
	return 0;
}

/* The next piece's bytes behind what is there: where there is room for them, or it goes on in the
 * piece, with what is left in front. */
static int take_piece(struct input *in, size_t need)
{
	size_t left = (size_t)(in->filled - in->at);
	const uint8_t *brim = in->block->data + in->block->size;
	struct piece p;

	if (left > PIECE_HEAD && (size_t)(brim - in->filled) < PIECE && widen(in, need) < 0)
		return -ENOMEM;
	if (!pieces_take(in->pieces, &p))
		return -EAGAIN;
	if (!p.block)
		return p.error;
	if (left > PIECE_HEAD) {
		memcpy(in->filled, p.block->data + PIECE_HEAD, p.n);
		in->filled += p.n;
		block_unref(p.block);
	} else {
		uint8_t *at = p.block->data + PIECE_HEAD - left;

		memcpy(at, in->at, left);
		block_unref(in->block);
		in->block = p.block;
		in->end = at + (in->end - in->at);
		in->at = at;
		in->filled = at + left + p.n;
	}
	in->from.done += p.n;
	in->ended = p.n < PIECE;
	if (p.error) {
		in->from.error = p.error;
		in->from.why = "the file cannot be read";
	}
	return 0;
}

/* One step on: a block's end that is none here, bytes that are there already, or a piece. */
static int step(struct input *in, size_t need)
{
	uint64_t at = input_offset(in);
	size_t more = (size_t)(in->filled - in->end);

	if (at + need > in->brim && (more || !in->ended)) {
		size_t size = block_pool_size(in->pool), pad = -(in->brim - at) & (LINE - 1);

		if (need + LINE > size)
			size = need + LINE;
		in->brim = at + size - pad;
		in->turns++;
	}
	if (!more)
		return take_piece(in, need);
	if (more > in->brim - in->end_offset)
		more = (size_t)(in->brim - in->end_offset);
	in->end += more;
	in->end_offset += more;
	return 0;
}

int input_need(struct input *in, size_t need)
{
	while (input_left(in) < need) {
		const uint8_t *brim = in->block ? in->block->data + in->block->size : NULL;
		ssize_t n;

		if (in->ended && (!in->pieces || in->end == in->filled))
			return 0;
		if (in->pieces) {
			int r = step(in, need);

			if (r < 0)
				return r;
			continue;
		}
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
		if (in->from.busy && input_left(in) < need)
			return -EAGAIN;
	}
	return 1;
}
