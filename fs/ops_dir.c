/* SPDX-License-Identifier: MIT */
/* ops_dir.c: reading directories, making and removing queries.
 *
 * Cookies are stable ids, not positions: 1 and 2 for "." and "..", FIXED + kind for what the
 * table names, OWN + serial, index or row for the rest. So a listing goes on where it was
 * whatever came or went, and without state on the server.
 */
#include "engine/core/put.h"
#include "fs/describe.h"
#include "fs/jobs.h"
#include "fs/notify.h"
#include "fs/ops.h"
#include "fs/record.h"
#include "fs/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIXED = 3, OWN = FIXED + NODE_KINDS, SIZES = 256 };

struct listing {
	struct fs *fs;
	struct node dir;
	struct look look;     /* of NODE_QUERY */
	struct record record; /* of NODE_RECORDS, NODE_CHUNK */
	bool on_records;
	/* of NODE_CHUNK: what all its records have, and the sizes of some */
	struct fuse_entry_param each;
	uint64_t from, size[SIZES];
	int nsizes;
};

struct dent {
	char name[80];
	struct node node;
	uint64_t cookie;
};

static int listing_open(struct fs *fs, fuse_ino_t ino, struct listing *l)
{
	int r = 0;

	memset(l, 0, sizeof *l);
	l->fs = fs;
	if (!node_parse(ino, &l->dir))
		return -ESTALE;
	if (!node_is_dir(l->dir.kind))
		return -ENOTDIR;
	if (l->dir.kind == NODE_QUERY || l->dir.kind == NODE_VERSIONS ||
	        l->dir.kind == NODE_VERSION)
		r = look_at(fs, l->dir.serial, &l->look);
	l->on_records = l->dir.kind == NODE_RECORDS || l->dir.kind == NODE_CHUNK;
	if (l->on_records) {
		r = record_find(fs, &l->dir, &l->record);
		l->on_records = r == 0;
	}
	return r;
}

static void listing_close(struct listing *l)
{
	look_release(&l->look);
	if (l->on_records)
		record_release(l->fs, &l->record);
}

static bool query_has(const struct look *l, enum node_kind k)
{
	if (k == NODE_VERSIONS)
		return l->result && result_keeps(l->result);
	if (node_nature(k) == NATURE_VERSION)
		return l->result &&
		       result_has_format(l->result, (enum result_format)(k - NODE_VERSION_CSV));
	if (node_nature(k) != NATURE_RESULT && k != NODE_RECORDS)
		return true;
	return l->result && (k == NODE_RECORDS || result_has_format(l->result,
	                                                  (enum result_format)(k - NODE_OUT_CSV)));
}

static bool next_fixed(struct listing *l, uint64_t after, struct dent *ret)
{
	unsigned k = after >= FIXED ? (unsigned)(after - FIXED) + 1 : NODE_ROOT + 1;

	for (; k < NODE_KINDS; k++) {
		if (node_rows[k].parent != l->dir.kind || !node_rows[k].name ||
		        ((l->dir.kind == NODE_QUERY || l->dir.kind == NODE_VERSION) &&
		                !query_has(&l->look, (enum node_kind)k)))
			continue;
		ret->node.kind = (enum node_kind)k;
		ret->node.serial = l->dir.serial;
		if (node_is_out(ret->node.kind))
			ret->node.run = l->look.run & NODE_RUN_MASK;
		if (node_is_version(ret->node.kind)) {
			ret->node.run = l->dir.run;
			ret->node.version = l->dir.version;
		}
		ret->cookie = FIXED + k;
		snprintf(ret->name, sizeof ret->name, "%s", node_rows[k].name);
		return true;
	}
	return false;
}

/* Whether it has a stream: before the first spec there are no rows to come. */
static bool has_stream(struct query *q)
{
	struct result *r = query_result(q);

	result_unref(r);
	return r;
}

static bool next_query(struct listing *l, uint64_t after, struct dent *ret)
{
	bool streams = l->dir.kind == NODE_STREAMS;
	uint64_t at = after > OWN ? after - OWN : 0;
	struct query *q;

	while ((q = query_next(l->fs->engine, at)) && streams && !has_stream(q)) {
		at = query_serial(q);
		query_unref(q);
	}
	if (!q)
		return false;
	ret->node.kind = streams ? NODE_STREAM : NODE_QUERY;
	ret->node.serial = (uint32_t)query_serial(q);
	ret->cookie = OWN + query_serial(q);
	snprintf(ret->name, sizeof ret->name, "%s", query_name(q));
	query_unref(q);
	return true;
}

static bool next_version(struct listing *l, uint64_t after, struct dent *ret)
{
	struct result *r = l->look.result;
	struct snapshot *s =
	        r && result_keeps(r) ? result_kept(r, after > OWN ? after - OWN : 0) : NULL;

	if (!s)
		return false;
	ret->node.kind = NODE_VERSION;
	ret->node.serial = l->dir.serial;
	ret->node.run = l->look.run & NODE_RUN_MASK;
	ret->node.version = snapshot_number(s) & NODE_VERSION_MASK;
	ret->cookie = OWN + snapshot_number(s);
	table_time_name(snapshot_time(s), ret->name);
	snapshot_unref(s);
	return true;
}

static bool next_indexed(struct listing *l, uint64_t after, struct dent *ret)
{
	uint32_t i = after >= OWN ? (uint32_t)(after - OWN) + 1 : 0;
	enum node_kind k = l->dir.kind;
	const char *name = k == NODE_SOURCES ? engine_source_name(l->fs->engine, i)
	                   : k == NODE_TYPES ? describe_type_name(i)
	                                     : describe_operator_name(i);

	if (!name)
		return false;
	ret->node.kind = k == NODE_SOURCES ? NODE_SOURCE
	                 : k == NODE_TYPES ? NODE_TYPE
	                                   : NODE_MODULE;
	ret->node.serial = i;
	ret->cookie = OWN + i;
	snprintf(ret->name, sizeof ret->name, "%s", name);
	return true;
}

static bool next_row(struct listing *l, uint64_t after, struct dent *ret)
{
	const struct record *r = &l->record;
	bool chunks = l->dir.kind == NODE_RECORDS;
	uint64_t per = chunks ? RECORDS_PER_CHUNK : 1, i, end = r->end, first = r->first / per;

	if (!chunks) {
		uint64_t from = r->node.row * RECORDS_PER_CHUNK;

		first = first > from ? first : from;
		end = end < from + RECORDS_PER_CHUNK ? end : from + RECORDS_PER_CHUNK;
	}
	i = after >= OWN && after - OWN + 1 > first ? after - OWN + 1 : first;
	if (i * per >= end)
		return false;
	record_node(r, chunks ? NODE_CHUNK : NODE_RECORD, i, &ret->node);
	ret->cookie = OWN + i;
	*put_u64(ret->name, i) = 0;
	return true;
}

static bool next(struct listing *l, uint64_t after, struct dent *ret)
{
	ret->node = (struct node){.kind = NODE_NONE};
	if (after < 2) {
		ret->cookie = after + 1;
		snprintf(ret->name, sizeof ret->name, "%s", after ? ".." : ".");
		ret->node = l->dir;
		if (after && entry_parent(l->fs, &l->dir, &ret->node) < 0)
			ret->node = l->dir;
		return true;
	}
	if (after < OWN && next_fixed(l, after, ret))
		return true;
	switch (l->dir.kind) {
	case NODE_SOURCES:
	case NODE_TYPES:
	case NODE_MODULES:
		return next_indexed(l, after, ret);
	case NODE_QUERIES:
	case NODE_STREAMS:
		return next_query(l, after, ret);
	case NODE_VERSIONS:
		return next_version(l, after, ret);
	case NODE_RECORDS:
	case NODE_CHUNK:
		return next_row(l, after, ret);
	default:
		return false;
	}
}

/* Attributes with a name are told where they cost little: not of what would have to be rendered. */
static bool is_plain(const struct dent *d)
{
	if (d->cookie <= 2)
		return false;
	return d->node.kind == NODE_RECORD || d->node.kind == NODE_CHUNK ||
	       (node_is_dir(d->node.kind) && d->node.kind != NODE_RECORDS) ||
	       node_nature(d->node.kind) == NATURE_CONTROL || d->node.kind == NODE_STREAM;
}

/* A record's entry, as entry_fill() would have it, without looking for the result again. */
static bool record_entry(struct listing *l, const struct dent *d, struct fuse_entry_param *ret)
{
	const struct record *r = &l->record;
	uint64_t row = d->node.row;
	int n;

	if (!l->each.generation) {
		entry_stat(l->fs, &d->node, r->look.query, record_time(r), &l->each.attr);
		l->each.generation = record_generation(l->fs, r);
		l->each.attr_timeout = l->each.entry_timeout = FS_LONG;
	}
	if (row < l->from || row >= l->from + (uint64_t)l->nsizes) {
		n = record_sizes(r, row, SIZES, l->size);
		l->nsizes = n < 0 ? 0 : n;
		l->from = row;
		if (n <= 0)
			return false;
	}
	*ret = l->each;
	ret->ino = node_ino(&d->node);
	ret->attr.st_ino = node_stat_ino(&d->node);
	entry_size(&ret->attr, (int64_t)l->size[row - l->from]);
	return true;
}

static size_t add(
        fuse_req_t req, struct listing *l, const struct dent *d, char *to, size_t room, bool plus)
{
	struct fuse_entry_param p;
	struct entry e;

	if (plus && d->node.kind == NODE_RECORD && d->cookie > 2 && record_entry(l, d, &p)) {
		/* it is all there */
	} else if (plus && is_plain(d) && entry_fill(l->fs, &d->node, &e) == 0) {
		entry_param(&e, &p);
		version_put(l->fs->versions, e.version); /* NULL for plain ones */
	} else {
		p = (struct fuse_entry_param){.ino = 0};
		p.attr.st_ino = node_stat_ino(&d->node);
		p.attr.st_mode = node_is_dir(d->node.kind) ? S_IFDIR : S_IFREG;
	}
	if (plus)
		return fuse.add_direntry_plus(req, to, room, d->name, &p, (off_t)d->cookie);
	return fuse.add_direntry(req, to, room, d->name, &p.attr, (off_t)d->cookie);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct listing l;
	struct dent d;
	size_t len = 0, n;
	char *buf;
	int r;

	r = listing_open(req_fs(req), ino, &l);
	buf = r < 0 ? NULL : malloc(size);
	if (!buf) {
		listing_close(&l);
		fuse.reply_err(req, r < 0 ? -r : ENOMEM);
		return;
	}
	while (next(&l, (uint64_t)off, &d)) {
		n = add(req, &l, &d, buf + len, size - len, plus);
		if (n > size - len)
			break;
		len += n;
		off = (off_t)d.cookie;
	}
	listing_close(&l);
	fuse.reply_buf(req, buf, len);
	free(buf);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

void op_readdirplus(
        fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}

static bool is_queries(fuse_ino_t parent)
{
	struct node n;

	return node_parse(parent, &n) && n.kind == NODE_QUERIES;
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	const struct fuse_ctx *ctx = fuse.req_ctx(req);
	struct cred who = {.uid = ctx->uid, .gid = ctx->gid};
	struct weir_err err = WEIR_ERR_INIT;
	struct fs *fs = req_fs(req);
	struct node n = {.kind = NODE_QUERY};
	struct query *q;
	int r;

	if (!is_queries(parent)) {
		fuse.reply_err(req, EPERM);
		return;
	}
	if (node_child(NODE_QUERIES, name)) {
		fuse.reply_err(req, EEXIST);
		return;
	}
	r = query_mkdir(fs->engine, name, &who, &q, &err);
	if (r < 0) {
		fuse.reply_err(req, -r);
		return;
	}
	n.serial = (uint32_t)query_serial(q);
	if (query_serial(q) > NODE_SERIAL_MAX) {
		query_remove(q);
		query_unref(q);
		fuse.reply_err(req, EDQUOT);
		return;
	}
	reply_entry(req, fs, &n);
	query_unref(q);
	notify_queries(fs->notify);
}

struct removal {
	fuse_req_t req;
	struct fs *fs;
	struct query *q;
};

static void do_remove(void *arg)
{
	struct removal *m = arg;
	struct fs *fs = m->fs;

	query_remove(m->q);
	query_unref(m->q);
	fuse.reply_err(m->req, 0);
	notify_queries(fs->notify);
	free(m);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct fuse_ctx *ctx = fuse.req_ctx(req);
	struct fs *fs = req_fs(req);
	struct removal *m;
	struct query *q;
	uid_t uid;
	gid_t gid;

	if (!is_queries(parent) || node_child(NODE_QUERIES, name)) {
		fuse.reply_err(req, EPERM);
		return;
	}
	q = query_by_name(fs->engine, name);
	if (!q) {
		fuse.reply_err(req, ENOENT);
		return;
	}
	query_owner(q, &uid, &gid);
	m = ctx->uid && ctx->uid != uid ? NULL : malloc(sizeof *m);
	if (!m) {
		query_unref(q);
		fuse.reply_err(req, ctx->uid && ctx->uid != uid ? EPERM : ENOMEM);
		return;
	}
	*m = (struct removal){req, fs, q};
	jobs_run(fs->writes, do_remove, m);
}
