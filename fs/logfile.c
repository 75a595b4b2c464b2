/* SPDX-License-Identifier: MIT */
/* logfile.c: see logfile.h. The result store keeps the epochs of results; those of
 * queries/errors are computed here: epoch k begins at the first entry at or behind byte
 * k * ERRORS_RETAIN, so that the same number means the same base without being remembered.
 */
#include "fs/logfile.h"
#include "fs/table.h"
#include <string.h>

#define ERRORS_RETAIN (32u << 10) /* the engine keeps at least four times that */

static enum result_format format_of(const struct version *v)
{
	return (enum result_format)(v->node.kind - NODE_OUT_CSV);
}

/* First byte at or behind `off` at which an entry (a line that is not indented) begins. */
static uint64_t entry_start(struct fs *fs, uint64_t off)
{
	char buf[4096];
	uint64_t at = off ? off - 1 : 0;
	int64_t n;

	if (!off)
		return 0;
	for (;;) {
		n = engine_errors_read(fs->engine, at, buf, sizeof buf);
		if (n < 2)
			return off;
		for (int64_t i = 0; i + 1 < n; i++)
			if (buf[i] == '\n' && buf[i + 1] != ' ' && buf[i + 1] != '\t')
				return at + (uint64_t)i + 1;
		at += (uint64_t)n - 1;
	}
}

/* The base of epoch `epoch`; -ESTALE where that is gone. */
static int errors_base(struct fs *fs, uint64_t epoch, uint64_t *ret)
{
	uint64_t first, end = engine_errors_end(fs->engine, &first), at = epoch * ERRORS_RETAIN;

	if (at > end || (epoch && at <= first))
		return -ESTALE;
	*ret = entry_start(fs, at);
	return 0;
}

static uint64_t errors_epoch(struct fs *fs)
{
	uint64_t first, end = engine_errors_end(fs->engine, &first);
	uint64_t epoch = end / ERRORS_RETAIN;

	epoch = epoch ? epoch - 1 : 0; /* between one and two retentions behind */
	while (epoch * ERRORS_RETAIN < first && epoch * ERRORS_RETAIN + ERRORS_RETAIN < end)
		epoch++;
	return epoch;
}

static int make(struct fs *fs, const struct node *n, const struct look *l, uint64_t epoch,
        uint64_t base, struct version **ret)
{
	struct node vn = *n;
	struct version *v;
	uint64_t run = l && n->kind >= NODE_OUT_CSV ? l->run : 0;

	vn.run = run & NODE_RUN_MASK;
	vn.version = epoch & NODE_VERSION_MASK;
	v = version_new(&vn);
	if (!v)
		return -ENOMEM;
	if (l && n->kind >= NODE_OUT_CSV)
		v->result = result_ref(l->result);
	if (l)
		v->query = query_ref(l->query);
	v->base = base;
	v->run = run;
	v->generation = table_generation(fs, run, epoch);
	*ret = version_insert(fs->versions, v);
	return 0;
}

int logfile_current(struct fs *fs, const struct node *n, const struct look *l, struct version **ret)
{
	uint64_t epoch = 0, base = 0;
	struct node vn = *n;

	if (n->kind == NODE_ERRORS) {
		epoch = errors_epoch(fs);
	} else if (n->kind >= NODE_OUT_CSV) {
		if (n->kind != NODE_RECORDS)
			base = log_epoch(l->result, &epoch);
		vn.run = l->run & NODE_RUN_MASK;
	}
	vn.version = epoch & NODE_VERSION_MASK;
	*ret = version_get(fs->versions, node_ino(&vn));
	if (*ret && (*ret)->run == (n->kind >= NODE_OUT_CSV ? l->run : 0))
		return 0;
	version_put(fs->versions, *ret);
	if (n->kind == NODE_ERRORS && errors_base(fs, epoch, &base) < 0)
		return -ESTALE;
	return make(fs, n, l, epoch, base, ret);
}

int logfile_revive(struct fs *fs, const struct node *n, struct version **ret)
{
	uint64_t epoch, base = 0;
	struct look l;
	int r;

	if (n->kind == NODE_ERRORS) {
		epoch = fs_expand(errors_epoch(fs), n->version, NODE_VERSION_MASK);
		r = errors_base(fs, epoch, &base);
		return r < 0 ? r : make(fs, n, NULL, epoch, base, ret);
	}
	r = look_at(fs, n->serial, &l);
	if (r < 0)
		return r;
	epoch = n->version;
	if (n->kind >= NODE_OUT_CSV) {
		r = -ESTALE;
		if (l.result && l.log && (l.run & NODE_RUN_MASK) == n->run) {
			if (n->kind != NODE_RECORDS) {
				uint64_t now;

				log_epoch(l.result, &now);
				epoch = fs_expand(now, n->version, NODE_VERSION_MASK);
				base = log_epoch_base(l.result, epoch);
			}
			r = base == UINT64_MAX ? -ESTALE : 0;
		}
	}
	if (r == 0)
		r = make(fs, n, &l, epoch, base, ret);
	look_release(&l);
	return r;
}

int64_t logfile_size(struct fs *fs, struct version *v)
{
	struct text t = TEXT_INIT;
	int64_t size;
	uint64_t first;

	if (v->result)
		return log_size(v->result, format_of(v), v->base);
	if (v->node.kind == NODE_ERRORS)
		return (int64_t)(engine_errors_end(fs->engine, &first) - v->base);
	size = query_text(v->query, "log", &t);
	if (size == 0)
		size = (int64_t)t.len;
	text_release(&t);
	return size;
}

int64_t logfile_time(struct fs *fs, struct version *v)
{
	int64_t time = 0;

	if (v->result)
		time = log_time(v->result);
	else if (v->node.kind == NODE_ERRORS)
		time = atomic_load(&fs->errors_time);
	else
		time = query_created(v->query);
	return time ? time : v->query ? query_created(v->query) : fs->started;
}

int64_t logfile_read(struct fs *fs, struct version *v, uint64_t off, char *to, size_t size)
{
	struct text t = TEXT_INIT;
	int64_t n;

	if (v->result)
		return log_read(v->result, format_of(v), v->base, off, to, size);
	if (v->node.kind == NODE_ERRORS)
		return engine_errors_read(fs->engine, v->base + off, to, size);
	n = query_text(v->query, "log", &t);
	if (n == 0 && off < t.len) {
		n = (int64_t)(t.len - off < size ? t.len - off : size);
		memcpy(to, t.p + off, (size_t)n);
	}
	text_release(&t);
	return n;
}
