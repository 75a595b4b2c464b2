/* SPDX-License-Identifier: MIT */
/* snapshot_text.c: a version's text.
 *
 * Somebody waits for it, and a large answer takes as long to render as a small question to answer:
 * its blocks are parted into chunks, which several threads take one after the other. A row's text
 * depends on the row alone where columns are not aligned, so the chunks only need to stand in
 * order. They stay pieces: to put 40 MB behind each other costs a fifth of rendering them.
 */
#include "engine/store/store.h"

#include <sched.h>
#include <stdlib.h>

#define CHUNK 32        /* blocks */
#define PART_ROWS 50000 /* fewer are not worth a thread */
#define PARTS 4

struct rendering {
	struct snapshot *s;
	enum result_format f;
	struct rendered *to;
	size_t next; /* atomic: chunk that nobody has taken */
	int error;   /* atomic: 0 or -errno */
};

static int each_block(const struct snapshot *s, size_t from, size_t to, struct worker *w,
        struct render *r, struct text *text)
{
	for (size_t i = from; i < to; i++) {
		struct block *b = s->blocks[i];
		int ret = view_block(&w->view, b, 0, b->rows, -1);

		if (ret == 0)
			ret = text ? render_batch(r, &w->view.batch, text)
			           : render_fit(r, &w->view.batch);
		if (ret < 0)
			return ret;
	}
	return text && text->failed ? -ENOMEM : 0;
}

static int render_chunk(
        const struct rendering *g, size_t k, struct worker *w, struct render *r, struct text *t)
{
	const struct snapshot *s = g->s;
	struct rendered_piece *p = &g->to->piece[k];
	bool last = k + 1 == g->to->n;
	int ret;

	text_clear(t);
	if (k == 0)
		render_header(r, t);
	ret = each_block(s, k * CHUNK, last ? s->nblocks : (k + 1) * CHUNK, w, r, t);
	if (last)
		render_end(r, t);
	if (ret < 0 || t->failed)
		return -ENOMEM;
	p->p = malloc(t->len + 1);
	if (!p->p)
		return -ENOMEM;
	if (t->len)
		memcpy(p->p, t->p, t->len);
	p->len = t->len;
	return 0;
}

static int render_chunks(struct rendering *g, struct worker *w)
{
	struct text t = TEXT_INIT;
	struct render r;
	size_t k;
	int ret = render_init(&r, g->f, g->s->r->schema, g->s->r->shown, g->s->r->nshown);

	if (ret < 0)
		return ret;
	if (g->f == FORMAT_TXT) {
		ret = render_fit(&r, NULL);
		if (ret == 0)
			ret = each_block(g->s, 0, g->s->nblocks, w, &r, NULL);
	}
	while (ret == 0 && !__atomic_load_n(&g->error, __ATOMIC_RELAXED) &&
	        (k = __atomic_fetch_add(&g->next, 1, __ATOMIC_RELAXED)) < g->to->n)
		ret = render_chunk(g, k, w, &r, &t);
	text_release(&t);
	render_release(&r);
	return ret;
}

static void *work(void *arg)
{
	struct rendering *g = arg;
	struct worker *w = worker_get(g->s->r);
	int ret = w ? render_chunks(g, w) : -ENOMEM;

	if (w)
		worker_put(g->s->r, w);
	if (ret < 0)
		__atomic_store_n(&g->error, ret, __ATOMIC_RELAXED);
	return NULL;
}

static unsigned threads(const struct snapshot *s, enum result_format f)
{
	uint64_t n = s->rows / PART_ROWS, cpus = 1;
	cpu_set_t set;

	if (f == FORMAT_TXT || f == FORMAT_PCAP) /* what comes hangs on what came before */
		return 1;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		cpus = (uint64_t)CPU_COUNT(&set);
	n = n < cpus ? n : cpus;
	n = n < PARTS ? n : PARTS;
	return n ? (unsigned)n : 1;
}

static int render_all(struct snapshot *s, enum result_format f, struct rendered *to)
{
	struct rendering g = {.s = s, .f = f, .to = to};
	pthread_t thread[PARTS];
	unsigned n = threads(s, f), started = 1;

	to->n = s->nblocks ? (s->nblocks + CHUNK - 1) / CHUNK : 1;
	to->piece = calloc(to->n, sizeof *to->piece);
	if (!to->piece)
		return -ENOMEM;
	while (started < n && pthread_create(&thread[started], NULL, work, &g) == 0)
		started++;
	work(&g);
	for (unsigned i = 1; i < started; i++)
		pthread_join(thread[i], NULL);
	for (size_t k = 0; k < to->n; k++) {
		to->piece[k].at = to->len;
		to->len += to->piece[k].len;
	}
	return g.error;
}

void rendered_release(struct rendered *t)
{
	for (size_t k = 0; t->piece && k < t->n; k++)
		free(t->piece[k].p);
	free(t->piece);
	*t = (struct rendered){0};
}

size_t rendered_at(const struct rendered *t, size_t off, const char **ret)
{
	size_t lo = 0, hi = t->n;

	if (off >= t->len)
		return 0;
	while (hi - lo > 1) {
		size_t mid = (lo + hi) / 2;

		if (t->piece[mid].at <= off)
			lo = mid;
		else
			hi = mid;
	}
	*ret = t->piece[lo].p + (off - t->piece[lo].at);
	return t->piece[lo].at + t->piece[lo].len - off;
}

int snapshot_text(struct snapshot *s, enum result_format f, const struct rendered **ret)
{
	struct rendered t = {0};
	int e = 0;

	if (!result_has_format(s->r, f))
		return -EINVAL;
	pthread_mutex_lock(&s->text_lock);
	if (!s->text[f].piece) {
		e = render_all(s, f, &t);
		if (e == 0) {
			pthread_mutex_lock(&s->r->lock); /* expire() reads the lengths */
			s->text[f] = t;
			s->r->text_bytes += t.len;
			pthread_mutex_unlock(&s->r->lock);
		} else {
			rendered_release(&t);
		}
	}
	*ret = &s->text[f];
	pthread_mutex_unlock(&s->text_lock);
	return e;
}
