/* SPDX-License-Identifier: MIT */
/* table.c: small tables of the heap, larger ones mapped. */
#include "engine/sketch/table.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "engine/core/mem.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define PAGE ((size_t)4096)
#define LINE ((size_t)64)

static size_t mapped(size_t size)
{
	return (size + PAGE - 1) & ~(PAGE - 1);
}

/* Pages from a huge page's beginning on; the rest of what was reserved for that goes back. */
static void *map(size_t size)
{
	size_t all = mapped(size) + HUGE_PAGE, head;
	char *p = mmap(NULL, all, PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p & (HUGE_PAGE - 1);
	if (head)
		munmap(p, head);
	munmap(p + head + mapped(size), all - head - mapped(size));
	madvise(p + head, mapped(size), MADV_HUGEPAGE);
	return p + head;
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
