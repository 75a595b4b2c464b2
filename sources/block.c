/* SPDX-License-Identifier: MIT */
/* block.c: large recycled pieces of a trace. */
#include "sources/block.h"

#include <pthread.h>
#include <stdlib.h>

#define ALIGN 4096
#define KEEP 16 /* blocks that an idle pool keeps */

struct block_pool {
	pthread_mutex_t lock; /* protects free, nfree */
	struct block *free;
	unsigned nfree;
	size_t size;
	uint32_t refs; /* atomic: the owner, and every block that is out */
	struct weir_mem *mem;
};

struct block_pool *block_pool_new(size_t size, struct weir_mem *mem)
{
	struct block_pool *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->size = size;
	p->refs = 1;
	p->mem = mem;
	return p;
}

size_t block_pool_size(const struct block_pool *p)
{
	return p->size;
}

/* The struct stands in front of its bytes, both in one allocation. */
static size_t footprint(size_t size)
{
	return sizeof(struct block) + ALIGN + size;
}

static void discard(struct block_pool *p, struct block *b)
{
	weir_free(p->mem, b, footprint(b->size));
}

void block_pool_unref(struct block_pool *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	while (p->free) {
		struct block *b = p->free;

		p->free = b->next;
		discard(p, b);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

struct block *block_new(struct block_pool *p, size_t need)
{
	struct block *b = NULL;

	if (need <= p->size) {
		need = p->size;
		pthread_mutex_lock(&p->lock);
		b = p->free;
		if (b) {
			p->free = b->next;
			p->nfree--;
		}
		pthread_mutex_unlock(&p->lock);
	}
	if (!b) {
		b = weir_alloc(p->mem, footprint(need));
		if (!b)
			return NULL;
		b->data = (uint8_t *)(((uintptr_t)(b + 1) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
		b->size = need;
		b->pool = p;
	}
	b->refs = 1;
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void block_unref(struct block *b)
{
	struct block_pool *p;

	if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL))
		return;
	p = b->pool;
	if (b->size == p->size) {
		pthread_mutex_lock(&p->lock);
		if (p->nfree < KEEP) {
			b->next = p->free;
			p->free = b;
			p->nfree++;
			b = NULL;
		}
		pthread_mutex_unlock(&p->lock);
	}
	if (b)
		discard(p, b);
	block_pool_unref(p);
}
