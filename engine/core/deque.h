/* SPDX-License-Identifier: MIT */
/* deque.h: a worker's tasks: it puts and takes at one end, others steal at the other.
 *
 * The owner gets what it put last, whose data are still in its cache; a thief gets the oldest. A
 * lock each, as short as it can be, and no more tasks than there was room made for: a task stands
 * in one deque at a time.
 */
#ifndef DEQUE_H
#define DEQUE_H

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

struct task;

struct deque {
	pthread_mutex_t lock;  /* protects what follows */
	uint32_t oldest, next; /* they run on; places are taken modulo the room */
	uint32_t mask;
	struct task **ring;
};

/* Room for at least n tasks. 0 or -1: out of memory. */
static inline int deque_init(struct deque *d, uint32_t n)
{
	uint32_t room = 16;

	while (room < n)
		room *= 2;
	pthread_mutex_init(&d->lock, NULL);
	d->oldest = d->next = 0;
	d->mask = room - 1;
	d->ring = calloc(room, sizeof(void *));
	return d->ring ? 0 : -1;
}

static inline void deque_release(struct deque *d)
{
	free(d->ring);
	pthread_mutex_destroy(&d->lock);
}

static inline void deque_put(struct deque *d, struct task *t)
{
	pthread_mutex_lock(&d->lock);
	d->ring[d->next++ & d->mask] = t;
	pthread_mutex_unlock(&d->lock);
}

/* What was put last; NULL: it is empty. */
static inline struct task *deque_take(struct deque *d)
{
	struct task *t = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->next != d->oldest)
		t = d->ring[--d->next & d->mask];
	pthread_mutex_unlock(&d->lock);
	return t;
}

/* What was put first; NULL: it is empty. */
static inline struct task *deque_steal(struct deque *d)
{
	struct task *t = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->next != d->oldest)
		t = d->ring[d->oldest++ & d->mask];
	pthread_mutex_unlock(&d->lock);
	return t;
}

#endif
