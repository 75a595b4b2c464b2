/* SPDX-License-Identifier: MIT */
/* stream.c: see stream.h. What a reader reads next stands in stream_fill.c. */
#include "fs/stream_parts.h"
#include <stdlib.h>

struct streams *streams_new(void (*wake)(void *arg), void *arg)
{
	struct streams *ss = calloc(1, sizeof *ss);

	if (!ss)
		return NULL;
	pthread_mutex_init(&ss->lock, NULL);
	ss->wake = wake;
	ss->arg = arg;
	return ss;
}

/* The writer's call, for each batch: the first since streams_next() wakes. */
static void tell(void *arg)
{
	struct stream *s = arg;

	if (!atomic_exchange(&s->more, true))
		s->all->wake(s->all->arg);
}

/* ---- streams, with the streams' lock held ---- */

static void stream_unlist(struct stream *s)
{
	struct stream **p = &s->all->first;

	result_listen(s->result, NULL, NULL);
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
}

/* Without it; NULL is fine. */
static void stream_free(struct stream *s)
{
	if (!s)
		return;
	stream_text_unref(s->recent);
	result_unref(s->result);
	query_unref(s->query);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct stream *stream_of(struct streams *ss, const struct look *l)
{
	struct stream *s = ss->first;

	while (s && s->result != l->result)
		s = s->next;
	if (s)
		return s;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->all = ss;
	s->result = result_ref(l->result);
	s->query = query_ref(l->query);
	s->log = l->log;
	s->next = ss->first;
	ss->first = s;
	result_listen(s->result, tell, s);
	return s;
}

/* ---- readers ---- */

static void ignore(void *arg)
{
}

static struct stream_reader *ref(struct stream_reader *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

static void reader_free(struct stream_reader *r)
{
	snapshot_unref(r->snap);
	stream_text_unref(r->chunk);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

int stream_open(struct streams *ss, const struct look *l, const struct cred *who,
        struct stream_reader **ret)
{
	uint32_t limit = cred_has_all(who) ? STREAM_READERS : STREAM_READERS - STREAM_KEPT;
	struct stream_reader *r = calloc(1, sizeof *r);
	int e = -ENFILE;

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	r->refs = 1;
	pthread_mutex_lock(&ss->lock);
	if (ss->readers < limit) {
		r->stream = stream_of(ss, l);
		e = r->stream ? 0 : -ENOMEM;
	}
	if (e == 0) {
		r->next = r->stream->readers;
		r->stream->readers = r;
		ss->readers++;
		r->row = l->log ? log_end(l->result) : 0;
	}
	pthread_mutex_unlock(&ss->lock);
	if (e < 0) {
		reader_free(r);
		return e;
	}
	query_look(l->query, 0, ignore, NULL);
	*ret = r;
	return 0;
}

void stream_unref(struct stream_reader *r)
{
	struct stream *s = r->stream;
	struct streams *ss = s->all;
	struct stream_reader **p;

	/* streams_next() finds readers by the list: the last one goes under its lock */
	pthread_mutex_lock(&ss->lock);
	if (__atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL)) {
		pthread_mutex_unlock(&ss->lock);
		return;
	}
	for (p = &s->readers; *p != r; p = &(*p)->next)
		;
	*p = r->next;
	ss->readers--;
	if (s->readers)
		s = NULL;
	else
		stream_unlist(s);
	pthread_mutex_unlock(&ss->lock);
	reader_free(r);
	stream_free(s);
}

void stream_wake(struct stream_reader *r)
{
	tell(r->stream);
}

/* ---- all of them ---- */

void streams_free(struct streams *ss)
{
	if (!ss)
		return;
	while (ss->first) { /* handles that the kernel has not given back */
		struct stream *s = ss->first;

		while (s->readers) {
			struct stream_reader *r = s->readers;

			s->readers = r->next;
			reader_free(r);
		}
		stream_unlist(s);
		stream_free(s);
	}
	pthread_mutex_destroy(&ss->lock);
	free(ss);
}

uint32_t streams_next(struct streams *ss, bool all, struct stream_reader **to)
{
	uint32_t n = 0;

	pthread_mutex_lock(&ss->lock);
	for (struct stream *s = ss->first; s; s = s->next)
		if (atomic_exchange(&s->more, false) || all)
			for (struct stream_reader *r = s->readers; r; r = r->next)
				to[n++] = ref(r);
	pthread_mutex_unlock(&ss->lock);
	return n;
}

void streams_look(struct streams *ss)
{
	pthread_mutex_lock(&ss->lock);
	for (struct stream *s = ss->first; s; s = s->next)
		query_look(s->query, 0, ignore, NULL);
	pthread_mutex_unlock(&ss->lock);
}

void streams_count(struct streams *ss, uint32_t *readers, uint64_t *rows, uint64_t *versions)
{
	pthread_mutex_lock(&ss->lock);
	*readers = ss->readers;
	pthread_mutex_unlock(&ss->lock);
	*rows = atomic_load(&ss->rows_lost);
	*versions = atomic_load(&ss->versions_lost);
}
