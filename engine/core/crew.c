/* SPDX-License-Identifier: MIT */
/* crew.c: see crew.h.
 *
 * Nobody sleeps while a task is queued: a sleeper counts itself, then looks at `queued`; who puts a
 * task counts it, then looks at `asleep`; both with sequential consistency, so one of them sees the
 * other.
 */
#include "engine/core/crew.h"

#include <errno.h>
#include <signal.h>

#include "engine/core/engine.h"

#define SPIN 50000 /* ns */

#ifdef __x86_64__
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() ((void)0)
#endif

static void nudge(struct crew *c, bool all)
{
	if (!__atomic_load_n(&c->asleep, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_lock(&c->lock);
	if (all)
		pthread_cond_broadcast(&c->wake);
	else
		pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void hand_put(struct hand *w, struct task *t)
{
	deque_put(&w->deque, t);
	__atomic_add_fetch(&w->all->queued, 1, __ATOMIC_SEQ_CST);
	nudge(w->all, false);
}

void crew_put_spare(struct crew *c, struct task *t)
{
	deque_put(&c->spare, t);
	__atomic_add_fetch(&c->queued, 1, __ATOMIC_SEQ_CST);
	nudge(c, false);
}

void crew_notify(struct crew *c)
{
	nudge(c, true);
}

static void count(uint64_t *n)
{
	__atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

bool hand_help(struct hand *w)
{
	struct crew *c = w->all;
	struct task *t = deque_take(&w->deque);

	if (!t)
		t = deque_steal(&c->spare);
	for (uint32_t i = 1; i < c->n && !t; i++) {
		t = deque_steal(&c->hand[(w->id + i) % c->n].deque);
		if (t)
			count(&w->stolen);
	}
	if (!t)
		return false;
	__atomic_sub_fetch(&c->queued, 1, __ATOMIC_SEQ_CST);
	count(&w->tasks);
	t->run(w, t);
	return true;
}

/* Whether there is a task, or ready(), within SPIN ns: others make tasks all the time, and to be
 * woken up takes longer. */
static bool is_soon(const struct crew *c, bool (*ready)(void *arg), void *arg)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + SPIN;

	do {
		for (int i = 0; i < 32; i++) {
			if (crew_queued(c))
				return true;
			PAUSE();
		}
		if (ready && ready(arg))
			return true;
	} while (now_ns(CLOCK_MONOTONIC) < end);
	return false;
}

/* `ready` NULL: until there may be a task. */
static void rest(struct crew *c, bool (*ready)(void *arg), void *arg)
{
	if (c->spare_time && c->spare_time(c->spare_arg))
		return;
	if (is_soon(c, ready, arg))
		return;
	pthread_mutex_lock(&c->lock);
	__atomic_add_fetch(&c->asleep, 1, __ATOMIC_SEQ_CST);
	if (!c->quit && !__atomic_load_n(&c->queued, __ATOMIC_SEQ_CST) && !(ready && ready(arg)))
		pthread_cond_wait(&c->wake, &c->lock);
	__atomic_sub_fetch(&c->asleep, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&c->lock);
}

void crew_step(struct crew *c, bool (*ready)(void *arg), void *arg)
{
	if (!hand_help(&c->hand[0]))
		rest(c, ready, arg);
}

void crew_wait(struct crew *c, bool (*ready)(void *arg), void *arg)
{
	while (!ready(arg))
		crew_step(c, ready, arg);
}

static bool is_over(struct crew *c)
{
	bool quit;

	pthread_mutex_lock(&c->lock);
	quit = c->quit;
	pthread_mutex_unlock(&c->lock);
	return quit;
}

static void *work(void *arg)
{
	struct hand *w = arg;

	while (!is_over(w->all)) {
		while (hand_help(w))
			;
		rest(w->all, NULL, NULL);
	}
	return NULL;
}

int crew_init(struct crew *c, uint32_t n, uint32_t tasks)
{
	*c = (struct crew){.n = n, .started = 1};
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	c->hand = calloc(n, sizeof *c->hand);
	if (deque_init(&c->spare, tasks) < 0 || !c->hand) {
		c->n = 0;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		c->hand[i].all = c;
		c->hand[i].id = i;
		if (deque_init(&c->hand[i].deque, tasks) < 0) {
			c->n = i + 1;
			return -ENOMEM;
		}
	}
	return 0;
}

/* Signals are for the threads that were there before, and fibers have no stack for them. */
void crew_start(struct crew *c)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (uint32_t i = c->started; i < c->n; i++) {
		struct hand *w = &c->hand[i];

		if (pthread_create(&w->thread, NULL, work, w) != 0)
			break;
		__atomic_store_n(&c->started, i + 1, __ATOMIC_RELAXED);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void crew_release(struct crew *c)
{
	pthread_mutex_lock(&c->lock);
	c->quit = true;
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&c->lock);
	for (uint32_t i = 1; i < c->started; i++)
		pthread_join(c->hand[i].thread, NULL);
	for (uint32_t i = 0; i < c->n; i++)
		deque_release(&c->hand[i].deque);
	deque_release(&c->spare);
	free(c->hand);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
}
