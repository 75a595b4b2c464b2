/* SPDX-License-Identifier: MIT */
/* entry.c: from a directory and a name to an inode, and an inode's attributes. */
#include "engine/core/now.h"
#include "engine/core/registry.h"
#include "fs/describe.h"
#include "fs/logfile.h"
#include "fs/record.h"
#include "fs/state.h"
#include "fs/table.h"
#include <string.h>

#define BLOCK 131072

int64_t fs_now(void)
{
	return now_ns(CLOCK_REALTIME);
}

int64_t fs_monotonic(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

uint32_t fs_hash(const void *p, size_t n, uint32_t seed)
{
	const unsigned char *c = p;
	uint64_t h = 0xcbf29ce484222325ull ^ seed;

	for (size_t i = 0; i < n; i++)
		h = (h ^ c[i]) * 0x100000001b3ull;
	h ^= h >> 32;
	return (uint32_t)h | 1; /* never 0, the root's */
}

int look_at(struct fs *fs, uint32_t serial, struct look *ret)
{
	uint64_t run;

	memset(ret, 0, sizeof *ret);
	ret->query = query_by_serial(fs->engine, serial);
	if (!ret->query)
		return -ESTALE;
	run = query_run(ret->query);
	for (;;) {
		ret->result = query_result(ret->query);
		ret->run = query_run(ret->query);
		if (ret->run == run)
			break;
		run = ret->run;
		if (ret->result)
			result_unref(ret->result);
	}
	ret->log = ret->result && result_is_log(ret->result);
	return 0;
}

void look_release(struct look *l)
{
	if (l->result)
		result_unref(l->result);
	if (l->query)
		query_unref(l->query);
	memset(l, 0, sizeof *l);
}

static int child_of_query(struct fs *fs, const char *name, struct node *ret)
{
	struct query *q;

	ret->kind = node_child(NODE_QUERIES, name);
	if (ret->kind)
		return 0;
	q = query_by_name(fs->engine, name);
	if (!q)
		return -ENOENT;
	ret->kind = NODE_QUERY;
	ret->serial = (uint32_t)query_serial(q);
	query_unref(q);
	return 0;
}

static int child_record(struct fs *fs, const struct node *dir, const char *name, struct node *ret)
{
	struct record r;
	uint64_t n;
	int e = -ENOENT;

	if (!node_number(name, &n) || record_find(fs, dir, &r) < 0)
		return -ENOENT;
	if (dir->kind == NODE_RECORDS) {
		if (n * RECORDS_PER_CHUNK < r.end && (n + 1) * RECORDS_PER_CHUNK > r.first) {
			record_node(&r, NODE_CHUNK, n, ret);
			e = 0;
		}
	} else if (n >= r.first && n < r.end && n / RECORDS_PER_CHUNK == r.node.row) {
		record_node(&r, NODE_RECORD, n, ret);
		e = 0;
	}
	record_release(fs, &r);
	return e;
}

static int child_indexed(struct fs *fs, const struct node *dir, const char *name, struct node *ret)
{
	const char *at;

	for (uint32_t i = 0; i < NODE_SERIAL_MAX; i++) {
		at = dir->kind == NODE_SOURCES ? engine_source_name(fs->engine, i)
		     : dir->kind == NODE_TYPES ? describe_type_name(i)
		                               : describe_operator_name(i);
		if (!at)
			return -ENOENT;
		if (strcmp(at, name) == 0) {
			ret->kind = dir->kind == NODE_SOURCES ? NODE_SOURCE
			            : dir->kind == NODE_TYPES ? NODE_TYPE
			                                      : NODE_MODULE;
			ret->serial = i;
			return 0;
		}
	}
	return -ENOENT;
}

static int child_stream(struct fs *fs, const char *name, struct node *ret)
{
	struct query *q = query_by_name(fs->engine, name);
	struct result *r = q ? query_result(q) : NULL;

	if (r) {
		ret->kind = NODE_STREAM;
		ret->serial = (uint32_t)query_serial(q);
	}
	result_unref(r);
	query_unref(q);
	return r ? 0 : -ENOENT;
}

/* Whether the query has such a file now: out.pcap only of packets, none of out.* before there is
 * a result. */
static bool has_file(const struct look *l, enum node_kind k)
{
	if (k == NODE_RECORDS)
		return l->result;
	if (k == NODE_VERSIONS)
		return l->result && result_keeps(l->result);
	if (node_nature(k) == NATURE_VERSION)
		return l->result &&
		       result_has_format(l->result, (enum result_format)(k - NODE_VERSION_CSV));
	if (node_nature(k) != NATURE_RESULT)
		return true;
	return l->result && result_has_format(l->result, (enum result_format)(k - NODE_OUT_CSV));
}

static int child_version(struct fs *fs, const struct node *dir, const char *name, struct node *ret)
{
	int64_t ms = table_time_ms(name);
	struct snapshot *s = NULL;
	struct look l;
	int r = ms < 0 ? -ENOENT : look_at(fs, dir->serial, &l);

	if (r < 0)
		return r;
	if (l.result && result_keeps(l.result))
		s = result_kept_at(l.result, ms);
	if (s)
		*ret = (struct node){.kind = NODE_VERSION,
		        .serial = dir->serial,
		        .run = l.run & NODE_RUN_MASK,
		        .version = snapshot_number(s) & NODE_VERSION_MASK};
	look_release(&l);
	snapshot_unref(s);
	return s ? 0 : -ENOENT;
}

int entry_child(struct fs *fs, const struct node *dir, const char *name, struct node *ret)
{
	struct look l;
	bool there;
	int r;

	memset(ret, 0, sizeof *ret);
	switch (dir->kind) {
	case NODE_SOURCES:
	case NODE_TYPES:
	case NODE_MODULES:
		return child_indexed(fs, dir, name, ret);
	case NODE_QUERIES:
		return child_of_query(fs, name, ret);
	case NODE_STREAMS:
		return child_stream(fs, name, ret);
	case NODE_VERSIONS:
		return child_version(fs, dir, name, ret);
	case NODE_RECORDS:
	case NODE_CHUNK:
		return child_record(fs, dir, name, ret);
	default:
		if (!node_is_dir(dir->kind))
			return -ENOTDIR;
	}
	ret->kind = node_child(dir->kind, name);
	ret->serial = dir->serial;
	if (!ret->kind)
		return -ENOENT;
	ret->run = dir->run;
	ret->version = dir->version;
	if (dir->kind != NODE_QUERY && dir->kind != NODE_VERSION)
		return 0;
	r = look_at(fs, dir->serial, &l);
	if (r < 0)
		return r;
	there = has_file(&l, ret->kind);
	look_release(&l);
	return there ? 0 : -ENOENT;
}

int entry_parent(struct fs *fs, const struct node *n, struct node *ret)
{
	struct record r;
	int e = 0;

	memset(ret, 0, sizeof *ret);
	ret->kind = node_rows[n->kind].parent;
	if (n->kind != NODE_CHUNK && n->kind != NODE_RECORD) {
		if (ret->kind == NODE_SOURCE || node_is_query(ret->kind))
			ret->serial = n->serial;
		if (ret->kind == NODE_VERSION) {
			ret->run = n->run;
			ret->version = n->version;
		}
		return 0;
	}
	e = record_find(fs, n, &r);
	if (e < 0)
		return e;
	if (n->kind == NODE_RECORD) {
		record_node(&r, NODE_CHUNK, r.node.row / RECORDS_PER_CHUNK, ret);
	} else {
		ret->serial = n->serial;
		ret->run = r.run & NODE_RUN_MASK;
		ret->version = r.snap ? r.number & NODE_VERSION_MASK : 0;
	}
	record_release(fs, &r);
	return 0;
}

void entry_stat(
        struct fs *fs, const struct node *n, struct query *q, int64_t mtime, struct stat *st)
{
	const struct node_row *row = &node_rows[n->kind];

	memset(st, 0, sizeof *st);
	st->st_ino = node_stat_ino(n);
	st->st_mode = row->mode | (row->nature == NATURE_DIR ? S_IFDIR : S_IFREG);
	st->st_nlink = 1; /* of a directory: find(1) must not count its folders by it */
	st->st_uid = fs->uid;
	st->st_gid = fs->gid;
	if (q)
		query_owner(q, &st->st_uid, &st->st_gid);
	/* readdir(3) asks for as much at once, and the kernel for attributes with the first lot: of
	 * a large one they would cost more than the names */
	st->st_blksize = node_is_dir(n->kind) ? 4096 : BLOCK;
	st->st_mtim.tv_sec = mtime / NSEC;
	st->st_mtim.tv_nsec = mtime % NSEC;
	st->st_atim = st->st_mtim;
	st->st_ctim = st->st_mtim;
}

void entry_size(struct stat *st, int64_t size)
{
	st->st_size = size;
	st->st_blocks = (size + 511) / 512;
}

/* `ctime` of what moves while it is read: tar compares it to find changed files. */
static void set_ctime(struct stat *st, int64_t time)
{
	st->st_ctim.tv_sec = time / NSEC;
	st->st_ctim.tv_nsec = time % NSEC;
}

static int version_attr(struct fs *fs, struct version *v, struct stat *st, double *timeout)
{
	enum node_kind k = v->node.kind;
	struct query *q = v->query ? query_ref(v->query) : NULL;
	int64_t size, time = v->mtime;
	bool log = v->result || k == NODE_LOG || k == NODE_ERRORS;

	if (!q && node_is_query(k))
		q = query_by_serial(fs->engine, v->node.serial);
	if (log)
		time = logfile_time(fs, v);
	entry_stat(fs, &v->node, q, time, st);
	if (log)
		set_ctime(st, q ? query_created(q) : fs->started);
	if (q)
		query_unref(q);
	*timeout = log ? 0 : FS_LONG;
	if (k == NODE_RECORDS) {
		*timeout = FS_SHORT;
		return 0;
	}
	size = log ? logfile_size(fs, v) : (int64_t)v->len;
	if (size < 0)
		return (int)size;
	entry_size(st, size);
	return 0;
}

static int record_attr(struct fs *fs, const struct node *n, struct stat *st, double *timeout)
{
	struct text t = TEXT_INIT;
	struct record r;
	int e = record_find(fs, n, &r);

	if (e < 0)
		return e;
	entry_stat(fs, &r.node, r.look.query, record_time(&r), st);
	*timeout = FS_LONG;
	if (n->kind == NODE_CHUNK) {
		st->st_ino = node_stat_ino(&r.node);
		if (r.node.row * RECORDS_PER_CHUNK >= r.end)
			e = -ESTALE;
		if (!r.snap && (r.node.row + 1) * RECORDS_PER_CHUNK > r.end)
			*timeout = 0;
	} else {
		e = record_lines(&r, r.node.row, &t);
		entry_size(st, (int64_t)t.len);
		text_release(&t);
	}
	record_release(fs, &r);
	return e;
}

/* What changes with the versions that are kept. */
static uint64_t versions_key(const struct look *l)
{
	struct snapshot *s = result_snapshot(l->result);
	uint64_t key = l->run * 31 + (s ? snapshot_number(s) : 0);

	if (s)
		snapshot_unref(s);
	return key;
}

/* What changes with anything that a look-up in the query's directory may give. */
static uint64_t query_key(const struct look *l)
{
	static const char *const what[] = {"status", "plan", "graph.dot"};
	uint64_t key = l->run << 8 | query_state(l->query), epoch;

	for (unsigned i = 0; i < sizeof what / sizeof *what; i++)
		key = key * 31 + query_text_version(l->query, what[i]);
	if (l->log) {
		log_epoch(l->result, &epoch);
		key = key * 31 + epoch;
	} else if (l->result) {
		key = key * 31 + versions_key(l);
	}
	return key;
}

static int query_attr(struct fs *fs, const struct node *n, struct stat *st, double *timeout)
{
	struct text t = TEXT_INIT;
	struct snapshot *s;
	int64_t created;
	struct look l;
	int r = look_at(fs, n->serial, &l);

	if (r < 0)
		return r;
	created = query_created(l.query);
	entry_stat(fs, n, l.query, created, st);
	*timeout = 0;
	if (n->kind == NODE_QUERY) {
		entry_stat(fs, n, l.query,
		        state_time(fs->states, node_ino(n), query_key(&l), created), st);
		set_ctime(st, created);
		*timeout = FS_SHORT;
	} else if (n->kind == NODE_VERSIONS && has_file(&l, n->kind)) {
		entry_stat(fs, n, l.query,
		        state_time(fs->states, node_ino(n), versions_key(&l), created), st);
		set_ctime(st, created);
		*timeout = FS_SHORT;
	} else if (n->kind == NODE_VERSIONS) {
		r = -ESTALE; /* of a run before */
	} else if (n->kind == NODE_VERSION) {
		s = table_kept(n, &l);
		entry_stat(fs, n, l.query, s ? snapshot_time(s) : created, st);
		r = s ? 0 : -ESTALE;
		snapshot_unref(s);
		*timeout = FS_SHORT;
	} else if (n->kind == NODE_SPEC) {
		/* before the text: who keeps an older one by its time must not take it for newer */
		entry_stat(fs, n, l.query, query_written(l.query), st);
		if (query_text(l.query, "spec", &t) == 0)
			entry_size(st, (int64_t)t.len);
	}
	text_release(&t);
	look_release(&l);
	return r;
}

static int mount_attr(struct fs *fs, const struct node *n, struct stat *st, double *timeout)
{
	int64_t time = fs->started;
	uint64_t key = 0;

	*timeout = n->kind == NODE_NEW ? 0 : FS_LONG;
	if (n->kind == NODE_ROOT || n->kind == NODE_QUERIES || n->kind == NODE_STREAMS ||
	        n->kind == NODE_SOURCE) {
		/* status and stats change all the time */
		key = n->kind == NODE_QUERIES || n->kind == NODE_STREAMS
		              ? engine_generation(fs->engine)
		              : (uint64_t)fs_monotonic();
		time = state_time(fs->states, node_ino(n), key, fs->started);
		*timeout = FS_SHORT;
	}
	if (n->kind == NODE_SOURCE && !engine_source_name(fs->engine, n->serial))
		return -ESTALE;
	entry_stat(fs, n, NULL, time, st);
	set_ctime(st, fs->started);
	return 0;
}

/* A reference to what stands behind a versioned inode. */
static int find_version(struct fs *fs, const struct node *n, struct version **ret)
{
	int r;

	*ret = version_get(fs->versions, node_ino(n));
	if (*ret)
		return 0;
	r = logfile_revive(fs, n, ret);
	return r < 0 && n->kind >= NODE_OUT_CSV ? table_revive(fs, n, ret) : r;
}

int entry_version(struct fs *fs, const struct node *n, struct version **ret)
{
	enum node_nature nature = node_nature(n->kind);

	if (nature == NATURE_LOG || nature == NATURE_RESULT || n->kind == NODE_RECORDS)
		return find_version(fs, n, ret);
	*ret = version_get(fs->versions, node_ino(n));
	return *ret ? 0 : table_revive(fs, n, ret);
}

static bool is_versioned(enum node_kind k)
{
	enum node_nature n = node_nature(k);

	return n == NATURE_TEXT || n == NATURE_FIXED || n == NATURE_LOG || n == NATURE_RESULT ||
	       n == NATURE_VERSION || k == NODE_RECORDS;
}

int entry_attr(struct fs *fs, const struct node *n, struct stat *st, double *timeout)
{
	struct version *v;
	int r;

	if (is_versioned(n->kind)) {
		r = entry_version(fs, n, &v);
		if (r < 0)
			return r;
		r = version_attr(fs, v, st, timeout);
		version_put(fs->versions, v);
		return r;
	}
	if (n->kind == NODE_CHUNK || n->kind == NODE_RECORD)
		return record_attr(fs, n, st, timeout);
	if (node_is_query(n->kind))
		return query_attr(fs, n, st, timeout);
	return mount_attr(fs, n, st, timeout);
}

/* Generation of what has no versions: what the name means in this run. */
static uint32_t plain_generation(struct fs *fs, const struct node *n)
{
	const char *name;
	struct record r;
	uint32_t g = fs->nonce;

	if (n->kind == NODE_ROOT)
		return 0;
	if (n->kind == NODE_CHUNK || n->kind == NODE_RECORD) {
		if (record_find(fs, n, &r) == 0) {
			g = record_generation(fs, &r);
			record_release(fs, &r);
		}
		return g;
	}
	if (node_is_query(n->kind))
		return fs->nonce;
	if (n->kind == NODE_SOURCE) {
		name = engine_source_name(fs->engine, n->serial);
		return name ? fs_hash(name, strlen(name), 0) : g;
	}
	return 1;
}

static void version_entry(struct fs *fs, struct version *v, struct entry *ret)
{
	ret->ino = v->ino;
	ret->generation = v->generation;
	ret->entry_timeout = node_nature(v->node.kind) == NATURE_FIXED ? FS_LONG : 0;
	if (v->node.kind == NODE_RECORDS)
		ret->entry_timeout = FS_SHORT; /* or until notify_run() */
	ret->version = v;
}

static int current_version(struct fs *fs, const struct node *n, struct version **ret)
{
	enum node_nature nature = node_nature(n->kind);
	struct look l;
	int r;

	if (nature == NATURE_TEXT || nature == NATURE_FIXED)
		return table_text(fs, n, ret);
	if (n->kind == NODE_ERRORS)
		return logfile_current(fs, n, NULL, ret);
	if (nature == NATURE_VERSION)
		return entry_version(fs, n, ret);
	r = look_at(fs, n->serial, &l);
	if (r < 0)
		return r;
	if (n->kind != NODE_LOG && !has_file(&l, n->kind))
		r = -ENOENT;
	else if (n->kind == NODE_LOG || l.log)
		r = logfile_current(fs, n, &l, ret);
	else
		r = table_result(fs, n, &l, ret);
	look_release(&l);
	return r;
}

static int fill(struct fs *fs, const struct node *n, struct version *v, struct entry *ret)
{
	int r;

	memset(ret, 0, sizeof *ret);
	if (v) {
		r = version_attr(fs, v, &ret->st, &ret->attr_timeout);
		if (r < 0) {
			version_put(fs->versions, v);
			return r;
		}
		version_entry(fs, v, ret);
		return 0;
	}
	r = entry_attr(fs, n, &ret->st, &ret->attr_timeout);
	if (r < 0)
		return r;
	ret->ino = node_ino(n);
	ret->generation = plain_generation(fs, n);
	/* names that a query's next run does not have, with the same number or for a long time */
	ret->entry_timeout =
	        n->kind == NODE_STREAM || n->kind == NODE_VERSIONS || n->kind == NODE_VERSION
	                ? 0
	                : FS_LONG;
	return 0;
}

int entry_fill(struct fs *fs, const struct node *n, struct entry *ret)
{
	struct version *v = NULL;
	int r = is_versioned(n->kind) ? current_version(fs, n, &v) : 0;

	return r < 0 ? r : fill(fs, n, v, ret);
}

int entry_again(struct fs *fs, const struct node *n, struct entry *ret)
{
	struct version *v = NULL;
	int r = is_versioned(n->kind) ? entry_version(fs, n, &v) : 0;

	return r < 0 ? r : fill(fs, n, v, ret);
}
