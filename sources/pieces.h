/* SPDX-License-Identifier: MIT */
/* pieces.h: a plain file brought into memory piece by piece, by several threads.
 *
 * Piece k is the bytes from `base` + k * PIECE on. Any thread fetches any piece, several at once;
 * one takes them, in order. A piece has room in front of its bytes, where what is left of the one
 * before it goes, so that what crosses the border between two lies in one place. Only the last one
 * is shorter than PIECE: there the file ended, or could not be read.
 *
 * No more than `ahead` pieces are fetched and not taken: who fetches sees to it.
 */
#ifndef PIECES_H
#define PIECES_H

#include "sources/block.h"

#define PIECE ((size_t)192 << 10)     /* three of them stay in a second-level cache */
#define PIECE_HEAD ((size_t)64 << 10) /* room in front, a multiple of a page */

struct pieces;

struct piece {
	struct block *block; /* NULL: no memory, see `error` */
	size_t n;            /* bytes, from block->data + PIECE_HEAD on */
	int error;           /* 0 or -errno, behind them */
	bool ready;          /* atomic: fetched, and not taken */
};

/* Of the file `fd`, which is duplicated. NULL: out of memory, or of descriptors. Each of `workers`
 * threads has blocks of its own. */
struct pieces *pieces_new(
        int fd, uint64_t base, uint32_t ahead, uint32_t workers, struct weir_mem *mem);
void pieces_free(struct pieces *p); /* nobody fetches any more; NULL is fine */

/* Each number once, below that of the next one to be taken plus `ahead`. false: the file ends there
 * or before. */
bool pieces_fetch(struct pieces *p, uint64_t number, uint32_t worker);

/* The next one, with the reference to its block. false: it is not there yet. */
bool pieces_take(struct pieces *p, struct piece *ret);
uint64_t pieces_taken(const struct pieces *p);

#endif
