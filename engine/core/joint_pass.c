/* SPDX-License-Identifier: MIT */
/* joint_pass.c: a joint pass and its window: who fills a chunk, who waits, who has to leave.
 *
 * The window is a list of chunks, numbered from 0: from the one that the last of the members is in,
 * or from the beginning while that is all there is (KEEP chunks), to the newest.
 */
#include "engine/core/joint_parts.h"

#include <stdlib.h>
#include <time.h>

#include "engine/core/run.h"

#define KEEP (JOINT_NEAR / 8192)     /* chunks that are there for who comes late */
#define PATIENCE_NS (10ll * 1000000) /* for room, however short a query has been at it */
#define BURST 8                      /* chunks that are filled in a row */
#define LOOK_NS (2ll * 1000000)

/* ---- filling ---- */

/* Puts batches into c until it is full: 1; 0: the trace has ended in it; -errno, with -EAGAIN for a
 * stretch without records, so long that each goes through it by itself, as it can be stopped. */
static int fill(struct joint *j, struct chunk *c)
{
	struct weir_reader *pub = &j->reader->pub;
	int r;

	for (;;) {
		struct weir_err err = WEIR_ERR_INIT;

		if (!j->ahead) {
			r = j->reader->source->read(pub, &j->ahead, &err);
			if (r <= 0)
				return r;
		}
		r = chunk_add(c, j, j->ahead, pub->bytes_done);
		if (r == -ENOSPC && c->n)
			return 1;
		weir_batch_unref(j->ahead);
		j->ahead = NULL;
		if (r < 0)
			return r;
	}
}

/* The same, with the lock given up meanwhile. Takes c. */
static void fill_next(struct joint *j, struct chunk *c)
{
	int r;

	pthread_mutex_unlock(&j->lock);
	r = fill(j, c);
	pthread_mutex_lock(&j->lock);
	j->ended = r == 0;
	j->broken = r < 0;
	c->number = j->filled++;
	if (j->last)
		j->last->next = c;
	else
		j->first = c;
	j->last = c;
}

/* Fills some chunks, twice as many as the last time. Those that wait are woken up for all of them:
 * a query that is given one at a time sleeps after each. False: there is no room for any. */
static bool fill_some(struct joint *j)
{
	uint32_t n = 0;

	j->filling = true;
	while (n < j->burst && !j->ended && !j->broken && (!n || !j->waiting)) {
		struct chunk *c = chunk_new(j->all, j);

		if (!c)
			break;
		fill_next(j, c);
		n++;
	}
	j->filling = false;
	if (n && j->burst < BURST)
		j->burst *= 2;
	pthread_cond_broadcast(&j->more);
	return n;
}

/* ---- the window, with the lock ---- */

/* The chunk that the last of those is in that stay. */
static uint64_t oldest(const struct joint *j)
{
	uint64_t number = UINT64_MAX;

	for (const struct member *m = j->members; m; m = m->next)
		if (!m->out && m->number < number)
			number = m->number;
	return number;
}

/* Lets go what nobody needs any more. The newest stays: the next one is linked to it. */
static void let_go(struct joint *j)
{
	uint64_t from = oldest(j);
	bool any = false;

	if (j->filled <= KEEP && !j->waiting)
		return;
	while (j->first != j->last && j->first->number < from) {
		struct chunk *c = j->first;

		j->first = c->next;
		chunk_unref(c);
		any = true;
	}
	if (any && j->waiting)
		pthread_cond_broadcast(&j->more);
}

static void wait_ns(struct joint *j, int64_t ns)
{
	int64_t at = now_ns(CLOCK_MONOTONIC) + ns;
	struct timespec t = {at / 1000000000, at % 1000000000};

	pthread_cond_timedwait(&j->more, &j->lock, &t);
}

/* There is no room for another chunk. JOINT_LEFT: there will not be any for m; else it is to try
 * again. */
static int make_room(struct joint *j, struct member *m)
{
	int64_t now = now_ns(CLOCK_MONOTONIC);
	uint64_t last = oldest(j);

	if (last == m->number) /* nobody is behind it */
		return JOINT_LEFT;
	j->waiting++;
	let_go(j);
	if (last == oldest(j) && m->waited < PATIENCE_NS + (now - m->since) / 2) {
		wait_ns(j, LOOK_NS);
		m->waited += now_ns(CLOCK_MONOTONIC) - now;
	} else {
		for (struct member *o = j->members; o; o = o->next)
			o->out |= o->number == last;
		let_go(j);
	}
	j->waiting--;
	return 0;
}

int pass_next(struct joint *j, struct member *m)
{
	struct chunk *was = m->chunk, *next;
	int r = -1;

	pthread_mutex_lock(&j->lock);
	while (r < 0) {
		next = was ? was->next : j->first;
		if (m->out) {
			r = JOINT_LEFT;
		} else if (next) {
			m->chunk = chunk_ref(next);
			m->at = 0;
			m->number = next->number;
			let_go(j);
			r = 1;
		} else if (j->ended || j->broken) {
			r = j->ended ? 0 : JOINT_LEFT;
		} else if (j->filling) {
			pthread_cond_wait(&j->more, &j->lock);
		} else {
			if (!fill_some(j) && make_room(j, m))
				r = JOINT_LEFT;
		}
	}
	pthread_mutex_unlock(&j->lock);
	if (r == 1)
		chunk_unref(was);
	return r;
}

/* ---- coming and going ---- */

bool pass_is_open(struct joint *j)
{
	bool is;

	pthread_mutex_lock(&j->lock);
	is = !j->broken && (!j->first || j->first->number == 0);
	pthread_mutex_unlock(&j->lock);
	return is;
}

void pass_enter(struct joint *j, struct member *m)
{
	pthread_mutex_lock(&j->lock);
	m->joint = j;
	m->chunk = NULL;
	m->number = 0;
	m->since = now_ns(CLOCK_MONOTONIC);
	m->next = j->members;
	j->members = m;
	j->came++;
	for (const struct member *o = j->members; o; o = o->next)
		__atomic_store_n(&o->run->together, j->came, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&j->lock);
}

bool pass_quit(struct joint *j, struct member *m)
{
	struct member **p;
	bool last;

	pthread_mutex_lock(&j->lock);
	for (p = &j->members; *p != m; p = &(*p)->next)
		;
	*p = m->next;
	m->joint = NULL;
	last = !j->members;
	if (!last)
		let_go(j);
	pthread_mutex_unlock(&j->lock);
	chunk_unref(m->chunk);
	m->chunk = NULL;
	return last;
}

void pass_put_out(struct joint *j, struct member *m)
{
	pthread_mutex_lock(&j->lock);
	m->out = true;
	let_go(j);
	pthread_mutex_unlock(&j->lock);
}

static bool is_like(const struct reader *a, const struct reader *b)
{
	return a->pub.steady && cache_files_known(&a->files) &&
	       cache_files_same(&a->files, &b->files);
}

int pass_open(struct member *m, struct joint **ret)
{
	struct joint *j = calloc(1, sizeof *j);
	struct rights all = {.all = true};
	pthread_condattr_t attr;
	int r;

	if (!j)
		return -ENOMEM;
	*j = (struct joint){.all = m->all, .of = m->of, .burst = 1};
	j->table = (struct weir_mem){.parent = m->all->mem, .limit = m->all->mem->limit / 3};
	j->numbers.mem = &j->table;
	faults_init(&j->faults);
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->more, &attr);
	pthread_condattr_destroy(&attr);
	chunks_keep(j->all, true);
	r = reader_open(j->of->source, j->of->config, &all, m->run->e, &j->mem, &j->faults,
	        &j->reader, NULL);
	if (r == 0 && !is_like(j->reader, m->reader))
		r = -ESTALE;
	if (r < 0) {
		pass_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

void pass_free(struct joint *j)
{
	if (!j)
		return;
	while (j->first) {
		struct chunk *c = j->first;

		j->first = c->next;
		chunk_unref(c);
	}
	weir_batch_unref(j->ahead);
	flow_numbers_drop(&j->numbers);
	reader_close(j->reader);
	faults_release(&j->faults);
	chunks_keep(j->all, false);
	pthread_cond_destroy(&j->more);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
