/* SPDX-License-Identifier: MIT */
/* slab.h: pieces of memory of 160 KB to a megabyte, cut from huge pages.
 *
 * A page that is touched first costs 1.2 us in a virtual machine, and 512 of them in one piece 30:
 * arrays of this size that grow, and buffers, were a twentieth of a question's CPU time for that.
 * Smaller ones would take whole what their users touch in part: batches do, of many idle queries.
 *
 * What has been given back is used again by whoever comes next, all queries of the process. The
 * first region of 2 MB has small pages, since a process that needs little is to take little, and
 * stays; of the others at most one does when it is empty.
 *
 * Any thread may call. Not counted (mem.h): its users do, without the up to 32 KB by which a piece
 * is rounded up.
 */
#ifndef SLAB_H
#define SLAB_H

#include <stdbool.h>
#include <stddef.h>

#define SLAB_MIN ((size_t)160 << 10) /* bytes; smaller ones are the heap's */
#define SLAB_MAX ((size_t)1 << 20)

static inline bool slab_has(size_t size)
{
	return size >= SLAB_MIN && size <= SLAB_MAX;
}

/* SLAB_MIN to SLAB_MAX bytes of any content, on a cache line of their own; NULL: out of memory. */
void *slab_get(size_t size);
/* With the same size. */
void slab_put(void *p, size_t size);

#endif
