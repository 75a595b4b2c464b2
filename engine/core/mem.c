/* SPDX-License-Identifier: MIT */
/* mem.c: accounted allocation. malloc beneath, and slab.h for large pieces; callers remember sizes,
 * so nothing is added. */
#include "engine/core/mem.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/slab.h"

bool mem_take(struct weir_mem *m, size_t size)
{
	size_t now, limit;

	if (!m)
		return true;
	if (m->parent && !mem_take(m->parent, size))
		return false;
	limit = __atomic_load_n(&m->limit, __ATOMIC_RELAXED);
	now = __atomic_add_fetch(&m->used, size, __ATOMIC_RELAXED);
	if (limit && (now > limit || now < size)) {
		__atomic_sub_fetch(&m->used, size, __ATOMIC_RELAXED);
		mem_give(m->parent, size);
		__atomic_add_fetch(&m->denied, 1, __ATOMIC_RELAXED);
		return false;
	}
	if (now > __atomic_load_n(&m->peak, __ATOMIC_RELAXED))
		__atomic_store_n(&m->peak, now, __ATOMIC_RELAXED);
	return true;
}

void mem_give(struct weir_mem *m, size_t size)
{
	for (; m; m = m->parent)
		__atomic_sub_fetch(&m->used, size, __ATOMIC_RELAXED);
}

void *weir_alloc(struct weir_mem *m, size_t size)
{
	void *p;

	if (!mem_take(m, size))
		return NULL;
	p = slab_has(size) ? slab_get(size) : malloc(size ? size : 1);
	if (!p)
		mem_give(m, size);
	return p;
}

void *weir_calloc(struct weir_mem *m, size_t size)
{
	void *p;

	if (slab_has(size)) {
		p = weir_alloc(m, size);
		return p ? memset(p, 0, size) : NULL;
	}
	if (!mem_take(m, size))
		return NULL;
	p = calloc(1, size ? size : 1);
	if (!p)
		mem_give(m, size);
	return p;
}

/* Where one of the sizes is a slab's. */
static void *move(void *p, size_t old_size, size_t size)
{
	void *q = slab_has(size) ? slab_get(size) : malloc(size ? size : 1);

	if (!q || !p)
		return q;
	memcpy(q, p, old_size < size ? old_size : size);
	if (slab_has(old_size))
		slab_put(p, old_size);
	else
		free(p);
	return q;
}

void *weir_realloc(struct weir_mem *m, void *p, size_t old_size, size_t size)
{
	void *q;

	if (size > old_size && !mem_take(m, size - old_size))
		return NULL;
	if (slab_has(size) || slab_has(old_size))
		q = move(p, old_size, size);
	else
		q = realloc(p, size ? size : 1);
	if (!q) {
		if (size > old_size)
			mem_give(m, size - old_size);
		return NULL;
	}
	if (size < old_size)
		mem_give(m, old_size - size);
	return q;
}

void weir_free(struct weir_mem *m, void *p, size_t size)
{
	if (!p)
		return;
	if (slab_has(size))
		slab_put(p, size);
	else
		free(p);
	mem_give(m, size);
}

struct weir_mem *mem_new(size_t limit)
{
	struct weir_mem *m = calloc(1, sizeof *m);

	if (m) {
		m->refs = 1;
		m->limit = limit;
	}
	return m;
}

struct weir_mem *mem_ref(struct weir_mem *m)
{
	if (m && __atomic_load_n(&m->refs, __ATOMIC_RELAXED))
		__atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
	return m;
}

void mem_unref(struct weir_mem *m)
{
	if (m && __atomic_load_n(&m->refs, __ATOMIC_RELAXED) &&
	        __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(m);
}
