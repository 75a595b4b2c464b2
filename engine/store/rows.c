/* SPDX-License-Identifier: MIT */
/* rows.c: text by rows instead of by offset, for readers that stay with the result (streams), and
 * how they hear of more.
 *
 * Whole rows are rendered in steps, so that a piece of text is never longer than asked for but
 * where one row alone is. Nothing here waits for a reader, and the writer does no more for them
 * than one call of the listener for each batch.
 */
#include "engine/store/log.h"

#define STEP 64 /* rows rendered at once */

/* A row range to be rendered, and what of it is done. */
struct piecework {
	struct render *render;
	struct text *to;
	size_t start, bytes; /* the text may grow to start + bytes */
	uint32_t step;       /* rows, less once a step was too much */
	bool full;
};

/* The view's rows are appended: 1, 0: they are too much, or -ENOMEM. */
static int put_view(struct piecework *p, struct view *v)
{
	size_t before = p->to->len;
	int ret = render_batch(p->render, &v->batch, p->to);

	if (ret < 0 || p->to->failed)
		return -ENOMEM;
	if (p->to->len - p->start <= p->bytes)
		return 1;
	if (v->batch.n == 1 && before == p->start) {
		p->full = true;
		return 1;
	}
	p->to->len = before;
	p->full = v->batch.n == 1;
	p->step = v->batch.n / 2;
	return 0;
}

/* As many of the rows [at, end) of `h` as fit: their number, or -ENOMEM. */
static int64_t put_held(
        struct piecework *p, struct worker *w, const struct held *h, uint32_t at, uint32_t end)
{
	uint32_t from = at, row = h->block ? (uint32_t)(h->block->size / h->block->rows) : 0;

	/* blocks of large rows are short */
	while (p->step > 1 && (uint64_t)row * p->step > 2 * p->bytes)
		p->step /= 2;
	while (at < end && !p->full) {
		uint32_t to = end - at < p->step ? end : at + p->step;
		int ret = log_view(w, h, at, to, -1);

		if (ret == 0)
			ret = put_view(p, &w->view);
		if (ret < 0)
			return ret;
		at = ret ? to : at;
	}
	return at - from;
}

static int piecework_begin(struct piecework *p, struct result *r, struct worker *w,
        enum result_format f, size_t bytes, struct text *to)
{
	int ret = worker_ready(r, w, f);

	*p = (struct piecework){&w->render[f], to, to->len, bytes, STEP, false};
	return ret;
}

static int64_t log_put(struct result *r, struct piecework *p, struct worker *w, uint64_t *row)
{
	uint64_t first = *row;

	while (!p->full) {
		struct held h;
		uint32_t at;
		int64_t n;
		bool gone;

		pthread_mutex_lock(&r->lock);
		gone = *row < log_row_at(r, r->head);
		if (gone || *row >= r->rows + r->tail->rows) {
			pthread_mutex_unlock(&r->lock);
			return gone && *row == first ? -ESTALE : (int64_t)(*row - first);
		}
		log_hold(r, log_seq_of_row(r, *row), &h);
		at = (uint32_t)(*row - log_row_at(r, h.seq));
		pthread_mutex_unlock(&r->lock);
		n = put_held(p, w, &h, at, h.rows);
		pthread_mutex_lock(&r->lock);
		log_let_go(r, &h);
		pthread_mutex_unlock(&r->lock);
		if (n < 0)
			return n;
		*row += (uint64_t)n;
	}
	return (int64_t)(*row - first);
}

int64_t log_rows(
        struct result *r, enum result_format f, uint64_t *row, size_t bytes, struct text *to)
{
	struct worker *w = worker_get(r);
	struct piecework p;
	int64_t n;

	if (!w)
		return -ENOMEM;
	n = piecework_begin(&p, r, w, f, bytes, to);
	if (n == 0)
		n = log_put(r, &p, w, row);
	worker_put(r, w);
	return n;
}

int64_t snapshot_put_rows(
        struct snapshot *s, enum result_format f, uint64_t *row, size_t bytes, struct text *to)
{
	struct worker *w = worker_get(s->r);
	uint64_t first = *row;
	struct piecework p;
	int64_t n = w ? piecework_begin(&p, s->r, w, f, bytes, to) : -ENOMEM;

	while (n >= 0 && !p.full && *row < s->rows) {
		struct held h = {.block = s->blocks[snapshot_block(s, *row)]};

		n = put_held(&p, w, &h, (uint32_t)(*row - h.block->first), h.block->rows);
		*row += n > 0 ? (uint64_t)n : 0;
	}
	worker_put(s->r, w);
	return n < 0 ? n : (int64_t)(*row - first);
}

int result_header(struct result *r, enum result_format f, struct text *to)
{
	struct render render;
	int ret = render_init(&render, f, r->schema, r->shown, r->nshown);

	if (ret < 0)
		return ret;
	render_header(&render, to);
	render_release(&render);
	return to->failed ? -ENOMEM : 0;
}

/* ---- who listens ---- */

void result_listen(struct result *r, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&r->listen_lock);
	r->listen_arg = arg;
	__atomic_store_n(&r->listen, fn, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&r->listen_lock);
}

void result_tell(struct result *r)
{
	void (*fn)(void *arg);

	/* pairs with what a reader does: it listens, then looks for rows under the result's lock */
	if (!__atomic_load_n(&r->listen, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&r->listen_lock);
	fn = r->listen;
	if (fn)
		fn(r->listen_arg);
	pthread_mutex_unlock(&r->listen_lock);
}

bool result_ended(struct result *r)
{
	bool ended;

	pthread_mutex_lock(&r->lock);
	ended = r->ended;
	pthread_mutex_unlock(&r->lock);
	return ended;
}
