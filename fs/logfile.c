/* SPDX-License-Identifier: MIT */
/* logfile.c: see logfile.h. The result store keeps the epochs of results; those of
 * queries/errors and of a query's log are computed here: epoch k begins at the first entry at or
 * behind byte k * LINES_RETAIN, so that the same number means the same base without being
 * remembered.
 */
#include "fs/logfile.h"
#include "fs/table.h"
#include <string.h>

#define LINES_RETAIN (TEXTLOG_KEEP / 8) /* at least four times that is kept */

static enum result_format format_of(const struct version *v)
{
	return (enum result_format)(v->node.kind - NODE_OUT_CSV);
}

/* What stands in a file of lines: `q` NULL is queries/errors. */
static struct textlog *lines_of(struct fs *fs, struct query *q)
{
	return q ? query_textlog(q) : engine_errors(fs->engine);
}

/* First byte at or behind `off` at which an entry (a line that is not indented) begins. */
static uint64_t entry_start(struct textlog *t, uint64_t off)
{
	char buf[4096];
	uint64_t at = off ? off - 1 : 0;
	int64_t n;

	if (!off)
		return 0;
	for (;;) {
		n = textlog_read(t, at, buf, sizeof buf);
		if (n < 2)
			return off;
		for (int64_t i = 0; i + 1 < n; i++)
			if (buf[i] == '\n' && buf[i + 1] != ' ' && buf[i + 1] != '\t')
				return at + (uint64_t)i + 1;
		at += (uint64_t)n - 1;
	}
}

/* The base of epoch `epoch`; -ESTALE where that is gone. */
static int lines_base(struct textlog *t, uint64_t epoch, uint64_t *ret)
{
	uint64_t first, end = textlog_end(t, &first), at = epoch * LINES_RETAIN;

	if (at > end || (epoch ? at <= first : first > 0))
		return -ESTALE;
	*ret = entry_start(t, at);
	return 0;
}

static uint64_t lines_epoch(struct textlog *t)
{
	uint64_t first, end = textlog_end(t, &first);
	uint64_t epoch = end / LINES_RETAIN;

	epoch = epoch ? epoch - 1 : 0; /* between one and two retentions behind */
	while (epoch * LINES_RETAIN < first && epoch * LINES_RETAIN + LINES_RETAIN < end)
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
	struct textlog *lines = NULL;
	struct node vn = *n;

	if (n->kind < NODE_OUT_CSV) {
		lines = lines_of(fs, l ? l->query : NULL);
		epoch = lines_epoch(lines);
	} else {
		if (n->kind != NODE_RECORDS)
			base = log_epoch(l->result, &epoch);
		vn.run = l->run & NODE_RUN_MASK;
	}
	vn.version = epoch & NODE_VERSION_MASK;
	*ret = version_get(fs->versions, node_ino(&vn));
	if (*ret && (*ret)->run == (n->kind >= NODE_OUT_CSV ? l->run : 0))
		return 0;
	version_put(fs->versions, *ret);
	if (lines && lines_base(lines, epoch, &base) < 0)
		return -ESTALE;
	return make(fs, n, l, epoch, base, ret);
}

static int revive_lines(
        struct fs *fs, const struct node *n, const struct look *l, struct version **ret)
{
	struct textlog *lines = lines_of(fs, l ? l->query : NULL);
	uint64_t base, epoch = fs_expand(lines_epoch(lines), n->version, NODE_VERSION_MASK);
	int r = lines_base(lines, epoch, &base);

	return r < 0 ? r : make(fs, n, l, epoch, base, ret);
}

static int revive_result(
        struct fs *fs, const struct node *n, const struct look *l, struct version **ret)
{
	uint64_t epoch = n->version, base = 0, now;

	if (!l->result || !l->log || (l->run & NODE_RUN_MASK) != n->run)
		return -ESTALE;
	if (n->kind != NODE_RECORDS) {
		log_epoch(l->result, &now);
		epoch = fs_expand(now, n->version, NODE_VERSION_MASK);
		base = log_epoch_base(l->result, epoch);
	}
	return base == UINT64_MAX ? -ESTALE : make(fs, n, l, epoch, base, ret);
}

int logfile_revive(struct fs *fs, const struct node *n, struct version **ret)
{
	struct look l;
	int r;

	if (n->kind == NODE_ERRORS)
		return revive_lines(fs, n, NULL, ret);
	r = look_at(fs, n->serial, &l);
	if (r < 0)
		return r;
	r = n->kind < NODE_OUT_CSV ? revive_lines(fs, n, &l, ret) : revive_result(fs, n, &l, ret);
	look_release(&l);
	return r;
}

int64_t logfile_size(struct fs *fs, struct version *v)
{
	if (v->result)
		return log_size(v->result, format_of(v), v->base);
	return (int64_t)(textlog_end(lines_of(fs, v->query), NULL) - v->base);
}

int64_t logfile_time(struct fs *fs, struct version *v)
{
	int64_t time = v->result ? log_time(v->result) : textlog_time(lines_of(fs, v->query));

	return time ? time : v->query ? query_created(v->query) : fs->started;
}

int64_t logfile_read(struct fs *fs, struct version *v, uint64_t off, char *to, size_t size)
{
	if (v->result)
		return log_read(v->result, format_of(v), v->base, off, to, size);
	return textlog_read(lines_of(fs, v->query), v->base + off, to, size);
}
