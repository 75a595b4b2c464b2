/* SPDX-License-Identifier: MIT */
/* split.c: an instance of some stages for each key.
 *
 * Instances stand in a list: without a limit in the order in which their keys first appeared, with
 * one by last record, so that those to be ended are its first. The records of a batch are chained
 * by instance and pushed once for each. Before an instance ends, all that waits is pushed, so that
 * the answer does not depend on how records come in batches.
 */
#include "engine/core/keymap.h"

enum { MISSING, EVICTED, IDLE };

#define TIME_MAX (1ll << 62) /* times beyond are taken for this: sums of two do not overflow */

struct config {
	struct weir_fields fields;
	int64_t idle; /* 0: no limit; the same for max */
	uint64_t max;
	uint32_t time;
	int64_t late;
	struct weir_blocks block;
};

/* The value of a keymap entry. Without a body it is only a key of the batch at hand. */
struct instance {
	struct weir_body *body;
	struct instance *older, *newer;
	int64_t last;  /* with -t: time of its last record */
	uint16_t slot; /* 1 + its chain in the batch at hand; 0: none */
	bool here;     /* in the batch at hand */
	bool done;     /* its body wants no more */
};

struct state {
	struct keymap map;
	struct instance *oldest, *newest;
	uint64_t n;
	int64_t highest; /* time */
};

/* The batch at hand. Not on the stack: splits can be nested deeply. */
struct chains {
	struct weir_batch *b;
	uint32_t n; /* chains that wait */
	struct chain {
		struct instance *x;
		uint16_t head, tail, count; /* places in row[] */
	} chain[WEIR_BATCH_ROWS];
	uint16_t row[WEIR_BATCH_ROWS], next[WEIR_BATCH_ROWS];
	struct keymap_entry *entry[WEIR_BATCH_ROWS];
};

static int split_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	int r = weir_bind_pass(b, err);

	for (uint32_t i = 0; i < c->fields.n && r == 0; i++)
		r = weir_bind_stamp(b, c->fields.index[i]);
	if (r < 0)
		return r;
	weir_bind_blocks_only(b);
	if (!c->idle && !c->max)
		weir_bind_rolling(b);
	if (!c->idle)
		return 0;
	if (c->time == UINT32_MAX) {
		r = weir_bind_find(b, "ts", err); /* fails: the preset was not there */
		return r < 0 ? r : -EINVAL;
	}
	if (b->in->fields[c->time].kind != WEIR_TIME)
		return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, "split -t", "a time",
		        b->in->fields[c->time].name,
		        weir_kind_article(b->in->fields[c->time].kind));
	return 0;
}

static bool limited(const struct config *c)
{
	return c->idle || c->max;
}

/* ---- the list ---- */

static void unlink_instance(struct state *s, struct instance *x)
{
	*(x->older ? &x->older->newer : &s->oldest) = x->newer;
	*(x->newer ? &x->newer->older : &s->newest) = x->older;
	x->older = x->newer = NULL;
}

static void link_newest(struct state *s, struct instance *x)
{
	x->older = s->newest;
	x->newer = NULL;
	*(s->newest ? &s->newest->newer : &s->oldest) = x;
	s->newest = x;
}

static struct keymap_entry *entry_of(struct instance *x)
{
	return (struct keymap_entry *)x - 1; /* see keymap_value() */
}

/* ---- records to instances ---- */

static int push(struct weir_node *n, struct chains *ch, const struct chain *c)
{
	uint32_t all = weir_batch_count(ch->b), i = c->head;
	struct weir_batch *v;
	uint16_t *rows;
	int r;

	if (c->x->done)
		return 0;
	if (c->count == all) {
		v = weir_batch_ref(ch->b); /* its schema is the output's */
	} else {
		v = weir_narrow(n, ch->b);
		rows = v ? weir_batch_sel(v, c->count) : NULL;
		if (!rows) {
			weir_batch_unref(v);
			return -ENOMEM;
		}
		for (uint32_t k = 0; k < c->count; k++, i = ch->next[i])
			rows[k] = ch->row[i];
		weir_batch_select(v, rows, c->count);
	}
	r = weir_body_push(c->x->body, v);
	c->x->done = r == WEIR_DONE;
	return r < 0 ? r : 0;
}

/* All that waits, in the order in which the keys came. After a failure nothing waits either. */
static int push_all(struct weir_node *n, struct chains *ch, int r)
{
	for (uint32_t i = 0; i < ch->n; i++) {
		if (r == 0)
			r = push(n, ch, &ch->chain[i]);
		ch->chain[i].x->slot = 0;
	}
	ch->n = 0;
	return r;
}

static void add(struct chains *ch, struct instance *x, uint32_t i)
{
	struct chain *c;

	if (!x->slot) {
		ch->chain[ch->n++] = (struct chain){x, (uint16_t)i, (uint16_t)i, 1};
		x->slot = (uint16_t)ch->n;
		return;
	}
	c = &ch->chain[x->slot - 1];
	ch->next[c->tail] = (uint16_t)i;
	c->tail = (uint16_t)i;
	c->count++;
}

/* ---- instances come and go ---- */

static int end(struct weir_node *n, struct chains *ch, struct instance *x)
{
	struct weir_body *body = x->body;
	struct state *s = n->state;
	int r = push_all(n, ch, 0), r2;

	unlink_instance(s, x);
	s->n--;
	x->body = NULL;
	x->done = false;
	r2 = weir_body_end(body);
	if (!x->here)
		keymap_remove(&s->map, entry_of(x));
	return r < 0 ? r : r2;
}

/* Ends what the record at time t finds idle. */
static int end_idle(struct weir_node *n, struct chains *ch, struct instance *x, int64_t t)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int r = 0;

	if (t > s->highest)
		s->highest = t;
	while (r == 0 && s->oldest && s->oldest->last + c->idle < s->highest - c->late) {
		n->counters[IDLE]++;
		r = end(n, ch, s->oldest);
	}
	if (r == 0 && x->body && t - x->last > c->idle) {
		n->counters[IDLE]++;
		r = end(n, ch, x);
	}
	return r;
}

static int record(struct weir_node *n, struct chains *ch, struct instance *x, int64_t t)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int r = c->idle ? end_idle(n, ch, x, t) : 0;

	if (r == 0 && !x->body && c->max && s->n >= c->max) {
		n->counters[EVICTED]++;
		r = end(n, ch, s->oldest);
	}
	if (r < 0)
		return r;
	if (!x->body) {
		x->body = weir_body_open(n, c->block.first, NULL);
		if (!x->body)
			return -ENOMEM;
		x->last = t;
		s->n++;
		link_newest(s, x);
	} else if (limited(c)) {
		unlink_instance(s, x);
		link_newest(s, x);
	}
	if (t > x->last)
		x->last = t;
	return 0;
}

/* Removes the keys that were left without an instance. */
static void forget(struct state *s, struct chains *ch, uint32_t k)
{
	uint32_t m = 0;

	for (uint32_t i = 0; i < k; i++) {
		struct instance *x = ch->entry[i] ? keymap_value(ch->entry[i]) : NULL;

		if (!x || !x->here)
			continue;
		x->here = false;
		ch->entry[m++] = ch->entry[i];
	}
	for (uint32_t i = 0; i < m; i++)
		if (!((struct instance *)keymap_value(ch->entry[i]))->body)
			keymap_remove(&s->map, ch->entry[i]);
}

static int64_t time_of(const struct weir_col *ts, uint32_t row)
{
	int64_t t = ts ? weir_col_i64(ts)[row] : 0;

	return t > TIME_MAX ? TIME_MAX : t < -TIME_MAX ? -TIME_MAX : t;
}

static int split(struct weir_node *n, struct chains *ch, const struct weir_col *ts)
{
	struct state *s = n->state;
	uint32_t k = 0;
	int r;

	for (uint32_t i = 0; i < weir_batch_count(ch->b); i++) {
		uint32_t row = weir_batch_row(ch->b, i);
		bool has = !ts || weir_col_has(ts, row);

		ch->row[k] = (uint16_t)row;
		k += has;
		n->counters[MISSING] += !has;
	}
	r = keymap_rows(&s->map, ch->b, ch->row, k, ch->entry, &n->counters[MISSING]);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < k; i++)
		if (ch->entry[i])
			((struct instance *)keymap_value(ch->entry[i]))->here = true;
	for (uint32_t i = 0; i < k && r == 0; i++) {
		struct instance *x = ch->entry[i] ? keymap_value(ch->entry[i]) : NULL;

		if (!x)
			continue;
		r = record(n, ch, x, time_of(ts, ch->row[i]));
		if (r == 0)
			add(ch, x, i);
	}
	r = push_all(n, ch, r);
	forget(s, ch, k);
	return r;
}

static int split_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	const struct weir_col *ts = c->idle ? weir_batch_col(b, c->time) : NULL;
	struct chains *ch = c->idle && !ts ? NULL : weir_alloc(n->mem, sizeof *ch);
	int r;

	if (!ch)
		return -ENOMEM;
	ch->b = b;
	ch->n = 0;
	r = split(n, ch, ts);
	weir_free(n->mem, ch, sizeof *ch);
	return r;
}

/* ---- the node ---- */

static int split_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	s->highest = -TIME_MAX;
	return keymap_init(&s->map, n->mem, c->fields, sizeof(struct instance));
}

static int split_flush(struct weir_node *n, enum weir_mark mark)
{
	struct state *s = n->state;
	int r = 0;

	for (struct instance *x = s->oldest; x && mark == WEIR_REFRESH && r == 0; x = x->newer)
		r = weir_body_refresh(x->body);
	while (mark == WEIR_END && s->oldest && r == 0) {
		struct instance *x = s->oldest;

		unlink_instance(s, x);
		s->n--;
		r = weir_body_end(x->body);
		keymap_remove(&s->map, entry_of(x));
	}
	return r;
}

static void split_close(struct weir_node *n)
{
	struct state *s = n->state;

	for (struct instance *x = s->oldest; x; x = x->newer)
		weir_body_close(x->body);
	keymap_release(&s->map);
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_FIELDS,
                .name = "fields",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, fields),
                .arg = "FIELD…",
                .doc = "the key"},
        {.type = WEIR_OPT_DURATION,
                .name = "idle",
                .letter = 't',
                .offset = offsetof(struct config, idle),
                .min = 0.001,
                .max = 1e9,
                .arg = "TIME",
                .doc = "ends an instance that had no record for so long, by the records' time"},
        {.type = WEIR_OPT_U64,
                .name = "most",
                .letter = 'n',
                .offset = offsetof(struct config, max),
                .min = 1,
                .max = 1e9,
                .arg = "N",
                .doc = "how many instances there may be; the least recently used one ends"},
        {.type = WEIR_OPT_FIELD,
                .name = "time",
                .offset = offsetof(struct config, time),
                .preset = "ts",
                .arg = "FIELD",
                .doc = "the time of a record, for -t"},
        {.type = WEIR_OPT_DURATION,
                .name = "late",
                .letter = 'l',
                .offset = offsetof(struct config, late),
                .min = 0,
                .max = 86400,
                .arg = "TIME",
                .doc = "how much later than its successors a record may come; as 'set late'"},
        {.type = WEIR_OPT_BLOCK,
                .name = "( stages )",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, block),
                .arg = "( STAGES )",
                .doc = "what each key has an instance of"},
        WEIR_OPTIONS_END,
};

static const char *const counters[] = {"missing", "evicted", "idle", NULL};

WEIR_MODULE(split) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_SCOPE,
        .name = "split",
        .summary = "some stages anew for each key",
        .doc = "Each value of the fields (each host, each connection) has an instance of the "
               "stages for itself, from its first record on; what the instances leave is one "
               "stream again. Rows that they make anew gain the fields of the key.\n\n"
               "Without a limit all instances last to the end. If the stages answer with a table, "
               "the result is one: that of the key that appeared first, then that of the second, "
               "and so on. -t ends instances after a time without records, -n those that were "
               "used least recently when there are too many, which is counted as 'evicted'; a "
               "later record of the key begins a new one. Then the result is a log: an instance's "
               "rows come when it ends, at the end of the stream first those of the one that had "
               "no record for longest.\n\n"
               "Records that are passed on keep their order. An instance takes some hundred bytes "
               "and what its stages keep; there may be as many as memory allows.\n\n"
               "A record that lacks a field is dropped and counted as 'missing'.",
        .example = "packets | split srcip ( group dstport count() | sort -r count | head 1 ) | "
                   "sort -r count | head 5",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = split_bind,
        .open = split_open,
        .process = split_process,
        .flush = split_flush,
        .close = split_close,
};
