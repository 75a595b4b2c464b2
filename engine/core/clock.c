/* SPDX-License-Identifier: MIT */
/* clock.c: a sorted list of deadlines and a thread that sleeps until the first. */
#include "engine/core/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "engine/core/now.h"

struct call {
	struct call *next;
	int64_t at;
	void (*fn)(void *arg);
	void *arg;
};

struct clock {
	pthread_t thread;
	pthread_mutex_t lock; /* protects the two below */
	struct call *first;
	bool stop;
	pthread_cond_t changed;
};

static void *run(void *arg)
{
	struct clock *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		struct call *k = c->first;

		if (!k) {
			pthread_cond_wait(&c->changed, &c->lock);
		} else if (k->at > now_ns(CLOCK_MONOTONIC)) {
			struct timespec t = {k->at / 1000000000, k->at % 1000000000};

			pthread_cond_timedwait(&c->changed, &c->lock, &t);
		} else {
			c->first = k->next;
			pthread_mutex_unlock(&c->lock);
			k->fn(k->arg);
			free(k);
			pthread_mutex_lock(&c->lock);
		}
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct clock *clock_new(void)
{
	struct clock *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	now_cond_init(&c->changed);
	if (pthread_create(&c->thread, NULL, run, c)) {
		free(c);
		return NULL;
	}
	return c;
}

void clock_free(struct clock *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	while (c->first) {
		struct call *k = c->first;

		c->first = k->next;
		k->fn(k->arg);
		free(k);
	}
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int clock_call(struct clock *c, int64_t at, void (*fn)(void *arg), void *arg)
{
	struct call *k = malloc(sizeof *k), **p;

	if (!k)
		return -ENOMEM;
	*k = (struct call){NULL, at, fn, arg};
	pthread_mutex_lock(&c->lock);
	for (p = &c->first; *p && (*p)->at <= at; p = &(*p)->next)
		;
	k->next = *p;
	*p = k;
	if (c->first == k)
		pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return 0;
}
