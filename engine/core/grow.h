/* SPDX-License-Identifier: MIT */
/* grow.h: arrays that grow without being copied.
 *
 * Up to a megabyte they are mem.h's, and are copied; larger ones are mappings of whole huge pages,
 * which the kernel moves by their page tables. Growing a table of hundreds of megabytes then costs
 * neither the copy nor, for a moment, twice the memory, and random access to it misses the TLB
 * 512 times less. Untouched pages cost nothing but their place in the query's account.
 */
#ifndef GROW_H
#define GROW_H

#include <weir/module.h>

/* Makes an array of *size bytes (p; NULL and 0 at first) at least `want` bytes large; new bytes
 * are zero. The array, perhaps elsewhere, and its size in *size; NULL: out of memory, and p and
 * *size are as before. */
void *grow(struct weir_mem *m, void *p, size_t *size, size_t want);

/* NULL is fine. */
void grow_free(struct weir_mem *m, void *p, size_t size);

/* Address space for `size` bytes, a multiple of the page size, that begins on a huge page. Not
 * counted; munmap() gives it back. NULL: there is none. */
void *grow_reserve(size_t size);

#endif
