/* SPDX-License-Identifier: MIT */
/* block.h: large recycled pieces of a trace that packets point into.
 *
 * A block is shared by its reader and by every batch with a packet in it, and goes back to its pool
 * with the last reference, last in first out, so that the next read writes to warm cache lines. A
 * block that is larger than the pool's size (a huge packet) goes back to the account instead. Any
 * thread may take and drop references. The pool lives until its owner and all blocks are gone; the
 * account must outlive it.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include <weir/module.h>

struct block_pool;

struct block {
	uint8_t *data;
	size_t size;
	uint32_t refs; /* atomic */
	struct block_pool *pool;
	struct block *next; /* in the free list, protected by the pool's lock */
};

struct block_pool *block_pool_new(size_t size, struct weir_mem *mem); /* NULL: out of memory */
void block_pool_unref(struct block_pool *p);                          /* NULL is fine */
size_t block_pool_size(const struct block_pool *p);

/* A block of at least `need` bytes, one reference, contents unspecified; NULL: out of memory. */
struct block *block_new(struct block_pool *p, size_t need);

static inline struct block *block_ref(struct block *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void block_unref(struct block *b); /* NULL is fine */

#endif
