/* SPDX-License-Identifier: MIT */
/* run_clock.c: the clock of a run whose source is live, so that windows close though no record
 * comes.
 *
 * It counts nanoseconds of the records' time. While records come it goes on as their time does, so
 * that a run that has fallen behind its source does not take what still waits for late; while none
 * come, as fast as the source says that its time goes by (weir_reader.pace), from the moment when
 * it had nothing. It never goes back, nor faster than the machine's monotonic clock at that pace:
 * one record with a wrong time does not drive it. A step of the wall clock is nothing to it.
 *
 * A source that says nothing of its pace (a FIFO, a file that grows: somebody else holds records
 * up) is not live, unless `set idle` says for how long they may be held up. A window that has ended
 * by the clock waits so long for them: a second where it is not said.
 *
 * Modules are told (graph_tick()) when they have asked to be, and while records come, which may all
 * be none of theirs, a few times a second. However many instances there are, that takes a twentieth
 * of the time at most.
 */
#include "engine/core/run_parts.h"

#define IDLE_NS 1000000000ll /* as `set idle` */
#define BUSY_NS 250000000ll  /* between two ticks while records come */
#define PAUSE_NS 20000000ll  /* between two ticks at least */
#define SHARE 20

/* Of the slowest; 0: not live. */
static double pace(const struct run *r)
{
	double least = 0;

	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		const struct weir_reader *pub = &r->readers[i]->pub;
		double p = pub->pace > 0 ? pub->pace : r->plan->set.idle ? 1 : 0;

		if (pub->steady)
			continue;
		if (p <= 0)
			return 0;
		least = least > 0 && least < p ? least : p;
	}
	return least;
}

static int64_t scaled(int64_t ns, double by)
{
	double v = (double)ns * by;

	return v < 4e18 ? (int64_t)v : (int64_t)4e18;
}

int64_t run_clock_held(const struct run *r)
{
	return r->plan->set.idle ? r->plan->set.idle : IDLE_NS;
}

void run_clock_open(struct run *r)
{
	struct run_clock *c = &r->clock;

	*c = (struct run_clock){.pace = r->plan->root.clocked ? pace(r) : 0, .newest = INT64_MAX};
	if (c->pace <= 0)
		return;
	c->held = run_clock_held(r);
	c->begun = c->ticked = now_ns(CLOCK_MONOTONIC);
	r->context.clock = &c->live;
}

int64_t run_clock_time(struct weir_batch *b)
{
	int f = weir_schema_find(b->schema, "ts", 2);
	const struct weir_col *c = f < 0 ? NULL : weir_batch_col(b, (uint32_t)f);
	uint32_t n = weir_batch_count(b), row = n ? weir_batch_row(b, n - 1) : 0;

	return n && c && weir_col_has(c, row) ? weir_col_i64(c)[row] : INT64_MAX;
}

/* As far as it may have gone by `now`. */
static int64_t at_most(const struct run_clock *c, int64_t at, int64_t now)
{
	int64_t most = scaled(now - c->begun, c->pace);

	return at > most ? most : at;
}

void run_clock_batch(struct run *r, int64_t t)
{
	struct run_clock *c = &r->clock;
	int64_t now, at = c->at;

	if (c->pace <= 0)
		return;
	now = now_ns(CLOCK_MONOTONIC);
	if (t == INT64_MAX)
		t = c->newest;
	if (c->newest != INT64_MAX && t > c->newest &&
	        __builtin_add_overflow(at, t - c->newest, &at))
		at = INT64_MAX;
	c->newest = t;
	at = at_most(c, at, now);
	if (at > c->at)
		c->at = at;
	c->waits = 0;
	if (!c->next || c->next > c->ticked + BUSY_NS)
		c->next = c->ticked + BUSY_NS;
	c->fresh = true;
	__atomic_store_n(&c->live.now, c->at, __ATOMIC_RELAXED);
}

void run_clock_wait(struct run *r)
{
	struct run_clock *c = &r->clock;

	if (c->pace <= 0 || c->waits)
		return;
	c->waits = now_ns(CLOCK_MONOTONIC);
	if (c->fresh) /* when is anything due? */
		c->next = c->ticked + (c->rest > PAUSE_NS ? c->rest : PAUSE_NS);
}

int64_t run_clock_next(const struct run *r)
{
	return r->clock.next;
}

int run_clock_tick(struct run *r, struct graph *g)
{
	struct run_clock *c = &r->clock;
	int64_t now, due = INT64_MAX, behind;
	int ret;

	if (!c->next)
		return 0;
	now = now_ns(CLOCK_MONOTONIC);
	if (now < c->next)
		return 0;
	if (c->waits) {
		c->at = at_most(c, c->at + scaled(now - c->waits, c->pace), now);
		c->waits = now;
	}
	behind = scaled(c->held, c->pace);
	ret = graph_tick(g, c->at - behind, &due);
	c->ticked = now_ns(CLOCK_MONOTONIC);
	c->rest = (c->ticked - now) * SHARE;
	c->fresh = !c->waits; /* what is due then is asked once it does */
	c->next = 0;
	if (due == INT64_MAX || !c->waits)
		return ret;
	due = due > c->at - behind ? scaled(due - (c->at - behind), 1 / c->pace) + 1 : 0;
	c->next = now + due;
	if (c->next < c->ticked + PAUSE_NS)
		c->next = c->ticked + PAUSE_NS;
	if (c->next < c->ticked + c->rest)
		c->next = c->ticked + c->rest;
	return ret;
}
