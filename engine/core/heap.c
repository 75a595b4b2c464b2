/* SPDX-License-Identifier: MIT */
/* heap.c: cells by size class, bumped from chunks. Chunks are freed all at once. */
#include "engine/core/heap.h"

#define CHUNK_MIN 256
#define CHUNK_MAX ((size_t)1 << 20)
#define VALUE_MAX ((size_t)1 << 30)

struct heap_chunk {
	struct heap_chunk *next;
	size_t size;
};

void heap_init(struct heap *h, struct weir_mem *mem)
{
	memset(h, 0, sizeof *h);
	h->mem = mem;
}

void heap_release(struct heap *h)
{
	while (h->chunks) {
		struct heap_chunk *c = h->chunks;

		h->chunks = c->next;
		weir_free(h->mem, c, c->size);
	}
	weir_free(h->mem, h->free, HEAP_CLASSES * sizeof *h->free);
	heap_init(h, h->mem);
}

/* Class 4e + q holds (4 + q) * 2^e units of 8 bytes, the head included. */
static uint32_t class_of(size_t size, size_t *ret_size)
{
	size_t units = (size + 7) / 8;
	uint32_t e = 0;

	if (units <= 4) {
		*ret_size = 32;
		return 0;
	}
	while (units > ((size_t)7 << e))
		e++;
	units = (units + ((size_t)1 << e) - 1) >> e;
	if (units < 4)
		units = 4;
	*ret_size = (units << e) * 8;
	return 4 * e + (uint32_t)(units - 4);
}

static void *bump(struct heap *h, size_t size)
{
	struct heap_chunk *c;
	size_t room;

	if ((size_t)(h->end - h->at) >= size) {
		h->at += size;
		return h->at - size;
	}
	room = h->chunks ? 2 * h->chunks->size : CHUNK_MIN;
	if (room > CHUNK_MAX)
		room = CHUNK_MAX;
	if (size > room / 4) { /* a chunk of its own, behind the newest */
		c = weir_alloc(h->mem, sizeof *c + size);
		if (!c)
			return NULL;
		c->size = sizeof *c + size;
		c->next = h->chunks ? h->chunks->next : NULL;
		*(h->chunks ? &h->chunks->next : &h->chunks) = c;
		return c + 1;
	}
	c = weir_alloc(h->mem, room);
	if (!c)
		return NULL;
	c->size = room;
	c->next = h->chunks;
	h->chunks = c;
	h->at = (char *)(c + 1) + size;
	h->end = (char *)c + room;
	return c + 1;
}

void heap_drop(struct heap *h, struct heap_cell *c)
{
	if (!c)
		return;
	if (!h->free)
		h->free = weir_calloc(h->mem, HEAP_CLASSES * sizeof *h->free);
	if (!h->free)
		return; /* lost until heap_release() */
	memcpy(c->bytes, &h->free[c->class], sizeof(void *));
	h->free[c->class] = c;
}

/* `old` where it is of the class that a value of `len` bytes takes, else another cell. */
static struct heap_cell *cell_for(struct heap *h, struct heap_cell *old, size_t len)
{
	struct heap_cell *c = old;
	uint32_t class;
	size_t size;

	if (len > VALUE_MAX)
		return NULL;
	class = class_of(sizeof *c + len, &size);
	if (!old || old->class != class) {
		c = h->free ? h->free[class] : NULL;
		if (c) {
			memcpy(&h->free[class], c->bytes, sizeof(void *));
		} else {
			c = bump(h, size);
			if (!c)
				return NULL;
		}
		c->class = class;
	}
	c->len = (uint32_t)len;
	return c;
}

struct heap_cell *heap_take(struct heap *h, size_t len)
{
	return cell_for(h, NULL, len);
}

struct heap_cell *heap_put(struct heap *h, struct heap_cell *old, const void *p, size_t len)
{
	struct heap_cell *c = cell_for(h, old, len);

	if (c && c != old)
		heap_drop(h, old);
	if (c && len)
		memcpy(c->bytes, p, len);
	return c;
}
