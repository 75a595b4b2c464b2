/* SPDX-License-Identifier: MIT */
/* aid.h: long work in a lane that idle workers of the same query take parts of.
 *
 * While a large table gets more slots all others wait for its lane as a rule. Who does it says so
 * by the account of memory that it works for (as with tails.h), works off its parts, and is joined
 * by those who have no task of their own. Without such an account, or while others have their work
 * shared, it does all of them alone.
 */
#ifndef AID_H
#define AID_H

#include <pthread.h>
#include <stdint.h>

struct crew;
struct hand;
struct weir_mem;

struct aid {
	struct crew *crew;
	pthread_mutex_t lock;  /* not held while a part is worked on; protects what follows */
	struct aid_work *work; /* NULL: none */
	struct aid_call *call; /* for each worker but one: a task by which it joins */
};

/* 0 or -ENOMEM; aid_release() is due then, too. */
int aid_init(struct aid *a, struct weir_mem *m, struct crew *c);
/* When the workers have ended. */
void aid_release(struct aid *a, struct weir_mem *m);

/* Calls part(arg, i) for each i < n, in any order, at once in several threads, and comes back when
 * all are done. A part does not call this. */
void aid_share(struct weir_mem *m, uint32_t n, void (*part)(void *arg, uint32_t i), void *arg);

#endif
