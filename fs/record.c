/* SPDX-License-Identifier: MIT */
/* record.c: see record.h. */
#include "fs/record.h"
#include <string.h>

uint32_t record_generation(const struct fs *fs, const struct record *r)
{
	uint64_t high[2] = {r->run >> 2, r->number >> 12};

	return fs_hash(high, sizeof high, fs->nonce);
}

/* An older run of the query, or an older version than the engine keeps: there while its records
 * directory is. */
static int find_known(struct fs *fs, struct record *r, bool table)
{
	struct node dir = {.kind = NODE_RECORDS, .serial = r->node.serial};

	dir.run = r->run & NODE_RUN_MASK;
	dir.version = table ? r->number & NODE_VERSION_MASK : 0;
	r->version = version_get(fs->versions, node_ino(&dir));
	if (!r->version || (table ? !r->version->snap : !r->version->result)) {
		version_put(fs->versions, r->version);
		r->version = NULL;
		return -ESTALE;
	}
	r->snap = r->version->snap ? snapshot_ref(r->version->snap) : NULL;
	r->result = r->snap ? snapshot_result(r->snap) : r->version->result;
	return 0;
}

static int find_current(struct fs *fs, struct record *r, uint64_t mask)
{
	struct snapshot *now;
	struct node empty;

	r->result = r->look.result;
	if (r->look.log)
		return 0;
	if (r->node.kind != NODE_RECORDS)
		node_split(&r->node);
	now = result_snapshot(r->result);
	if (!now && r->node.version == 0 && r->node.kind == NODE_RECORDS)
		return 0; /* before the first version: no rows */
	if (!now)
		return -ESTALE;
	r->number = fs_expand(snapshot_number(now), r->node.version, mask);
	if (r->number == snapshot_number(now)) {
		r->snap = now;
		return 0;
	}
	snapshot_unref(now);
	if (r->number == 0)
		return r->node.kind == NODE_RECORDS ? 0 : -ESTALE;
	empty = r->node;
	if (find_known(fs, r, true) == 0)
		return 0;
	r->node = empty;
	r->snap = result_version(r->result, r->number);
	return r->snap ? 0 : -ESTALE;
}

int record_find(struct fs *fs, const struct node *n, struct record *ret)
{
	bool dir = n->kind == NODE_RECORDS;
	int r;

	memset(ret, 0, sizeof *ret);
	ret->node = *n;
	r = look_at(fs, n->serial, &ret->look);
	if (r < 0)
		return r;
	ret->run = fs_expand(ret->look.run, n->run, dir ? NODE_RUN_MASK : NODE_RECORD_RUN_MASK);
	if (ret->run == ret->look.run && ret->look.result) {
		r = find_current(fs, ret, dir ? NODE_VERSION_MASK : NODE_RECORD_VERSION_MASK);
	} else {
		r = find_known(fs, ret, false);
		if (r < 0 && !dir) {
			node_split(&ret->node);
			ret->number = ret->node.version;
			r = find_known(fs, ret, true);
		} else if (r < 0) {
			ret->number = n->version;
			r = find_known(fs, ret, true);
		}
	}
	if (r < 0) {
		record_release(fs, ret);
		return r;
	}
	if (ret->snap) {
		ret->end = snapshot_rows(ret->snap);
		if (ret->end > RECORD_TABLE_ROWS)
			ret->end = RECORD_TABLE_ROWS;
	} else if (ret->result && result_is_log(ret->result)) {
		ret->first = log_first(ret->result);
		ret->end = log_end(ret->result);
	}
	return 0;
}

void record_release(struct fs *fs, struct record *r)
{
	if (r->snap)
		snapshot_unref(r->snap);
	version_put(fs->versions, r->version);
	look_release(&r->look);
	memset(r, 0, sizeof *r);
}

int record_lines(const struct record *r, uint64_t row, struct text *to)
{
	int e = result_record(r->result, r->snap, row, -1, to);

	return e < 0 ? e : to->failed ? -ENOMEM : 0;
}

int record_sizes(const struct record *r, uint64_t row, uint32_t n, uint64_t *to)
{
	return result_record_sizes(r->result, r->snap, row, n, to);
}

int64_t record_time(const struct record *r)
{
	return r->snap ? snapshot_time(r->snap) : query_created(r->look.query);
}

void record_node(const struct record *r, enum node_kind kind, uint64_t row, struct node *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->kind = kind;
	ret->serial = r->node.serial;
	ret->run = r->run & NODE_RECORD_RUN_MASK;
	ret->row = row;
	ret->log = !r->snap;
	ret->version = ret->log ? 0 : r->number & NODE_RECORD_VERSION_MASK;
}
