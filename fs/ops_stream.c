/* SPDX-License-Identifier: MIT */
/* ops_stream.c: requests to streams/<query>: reads that wait, and poll.
 *
 * A read that finds nothing is kept, and its worker goes on: ten of them that waited would freeze
 * the mount. One thread, the pump, answers kept reads and notifies those who poll; it is woken by
 * the writers of results, at most once until it has looked, and by interrupts. Interrupts come with
 * libfuse's lock of the request held, so they only leave a mark: the pump answers. Before a request
 * that was kept is answered, its interrupt is called off, which waits for one that is under way.
 *
 * Lock order: libfuse's lock of a request, then the reader's, then the pump's.
 */
#include "fs/ops_stream.h"
#include "engine/core/now.h"
#include "fs/ops.h"
#include "fs/stream.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define LOOK (30 * NSEC) /* between two looks at what has readers */

struct pump {
	struct streams *streams;
	pthread_t thread;
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t woken;
	bool more, ending;
};

/* A kept read: in the reader's list, under the reader's lock. */
struct waiting {
	struct waiting *next;
	struct stream_reader *reader;
	fuse_req_t req;
	uint64_t off;
	size_t size;
	bool interrupted;
};

static struct stream_reader *reader_of(uint64_t fh)
{
	return (struct stream_reader *)(uintptr_t)fh;
}

/* What stream_take() gave. */
static void reply(fuse_req_t req, int64_t n, const char *p, struct stream_text *hold)
{
	if (n < 0)
		fuse.reply_err(req, (int)-n);
	else
		fuse.reply_buf(req, n ? p : NULL, (size_t)n);
	stream_text_unref(hold);
}

/* Answers a request that may be interrupted, and frees w. */
static void answer(struct waiting *w, int64_t n, const char *p, struct stream_text *hold)
{
	fuse.req_interrupt_func(w->req, NULL, NULL);
	reply(w->req, n, p, hold);
	free(w);
}

/* ---- requests ---- */

int stream_op_open(fuse_req_t req, const struct node *n, struct fuse_file_info *fi)
{
	const struct fuse_ctx *ctx = fuse.req_ctx(req);
	struct cred who = {.uid = ctx->uid, .gid = ctx->gid};
	struct fs *fs = req_fs(req);
	struct stream_reader *r;
	struct look l;
	int e = look_at(fs, n->serial, &l);

	if (e < 0)
		return e;
	e = l.result ? stream_open(fs->streams, &l, &who, &r) : -ESTALE;
	look_release(&l);
	if (e < 0)
		return e;
	fi->fh = (uint64_t)(uintptr_t)r;
	fi->direct_io = 1;
	return 0;
}

static void interrupted(fuse_req_t req, void *arg)
{
	struct waiting *w = arg;

	pthread_mutex_lock(&w->reader->lock);
	w->interrupted = true;
	pthread_mutex_unlock(&w->reader->lock);
	stream_wake(w->reader);
}

/* Keeps the request, unless there is something now. */
static void keep(fuse_req_t req, struct stream_reader *r, uint64_t off, size_t size)
{
	struct waiting *w = malloc(sizeof *w), **at;
	struct stream_text *hold = NULL;
	const char *p = NULL;
	int64_t n;

	if (!w) {
		fuse.reply_err(req, ENOMEM);
		return;
	}
	*w = (struct waiting){NULL, r, req, off, size, false};
	fuse.req_interrupt_func(req, interrupted, w);
	pthread_mutex_lock(&r->lock);
	n = w->interrupted ? -EINTR : r->waits ? -EAGAIN : stream_take(r, off, size, &p, &hold);
	if (n == -EAGAIN) {
		for (at = (struct waiting **)&r->waits; *at; at = &(*at)->next)
			;
		*at = w;
	}
	pthread_mutex_unlock(&r->lock);
	if (n != -EAGAIN)
		answer(w, n, p, hold);
}

void stream_op_read(fuse_req_t req, uint64_t fh, uint64_t off, size_t size, bool wait)
{
	struct stream_reader *r = reader_of(fh);
	struct stream_text *hold = NULL;
	const char *p = NULL;
	int64_t n;

	pthread_mutex_lock(&r->lock);
	n = r->waits ? -EAGAIN : stream_take(r, off, size, &p, &hold);
	pthread_mutex_unlock(&r->lock);
	if (n == -EAGAIN && wait)
		keep(req, r, off, size);
	else
		reply(req, n, p, hold);
}

void stream_op_poll(fuse_req_t req, uint64_t fh, struct fuse_pollhandle *ph)
{
	struct stream_reader *r = reader_of(fh);
	struct fuse_pollhandle *old = NULL;
	bool ready;

	pthread_mutex_lock(&r->lock);
	ready = stream_ready(r);
	if (ph && !ready) {
		old = r->poll;
		r->poll = ph;
		ph = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	if (old)
		fuse.pollhandle_destroy(old);
	if (ph)
		fuse.pollhandle_destroy(ph);
	fuse.reply_poll(req, ready ? POLLIN | POLLRDNORM : 0);
}

void stream_op_release(uint64_t fh)
{
	struct stream_reader *r = reader_of(fh);
	struct fuse_pollhandle *ph;

	pthread_mutex_lock(&r->lock);
	ph = r->poll;
	r->poll = NULL;
	pthread_mutex_unlock(&r->lock);
	if (ph)
		fuse.pollhandle_destroy(ph);
	stream_unref(r);
}

/* ---- the pump ---- */

/* Takes the request off the list that can be answered: NULL where none can. */
static struct waiting *next_answer(
        struct stream_reader *r, bool end, int64_t *n, const char **p, struct stream_text **hold)
{
	struct waiting **at = (struct waiting **)&r->waits, *w;

	while (*at && !(*at)->interrupted)
		at = &(*at)->next;
	*n = -EINTR;
	if (!*at && (at = (struct waiting **)&r->waits) && *at)
		*n = end ? 0 : stream_take(r, (*at)->off, (*at)->size, p, hold);
	w = *n == -EAGAIN ? NULL : *at;
	if (w)
		*at = w->next;
	return w;
}

/* Answers what can be answered; `end`: all, with the end of the file. */
static void serve(struct stream_reader *r, bool end)
{
	struct fuse_pollhandle *ph = NULL;
	struct waiting *w;

	do {
		struct stream_text *hold = NULL;
		const char *p = NULL;
		int64_t n;

		pthread_mutex_lock(&r->lock);
		stream_trim(r);
		w = next_answer(r, end, &n, &p, &hold);
		if (!w && r->poll && (end || stream_ready(r))) {
			ph = r->poll;
			r->poll = NULL;
		}
		pthread_mutex_unlock(&r->lock);
		if (w)
			answer(w, n, p, hold);
	} while (w);
	if (ph) {
		fuse.lowlevel_notify_poll(ph);
		fuse.pollhandle_destroy(ph);
	}
}

static void serve_all(struct pump *p, bool end)
{
	struct stream_reader *readers[STREAM_READERS];
	uint32_t n = streams_next(p->streams, end, readers);

	for (uint32_t i = 0; i < n; i++) {
		serve(readers[i], end);
		stream_unref(readers[i]);
	}
}

static void *run(void *arg)
{
	struct pump *p = arg;
	int64_t look = fs_monotonic() + LOOK;

	pthread_mutex_lock(&p->lock);
	while (!p->ending) {
		struct timespec until = {look / NSEC, look % NSEC};

		if (!p->more)
			pthread_cond_timedwait(&p->woken, &p->lock, &until);
		p->more = false;
		pthread_mutex_unlock(&p->lock);
		serve_all(p, false);
		if (fs_monotonic() >= look) {
			streams_look(p->streams);
			look = fs_monotonic() + LOOK;
		}
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	serve_all(p, true);
	return NULL;
}

static void wake(void *arg)
{
	struct pump *p = arg;

	pthread_mutex_lock(&p->lock);
	p->more = true;
	pthread_cond_signal(&p->woken);
	pthread_mutex_unlock(&p->lock);
}

struct pump *pump_new(struct fs *fs)
{
	struct pump *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	now_cond_init(&p->woken);
	p->streams = streams_new(wake, p);
	fs->streams = p->streams;
	if (p->streams && pthread_create(&p->thread, NULL, run, p) == 0)
		return p;
	fs->streams = NULL;
	streams_free(p->streams);
	free(p);
	return NULL;
}

void pump_end(struct pump *p)
{
	if (!p || p->ending)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_signal(&p->woken);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
}

void pump_free(struct pump *p)
{
	if (!p)
		return;
	pump_end(p);
	streams_free(p->streams);
	pthread_cond_destroy(&p->woken);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
