/* SPDX-License-Identifier: MIT */
/* arena.h: memory that is given back all at once.
 *
 * Pointers stay valid until arena_release(). Zeroed memory, aligned to 16. With a struct weir_mem
 * the chunks are counted against the query's limit; NULL: plain malloc.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>
#include <weir/module.h>

struct arena {
	struct arena_chunk *chunks;
	char *at, *end;
	struct weir_mem *mem;
	size_t total;
};

void arena_init(struct arena *a, struct weir_mem *mem);
void arena_release(struct arena *a);
void *arena_alloc(struct arena *a, size_t size);            /* NULL: out of memory */
char *arena_copy(struct arena *a, const void *p, size_t n); /* with a 0 behind */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
