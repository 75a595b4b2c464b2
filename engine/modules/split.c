/* SPDX-License-Identifier: MIT */
/* split.c: an instance of some stages for each key.
 *
 * Instances stand in a list (bodies.h): without a limit in the order in which their keys first
 * appeared, with one by last record. Before one ends, all that waits is pushed, so that the answer
 * does not depend on how records come in batches.
 */
#include "engine/core/bodies.h"
#include "engine/core/option_rows.h"
#include "engine/core/record_time.h"

enum { MISSING, EVICTED, IDLE, STEPS };

struct config {
	struct weir_fields fields;
	int64_t idle; /* 0: no limit; the same for max */
	uint64_t max;
	uint32_t time;
	int64_t late, step;
	struct weir_blocks block;
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
	return c->idle ? record_time_check(b, &c->time, "split -t", err) : 0;
}

static int end(struct weir_node *n, struct bodies_batch *bb, struct keyed_body *x)
{
	int r = bodies_push(n, bb, 0), r2 = bodies_end(n->state, n, bb, x);

	return r < 0 ? r : r2;
}

/* Record i of the batch, of instance x. */
static int record(
        struct weir_node *n, struct bodies_batch *bb, struct keyed_body *x, uint32_t i, int64_t t)
{
	const struct config *c = n->config;
	struct bodies *s = n->state;
	struct keyed_body *idle;
	int r = 0;

	if (c->idle && bodies_time(s, n, t, stream_time_step(c->step, c->late)))
		n->counters[STEPS]++;
	while (r == 0 && c->idle && (idle = bodies_idle(s, x, t, c->idle, c->late)) != NULL) {
		n->counters[IDLE]++;
		r = end(n, bb, idle);
	}
	if (r == 0 && !x->body && c->max && s->n >= c->max) {
		n->counters[EVICTED]++;
		r = end(n, bb, s->oldest);
	}
	if (r < 0)
		return r;
	if (!x->body) {
		r = bodies_open(s, n, x, c->block.first);
		if (r < 0)
			return r;
		x->last = t;
	} else if (c->idle || c->max) {
		bodies_renew(s, x);
	}
	if (t > x->last)
		x->last = t;
	bodies_add(bb, x, i);
	return 0;
}

static int split_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct bodies *s = n->state;
	const struct weir_col *ts = c->idle ? weir_batch_col(b, c->time) : NULL;
	struct bodies_batch *bb;
	int r = c->idle && !ts ? -ENOMEM : 0;

	if (r == 0) /* the output's schema is that of b */
		r = bodies_begin(s, n, b, ts, &n->counters[MISSING], &bb);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < bb->nrows && r == 0; i++) {
		struct keyed_body *x = bodies_at(bb, i);

		if (x)
			r = record(n, bb, x, i, ts ? record_time(ts, bb->row[i]) : 0);
	}
	return bodies_settle(s, n, bb, r);
}

/* ---- the node ---- */

static int split_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;

	return bodies_init(n->state, n->mem, c->fields, sizeof(struct keyed_body));
}

static int split_flush(struct weir_node *n, enum weir_mark mark)
{
	struct bodies *s = n->state;
	int r = 0;

	if (mark == WEIR_END)
		return bodies_end_all(s);
	for (struct keyed_body *x = s->oldest; x && r == 0; x = x->newer)
		r = weir_body_refresh(x->body);
	return r;
}

static int split_clock(struct weir_node *n, int64_t *ret_due)
{
	const struct config *c = n->config;

	return bodies_clock(n->state, n, c->idle, c->late, &n->counters[IDLE], ret_due);
}

static void split_close(struct weir_node *n)
{
	bodies_release(n->state);
}

static const struct weir_option options[] = {
        OPTION_FIELDS(offsetof(struct config, fields), WEIR_OPT_REQUIRED, "the key"),
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
        RECORD_TIME_OPTION(offsetof(struct config, time), 0, ", for -t"),
        RECORD_LATE_OPTION(offsetof(struct config, late)),
        STREAM_STEP_OPTION(offsetof(struct config, step)),
        {.type = WEIR_OPT_BLOCK,
                .name = "( stages )",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, block),
                .arg = "( STAGES )",
                .doc = "what each key has an instance of"},
        WEIR_OPTIONS_END,
};

static const char *const counters[] = {"missing", "evicted", "idle", "steps", NULL};

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
               "On a live source -t goes by the clock, too, when no record comes, see "
               "weir-query(7). Where the clock of the records was set back (sixteen in a row that "
               "are further behind than --step and --late), which is counted in 'steps', the "
               "instances go on as if all had had a record just then.\n\n"
               "A record that lacks a field is dropped and counted as 'missing'.",
        .example = "packets | split srcip ( group dstport count() | sort -r count | head 1 ) | "
                   "sort -r count | head 5",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct bodies),
        .counters = counters,
        .bind = split_bind,
        .open = split_open,
        .process = split_process,
        .flush = split_flush,
        .clock = split_clock,
        .close = split_close,
};
