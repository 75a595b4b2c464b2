/* SPDX-License-Identifier: MIT */
/* now.h: clocks in nanoseconds, and waiting by the one that does not jump. */
#ifndef NOW_H
#define NOW_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

static inline int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* A condition whose pthread_cond_timedwait() takes times of CLOCK_MONOTONIC. */
static inline void now_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

#endif
