/* SPDX-License-Identifier: MIT */
/* table.c: small tables of the heap, larger ones mapped. */
#include "engine/sketch/table.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "engine/core/grow.h"
#include "engine/core/mem.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define PAGE ((size_t)4096)
#define LINE ((size_t)64)

static size_t mapped(size_t size)
{
	return (size + PAGE - 1) & ~(PAGE - 1);
}

static void *map(size_t size)
{
	void *p = grow_reserve(mapped(size));

	if (p)
		madvise(p, mapped(size), MADV_HUGEPAGE);
	return p;
}

void *table_new(struct weir_mem *m, size_t size)
{
	void *p;

	if (size > SIZE_MAX / 4 || !mem_take(m, size))
		return NULL;
	if (size >= HUGE_PAGE) {
		p = map(size);
	} else {
		p = aligned_alloc(LINE, (size + LINE) & ~(LINE - 1));
		if (p)
			memset(p, 0, size);
	}
	if (!p)
		mem_give(m, size);
	return p;
}

void table_free(struct weir_mem *m, void *p, size_t size)
{
	if (!p)
		return;
	if (size >= HUGE_PAGE)
		munmap(p, mapped(size));
	else
		free(p);
	mem_give(m, size);
}
