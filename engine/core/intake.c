/* SPDX-License-Identifier: MIT */
/* intake.c: see intake.h. */
#include "engine/core/intake.h"

#include <stdlib.h>

#include "engine/core/engine.h"

static bool is_over(const struct flow *f)
{
	return flow_error(f) || !flow_wants(f);
}

/* Flags are written with the lock, and read without. */
static void set(bool *flag, bool to)
{
	__atomic_store_n(flag, to, __ATOMIC_SEQ_CST);
}

static bool is(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

/* ---- pieces ---- */

static void walk(struct hand *w, struct task *t);

/* The walk begins anew where it can; with the lock. */
static void go_on(struct intake *in)
{
	const struct piece_task *p = &in->piece[in->next % in->ahead];

	if (in->walking || in->stalled || in->ended || p->number != in->next || !p->fetched)
		return;
	set(&in->walking, true);
	hand_put(&in->flow->crew.hand[p->home], &in->walk);
}

/* Asks for the pieces that there is room for; with the lock. */
static void ask(struct intake *in)
{
	while (!in->dry && !in->ended && in->asked < in->next + in->ahead) {
		struct piece_task *p = &in->piece[in->asked % in->ahead];

		if (!p->fetched) /* the walk was there before its task was done */
			break;
		p->number = in->asked++;
		p->fetched = false;
		__atomic_add_fetch(&in->fetching, 1, __ATOMIC_SEQ_CST);
		crew_put_spare(&in->flow->crew, &p->task);
	}
}

static void fetch(struct hand *w, struct task *t)
{
	struct piece_task *p = (struct piece_task *)t;
	struct intake *in = p->in;
	struct reader *r = in->reader;
	int64_t start = now_ns(CLOCK_MONOTONIC);
	bool ended, whole = false;

	pthread_mutex_lock(&in->lock);
	ended = in->ended;
	pthread_mutex_unlock(&in->lock);
	if (!ended)
		whole = r->source->fetch(&r->pub, p->number, w->id) == 1;
	__atomic_fetch_add(&in->flow->run->fetch_ns, (uint64_t)(now_ns(CLOCK_MONOTONIC) - start),
	        __ATOMIC_RELAXED);
	pthread_mutex_lock(&in->lock);
	p->home = w->id;
	p->fetched = true;
	in->dry |= !whole;
	__atomic_sub_fetch(&in->fetching, 1, __ATOMIC_SEQ_CST);
	ask(in);
	go_on(in);
	ended = in->ended;
	pthread_mutex_unlock(&in->lock);
	if (ended)
		crew_notify(&in->flow->crew);
}

/* ---- the walk ---- */

/* A batch that was read, as the next token. */
static struct slot *token(struct flow *f, struct weir_batch *b)
{
	uint64_t number = f->pushed;
	struct slot *s = &f->slot[number % f->window];

	if (batches_add(&s->in, b) < 0)
		return NULL;
	slot_begin(s, number);
	stat_add(&f->run->read, weir_batch_count(b));
	__atomic_store_n(&f->pushed, number + 1, __ATOMIC_RELEASE);
	return s;
}

/* The walk has come to its end. */
static void end(struct intake *in, int error)
{
	pthread_mutex_lock(&in->lock);
	set(&in->ended, true);
	in->error = error;
	set(&in->walking, false);
	pthread_mutex_unlock(&in->lock);
}

/* It cannot make tokens now: false, unless that has changed meanwhile. */
static bool stall(struct intake *in)
{
	bool can;

	pthread_mutex_lock(&in->lock);
	set(&in->stalled, true);
	can = !in->hold && flow_has_room(in->flow);
	if (can)
		set(&in->stalled, false);
	else
		set(&in->walking, false);
	pthread_mutex_unlock(&in->lock);
	return can;
}

/* All that was fetched in a row is done with: who has the next piece goes on. */
static void next_piece(struct intake *in)
{
	pthread_mutex_lock(&in->lock);
	in->next = in->reader->pub.piece;
	set(&in->walking, false);
	ask(in);
	go_on(in);
	pthread_mutex_unlock(&in->lock);
}

/* Goes through what is there. Tokens are put so that their maker begins with the first one, and
 * goes on to walk, if it does, behind the last. */
static void walk(struct hand *w, struct task *t)
{
	struct intake *in = (struct intake *)t;
	struct flow *f = in->flow;
	struct reader *r = in->reader;
	struct slot *made = NULL;
	int64_t start = now_ns(CLOCK_MONOTONIC);
	int got;

	for (;;) {
		struct weir_batch *b = NULL;
		struct slot *s;

		if (is_over(f)) {
			end(in, 0);
			break;
		}
		if ((is(&in->hold) || !flow_has_room(f)) && !stall(in))
			break;
		r->pool = f->pool[w->id];
		got = r->source->read(&r->pub, &b, &in->err);
		if (got == -EAGAIN) {
			next_piece(in);
			break;
		}
		s = got > 0 ? token(f, b) : NULL;
		if (!s) {
			end(in, got > 0 ? -ENOMEM : got);
			break;
		}
		s->next = made;
		made = s;
	}
	__atomic_fetch_add(
	        &f->run->read_ns, (uint64_t)(now_ns(CLOCK_MONOTONIC) - start), __ATOMIC_RELAXED);
	while (made) {
		struct slot *s = made;

		made = s->next;
		hand_put(w, &s->task);
	}
	crew_notify(&f->crew);
}

/* ---- from outside ---- */

static void resume(struct hand *w, struct intake *in)
{
	pthread_mutex_lock(&in->lock);
	if (in->stalled && !in->hold && flow_has_room(in->flow)) {
		set(&in->stalled, false);
		set(&in->walking, true);
		hand_put(w, &in->walk);
	}
	pthread_mutex_unlock(&in->lock);
}

void intake_room(struct hand *w, struct intake *in)
{
	if (is(&in->stalled))
		resume(w, in);
}

void intake_hold(struct intake *in, bool hold)
{
	pthread_mutex_lock(&in->lock);
	set(&in->hold, hold);
	pthread_mutex_unlock(&in->lock);
	if (!hold)
		resume(&in->flow->crew.hand[0], in);
}

void intake_stop(struct intake *in)
{
	pthread_mutex_lock(&in->lock);
	set(&in->ended, true);
	pthread_mutex_unlock(&in->lock);
}

bool intake_rests(const struct intake *in)
{
	return !is(&in->walking) &&
	       (!is(&in->ended) || !__atomic_load_n(&in->fetching, __ATOMIC_SEQ_CST));
}

bool intake_ended(const struct intake *in)
{
	return is(&in->ended) && !is(&in->walking);
}

int intake_open(struct flow *f, struct reader *r)
{
	struct intake *in;
	uint32_t ahead = 2 * f->crew.n;

	if (!r->source->pieces || r->source->pieces(&r->pub, ahead, f->crew.n) <= 0)
		return 0;
	f->intake = in = calloc(1, sizeof *in);
	if (!in)
		return -ENOMEM;
	*in = (struct intake){.walk.run = walk,
	        .flow = f,
	        .reader = r,
	        .pool = r->pool,
	        .ahead = ahead,
	        .lock = PTHREAD_MUTEX_INITIALIZER,
	        .walking = true,
	        .err = WEIR_ERR_INIT};
	in->piece = calloc(ahead, sizeof *in->piece);
	if (!in->piece)
		return -ENOMEM;
	for (uint32_t i = 0; i < ahead; i++) {
		in->piece[i].task.run = fetch;
		in->piece[i].in = in;
		in->piece[i].fetched = true;
		in->piece[i].number = UINT64_MAX;
	}
	pthread_mutex_lock(&in->lock);
	ask(in);
	pthread_mutex_unlock(&in->lock);
	hand_put(&f->crew.hand[0], &in->walk);
	return 0;
}

void intake_close(struct flow *f)
{
	struct intake *in = f->intake;

	if (!in)
		return;
	in->reader->pool = in->pool;
	pthread_mutex_destroy(&in->lock);
	free(in->piece);
	free(in);
	f->intake = NULL;
}
