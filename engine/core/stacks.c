/* SPDX-License-Identifier: MIT */
/* stacks.c: slabs of stacks, for the whole process.
 *
 * Lock: `lock` protects all slabs; it is held for a list operation, and for the map of a new slab.
 */
#include "engine/core/stacks.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine/core/mem.h"
#include "engine/core/sanitizers.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
	CLASSES = 7, /* STACK_MIN << 0 … STACK_MIN << 6 */
	SLAB_STACKS = 1024,
	FIRST_STACKS = 16,
	WARM = 64, /* stacks of a slab that keep their pages when they are given back */
	PAGES_MAX = STACK_MAX / 4096,
};

struct stack_slab {
	struct stack_slab *next, *prev; /* of its class, while it has free ones */
	char *base;                     /* of stack 0; the map begins a page before */
	size_t size;                    /* of one stack */
	uint32_t n, fresh;              /* stacks; the first that was never used */
	uint32_t nfree, nwarm;          /* given back; those with pages stand last */
	uint32_t inuse;
	uint8_t guard[SLAB_STACKS]; /* enum guard */
	uint16_t free[SLAB_STACKS];
};

static struct {
	pthread_mutex_t lock;
	struct stack_slab *open[CLASSES]; /* slabs with stacks to take */
	struct stack_slab *idle[CLASSES]; /* one of them that is empty, kept for the next stack */
	uint32_t total[CLASSES];          /* stacks in all slabs of the class */
	enum guard best;
	uint32_t pages; /* GUARD_PAGE stacks there are */
	struct stacks_info info;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE); /* no call of the kernel */
}

static unsigned class_of(size_t size)
{
	unsigned c = 0;

	while (c < CLASSES - 1 && ((size_t)STACK_MIN << c) < size)
		c++;
	return c;
}

static size_t mapped(const struct stack_slab *slab)
{
	return page_size() + slab->n * slab->size;
}

static void list(struct stack_slab *slab, bool in)
{
	struct stack_slab **open = &pool.open[class_of(slab->size)];

	if (in) {
		slab->next = *open;
		slab->prev = NULL;
		if (*open)
			(*open)->prev = slab;
		*open = slab;
		return;
	}
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		*open = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
}

static struct stack_slab *slab_new(unsigned class)
{
	struct stack_slab *slab = calloc(1, sizeof *slab);
	char *p;

	if (!slab)
		return NULL;
	slab->size = (size_t)STACK_MIN << class;
	slab->n = pool.total[class] < FIRST_STACKS  ? FIRST_STACKS
	          : pool.total[class] > SLAB_STACKS ? SLAB_STACKS
	                                            : pool.total[class];
	p = mmap(NULL, mapped(slab), PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		free(slab);
		return NULL;
	}
	madvise(p, mapped(slab), MADV_NOHUGEPAGE);
	slab->base = p + page_size();
	pool.total[class] += slab->n;
	pool.info.slabs++;
	pool.info.mapped += mapped(slab);
	list(slab, true);
	return slab;
}

static void slab_free(struct stack_slab *slab)
{
	for (uint32_t i = 0; i < slab->fresh; i++)
		pool.pages -= slab->guard[i] == GUARD_PAGE;
	pool.total[class_of(slab->size)] -= slab->n;
	pool.info.slabs--;
	pool.info.mapped -= mapped(slab);
	munmap(slab->base - page_size(), mapped(slab));
	free(slab);
}

/* Makes the page a guard marker; false where the kernel has none. Something that stands in for a
 * kernel (an emulator) may take an advice that it does not know for a good one: the first time the
 * system is asked to write there. */
static bool mark(char *page)
{
	static bool works;

	if (madvise(page, page_size(), MADV_GUARD_INSTALL) < 0)
		return false;
	if (!works)
		works = getrandom(page, 1, 0) < 0 && errno == EFAULT;
	return works;
}

/* Guards the end of stack i, which is handed out for the first time. */
static void guard(struct stack_slab *slab, uint32_t i)
{
	char *low = slab->base + i * slab->size;
	enum guard g = pool.best;

	if (g == GUARD_MARKER && !mark(low))
		g = pool.best = GUARD_PAGE;
	if (g == GUARD_PAGE) {
		if (pool.pages < GUARD_PAGES && mprotect(low, page_size(), PROT_NONE) == 0)
			pool.pages++;
		else
			g = GUARD_ZONE;
	}
	slab->guard[i] = (uint8_t)g;
}

int stack_take(struct stack *s, struct weir_mem *mem, size_t size)
{
	unsigned class = class_of(size);
	struct stack_slab *slab;
	uint32_t i;

	if (!mem_take(mem, page_size()))
		return -ENOMEM;
	pthread_mutex_lock(&pool.lock);
	slab = pool.open[class] ? pool.open[class] : slab_new(class);
	if (!slab) {
		pthread_mutex_unlock(&pool.lock);
		mem_give(mem, page_size());
		return -ENOMEM;
	}
	if (slab->nfree) {
		i = slab->free[--slab->nfree];
		slab->nwarm -= slab->nwarm > 0;
	} else {
		i = slab->fresh++;
		guard(slab, i);
	}
	if (pool.idle[class] == slab)
		pool.idle[class] = NULL;
	slab->inuse++;
	pool.info.inuse++;
	if (!slab->nfree && slab->fresh == slab->n)
		list(slab, false);
	*s = (struct stack){.low = slab->base + i * slab->size,
	        .size = slab->size,
	        .slab = slab,
	        .mem = mem,
	        .counted = page_size(),
	        .index = i,
	        .guard = slab->guard[i]};
	pthread_mutex_unlock(&pool.lock);
	return 0;
}

/* What frames left there must not be taken for poisoned memory by the next. */
static void forget(const struct stack *s)
{
#ifdef WITH_ASAN
	ASAN_UNPOISON_MEMORY_REGION(s->low, s->size);
#endif
}

/* With the lock: the slab is empty. One is kept, so that a stack taken and given back again and
 * again is no system call. */
static void emptied(struct stack_slab *slab)
{
	struct stack_slab **idle = &pool.idle[class_of(slab->size)];

	if (!*idle) {
		*idle = slab;
		return;
	}
	list(slab, false);
	slab_free(slab);
}

void stack_give(struct stack *s)
{
	struct stack_slab *slab = s->slab;
	bool warm;

	if (!slab)
		return;
	mem_give(s->mem, s->counted);
	forget(s);
	if (!stack_intact(s)) { /* frames are overwritten, its own or its neighbour's: not again */
		*s = (struct stack){0};
		return;
	}
	pthread_mutex_lock(&pool.lock);
	warm = slab->nwarm < WARM;
	if (!warm) {
		pthread_mutex_unlock(&pool.lock);
		madvise(s->low, s->size, MADV_DONTNEED);
		pthread_mutex_lock(&pool.lock);
	}
	if (!slab->nfree && slab->fresh == slab->n)
		list(slab, true);
	slab->free[slab->nfree++] = (uint16_t)s->index;
	if (warm) {
		slab->nwarm++;
	} else if (slab->nwarm) { /* cold ones beneath the warm ones */
		uint32_t at = slab->nfree - 1 - slab->nwarm;

		slab->free[slab->nfree - 1] = slab->free[at];
		slab->free[at] = (uint16_t)s->index;
	}
	pool.info.inuse--;
	if (--slab->inuse == 0)
		emptied(slab);
	pthread_mutex_unlock(&pool.lock);
	*s = (struct stack){0};
}

static bool is_zero(const char *zone)
{
	uint64_t any = 0, w;

	for (size_t i = 0; i < STACK_ZONE; i += sizeof w) {
		memcpy(&w, zone + i, sizeof w);
		any |= w;
	}
	return !any;
}

bool stack_intact(const struct stack *s)
{
	return s->guard != GUARD_ZONE ||
	       (is_zero(s->low - STACK_ZONE) && is_zero(s->low + s->size - STACK_ZONE));
}

int stack_count(struct stack *s)
{
	unsigned char in[PAGES_MAX];
	size_t page = page_size(), n = s->size / page, bytes = 0;

	/* at 2, 8, 32 … */
	s->looks++;
	if ((s->looks & (s->looks - 1)) || !(s->looks & 0xaaaaaaaa) ||
	        mincore(s->low, s->size, in) < 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		bytes += in[i] & 1 ? page : 0;
	if (bytes <= s->counted)
		return 0;
	if (!mem_take(s->mem, bytes - s->counted))
		return -ENOMEM;
	s->counted = bytes;
	return 0;
}

void stacks_guard(enum guard best)
{
	pthread_mutex_lock(&pool.lock);
	pool.best = best;
	pthread_mutex_unlock(&pool.lock);
}

void stacks_info(struct stacks_info *ret)
{
	pthread_mutex_lock(&pool.lock);
	*ret = pool.info;
	pthread_mutex_unlock(&pool.lock);
}
