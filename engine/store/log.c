/* SPDX-License-Identifier: MIT */
/* log.c: a log's blocks: retention and epochs, by typed bytes. See store.h.
 *
 * Blocks are numbered from 0 (`seq`); the tail has the number that its block will have. Bases of
 * epochs are first rows of blocks, so that text positions need to be known for blocks only.
 */
#include "engine/store/log.h"

#include <stdlib.h>

struct block *log_block(struct result *r, uint64_t seq)
{
	return r->blocks[r->first + (size_t)(seq - r->head)];
}

uint64_t log_tail_seq(const struct result *r)
{
	return r->head + r->nblocks;
}

static uint64_t typed_end(const struct result *r)
{
	return r->end_at + r->tail->rows_bytes;
}

/* First typed byte of block `seq` or of the tail. */
static uint64_t typed_at(struct result *r, uint64_t seq)
{
	return seq < log_tail_seq(r) ? log_block(r, seq)->at : r->end_at;
}

uint64_t log_row_at(struct result *r, uint64_t seq)
{
	return seq < log_tail_seq(r) ? log_block(r, seq)->first : r->rows;
}

int log_push(struct result *r, struct block *b)
{
	if (r->first + r->nblocks == r->cap) {
		if (r->first > r->cap / 2) {
			memmove(r->blocks, r->blocks + r->first, r->nblocks * sizeof *r->blocks);
			r->first = 0;
		} else {
			size_t cap = r->cap ? 2 * r->cap : 64;
			struct block **p = realloc(r->blocks, cap * sizeof *p);

			if (!p)
				return -ENOMEM;
			r->blocks = p;
			r->cap = cap;
		}
	}
	b->first = r->rows;
	b->at = r->end_at;
	r->rows += b->rows;
	r->end_at += b->size;
	r->blocks[r->first + r->nblocks++] = b;
	return 0;
}

/* ---- epochs ---- */

/* The epoch whose base is block `seq` (or by row), NULL where none is. */
static struct epoch *epoch_find(struct result *r, uint64_t value, bool row)
{
	size_t lo = 0, hi = r->nepochs;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		struct epoch *e = &r->epochs[mid];
		uint64_t v = row ? e->row : e->seq;

		if (v == value)
			return e;
		if (v < value)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Adds an epoch with its base at block `seq`; without memory the last one goes on. */
static void epoch_add(struct result *r, uint64_t seq)
{
	if (r->nepochs == EPOCHS) {
		memmove(r->epochs, r->epochs + EPOCHS / 4,
		        (EPOCHS - EPOCHS / 4) * sizeof *r->epochs);
		r->nepochs -= EPOCHS / 4;
		r->epochs_gone += EPOCHS / 4;
	}
	if (r->nepochs == r->epochs_cap) {
		size_t cap = r->epochs_cap ? 2 * r->epochs_cap : 4;
		struct epoch *p = realloc(r->epochs, cap * sizeof *p);

		if (!p)
			return;
		r->epochs = p;
		r->epochs_cap = cap;
	}
	r->epochs[r->nepochs++] =
	        (struct epoch){.row = log_row_at(r, seq), .seq = seq, .at = typed_at(r, seq)};
}

/* The last block that has `retain` bytes from its start to the end; block `least` at least. */
static uint64_t base_seq(struct result *r, uint64_t least)
{
	uint64_t end = typed_end(r), lo = least, hi = log_tail_seq(r);

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo + 1) / 2;

		if (end - typed_at(r, mid) >= r->retain)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

uint64_t log_epoch(struct result *r, uint64_t *ret_epoch)
{
	struct epoch *last;
	uint64_t row;

	pthread_mutex_lock(&r->lock);
	if (!r->nepochs)
		epoch_add(r, base_seq(r, r->head));
	last = r->nepochs ? &r->epochs[r->nepochs - 1] : NULL;
	if (last && ((typed_end(r) - last->at) / 2 > r->retain || last->seq < r->head)) {
		uint64_t seq = base_seq(r, last->seq < r->head ? r->head : last->seq);

		if (seq > last->seq)
			epoch_add(r, seq);
		last = &r->epochs[r->nepochs - 1];
	}
	row = last ? last->row : 0;
	*ret_epoch = last ? r->epochs_gone + r->nepochs - 1 : 0;
	pthread_mutex_unlock(&r->lock);
	return row;
}

uint64_t log_epoch_base(struct result *r, uint64_t epoch)
{
	uint64_t row = UINT64_MAX;

	pthread_mutex_lock(&r->lock);
	if (epoch >= r->epochs_gone && epoch - r->epochs_gone < r->nepochs)
		row = r->epochs[epoch - r->epochs_gone].row;
	pthread_mutex_unlock(&r->lock);
	return row;
}

/* ---- retention ---- */

/* What is known of the block's text moves to its epoch; a block that was not measured parts the
 * positions before it from those behind it. */
static void forget_text(struct result *r, struct block *b, uint64_t seq)
{
	struct epoch *e = epoch_find(r, seq, false);

	for (int f = 0; f < FORMATS; f++) {
		struct extent *x = &r->extent[f];

		if (!x->started || seq < x->lo) {
			x->broken = seq + 1;
		} else if (seq >= x->hi) {
			x->broken = seq + 1;
			x->started = false;
		} else {
			x->lo = seq + 1;
			if (e) {
				e->pos[f] = b->pos[f];
				e->known[f] = true;
			}
		}
	}
}

bool log_shed(struct result *r)
{
	struct block *b;

	if (!r->nblocks)
		return false;
	b = r->blocks[r->first];
	forget_text(r, b, r->head);
	r->first++;
	r->nblocks--;
	r->head++;
	block_put(r, b);
	return true;
}

void log_retain(struct result *r)
{
	uint64_t end = typed_end(r);

	/* what stands behind the oldest block must do */
	while (r->nblocks && (end - typed_at(r, r->head + 1)) / 3 >= r->retain)
		log_shed(r);
}

void log_release(struct result *r)
{
	while (r->nblocks)
		block_put(r, r->blocks[r->first + --r->nblocks]);
	for (int i = 0; i < TEXTS; i++)
		piece_put(r, r->texts[i]);
	free(r->blocks);
	free(r->epochs);
}

/* ---- rows ---- */

uint64_t log_end(struct result *r)
{
	uint64_t n;

	pthread_mutex_lock(&r->lock);
	n = r->rows + r->tail->rows;
	pthread_mutex_unlock(&r->lock);
	return n;
}

uint64_t log_first(struct result *r)
{
	uint64_t n;

	pthread_mutex_lock(&r->lock);
	n = log_row_at(r, r->head);
	pthread_mutex_unlock(&r->lock);
	return n;
}

int64_t log_time(struct result *r)
{
	int64_t t;

	pthread_mutex_lock(&r->lock);
	t = r->time;
	pthread_mutex_unlock(&r->lock);
	return t;
}

uint64_t log_seq_of_row(struct result *r, uint64_t row)
{
	uint64_t lo = r->head, hi = log_tail_seq(r);

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo + 1) / 2;

		if (log_row_at(r, mid) <= row)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

int log_base(struct result *r, uint64_t row, uint64_t *ret_seq, struct epoch **ret)
{
	*ret = epoch_find(r, row, true);
	if (*ret) {
		*ret_seq = (*ret)->seq;
		return 0;
	}
	if (row < log_row_at(r, r->head))
		return -ESTALE;
	*ret_seq = log_seq_of_row(r, row);
	return log_row_at(r, *ret_seq) == row ? 0 : -EINVAL;
}

void log_hold(struct result *r, uint64_t seq, struct held *h)
{
	*h = (struct held){.seq = seq};
	if (seq < log_tail_seq(r)) {
		h->block = log_block(r, seq);
		h->block->refs++;
		h->rows = h->block->rows;
	} else {
		h->tail = r->tail;
		h->tail->refs++;
		h->rows = h->tail->rows;
	}
}

void log_let_go(struct result *r, struct held *h)
{
	block_put(r, h->block);
	tail_put(r, h->tail);
	h->block = NULL;
	h->tail = NULL;
}

int log_view(struct worker *w, const struct held *h, uint32_t from, uint32_t to, int field)
{
	return h->block ? view_block(&w->view, h->block, from, to, field)
	                : view_tail(&w->view, h->tail, from, to, field);
}

int log_record(struct result *r, uint64_t row, const struct ask *a)
{
	struct worker *w = worker_get(r);
	struct held h;
	uint32_t at, end;
	int ret;

	if (!w)
		return -ENOMEM;
	pthread_mutex_lock(&r->lock);
	if (row < log_row_at(r, r->head) || row >= r->rows + r->tail->rows) {
		ret = row >= r->rows + r->tail->rows ? -ENOENT : -ESTALE;
		pthread_mutex_unlock(&r->lock);
		worker_put(r, w);
		return ret;
	}
	log_hold(r, log_seq_of_row(r, row), &h);
	at = (uint32_t)(row - log_row_at(r, h.seq));
	pthread_mutex_unlock(&r->lock);
	end = h.rows - at < a->n ? h.rows : at + a->n;
	ret = log_view(w, &h, at, end, a->field);
	if (ret == 0)
		ret = ask_answer(r, w, a);
	pthread_mutex_lock(&r->lock);
	log_let_go(r, &h);
	pthread_mutex_unlock(&r->lock);
	worker_put(r, w);
	return ret;
}
