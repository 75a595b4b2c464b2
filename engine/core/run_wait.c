/* SPDX-License-Identifier: MIT */
/* run_wait.c: how a run sleeps while its sources have nothing, and what ends the sleep.
 *
 * It sleeps on its condition, or, where a source has a descriptor to wait for, in poll(2) with an
 * eventfd of its own among the descriptors. Who has something for it (a feed, a request) notes that
 * under its lock and nudges it; the sleeper looks under the same lock before it sleeps, so no nudge
 * is lost.
 */
#include "engine/core/run_parts.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

#define IDLE_NS (200ll * 1000000)     /* longest sleep where a source says nothing */
#define HOUR_NS (3600ll * 1000000000) /* where all will wake the run up */
#define IDLE_FDS 16                   /* sources waited for at once; others wait for IDLE_NS */

void run_nudge(struct run *r)
{
	pthread_cond_broadcast(&r->wake);
	if (r->event >= 0)
		(void)eventfd_write(r->event, 1);
}

void run_wake(void *arg)
{
	struct run *r = arg;

	pthread_mutex_lock(&r->lock);
	r->more = true;
	run_nudge(r);
	pthread_mutex_unlock(&r->lock);
}

static bool is_nudged(const struct run *r)
{
	return r->more || __atomic_load_n(&r->attention, __ATOMIC_RELAXED);
}

/* Sleeps in poll(2) for sources that have descriptors: p[1..n]; p[0] is for the run's own. With
 * the lock held, given up meanwhile. */
static void idle_in_poll(struct run *r, struct pollfd *p, uint32_t n, int64_t ns)
{
	eventfd_t count;

	if (r->event < 0)
		r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	else
		(void)eventfd_read(r->event, &count);
	if (is_nudged(r))
		return;
	p[0] = (struct pollfd){.fd = r->event, .events = POLLIN};
	pthread_mutex_unlock(&r->lock);
	poll(p, n + 1, (int)(ns / 1000000) + 1);
	pthread_mutex_lock(&r->lock);
}

void run_idle(struct run *r, const struct run_head *head, int64_t until)
{
	int64_t now = now_ns(CLOCK_MONOTONIC), at = now + HOUR_NS;
	struct pollfd p[1 + IDLE_FDS];
	struct timespec t;
	uint32_t n = 0;

	if (r->sink.tick) /* it may have heard of a signal */
		at = now + IDLE_NS;
	if (until && until < at)
		at = until;
	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		const struct weir_reader *pub = &r->readers[i]->pub;

		if (!head[i].waits)
			continue;
		if (!r->links[i].feed && !pub->wake && pub->wake_fd < 0 && at > now + IDLE_NS)
			at = now + IDLE_NS;
		if (pub->wake && pub->wake < at)
			at = pub->wake;
		if (pub->wake_fd >= 0 && n < IDLE_FDS)
			p[++n] = (struct pollfd){.fd = pub->wake_fd, .events = POLLIN};
	}
	if (at <= now)
		return;
	t = (struct timespec){at / 1000000000, at % 1000000000};
	pthread_mutex_lock(&r->lock);
	if (n)
		idle_in_poll(r, p, n, at - now);
	while (!n && !is_nudged(r) && pthread_cond_timedwait(&r->wake, &r->lock, &t) == 0)
		;
	r->more = false;
	pthread_mutex_unlock(&r->lock);
}
