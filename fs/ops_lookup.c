/* SPDX-License-Identifier: MIT */
/* ops_lookup.c: look-ups, which choose the version that a reader will see, and forgets.
 *
 * The look-up of a result waits (the request is kept, no thread is) until a version is fresh
 * enough or the query has ended, for about a second at most; then it is answered from a thread of
 * jobs.h, since the text may have to be rendered. Exactly one reply: whoever comes second to
 * `state` (the caller that has returned from query_look(), or done()) answers.
 */
#include "fs/jobs.h"
#include "fs/ops.h"
#include "fs/table.h"
#include "fs/version.h"
#include <stdlib.h>
#include <string.h>

#define LOOK_WAIT NSEC

void entry_param(const struct entry *e, struct fuse_entry_param *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->ino = e->ino;
	ret->generation = e->generation;
	ret->attr = e->st;
	ret->attr_timeout = e->attr_timeout;
	ret->entry_timeout = e->entry_timeout;
}

static void send_entry(fuse_req_t req, struct fs *fs, struct entry *e)
{
	struct fuse_entry_param p;

	entry_param(e, &p);
	if (e->version)
		version_looked_up(fs->versions, e->version);
	if (fuse.reply_entry(req, &p) < 0 && e->version)
		version_forget(fs->versions, e->ino, 1); /* the request was interrupted */
	version_put(fs->versions, e->version);
}

void reply_entry(fuse_req_t req, struct fs *fs, const struct node *n)
{
	struct entry e;
	int r = entry_fill(fs, n, &e);

	if (r < 0)
		fuse.reply_err(req, -r == ESTALE ? ENOENT : -r);
	else
		send_entry(req, fs, &e);
}

enum { WAITING, FIRST };

struct waiting {
	fuse_req_t req;
	struct fs *fs;
	struct node node;
	atomic_int state;
};

static void answer(void *arg)
{
	struct waiting *w = arg;

	if (atomic_load(&w->fs->stopping))
		fuse.reply_err(w->req, EIO);
	else
		reply_entry(w->req, w->fs, &w->node);
	free(w);
}

static void done(void *arg)
{
	struct waiting *w = arg;

	if (atomic_exchange(&w->state, FIRST) != FIRST)
		return;
	jobs_run(w->fs->jobs, answer, w);
}

static void look(fuse_req_t req, struct fs *fs, const struct node *n)
{
	struct waiting *w;
	struct look l;
	bool small;
	int r = look_at(fs, n->serial, &l);

	w = r < 0 ? NULL : malloc(sizeof *w);
	if (!w) {
		look_release(&l);
		fuse.reply_err(req, r < 0 ? ENOENT : ENOMEM);
		return;
	}
	w->req = req;
	w->fs = fs;
	w->node = *n;
	atomic_init(&w->state, WAITING);
	small = !l.log && l.result && table_is_small(&l);
	/* what stands still is not waited for */
	query_look(l.query, query_state(l.query) == QUERY_PAUSED ? 0 : LOOK_WAIT, done, w);
	look_release(&l);
	if (atomic_exchange(&w->state, FIRST) != FIRST)
		return;
	if (small)
		answer(w);
	else
		jobs_run(fs->jobs, answer, w);
}

/* What may have to be rendered, from another thread. */
static void later(fuse_req_t req, struct fs *fs, const struct node *n)
{
	struct waiting *w = malloc(sizeof *w);

	if (!w) {
		fuse.reply_err(req, ENOMEM);
		return;
	}
	*w = (struct waiting){.req = req, .fs = fs, .node = *n};
	jobs_run(fs->jobs, answer, w);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = req_fs(req);
	struct node dir, n;
	struct entry e;
	int r;

	if (!node_parse(parent, &dir)) {
		fuse.reply_err(req, ENOENT);
		return;
	}
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		n = dir;
		r = name[1] ? entry_parent(fs, &dir, &n) : 0;
		if (r == 0)
			r = entry_again(fs, &n, &e);
		if (r < 0)
			fuse.reply_err(req, ENOENT); /* the kernel makes it ESTALE */
		else
			send_entry(req, fs, &e);
		return;
	}
	r = entry_child(fs, &dir, name, &n);
	if (r < 0)
		fuse.reply_err(req, r == -ESTALE ? ENOENT : -r);
	else if (node_nature(n.kind) == NATURE_RESULT || n.kind == NODE_RECORDS)
		look(req, fs, &n);
	else if (node_nature(n.kind) == NATURE_VERSION)
		later(req, fs, &n);
	else
		reply_entry(req, fs, &n);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	version_forget(req_fs(req)->versions, ino, n);
	fuse.reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		version_forget(req_fs(req)->versions, forgets[i].ino, forgets[i].nlookup);
	fuse.reply_none(req);
}
