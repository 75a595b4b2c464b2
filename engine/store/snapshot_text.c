/* SPDX-License-Identifier: MIT */
/* snapshot_text.c: a version's text.
 *
 * Somebody waits for it, and a large answer takes as long to render as a small question to answer:
 * its rows are parted among the CPUs. A row's text depends on the row alone where columns are not
 * aligned, so the parts only need to be put behind each other.
 */
#include "engine/store/store.h"

#include <sched.h>
#include <stdlib.h>

#define PART_ROWS 50000 /* fewer are not worth a thread */
#define PARTS 4

struct part {
	struct snapshot *s;
	enum result_format f;
	size_t from, to; /* blocks */
	struct text text;
	int ret;
	bool threaded;
	pthread_t thread;
};

static int each_block(const struct part *p, struct worker *w, struct render *r, struct text *to)
{
	for (size_t i = p->from; i < p->to; i++) {
		struct block *b = p->s->blocks[i];
		int ret = view_block(&w->view, b, 0, b->rows, -1);

		if (ret == 0)
			ret = to ? render_batch(r, &w->view.batch, to)
			         : render_fit(r, &w->view.batch);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int render_part(struct part *p)
{
	struct result *r = p->s->r;
	struct worker *w = worker_get(r);
	struct render render;
	int ret;

	if (!w)
		return -ENOMEM;
	ret = render_init(&render, p->f, r->schema, r->shown, r->nshown);
	if (ret < 0)
		goto out;
	if (p->f == FORMAT_TXT) {
		ret = render_fit(&render, NULL);
		if (ret == 0)
			ret = each_block(p, w, &render, NULL);
	}
	if (p->from == 0)
		render_header(&render, &p->text);
	if (ret == 0)
		ret = each_block(p, w, &render, &p->text);
	if (p->to == p->s->nblocks)
		render_end(&render, &p->text);
	render_release(&render);
	if (p->text.failed)
		ret = -ENOMEM;
out:
	worker_put(r, w);
	return ret;
}

static void *thread(void *arg)
{
	struct part *p = arg;

	p->ret = render_part(p);
	return NULL;
}

static unsigned parts_of(const struct snapshot *s, enum result_format f)
{
	uint64_t n = s->rows / PART_ROWS, cpus = 1;
	cpu_set_t set;

	if (f == FORMAT_TXT || f == FORMAT_PCAP)
		return 1;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		cpus = (uint64_t)CPU_COUNT(&set);
	n = n < cpus ? n : cpus;
	n = n < PARTS ? n : PARTS;
	return n ? (unsigned)n : 1;
}

static int render_all(struct snapshot *s, enum result_format f, struct text *to)
{
	struct part part[PARTS];
	unsigned n = parts_of(s, f);
	size_t more = 0;
	int ret;

	for (unsigned i = n; i-- > 0;) {
		part[i] = (struct part){
		        .s = s, .f = f, .from = s->nblocks * i / n, .to = s->nblocks * (i + 1) / n};
		if (i > 0)
			part[i].threaded =
			        pthread_create(&part[i].thread, NULL, thread, &part[i]) == 0;
		if (!part[i].threaded)
			part[i].ret = render_part(&part[i]);
	}
	ret = part[0].ret;
	for (unsigned i = 1; i < n; i++) {
		if (part[i].threaded)
			pthread_join(part[i].thread, NULL);
		ret = ret < 0 ? ret : part[i].ret;
		more += part[i].text.len;
	}
	*to = part[0].text;
	if (more)
		text_reserve(to, more);
	for (unsigned i = 1; i < n; i++) {
		if (ret == 0)
			text_add(to, part[i].text.p, part[i].text.len);
		text_release(&part[i].text);
	}
	return ret == 0 && to->failed ? -ENOMEM : ret;
}

int snapshot_text(struct snapshot *s, enum result_format f, const char **ret, size_t *ret_len)
{
	struct text t = TEXT_INIT;
	int e = 0;

	if (!result_has_format(s->r, f))
		return -EINVAL;
	pthread_mutex_lock(&s->text_lock);
	if (!s->rendered[f]) {
		char *p;

		e = render_all(s, f, &t);
		p = e == 0 && t.p ? realloc(t.p, t.len + 1) : NULL;
		if (p) {
			t.p = p;
			t.cap = t.len + 1;
		}
		if (e == 0) {
			pthread_mutex_lock(&s->r->lock); /* expire() reads the lengths */
			s->text[f] = t;
			s->r->text_bytes += t.len;
			pthread_mutex_unlock(&s->r->lock);
			s->rendered[f] = true;
		} else {
			text_release(&t);
		}
	}
	if (e == 0) {
		*ret = s->text[f].p ? s->text[f].p : "";
		*ret_len = s->text[f].len;
	}
	pthread_mutex_unlock(&s->text_lock);
	return e;
}
