/* SPDX-License-Identifier: MIT */
/* tails.c: see tails.h. */
#include "engine/core/tails.h"

#include <sys/mman.h>

#include "engine/core/mem.h"

#define STEP ((size_t)2 << 20) /* bytes: a huge page */

#ifndef MADV_POPULATE_WRITE /* of Linux 5.14, which glibc may not know yet */
#define MADV_POPULATE_WRITE 23
#endif

static struct tails *tails_of(const struct weir_mem *m)
{
	while (m && !__atomic_load_n(&m->tails, __ATOMIC_RELAXED))
		m = m->parent;
	return m ? __atomic_load_n(&m->tails, __ATOMIC_RELAXED) : NULL;
}

static uint32_t number(const struct tails *t)
{
	return __atomic_load_n(&t->n, __ATOMIC_RELAXED);
}

static void set_number(struct tails *t, uint32_t n)
{
	__atomic_store_n(&t->n, n, __ATOMIC_RELAXED);
}

void tails_init(struct tails *t, struct weir_mem *m)
{
	*t = (struct tails){.n = 0};
	pthread_mutex_init(&t->lock, NULL);
	__atomic_store_n(&m->tails, t, __ATOMIC_RELAXED);
}

void tails_release(struct tails *t, struct weir_mem *m)
{
	__atomic_store_n(&m->tails, NULL, __ATOMIC_RELAXED);
	pthread_mutex_destroy(&t->lock);
}

void tails_forget(struct tails *t)
{
	pthread_mutex_lock(&t->lock);
	set_number(t, 0);
	pthread_mutex_unlock(&t->lock);
}

static void leave(struct tails *t, uint32_t i)
{
	t->tail[i] = t->tail[t->n - 1];
	set_number(t, t->n - 1);
}

bool tails_step(struct tails *t)
{
	bool did = false;

	if (!number(t))
		return false;
	pthread_mutex_lock(&t->lock);
	if (t->n && !t->off) {
		struct tail *l = &t->tail[0];
		size_t n = l->end - l->at < STEP ? l->end - l->at : STEP;

		t->off = madvise(l->base + l->at, n, MADV_POPULATE_WRITE) != 0;
		did = !t->off;
		l->at += n;
		if (l->at == l->end)
			leave(t, 0);
	}
	if (t->off)
		set_number(t, 0);
	pthread_mutex_unlock(&t->lock);
	return did;
}

void tails_put(struct weir_mem *m, void *base, size_t from, size_t to)
{
	struct tails *t = tails_of(m);

	if (!t || from >= to)
		return;
	pthread_mutex_lock(&t->lock);
	if (t->n < TAILS_MAX && !t->off) {
		t->tail[t->n] = (struct tail){base, from, to};
		set_number(t, t->n + 1);
	}
	pthread_mutex_unlock(&t->lock);
}

void tails_drop(struct weir_mem *m, const void *base)
{
	struct tails *t = tails_of(m);

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	for (uint32_t i = 0; i < t->n; i++)
		if (t->tail[i].base == base) {
			leave(t, i);
			break;
		}
	pthread_mutex_unlock(&t->lock);
}
