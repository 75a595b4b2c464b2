/* SPDX-License-Identifier: MIT */
/* fiber.h: a function on a stack of its own, that waits and goes on.
 *
 * A fiber is resumed by a thread (its *host*) and runs on that thread until it waits or returns.
 * Another thread may resume it the next time, so what runs on a fiber must not keep the address of
 * a thread-local variable (errno is one) across a wait. One thread resumes it at a time.
 *
 * Its stack is small (stacks.h). What needs a large one, because it runs other modules or decodes
 * packets, goes through fiber_call(), which runs it on the host's stack; the library's functions
 * do so by themselves wherever they are called on a fiber.
 *
 * The switch saves the registers that the ABI lets a function expect back, and the stack pointer:
 * some 20 instructions, no system call (swapcontext() makes two). The control words of floating
 * point are left alone: nobody changes them. Signals arrive on the fiber's stack; threads that run
 * fibers have them blocked.
 */
#ifndef FIBER_H
#define FIBER_H

#include <stdbool.h>

#include "engine/core/stacks.h"

struct fiber {
	void *sp;  /* where to go on: the fiber's while it waits, the host's while it runs */
	void *arg; /* of run */
	void (*run)(void *arg);
	bool ended;             /* run has returned */
	bool shut;              /* what it emits goes nowhere, see fiber_shut() */
	int error;              /* the first failure of what it emitted, or 0 */
	int (*call)(void *arg); /* to be run by the host, or NULL */
	void *call_arg;
	int call_result;
	struct stack stack;
	/* sanitizers */
	void *tsan, *tsan_host;
	const void *host_low;
	size_t host_size;
};

/* Gets a stack of at least `size` bytes, counted in `mem`. Nothing runs before fiber_resume().
 * 0 or -ENOMEM. */
int fiber_init(struct fiber *f, struct weir_mem *mem, size_t size, void (*run)(void *), void *arg);

/* Gives the stack back, whatever stands on it. A fiber that fiber_init() never saw, all zero, is
 * fine. */
void fiber_release(struct fiber *f);

/* Runs it until it waits or ends. -EFAULT: it has run over the end of its stack, or a neighbour
 * has, and must not be resumed again. -ENOMEM: its stack has grown beyond the limit of `mem`. */
int fiber_resume(struct fiber *f);

/* On a fiber: back to the host until it resumes. */
void fiber_wait(struct fiber *f);

/* The fiber that runs on this thread and stack, or NULL. */
struct fiber *fiber_here(void);

/* On the fiber f: has the host run fn(arg) on its own stack; what it returns. */
int fiber_call(struct fiber *f, int (*fn)(void *arg), void *arg);

#endif
