/* SPDX-License-Identifier: MIT */
/* table.h: memory of a fixed size for a sketch: zeroed, counted to the byte, beginning on a cache
 * line, and from a huge page's size on in huge pages, since every access goes somewhere else. */
#ifndef SKETCH_TABLE_H
#define SKETCH_TABLE_H

#include <weir/module.h>

void *table_new(struct weir_mem *m, size_t size);          /* NULL: out of memory */
void table_free(struct weir_mem *m, void *p, size_t size); /* NULL is fine */

#endif
