/* SPDX-License-Identifier: MIT */
/* input.h: a window that moves over a (decompressed) file, block by block.
 *
 * What lies in [at, end) is contiguous and stays where it is as long as somebody holds the block.
 * A record that crosses the end of a block is moved to the start of the next one; blocks are always
 * filled to the brim, so the same file is cut at the same places however its bytes arrive.
 *
 * With pieces, which several threads fetch, the bytes lie in other blocks, but `end` and `turns` go
 * on as if they did not: what is made of the file does not depend on the number of threads.
 */
#ifndef INPUT_H
#define INPUT_H

#include "sources/pieces.h"
#include "sources/unpack.h"

struct input {
	struct unpack from;
	struct block_pool *pool; /* borrowed */
	struct block *block;     /* a reference */
	const uint8_t *at;       /* next byte; the caller moves it on */
	uint8_t *end;            /* behind the last byte read */
	uint64_t end_offset;     /* of `end`, in bytes of the decompressed file */
	bool ended;              /* nothing comes any more; the reason, if any, is from.error */
	uint32_t turns;          /* blocks entered so far */
	/* with pieces */
	struct pieces *pieces; /* borrowed; NULL: none */
	uint8_t *filled;       /* behind the last byte that is there, at or behind `end` */
	uint64_t brim; /* offset of the end of the block that one thread would have filled */
};

void input_init(struct input *in, int fd, struct block_pool *pool); /* takes over fd */
void input_release(struct input *in);

static inline size_t input_left(const struct input *in)
{
	return (size_t)(in->end - in->at);
}

/* Offset of in->at in the decompressed file. */
static inline uint64_t input_offset(const struct input *in)
{
	return in->end_offset - input_left(in);
}

/* Goes on at `offset`, not before the current place, of a plain regular file. 0 or -errno. */
int input_seek(struct input *in, uint64_t offset);

/* From now on the rest comes in pieces: a plain regular file, whose first block is full. */
void input_in_pieces(struct input *in, struct pieces *p);

/* Sees to it that `need` bytes (not 0) lie at in->at. 1: they do; 0: the file or a fault ends it
 * before; -EAGAIN: a pipe has nothing yet, or the next piece
 * was not fetched, or from.busy; -ENOMEM. */
int input_need(struct input *in, size_t need);

#endif
