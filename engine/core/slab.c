/* SPDX-License-Identifier: MIT */
/* slab.c: regions of 64 units, a bit for each; the first holds the region's own record. */
#include "engine/core/slab.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/core/grow.h"
#include "engine/core/sanitizers.h"

#ifdef WITH_ASAN /* which sees what is read beyond the end only there */
void *slab_get(size_t size)
{
	return malloc(size);
}

void slab_put(void *p, size_t size)
{
	(void)size;
	free(p);
}
#else

#define REGION ((size_t)2 << 20) /* a huge page, and where one begins */
#define UNIT (REGION / 64)       /* sizes are rounded up to multiples of it */
#define LOOKS 32                 /* regions that are looked through for room */

struct region {
	struct region *next, *before; /* those that were given something back last come first */
	uint64_t taken;
	bool small; /* of small pages */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects what follows */
static struct region *regions;
static uint32_t nregions, nempty;

static uint32_t units(size_t size)
{
	return (uint32_t)((size + UNIT - 1) / UNIT);
}

static uint64_t ones(uint32_t n, uint32_t at)
{
	return (((uint64_t)1 << n) - 1) << at;
}

/* The first of n free units; 0: there are none, the record has that. */
static uint32_t room(const struct region *r, uint32_t n)
{
	uint64_t can = ~r->taken;

	for (uint32_t have = 1; have < n && can;) {
		uint32_t more = n - have < have ? n - have : have;

		can &= can >> more;
		have += more;
	}
	return can ? (uint32_t)__builtin_ctzll(can) : 0;
}

static void leave(struct region *r)
{
	if (r->next)
		r->next->before = r->before;
	if (r->before)
		r->before->next = r->next;
	else
		regions = r->next;
}

static void enter(struct region *r)
{
	r->before = NULL;
	r->next = regions;
	if (regions)
		regions->before = r;
	regions = r;
}

static struct region *more(void)
{
	struct region *r = grow_reserve(REGION);

	if (!r)
		return NULL;
	if (nregions)
		madvise(r, REGION, MADV_HUGEPAGE);
	*r = (struct region){.taken = 1, .small = !nregions};
	nregions++;
	nempty++;
	enter(r);
	return r;
}

static bool is_empty(const struct region *r)
{
	return r->taken == 1;
}

void *slab_get(size_t size)
{
	uint32_t n = units(size), at = 0, looks = LOOKS;
	struct region *r;

	pthread_mutex_lock(&lock);
	for (r = regions; r && looks--; r = r->next) {
		at = room(r, n);
		if (at)
			break;
	}
	if (!at) {
		r = more();
		at = r ? room(r, n) : 0;
	}
	if (at) {
		nempty -= is_empty(r);
		r->taken |= ones(n, at);
	}
	pthread_mutex_unlock(&lock);
	return at ? (char *)r + at * UNIT : NULL;
}

void slab_put(void *p, size_t size)
{
	struct region *r;
	uint32_t at;

	if (!p)
		return;
	r = (struct region *)((uintptr_t)p & ~(uintptr_t)(REGION - 1));
	at = (uint32_t)(((char *)p - (char *)r) / UNIT);
	pthread_mutex_lock(&lock);
	r->taken &= ~ones(units(size), at);
	leave(r);
	if (is_empty(r) && nempty && !r->small) {
		nregions--;
	} else {
		nempty += is_empty(r);
		enter(r);
		r = NULL;
	}
	pthread_mutex_unlock(&lock);
	if (r)
		munmap(r, REGION);
}
#endif
