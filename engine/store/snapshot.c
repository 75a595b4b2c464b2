/* SPDX-License-Identifier: MIT */
/* snapshot.c: a table's versions.
 *
 * The coming version is built aside from blocks and published by one pointer. Blocks that equal
 * those of the version before are shared with it; a version that shares all of them is none. Old
 * versions are kept for a minute (under a cap in bytes), and as long as somebody holds them: while
 * one is in memory it can be found by its number.
 */
#include "engine/store/store.h"

#include <stdlib.h>

#define MS 1000000ll

/* ---- life of a version; with the lock held ---- */

/* Its texts, which can be made again. */
static void drop_texts(struct result *r, struct snapshot *s)
{
	for (int f = 0; f < FORMATS; f++) {
		r->text_bytes -= s->text[f].len;
		rendered_release(&s->text[f]);
	}
}

static void snapshot_free(struct result *r, struct snapshot *s)
{
	for (size_t i = 0; i < s->nblocks; i++)
		block_put(r, s->blocks[i]);
	drop_texts(r, s);
	pthread_mutex_destroy(&s->text_lock);
	free(s->blocks);
	free(s);
}

/* Frees versions that nobody needs. */
static void sweep(struct result *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->nversions; i++) {
		struct snapshot *s = r->versions[i];

		if (s->refs || s->kept)
			r->versions[n++] = s;
		else
			snapshot_free(r, s);
	}
	r->nversions = n;
}

/* Bytes that go with a version: its texts, and the blocks that no other one has. */
static uint64_t own_bytes(const struct snapshot *s)
{
	uint64_t n = sizeof *s + s->nblocks * sizeof *s->blocks;

	for (size_t i = 0; i < s->nblocks; i++)
		if (s->blocks[i]->refs == 1)
			n += s->blocks[i]->size;
	for (int f = 0; f < FORMATS; f++)
		n += s->text[f].len;
	return n;
}

/* One of the last that were asked for. */
static bool is_kept(const struct result *r, const struct snapshot *s)
{
	return s->kept && r->number - s->number < r->history;
}

/* Lets go of old versions that are past their minute or over the cap (UINT64_MAX: only by age). */
static void expire(struct result *r, uint64_t cap)
{
	int64_t oldest = now_ns(CLOCK_MONOTONIC) - YOUNG;
	uint64_t bytes = 0;

	for (size_t i = r->nversions; i-- > 0;) {
		struct snapshot *s = r->versions[i];

		if (s == r->current || !s->kept)
			continue;
		if (r->history && !s->refs)
			drop_texts(r, s);
		if (cap != UINT64_MAX)
			bytes += own_bytes(s);
		s->kept = (s->born >= oldest || is_kept(r, s)) && bytes <= cap;
	}
	sweep(r);
}

void table_release(struct result *r)
{
	for (size_t i = 0; i < r->nversions; i++)
		snapshot_free(r, r->versions[i]);
	r->nversions = 0;
	r->current = NULL;
	while (r->nnext)
		block_put(r, r->next[--r->nnext]);
	free(r->versions);
	free(r->next);
	r->versions = NULL;
	r->next = NULL;
}

/* ---- writer ---- */

static int grow(void *array, size_t n, size_t *cap)
{
	void **p = *(void ***)array;
	size_t want = *cap ? 2 * *cap : 16;

	if (n < *cap)
		return 0;
	p = realloc(p, want * sizeof *p);
	if (!p)
		return -ENOMEM;
	*(void ***)array = p;
	*cap = want;
	return 0;
}

int table_seal(struct result *r)
{
	struct tail *t = r->tail;
	size_t i = r->nnext;
	struct block *b;

	if (grow(&r->next, i, &r->next_cap) < 0)
		return -ENOMEM;
	b = tail_pack(t, &r->keep, r->mem);
	if (!b)
		return -ENOMEM;
	if (t->cap < seal_rows(i + 1)) {
		struct tail *fresh = tail_new(&r->keep, seal_rows(i + 1), r->mem);

		if (!fresh) {
			block_free(b, r->mem);
			return -ENOMEM;
		}
		fresh->first = t->first;
		pthread_mutex_lock(&r->lock);
		tail_put(r, t);
		r->tail = t = fresh;
		pthread_mutex_unlock(&r->lock);
	}
	/* only the writer replaces `current`, so its blocks stay while they are compared */
	if (r->current && i < r->current->nblocks &&
	        block_equal(&r->keep, b, r->current->blocks[i])) {
		uint32_t rows = b->rows;

		block_free(b, r->mem);
		b = r->current->blocks[i];
		pthread_mutex_lock(&r->lock);
		b->refs++;
		pthread_mutex_unlock(&r->lock);
		t->first += rows;
	} else {
		pthread_mutex_lock(&r->lock);
		r->typed += b->size;
		pthread_mutex_unlock(&r->lock);
		t->first += b->rows;
	}
	r->next[r->nnext++] = b;
	pthread_mutex_lock(&r->lock);
	tail_reset(t, r->mem);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

bool table_shed(struct result *r)
{
	uint64_t before;
	bool some;

	pthread_mutex_lock(&r->lock);
	before = r->typed;
	expire(r, 0);
	some = r->typed < before;
	pthread_mutex_unlock(&r->lock);
	return some;
}

void result_restart(struct result *r)
{
	if (r->log)
		return;
	pthread_mutex_lock(&r->lock);
	tail_reset(r->tail, r->mem);
	r->tail->first = 0;
	while (r->nnext)
		block_put(r, r->next[--r->nnext]);
	pthread_mutex_unlock(&r->lock);
}

static bool unchanged(const struct result *r)
{
	const struct snapshot *s = r->current;

	/* equal blocks are the same blocks, see table_seal() */
	return s && s->nblocks == r->nnext &&
	       (!r->nnext || memcmp(s->blocks, r->next, r->nnext * sizeof *r->next) == 0);
}

/* `time`, or as many milliseconds later as it takes to be another than those of kept versions. */
static int64_t own_time(const struct result *r, int64_t time)
{
	for (size_t i = 0; i < r->nversions; i++)
		if (is_kept(r, r->versions[i]) && r->versions[i]->time / MS == time / MS) {
			time += MS;
			i = SIZE_MAX; /* from the first on */
		}
	return time;
}

int result_publish(struct result *r, int64_t time)
{
	struct snapshot *s;
	int ret = 0;

	if (r->log)
		return -EINVAL;
	while (r->tail->filled && (ret = table_seal(r)) < 0)
		if (!table_shed(r))
			return ret;
	if (unchanged(r)) {
		result_restart(r);
		return 0;
	}
	s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->text_lock, NULL);
	*s = (struct snapshot){.r = r,
	        .kept = true,
	        .rows = r->tail->first,
	        .time = time,
	        .born = now_ns(CLOCK_MONOTONIC),
	        .text_lock = s->text_lock,
	        .nblocks = r->nnext};
	s->blocks = malloc((r->nnext + 1) * sizeof *s->blocks);
	pthread_mutex_lock(&r->lock);
	if (!s->blocks || grow(&r->versions, r->nversions, &r->versions_cap) < 0) {
		s->nblocks = 0;
		snapshot_free(r, s);
		ret = -ENOMEM;
	} else {
		if (r->nnext)
			memcpy(s->blocks, r->next, r->nnext * sizeof *r->next);
		r->nnext = 0; /* its references moved */
		s->time = own_time(r, time);
		s->number = ++r->number;
		r->versions[r->nversions++] = s;
		r->current = s;
		expire(r, r->retain);
		ret = 1;
	}
	pthread_mutex_unlock(&r->lock);
	if (ret == 1) {
		r->tail->first = 0;
		result_tell(r);
	}
	return ret;
}

/* ---- readers ---- */

static struct snapshot *hold(struct result *r, struct snapshot *s)
{
	if (s) {
		s->refs++;
		result_ref(r);
	}
	return s;
}

struct snapshot *result_snapshot(struct result *r)
{
	struct snapshot *s;

	pthread_mutex_lock(&r->lock);
	expire(r, UINT64_MAX);
	s = hold(r, r->current);
	pthread_mutex_unlock(&r->lock);
	return s;
}

struct snapshot *result_version(struct result *r, uint64_t n)
{
	struct snapshot *s = NULL;

	pthread_mutex_lock(&r->lock);
	expire(r, UINT64_MAX);
	for (size_t i = 0; i < r->nversions && !s; i++)
		if (r->versions[i]->number == n)
			s = hold(r, r->versions[i]);
	pthread_mutex_unlock(&r->lock);
	return s;
}

void result_keep(struct result *r, uint32_t n)
{
	r->history = n;
}

bool result_keeps(const struct result *r)
{
	return r->history;
}

uint32_t result_kept_count(struct result *r)
{
	uint32_t n = 0;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->nversions; i++)
		n += is_kept(r, r->versions[i]);
	pthread_mutex_unlock(&r->lock);
	return n;
}

struct snapshot *result_kept(struct result *r, uint64_t after)
{
	struct snapshot *s = NULL;
	size_t lo = 0, hi;

	pthread_mutex_lock(&r->lock);
	hi = r->nversions;
	while (lo < hi) { /* they stand by number */
		size_t mid = (lo + hi) / 2;

		if (r->versions[mid]->number > after)
			hi = mid;
		else
			lo = mid + 1;
	}
	for (; lo < r->nversions && !s; lo++)
		if (is_kept(r, r->versions[lo]))
			s = hold(r, r->versions[lo]);
	pthread_mutex_unlock(&r->lock);
	return s;
}

struct snapshot *result_kept_at(struct result *r, int64_t ms)
{
	struct snapshot *s = NULL;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->nversions && !s; i++)
		if (is_kept(r, r->versions[i]) && r->versions[i]->time / MS == ms)
			s = hold(r, r->versions[i]);
	pthread_mutex_unlock(&r->lock);
	return s;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
	pthread_mutex_lock(&s->r->lock);
	hold(s->r, s);
	pthread_mutex_unlock(&s->r->lock);
	return s;
}

void snapshot_unref(struct snapshot *s)
{
	struct result *r;

	if (!s)
		return;
	r = s->r;
	pthread_mutex_lock(&r->lock);
	if (--s->refs == 0 && !s->kept)
		sweep(r);
	else if (!s->refs && r->history && s != r->current)
		drop_texts(r, s);
	pthread_mutex_unlock(&r->lock);
	result_unref(r);
}

struct result *snapshot_result(const struct snapshot *s)
{
	return s->r;
}

uint64_t snapshot_number(const struct snapshot *s)
{
	return s->number;
}

int64_t snapshot_time(const struct snapshot *s)
{
	return s->time;
}

uint64_t snapshot_rows(const struct snapshot *s)
{
	return s->rows;
}

size_t snapshot_block(const struct snapshot *s, uint64_t row)
{
	size_t lo = 0, hi = s->nblocks;

	while (hi - lo > 1) {
		size_t mid = (lo + hi) / 2;

		if (s->blocks[mid]->first <= row)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

int snapshot_record(struct snapshot *s, uint64_t row, const struct ask *a)
{
	struct worker *w;
	uint32_t at, end;
	size_t lo;
	int ret;

	if (row >= s->rows)
		return -ENOENT;
	lo = snapshot_block(s, row);
	w = worker_get(s->r);
	if (!w)
		return -ENOMEM;
	at = (uint32_t)(row - s->blocks[lo]->first);
	end = s->blocks[lo]->rows - at < a->n ? s->blocks[lo]->rows : at + a->n;
	ret = view_block(&w->view, s->blocks[lo], at, end, a->field);
	if (ret == 0)
		ret = ask_answer(s->r, w, a);
	worker_put(s->r, w);
	return ret;
}
