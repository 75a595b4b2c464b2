/* SPDX-License-Identifier: MIT */
/* aid.c: see aid.h.
 *
 * The work stands on the stack of who shares it. Parts are given out with the lock, and its owner
 * takes the last: then nobody finds it any more, and who has a part still says `done` as the last
 * thing that is done with it.
 */
#include "engine/core/aid.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "engine/core/crew.h"
#include "engine/core/mem.h"

#define SPINS 2000 /* looks at whether the others have done, before the CPU is given away */

struct aid_work {
	void (*part)(void *arg, uint32_t i);
	void *arg;
	uint32_t n, next; /* next: to be given out, with the lock */
	uint32_t done;    /* atomic */
};

struct aid_call {
	struct task task; /* first */
	struct aid *aid;
	bool put; /* it stands in a deque; with the lock */
};

static struct aid *aid_of(const struct weir_mem *m)
{
	while (m && !__atomic_load_n(&m->aid, __ATOMIC_RELAXED))
		m = m->parent;
	return m ? __atomic_load_n(&m->aid, __ATOMIC_RELAXED) : NULL;
}

/* One part of the work at hand, or of `own` only; false: there is none left. */
static bool step(struct aid *a, const struct aid_work *own)
{
	struct aid_work *w;
	uint32_t i = 0;

	pthread_mutex_lock(&a->lock);
	w = a->work;
	if (own && w != own)
		w = NULL;
	if (w) {
		i = w->next++;
		if (w->next == w->n)
			a->work = NULL;
	}
	pthread_mutex_unlock(&a->lock);
	if (!w)
		return false;
	w->part(w->arg, i);
	__atomic_add_fetch(&w->done, 1, __ATOMIC_RELEASE);
	return true;
}

static void join(struct hand *h, struct task *t)
{
	struct aid_call *c = (struct aid_call *)t;

	(void)h;
	pthread_mutex_lock(&c->aid->lock);
	c->put = false;
	pthread_mutex_unlock(&c->aid->lock);
	while (step(c->aid, NULL))
		;
}

int aid_init(struct aid *a, struct weir_mem *m, struct crew *c)
{
	*a = (struct aid){.crew = c};
	pthread_mutex_init(&a->lock, NULL);
	a->call = calloc(c->n, sizeof *a->call);
	if (!a->call)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n; i++)
		a->call[i] = (struct aid_call){.task.run = join, .aid = a};
	__atomic_store_n(&m->aid, a, __ATOMIC_RELAXED);
	return 0;
}

void aid_release(struct aid *a, struct weir_mem *m)
{
	if (!a->crew)
		return;
	__atomic_store_n(&m->aid, NULL, __ATOMIC_RELAXED);
	pthread_mutex_destroy(&a->lock);
	free(a->call);
}

/* Whether others may take parts from now on; they are called. */
static bool offer(struct aid *a, struct aid_work *w)
{
	uint32_t others = crew_started(a->crew) - 1;
	bool can;

	pthread_mutex_lock(&a->lock);
	can = !a->work;
	if (can)
		a->work = w;
	for (uint32_t i = 0; can && i < others; i++)
		if (!a->call[i].put) {
			a->call[i].put = true;
			crew_put_spare(a->crew, &a->call[i].task);
		}
	pthread_mutex_unlock(&a->lock);
	return can;
}

static void wait_for(const struct aid_work *w)
{
	for (uint32_t i = 0; __atomic_load_n(&w->done, __ATOMIC_ACQUIRE) < w->n; i++)
		if (i >= SPINS)
			sched_yield();
}

void aid_share(struct weir_mem *m, uint32_t n, void (*part)(void *arg, uint32_t i), void *arg)
{
	struct aid_work w = {.part = part, .arg = arg, .n = n};
	struct aid *a = aid_of(m);

	if (!n)
		return;
	if (!a || !offer(a, &w)) {
		for (uint32_t i = 0; i < n; i++)
			part(arg, i);
		return;
	}
	while (step(a, &w))
		;
	wait_for(&w);
}
