/* SPDX-License-Identifier: MIT */
/* table.c: see table.h. A text is made at the first look-up that needs it, again at most once a
 * second and only where the engine's version of it has changed; the same bytes are the same
 * version. A change of a query's state is shown at once. */
#include "fs/table.h"
#include "fs/describe.h"
#include "fs/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SMALL_ROWS 20000

uint32_t table_generation(const struct fs *fs, uint64_t run, uint64_t version)
{
	uint64_t high[2] = {run >> 8, version >> 27};

	return fs_hash(high, sizeof high, fs->nonce);
}

/* The text and the key that changes with it. `t` NULL: only the key. */
static int make(struct fs *fs, const struct node *n, struct text *t, uint64_t *key)
{
	const char *what = node_rows[n->kind].what;
	struct query *q;
	int r = 0;

	*key = 0;
	switch (n->kind) {
	case NODE_README:
		if (t)
			describe_mount(fs, t);
		break;
	case NODE_STATUS:
		*key = (uint64_t)fs_monotonic();
		if (t)
			engine_status(fs->engine, t);
		break;
	case NODE_METRICS:
		*key = (uint64_t)fs_monotonic();
		if (t)
			describe_metrics(fs, t);
		break;
	case NODE_SOURCE_INFO:
	case NODE_SOURCE_FIELDS:
	case NODE_SOURCE_STATS:
		*key = (uint64_t)fs_monotonic();
		if (t)
			r = engine_source_text(fs->engine, n->serial, what, t);
		break;
	case NODE_TYPE:
		r = describe_type(n->serial, t);
		break;
	case NODE_MODULE:
		r = describe_operator(n->serial, t);
		break;
	default:
		q = query_by_serial(fs->engine, n->serial);
		if (!q)
			return -ESTALE;
		*key = query_text_version(q, what) << 8 ^ query_state(q) << 5 ^ query_run(q) << 56;
		if (t)
			r = query_text(q, what, t);
		query_unref(q);
	}
	return r < 0 ? r : t && t->failed ? -ENOMEM : 0;
}

/* Takes the text. `st` NULL: of a file that never changes. */
static int text_version(struct fs *fs, const struct node *n, struct text *t,
        const struct state_text *st, struct version **ret)
{
	struct node vn = *n;
	struct version *v;

	vn.version = st ? st->version & NODE_VERSION_MASK : 0;
	v = version_new(&vn);
	if (!v) {
		text_release(t);
		return -ENOMEM;
	}
	v->text = t->p ? t->p : calloc(1, 1);
	v->len = t->len;
	v->mtime = st ? st->time : fs->started;
	v->generation = st ? table_generation(fs, 0, st->version) : fs_hash(v->text, v->len, 0);
	*ret = version_insert(fs->versions, v);
	return 0;
}

static int fixed(struct fs *fs, const struct node *n, struct version **ret)
{
	struct text t = TEXT_INIT;
	uint64_t key;
	int r;

	*ret = version_get(fs->versions, node_ino(n));
	if (*ret)
		return 0;
	r = make(fs, n, &t, &key);
	if (r < 0) {
		text_release(&t);
		return r;
	}
	return text_version(fs, n, &t, NULL, ret);
}

int table_text(struct fs *fs, const struct node *n, struct version **ret)
{
	uint64_t id = node_stat_ino(n), key, hash;
	struct text t = TEXT_INIT;
	struct version *old = NULL;
	struct node vn = *n;
	struct state_text st;
	bool state_moved;
	int r;

	if (node_nature(n->kind) == NATURE_FIXED)
		return fixed(fs, n, ret);
	state_text_get(fs->states, id, &st);
	r = make(fs, n, NULL, &key);
	if (r < 0)
		return r;
	if (st.version) {
		vn.version = st.version & NODE_VERSION_MASK;
		old = version_get(fs->versions, node_ino(&vn));
		/* the state of a query stands in the low eight bits */
		state_moved = node_is_query(n->kind) && (st.key ^ key) & 0xff;
		if (old && (key == st.key || (!state_moved && fs_monotonic() - st.made < NSEC))) {
			*ret = old;
			return 0;
		}
	}
	r = make(fs, n, &t, &key);
	if (r < 0) {
		version_put(fs->versions, old);
		text_release(&t);
		return r;
	}
	hash = XXH3_64bits(t.p ? t.p : "", t.len);
	if (st.version && st.hash == hash)
		state_text_same(fs->states, id, key); /* also where it was dropped meanwhile */
	else
		state_text_new(fs->states, id, key, hash, &st);
	if (old && old->node.version == (st.version & NODE_VERSION_MASK)) {
		text_release(&t);
		*ret = old;
		return 0;
	}
	version_put(fs->versions, old);
	return text_version(fs, n, &t, &st, ret);
}

/* The version that a number names, where it is the current one. */
static int text_again(struct fs *fs, const struct node *n, struct version **ret)
{
	int r = table_text(fs, n, ret);

	if (r == 0 && (*ret)->ino != node_ino(n)) {
		version_put(fs->versions, *ret);
		r = -ESTALE;
	}
	return r;
}

static enum result_format format_of(enum node_kind k)
{
	return (enum result_format)(k - (node_is_version(k) ? NODE_VERSION_CSV : NODE_OUT_CSV));
}

/* Consumes the snapshot (NULL: before the first version). */
static int snapshot_version(struct fs *fs, const struct node *n, const struct look *l,
        struct snapshot *s, struct version **ret)
{
	uint64_t number = s ? snapshot_number(s) : 0;
	struct node vn = *n;
	struct version *v;
	int r = 0;

	vn.run = l->run & NODE_RUN_MASK;
	vn.version = number & NODE_VERSION_MASK;
	v = version_new(&vn);
	if (!v) {
		if (s)
			snapshot_unref(s);
		return -ENOMEM;
	}
	v->snap = s;
	v->run = l->run;
	v->generation = table_generation(fs, l->run, number);
	v->mtime = s ? snapshot_time(s) : query_created(l->query);
	if (s && n->kind != NODE_RECORDS)
		r = snapshot_text(s, format_of(n->kind), &v->rendered);
	if (r == 0 && v->rendered)
		v->len = v->rendered->len;
	if (r < 0) {
		version_put(fs->versions, v);
		return r;
	}
	*ret = version_insert(fs->versions, v);
	return 0;
}

int table_result(struct fs *fs, const struct node *n, const struct look *l, struct version **ret)
{
	struct snapshot *s = result_snapshot(l->result);
	struct node vn = *n;
	struct version *v;

	vn.run = l->run & NODE_RUN_MASK;
	vn.version = s ? snapshot_number(s) & NODE_VERSION_MASK : 0;
	v = version_get(fs->versions, node_ino(&vn));
	if (v && v->snap == s) {
		if (s)
			snapshot_unref(s);
		*ret = v;
		return 0;
	}
	version_put(fs->versions, v);
	return snapshot_version(fs, n, l, s, ret);
}

struct snapshot *table_kept(const struct node *n, const struct look *l)
{
	struct snapshot *now = l->result && !l->log ? result_snapshot(l->result) : NULL, *s = NULL;
	uint64_t number;

	if (now && (l->run & NODE_RUN_MASK) == n->run) {
		number = fs_expand(snapshot_number(now), n->version, NODE_VERSION_MASK);
		s = number ? result_kept(l->result, number - 1) : NULL;
		if (s && snapshot_number(s) != number) {
			snapshot_unref(s);
			s = NULL;
		}
	}
	snapshot_unref(now);
	return s;
}

static int kept(struct fs *fs, const struct node *n, struct version **ret)
{
	struct snapshot *s;
	struct look l;
	int r = look_at(fs, n->serial, &l);

	if (r < 0)
		return r;
	s = table_kept(n, &l);
	r = s ? snapshot_version(fs, n, &l, s, ret) : -ESTALE;
	look_release(&l);
	return r;
}

int table_revive(struct fs *fs, const struct node *n, struct version **ret)
{
	struct snapshot *s, *now;
	struct look l;
	uint64_t number = 0;
	int r;

	if (node_nature(n->kind) == NATURE_FIXED)
		return fixed(fs, n, ret);
	if (node_nature(n->kind) == NATURE_TEXT)
		return text_again(fs, n, ret);
	if (node_nature(n->kind) == NATURE_VERSION)
		return kept(fs, n, ret);
	if (n->kind < NODE_OUT_CSV)
		return -ESTALE;
	r = look_at(fs, n->serial, &l);
	if (r < 0)
		return r;
	r = -ESTALE;
	now = l.result && !l.log ? result_snapshot(l.result) : NULL;
	if (now && (l.run & NODE_RUN_MASK) == n->run) {
		number = fs_expand(snapshot_number(now), n->version, NODE_VERSION_MASK);
		s = number ? result_version(l.result, number) : NULL;
		if (s)
			r = snapshot_version(fs, n, &l, s, ret);
	}
	if (now)
		snapshot_unref(now);
	look_release(&l);
	return r;
}

void table_time_name(int64_t time, char to[TABLE_TIME_MAX])
{
	time_t seconds = time / NSEC;
	char day[24];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(to, TABLE_TIME_MAX, "%s.%03dZ", day, (int)(time % NSEC / 1000000));
}

int64_t table_time_ms(const char *name)
{
	char again[TABLE_TIME_MAX];
	struct tm tm = {0};
	int ms, n = 0;
	int64_t time;

	if (sscanf(name, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
	            &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &n) != 7 ||
	        name[n] || tm.tm_year < 1970 || tm.tm_year > 2261 || ms < 0)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	time = timegm(&tm) * 1000 + ms;
	table_time_name(time * 1000000, again);
	return strcmp(name, again) == 0 ? time : -1;
}

bool table_is_small(const struct look *l)
{
	struct snapshot *s = result_snapshot(l->result);
	bool small = !s || snapshot_rows(s) <= SMALL_ROWS;

	if (s)
		snapshot_unref(s);
	return small;
}
