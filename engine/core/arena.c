/* SPDX-License-Identifier: MIT */
/* arena.c: memory that is given back all at once. Chunks double up to 1 MiB. */
#include "engine/core/arena.h"

#include <stdlib.h>

#include "engine/core/text.h"

#define ALIGN 16
#define CHUNK_MIN 1024
#define CHUNK_MAX (1u << 20)

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* with this head */
};

void arena_init(struct arena *a, struct weir_mem *mem)
{
	*a = (struct arena){.mem = mem};
}

void arena_release(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *c = a->chunks;

		a->chunks = c->next;
		if (a->mem)
			weir_free(a->mem, c, c->size);
		else
			free(c);
	}
	arena_init(a, a->mem);
}

static int grow(struct arena *a, size_t need)
{
	size_t size = a->total < CHUNK_MIN ? CHUNK_MIN : a->total;
	struct arena_chunk *c;

	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	if (need > SIZE_MAX / 2)
		return -ENOMEM;
	if (size < need + sizeof *c + ALIGN)
		size = need + sizeof *c + ALIGN;
	c = a->mem ? weir_alloc(a->mem, size) : malloc(size);
	if (!c)
		return -ENOMEM;
	c->next = a->chunks;
	c->size = size;
	a->chunks = c;
	a->total += size;
	a->at = (char *)(((uintptr_t)(c + 1) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
	a->end = (char *)c + size;
	return 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p;

	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if ((size_t)(a->end - a->at) < size && grow(a, size) < 0)
		return NULL;
	p = a->at;
	a->at += size;
	return memset(p, 0, size);
}

char *arena_copy(struct arena *a, const void *p, size_t n)
{
	char *to = arena_alloc(a, n + 1);

	if (to && n)
		memcpy(to, p, n);
	return to;
}

static char *room(void *arg, size_t n)
{
	return arena_alloc(arg, n);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	size_t n;
	char *to;

	va_start(ap, fmt);
	to = text_print_to(room, a, fmt, ap, &n);
	va_end(ap);
	return to;
}
