/* SPDX-License-Identifier: MIT */
/* heap.h: values of variable length that tables keep: text, octets, wide addresses.
 *
 * A cell never moves. A value that is overwritten gives its cell back to a list of its size
 * class and takes the next one from there, so that a table in which long values come and go
 * holds, in each class, no more cells than were in use at one time. Classes stand a quarter of a
 * power of two apart: at most a fifth of a cell is unused.
 */
#ifndef HEAP_H
#define HEAP_H

#include <weir/module.h>

#define HEAP_CLASSES 128

struct heap_cell {
	uint32_t len;   /* of the value */
	uint32_t class; /* of the cell */
	uint8_t bytes[];
};

struct heap {
	struct weir_mem *mem;
	struct heap_chunk *chunks;
	char *at, *end;          /* what is left of the newest chunk */
	struct heap_cell **free; /* HEAP_CLASSES lists, once a cell was given back */
};

void heap_init(struct heap *h, struct weir_mem *mem);
void heap_release(struct heap *h);

/* A cell that holds a copy of p[0..len). `old`, a cell to be replaced or NULL, is used again or
 * freed. NULL: out of memory or longer than 1 GiB, and `old` is as before. */
struct heap_cell *heap_put(struct heap *h, struct heap_cell *old, const void *p, size_t len);
/* A cell for `len` bytes, not initialised. NULL: as above. */
struct heap_cell *heap_take(struct heap *h, size_t len);
void heap_drop(struct heap *h, struct heap_cell *c); /* NULL is fine */

#endif
