/* SPDX-License-Identifier: MIT */
/* stream_fill.c: what a stream's reader reads next; see stream.h.
 *
 * All with the reader's lock held. A chunk is rendered once for all readers that stand at its first
 * row, as those do that keep up. A row longer than a chunk is rendered again for each part, so that
 * no reader ever holds it whole.
 */
#include "fs/stream_parts.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

void stream_text_unref(struct stream_text *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		free(c);
}

static struct stream_text *text_ref(struct stream_text *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

static int text_new(const char *p, size_t len, struct stream_text **ret)
{
	struct stream_text *c = malloc(sizeof *c + len);

	if (!c)
		return -ENOMEM;
	memset(c, 0, sizeof *c);
	atomic_init(&c->refs, 1);
	c->len = len;
	if (len)
		memcpy(c->p, p, len);
	*ret = c;
	return 0;
}

/* Takes the text. 1 and the reader's chunk, or -errno. */
static int say(struct stream_reader *r, struct text *t)
{
	int e = t->failed ? -ENOMEM : text_new(t->p, t->len, &r->chunk);

	text_release(t);
	return e < 0 ? e : 1;
}

/* ---- rows ---- */

static struct stream_text *recent(struct stream_reader *r, uint64_t version)
{
	struct stream *s = r->stream;
	struct stream_text *c;

	pthread_mutex_lock(&s->lock);
	c = s->recent;
	if (c && c->version == version && c->row == r->row && c->skip == r->skip)
		text_ref(c);
	else
		c = NULL;
	pthread_mutex_unlock(&s->lock);
	return c;
}

/* Those who lag do not take it from those who keep up. */
static void keep_recent(struct stream_reader *r, struct stream_text *c)
{
	struct stream *s = r->stream;
	struct stream_text *old;

	pthread_mutex_lock(&s->lock);
	old = s->recent;
	if (old && (old->version > c->version || (old->version == c->version && old->row > c->row)))
		old = NULL;
	else
		s->recent = text_ref(c);
	pthread_mutex_unlock(&s->lock);
	stream_text_unref(old);
}

/* The text `t` of rows [first, end), of which a long one is parted. */
static int make_chunk(struct stream_reader *r, uint64_t version, uint64_t end, struct text *t)
{
	size_t len = t->len - r->skip;
	bool parted = len > STREAM_CHUNK;
	struct stream_text *c;
	int e = text_new(t->p + r->skip, parted ? STREAM_CHUNK : len, &c);

	if (e < 0)
		return e;
	c->version = version;
	c->row = r->row;
	c->skip = r->skip;
	c->end_row = parted ? r->row : end;
	c->end_skip = parted ? r->skip + STREAM_CHUNK : 0;
	r->chunk = c;
	keep_recent(r, c);
	return 1;
}

/* Text of rows from the reader's place on: 1, 0: there are none, -ESTALE, or -errno. */
static int rows(struct stream_reader *r)
{
	uint64_t version = r->snap ? snapshot_number(r->snap) : 0, end = r->row;
	/* of a parted row that row alone */
	size_t bytes = r->skip ? 0 : STREAM_CHUNK - 1;
	struct text t = TEXT_INIT;
	int64_t n = 1;

	r->chunk = recent(r, version);
	if (!r->chunk) {
		n = r->snap ? snapshot_put_rows(r->snap, FORMAT_CSV, &end, bytes, &t)
		            : log_rows(r->stream->result, FORMAT_CSV, &end, bytes, &t);
		if (n > 0 && r->snap && end == snapshot_rows(r->snap))
			text_puts(&t, "\n"); /* the version's end */
		if (n > 0)
			n = t.failed ? -ENOMEM : make_chunk(r, version, end, &t);
		text_release(&t);
	}
	if (n > 0) {
		r->row = r->chunk->end_row;
		r->skip = r->chunk->end_skip;
	}
	return (int)n;
}

/* ---- logs ---- */

static int gap(struct stream_reader *r)
{
	uint64_t first = log_first(r->stream->result), lost = first - r->row;
	struct text t = TEXT_INIT;

	/* of a row that was begun the rest is missing */
	text_printf(&t, "%s# %llu rows lost\n", r->skip ? "\n" : "", (unsigned long long)lost);
	atomic_fetch_add(&r->stream->all->rows_lost, lost);
	r->row = first;
	r->skip = 0;
	return say(r, &t);
}

static int heading(struct stream_reader *r, struct text *t)
{
	int e = result_header(r->stream->result, FORMAT_CSV, t);

	if (e < 0) {
		text_release(t);
		return e;
	}
	return say(r, t);
}

static int fill_log(struct stream_reader *r)
{
	struct text t = TEXT_INIT;
	int n;

	if (!r->begun) {
		n = heading(r, &t);
		r->begun = n > 0;
		return n;
	}
	n = rows(r);
	return n == -ESTALE ? gap(r) : n;
}

/* ---- tables ---- */

static void leave_version(struct stream_reader *r)
{
	snapshot_unref(r->snap);
	r->snap = NULL;
}

void stream_trim(struct stream_reader *r)
{
	struct snapshot *s = r->snap ? result_snapshot(r->stream->result) : NULL;

	if (s && r->row < snapshot_rows(r->snap) && snapshot_number(s) > r->version + STREAM_HELD) {
		leave_version(r);
		r->cut = true;
	}
	snapshot_unref(s);
}

/* What stands before version `s`, which it takes. */
static int begin_version(struct stream_reader *r, struct snapshot *s)
{
	uint64_t number = snapshot_number(s), lost = r->version ? number - r->version - 1 : 0;
	time_t seconds = snapshot_time(s) / NSEC;
	struct text t = TEXT_INIT;
	char when[32];
	struct tm tm;

	if (lost)
		text_printf(&t, "# %llu versions lost\n", (unsigned long long)lost);
	atomic_fetch_add(&r->stream->all->versions_lost, lost);
	gmtime_r(&seconds, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	text_printf(&t, "# version %llu at %s.%03dZ, %llu rows\n", (unsigned long long)number, when,
	        (int)(snapshot_time(s) % NSEC / 1000000), (unsigned long long)snapshot_rows(s));
	r->version = number;
	if (snapshot_rows(s)) {
		r->snap = s;
		return heading(r, &t);
	}
	snapshot_unref(s);
	result_header(r->stream->result, FORMAT_CSV, &t);
	text_puts(&t, "\n");
	return say(r, &t);
}

static int cut(struct stream_reader *r)
{
	struct text t = TEXT_INIT;

	text_printf(&t, "%s# version %llu cut after %llu rows\n\n", r->skip ? "\n" : "",
	        (unsigned long long)r->version, (unsigned long long)r->row);
	atomic_fetch_add(&r->stream->all->versions_lost, 1);
	r->cut = false;
	r->row = 0;
	r->skip = 0;
	return say(r, &t);
}

static int fill_table(struct stream_reader *r)
{
	struct snapshot *s;
	int n;

	if (r->cut)
		return cut(r);
	if (r->snap) {
		n = rows(r);
		if (n > 0 && r->row == snapshot_rows(r->snap)) {
			leave_version(r);
			r->row = 0;
		}
		return n;
	}
	s = result_snapshot(r->stream->result);
	if (s && snapshot_number(s) != r->version)
		return begin_version(r, s);
	snapshot_unref(s);
	return 0;
}

/* ---- */

/* The reader's next chunk: 1, 0: the end, -EAGAIN: nothing now, -errno. */
static int fill(struct stream_reader *r)
{
	bool ended = result_ended(r->stream->result); /* first: what is there then is all */
	int n = r->stream->log ? fill_log(r) : fill_table(r);

	return n || ended ? n : -EAGAIN;
}

/* Whether all that was rendered has been read. */
static bool is_read(const struct stream_reader *r)
{
	return !r->chunk || r->at == r->chunk->len;
}

/* The next chunk in place of the one that was read, which stays where there is none. */
static int next_chunk(struct stream_reader *r)
{
	struct stream_text *old = r->chunk;
	int e;

	r->chunk = NULL;
	e = fill(r);
	if (e > 0) {
		r->at = 0;
		stream_text_unref(old);
	} else {
		r->chunk = old;
	}
	return e;
}

int64_t stream_take(struct stream_reader *r, uint64_t off, size_t size, const char **p,
        struct stream_text **hold)
{
	size_t n;
	int e;

	if (off > r->pos || r->pos - off > r->at)
		return -ESPIPE;
	r->at -= r->pos - off;
	r->pos = off;
	e = is_read(r) ? next_chunk(r) : 1;
	if (e <= 0)
		return e;
	n = r->chunk->len - r->at;
	n = n < size ? n : size;
	*p = r->chunk->p + r->at;
	*hold = text_ref(r->chunk);
	r->at += n;
	r->pos += n;
	return (int64_t)n;
}

bool stream_ready(struct stream_reader *r)
{
	struct result *result = r->stream->result;
	struct snapshot *s;
	bool ready;

	if (!is_read(r) || r->snap || r->cut || (r->stream->log && !r->begun) ||
	        result_ended(result))
		return true;
	if (r->stream->log)
		return r->row < log_end(result);
	s = result_snapshot(result);
	ready = s && snapshot_number(s) != r->version;
	snapshot_unref(s);
	return ready;
}
