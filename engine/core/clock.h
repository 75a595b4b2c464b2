/* SPDX-License-Identifier: MIT */
/* clock.h: one thread that calls back at deadlines, however many there are. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

struct clock;

struct clock *clock_new(void);    /* NULL: out of memory or threads */
void clock_free(struct clock *c); /* makes the pending calls first, early */

/* Calls fn(arg) from the clock's thread at CLOCK_MONOTONIC time `at` (ns). Short work only.
 * 0 or -ENOMEM. */
int clock_call(struct clock *c, int64_t at, void (*fn)(void *arg), void *arg);

#endif
