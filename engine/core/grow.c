/* SPDX-License-Identifier: MIT */
/* grow.c: arrays that grow without being copied.
 *
 * Invariant: an array of more than SLAB_MAX bytes is a mapping whose address and size are multiples
 * of HUGE_PAGE; a smaller one is of weir_alloc().
 */
#include "engine/core/grow.h"

#include <sys/mman.h>

#include "engine/core/mem.h"
#include "engine/core/slab.h"
#include "engine/core/tails.h"

#define HUGE_PAGE ((size_t)2 << 20)

static size_t round_up(size_t n)
{
	return (n + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

void *grow_reserve(size_t size)
{
	char *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p & (HUGE_PAGE - 1);
	if (head)
		munmap(p, head);
	munmap(p + head + size, HUGE_PAGE - head);
	return p + head;
}

static void *map_more(struct weir_mem *m, void *p, size_t *size, size_t new_size)
{
	bool mapped = *size > SLAB_MAX;
	size_t more = mapped ? new_size - *size : new_size;
	void *q;

	if (!mem_take(m, more))
		return NULL;
	if (mapped)
		tails_drop(m, p);
	q = grow_reserve(new_size);
	if (q && mapped &&
	        mremap(p, *size, new_size, MREMAP_MAYMOVE | MREMAP_FIXED, q) == MAP_FAILED) {
		munmap(q, new_size);
		q = NULL;
	}
	if (!q) {
		mem_give(m, more);
		return NULL;
	}
	madvise(q, new_size, MADV_HUGEPAGE);
	tails_put(m, q, mapped ? *size : 0, new_size);
	if (!mapped && p) {
		memcpy(q, p, *size);
		weir_free(m, p, *size);
	}
	*size = new_size;
	return q;
}

void *grow(struct weir_mem *m, void *p, size_t *size, size_t want)
{
	size_t more;
	void *q;

	if (want <= *size && p)
		return p;
	if (want > SIZE_MAX / 4)
		return NULL;
	if (want <= SLAB_MAX) {
		more = *size * 2 > want ? *size * 2 : want;
		more = more < SLAB_MAX ? (more + 63) & ~(size_t)63 : SLAB_MAX;
		q = weir_realloc(m, p, *size, more);
		if (!q)
			return NULL;
		memset((char *)q + *size, 0, more - *size);
		*size = more;
		return q;
	}
	more = *size + *size / 4;
	q = map_more(m, p, size, round_up(more > want ? more : want));
	return q ? q : map_more(m, p, size, round_up(want));
}

void grow_free(struct weir_mem *m, void *p, size_t size)
{
	if (!p)
		return;
	if (size <= SLAB_MAX) {
		weir_free(m, p, size);
		return;
	}
	tails_drop(m, p);
	munmap(p, size);
	mem_give(m, size);
}
