/* SPDX-License-Identifier: MIT */
/* control.c: see control.h. */
#include "fs/control.h"
#include "engine/lang/ast.h"
#include "fs/handle.h"
#include "fs/notify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct control {
	struct handle handle; /* first */
	struct fs *fs;
	enum node_kind kind;
	bool append;
	bool by_root;         /* who opened it */
	pthread_mutex_t lock; /* of all below */
	struct text text;     /* what was written since the last start */
	struct text reply;    /* what a read gives: the name, or the error */
	size_t done;          /* ctl: bytes of whole lines that ran; else: bytes committed */
	size_t checked;       /* its lines that were looked at last, in bytes */
	bool dirty;           /* there is text that was not committed */
	bool written;         /* something was written through this descriptor */
	int failed;           /* -errno of the text so far */
	uint64_t owner;       /* lock owner of the writer's first write */
	struct cred who;      /* whose text it is: who opened it; by_root: or wrote to it since */
	struct query *query;  /* spec, ctl: the query; new: the one made by the last commit */
	uint64_t shift;       /* file offset less place in the text: what reads moved it on by */
	uint64_t read_base;   /* file offset that the reply's first byte stands at */
	bool read_started;
};

static void control_free(struct control *c)
{
	if (c->query)
		query_unref(c->query);
	text_release(&c->text);
	text_release(&c->reply);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void drop(struct handle *h)
{
	control_free((struct control *)h);
}

int control_open(struct fs *fs, const struct node *n, bool append, const struct cred *who,
        struct control **ret)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->fs = fs;
	c->kind = n->kind;
	c->append = append;
	c->who = *who;
	c->by_root = who->uid == 0;
	if (n->kind != NODE_NEW) {
		c->query = query_by_serial(fs->engine, n->serial);
		if (!c->query) {
			free(c);
			return -ESTALE;
		}
	}
	pthread_mutex_init(&c->lock, NULL);
	handle_add(fs->handles, &c->handle, drop);
	*ret = c;
	return 0;
}

/* Length of the name in front of a spec ("name: …"), 0 where it has none. */
static size_t spec_name(const char *p, size_t len, const char **ret)
{
	size_t at = 0, n = 0;

	while (at < len && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r'))
		at++;
	*ret = p + at;
	while (at + n < len && n <= 64 && lang_is_name(p + at, n + 1))
		n++;
	at += n;
	while (at < len && p[at] == ' ')
		at++;
	if (!n || at >= len || p[at] != ':' || (at + 1 < len && p[at + 1] == '-'))
		return 0;
	return n;
}

/* Keeps the error for a read on this descriptor and for queries/errors. */
static int reject(struct control *c, const char *text, size_t len, const struct weir_err *err)
{
	const char *at, *name = "new";
	char own[80];
	size_t n;

	if (c->kind != NODE_NEW) {
		name = query_name(c->query);
	} else if ((n = spec_name(text, len, &at)) > 0) {
		snprintf(own, sizeof own, "%.*s", (int)n, at);
		name = own;
	}
	text_clear(&c->reply);
	lang_explain(&c->reply, name, text, len, err);
	if (c->reply.p)
		textlog_add(engine_errors(c->fs->engine), c->reply.p, c->reply.len);
	c->read_started = false;
	c->dirty = false;
	c->failed = err->no ? -err->no : -EINVAL;
	return c->failed;
}

static void accept_name(struct control *c)
{
	text_clear(&c->reply);
	text_printf(&c->reply, "%s\n", query_name(c->query));
	c->read_started = false;
}

static int fail(struct control *c, int no, const char *what)
{
	struct weir_err err = WEIR_ERR_INIT;

	if (no == EFBIG)
		weir_fail(&err, WEIR_E_SPEC_TOO_LONG, WEIR_NOPOS, 0, "1 MiB");
	else
		weir_fail_no(&err, no, WEIR_E_NOT_PERMITTED, WEIR_NOPOS, 0, what);
	return reject(c, "", 0, &err);
}

static bool may_change(const struct control *c)
{
	uid_t uid;
	gid_t gid;

	query_owner(c->query, &uid, &gid);
	return c->who.uid == 0 || c->who.uid == uid;
}

/* What more text cannot mend: found while the write can still fail. */
static bool is_certain(enum weir_error_id id)
{
	switch (id) {
	case WEIR_E_UNKNOWN_FIELD:
	case WEIR_E_UNKNOWN_SOURCE:
	case WEIR_E_UNKNOWN_MODULE:
	case WEIR_E_UNKNOWN_OPTION:
	case WEIR_E_UNKNOWN_CONVERSION:
	case WEIR_E_KIND_MISMATCH:
	case WEIR_E_COMPARE_KINDS:
	case WEIR_E_OPERATE_KINDS:
	case WEIR_E_NOT_BOOLEAN:
	case WEIR_E_NO_PACKETS:
	case WEIR_E_OUT_OF_RANGE:
	case WEIR_E_BAD_BPF:
	case WEIR_E_CANNOT_OPEN:
	case WEIR_E_BAD_TRACE:
	case WEIR_E_WINDOW_AFTER_TABLE:
	case WEIR_E_TOO_MANY_QUERIES:
		return true;
	default:
		return false;
	}
}

/* The query has begun another run. */
static void tell_run(struct control *c)
{
	notify_run(c->fs->notify, (uint32_t)query_serial(c->query));
}

static int commit_spec(struct control *c)
{
	struct weir_err err = WEIR_ERR_INIT;
	struct query *q = NULL;
	int r;

	if (c->query)
		r = query_replace(c->query, c->text.p, c->text.len, &c->who, &err);
	else
		r = query_submit(c->fs->engine, c->text.p, c->text.len, NULL, &c->who, &q, &err);
	if (r < 0) {
		if (!err.no)
			weir_fail_no(&err, -r, WEIR_E_SYSTEM, WEIR_NOPOS, 0, "query", strerror(-r));
		r = reject(c, c->text.p, c->text.len, &err);
		/* a shell flushes behind each command: the next one may write the remainder */
		if (!is_certain(err.id) && lang_certain(c->text.p, c->text.len, NULL) == 0)
			c->failed = 0;
		return r;
	}
	if (q && query_serial(q) > NODE_SERIAL_MAX) {
		query_remove(q);
		query_unref(q);
		return fail(c, EDQUOT, "too many queries in one mount");
	}
	if (q) {
		c->query = q;
		notify_queries(c->fs->notify);
	} else {
		tell_run(c);
	}
	c->done = c->text.len;
	c->dirty = false;
	accept_name(c);
	return 0;
}

/* A command failed: on account of its own words, or of the spec that was to run anew. */
static int reject_command(struct control *c, const char *p, size_t len, struct weir_err *err)
{
	struct text spec = TEXT_INIT;
	int r;

	if (err->pos != WEIR_NOPOS && err->id != WEIR_E_UNKNOWN_COMMAND) {
		query_text(c->query, "spec", &spec);
		p = spec.p ? spec.p : "";
		len = spec.len;
	}
	r = reject(c, p, len, err);
	text_release(&spec);
	return r;
}

static int command(struct control *c, const char *p, size_t len, struct weir_err *err)
{
	uint64_t run = query_run(c->query);
	int r = may_change(c) ? query_control(c->query, p, len, &c->who, err) : -EPERM;

	if (query_run(c->query) != run)
		tell_run(c);
	return r;
}

/* Runs the whole lines of ctl that have not run; all of them where `last`. */
static int commit_lines(struct control *c, bool last)
{
	struct weir_err err = WEIR_ERR_INIT;
	int r = 0;

	while (c->done < c->text.len && r == 0) {
		const char *p = c->text.p + c->done;
		size_t left = c->text.len - c->done, n;
		const char *nl = memchr(p, '\n', left);

		if (!nl && !last)
			break;
		n = nl ? (size_t)(nl - p) : left;
		c->done += nl ? n + 1 : n;
		while (n && (p[n - 1] == ' ' || p[n - 1] == '\r' || p[n - 1] == '\t'))
			n--;
		while (n && (*p == ' ' || *p == '\t')) {
			p++;
			n--;
		}
		if (!n)
			continue;
		r = command(c, p, n, &err);
		if (r < 0) {
			if (!err.no)
				weir_fail_no(&err, -r, WEIR_E_NOT_PERMITTED, WEIR_NOPOS, 0,
				        "the query is another user's");
			return reject_command(c, p, n, &err);
		}
		text_clear(&c->reply);
		text_printf(&c->reply, "%s\n", query_state_name(query_state(c->query)));
		c->read_started = false;
	}
	c->dirty = c->done < c->text.len;
	return r;
}

/* The lock is held. */
static int commit(struct control *c)
{
	if (!c->dirty || c->failed)
		return c->failed;
	if (c->kind == NODE_CTL)
		return commit_lines(c, true);
	if (c->kind == NODE_SPEC && !may_change(c))
		return fail(c, EPERM, "the query is another user's");
	return commit_spec(c);
}

#define CHECK_MAX (64u << 10)
#define CHECK_ALWAYS (4u << 10)

/* The whole lines of a text are looked at while they come, so that a write can fail; those of a
 * long one as often as they have doubled, however small the pieces are that it comes in. */
static int check_spec(struct control *c)
{
	struct weir_err err = WEIR_ERR_INIT;
	const char *p = c->text.p, *at, *nl;
	size_t len = c->text.len, n;
	struct query *q = NULL;
	uint32_t limit;
	char name[80];
	int r;

	nl = memrchr(p, '\n', len);
	n = nl ? (size_t)(nl - p) + 1 : 0;
	if (n == 0 || (n > CHECK_ALWAYS && n / 2 < c->checked))
		return 0;
	c->checked = n;
	r = lang_certain(p, n, &err);
	if (r < 0)
		return reject(c, p, len, &err);
	if (p[len - 1] != '\n')
		return 0;
	if (c->kind == NODE_NEW && !c->query && engine_is_full(c->fs->engine, &c->who, &limit)) {
		snprintf(name, sizeof name, "%u", limit);
		weir_fail(&err, WEIR_E_TOO_MANY_QUERIES, WEIR_NOPOS, 0, name);
		return reject(c, p, len, &err);
	}
	n = spec_name(p, len, &at);
	if (n && c->kind == NODE_NEW && !c->query) {
		snprintf(name, sizeof name, "%.*s", (int)n, at);
		q = query_by_name(c->fs->engine, name);
	}
	if (q) {
		query_unref(q);
		weir_fail(&err, WEIR_E_NAME_TAKEN, (uint32_t)(at - p), (uint32_t)n, name);
		return reject(c, p, len, &err);
	}
	if (len <= CHECK_MAX && query_check(c->fs->engine, p, len, &c->who, NULL, &err) < 0 &&
	        is_certain(err.id))
		return reject(c, p, len, &err);
	return 0;
}

/* Begins a new text. */
static void start(struct control *c)
{
	text_clear(&c->text);
	text_clear(&c->reply);
	c->done = c->checked = 0;
	c->dirty = false;
	c->failed = 0;
	c->shift = 0;
	c->read_started = false;
	if (c->kind == NODE_NEW && c->query) {
		query_unref(c->query);
		c->query = NULL;
	}
}

/* Whether a write at file offset `off` begins a new text, or command: see place(). */
static bool begins(const struct control *c, uint64_t off)
{
	if (!c->written)
		return true;
	if (c->failed)
		return c->append || off == 0;
	return !c->dirty && (c->kind == NODE_CTL || (off == 0 && !c->append));
}

/* 0: the peer may write; it is the one whose text this is now. */
static int admit(struct control *c, uint64_t off, uint64_t lock_owner, const struct peer *p)
{
	bool same = p->uid == c->who.uid && p->gid == c->who.gid;

	if (!same && (!c->by_root || !begins(c, off)))
		return -EPERM;
	if (!same)
		cred_of(&c->who, p->uid, p->gid, p->thread);
	if (!same || !c->written)
		c->owner = lock_owner;
	return 0;
}

/* Where in the text a write at file offset `off` goes; -EINVAL: it would leave a gap. */
static int64_t place(struct control *c, uint64_t off)
{
	bool fresh = !c->written;

	c->written = true;
	if (c->kind == NODE_SPEC && fresh && (c->append || off)) {
		query_text(c->query, "spec", &c->text); /* goes on behind what is there */
		c->done = c->text.len;
	}
	if (c->append && c->failed)
		start(c);
	if (c->append || (c->kind != NODE_SPEC && fresh))
		return (int64_t)c->text.len;
	if (off == 0 && (!c->dirty || c->failed))
		start(c);
	if (c->read_started && !c->dirty && off >= c->read_base)
		c->shift = off - c->text.len;
	if (off < c->shift || off - c->shift > c->text.len)
		return -EINVAL;
	return (int64_t)(off - c->shift);
}

int control_write(struct control *c, const char *p, size_t len, uint64_t off, uint64_t lock_owner,
        const struct peer *peer)
{
	int64_t at = 0;
	int r;

	pthread_mutex_lock(&c->lock);
	r = admit(c, off, lock_owner, peer);
	if (r == 0)
		at = place(c, off);
	if (r < 0) {
		/* nothing of it has changed */
	} else if (at < 0 || c->failed) {
		r = c->failed ? c->failed : (int)at;
	} else if (at + len > SPEC_MAX) {
		r = fail(c, EFBIG, "");
	} else if (len) {
		size_t over = c->text.len - (size_t)at;

		if (over > len)
			over = len;
		if (over)
			memcpy(c->text.p + at, p, over);
		text_add(&c->text, p + over, len - over);
		c->dirty = true;
		if (c->text.failed)
			r = -ENOMEM;
		else
			r = c->kind == NODE_CTL ? commit_lines(c, false) : check_spec(c);
	}
	pthread_mutex_unlock(&c->lock);
	return r < 0 ? r : (int)len;
}

int64_t control_read(struct control *c, uint64_t off, char *to, size_t size)
{
	struct text *t = &c->reply, spec = TEXT_INIT;
	int64_t n = 0;

	pthread_mutex_lock(&c->lock);
	if (c->written) {
		commit(c);
		if (!c->read_started || off < c->read_base)
			c->read_base = off;
		c->read_started = true;
		off -= c->read_base;
	} else if (c->kind == NODE_SPEC) {
		query_text(c->query, "spec", &spec);
		t = &spec;
	}
	if (off < t->len) {
		n = (int64_t)(t->len - off < size ? t->len - off : size);
		memcpy(to, t->p + off, (size_t)n);
	}
	pthread_mutex_unlock(&c->lock);
	text_release(&spec);
	return n;
}

int control_flush(struct control *c, uint64_t lock_owner)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (c->dirty && lock_owner == c->owner)
		r = commit(c);
	pthread_mutex_unlock(&c->lock);
	return r;
}

int control_sync(struct control *c)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (c->dirty)
		r = commit(c);
	pthread_mutex_unlock(&c->lock);
	return r;
}

void control_release(struct control *c)
{
	handle_remove(c->fs->handles, &c->handle);
	control_sync(c);
	control_free(c);
}
