/* SPDX-License-Identifier: MIT */
/* seconds.h: the time that measurements are made with. */
#ifndef SECONDS_H
#define SECONDS_H

#include <time.h>

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
