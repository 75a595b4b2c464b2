/* SPDX-License-Identifier: MIT */
/* window.c: what stands behind it answers for each window of the stream and starts anew.
 *
 * Every window is a body of its own (weir_body_open): an instance of all that follows. Time is the
 * records' time, and on a live source the clock.
 *
 *   by time    tumbling, sliding: see time_windows.h.
 *   records    one window at a time.
 *   session    one window for each key (bodies.h), in a list ordered by last record.
 *
 * The number of open windows is bounded by --max; at the bound the oldest (the one idle for
 * longest) closes early, which is counted.
 */
#include "engine/core/bodies.h"
#include "engine/core/late_windows.h"
#include "engine/core/panes.h"
#include "engine/core/time_windows.h"

struct config {
	struct weir_args args;
	uint32_t time;
	int64_t late, step;
	uint64_t max;
	struct window_shape shape;
	uint32_t out;
};

struct session {
	struct keyed_body body;
	int64_t start;
};

struct state {
	struct time_windows by_time;
	struct bodies sessions;
	/* by count */
	struct weir_body *body; /* NULL: none is open */
	int64_t start, highest; /* highest: time seen */
	uint64_t count;         /* records in it */
	bool done;              /* it wants no more */
};

static int window_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field f = {.name = "window", .kind = WEIR_TIME, .flags = WEIR_FIELD_ALWAYS};
	int r = window_shape_bind(b, &c->args, &c->shape, err);

	if (r < 0 || (r = record_time_check(b, &c->time, "window", err)) < 0)
		return r;
	f.digits = b->in->fields[c->time].digits;
	r = weir_bind_pass(b, err);
	if (r < 0 || (r = weir_bind_add(b, &f, err)) < 0)
		return r;
	c->out = (uint32_t)r;
	if (c->shape.mode == WINDOW_BY_TIME && c->shape.slide < c->shape.width)
		panes_bind(b, c->shape.pane);
	return weir_bind_stamp(b, c->out);
}

/* ---- by count ---- */

static int close_count(struct state *s)
{
	struct weir_body *body = s->body;
	int r;

	s->body = NULL;
	r = body ? weir_body_end(body) : 0;
	return r < 0 ? r : 0;
}

static int process_count(struct weir_node *n, struct weir_batch *b, const struct weir_col *ts)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint16_t rows[WEIR_BATCH_ROWS];
	uint32_t i = 0;
	int r = 0;

	while (r == 0 && i < weir_batch_count(b)) {
		uint32_t row = weir_batch_row(b, i), k = 0;

		if (!s->body) {
			s->body = weir_body_open(n, 0, NULL);
			if (!s->body)
				return -ENOMEM;
			s->start = weir_col_has(ts, row) ? record_time(ts, row) : s->highest;
			s->count = 0;
			s->done = false;
		}
		for (; i < weir_batch_count(b) && s->count < c->shape.records; i++, s->count++) {
			rows[k++] = row = (uint16_t)weir_batch_row(b, i);
			if (weir_col_has(ts, row) && record_time(ts, row) > s->highest)
				s->highest = record_time(ts, row);
		}
		if (!s->done)
			r = window_push(n, c->out, s->start, s->body, b, rows, k);
		s->done |= r == WEIR_DONE;
		r = r < 0 ? r : 0;
		if (r == 0 && s->count == c->shape.records)
			r = close_count(s);
	}
	return r;
}

/* ---- by session ---- */

/* Whether the record is for a session that has ended: one that goes on takes what is within the gap
 * before it, too. */
static bool is_late(const struct weir_node *n, const struct session *x, int64_t t)
{
	const struct config *c = n->config;
	const struct state *s = n->state;

	return t + c->shape.width < s->sessions.time.highest - c->late &&
	       (!x->body.body || t + c->shape.width < x->start);
}

/* Record i of the batch, of session x. */
static int session_row(
        struct weir_node *n, struct bodies_batch *bb, struct session *x, uint32_t i, int64_t t)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct keyed_body *idle;
	int r;

	if (bodies_time(&s->sessions, n, t, stream_time_step(c->step, c->late)))
		n->counters[WINDOW_STEPS]++;
	while ((idle = bodies_idle(&s->sessions, &x->body, t, c->shape.width, c->late)) != NULL) {
		r = bodies_end(&s->sessions, n, bb, idle);
		if (r < 0)
			return r;
	}
	if (is_late(n, x, t)) {
		n->counters[WINDOW_LATE]++;
		return late_windows_add(n, floor_to(t, c->shape.width), 1);
	}
	if (!x->body.body) {
		if (s->sessions.n >= c->max) {
			n->counters[WINDOW_EARLY]++;
			r = bodies_end(&s->sessions, n, bb, s->sessions.oldest);
			if (r < 0)
				return r;
		}
		r = bodies_open(&s->sessions, n, &x->body, 0);
		if (r < 0)
			return r;
		x->start = x->body.last = t;
	}
	if (t > x->body.last) {
		x->body.last = t;
		bodies_renew(&s->sessions, &x->body);
	}
	/* sessions share the column: a row is in one of them only */
	((int64_t *)bb->b->cols[c->out].data)[bb->row[i]] = x->start;
	bodies_add(bb, &x->body, i);
	return 0;
}

static int process_session(struct weir_node *n, struct weir_batch *b, const struct weir_col *ts)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct weir_batch *v = weir_view(n, b);
	struct bodies_batch *bb;
	int r = v && weir_batch_own(v, c->out) ? 0 : -ENOMEM;

	if (r == 0)
		r = bodies_begin(&s->sessions, n, v, ts, &n->counters[WINDOW_MISSING], &bb);
	if (r == 0) {
		for (uint32_t i = 0; i < bb->nrows && r == 0; i++) {
			struct session *x = bodies_at(bb, i);

			if (x)
				r = session_row(n, bb, x, i, record_time(ts, bb->row[i]));
		}
		r = bodies_settle(&s->sessions, n, bb, r);
	}
	weir_batch_unref(v);
	return r;
}

/* ---- the node ---- */

static int window_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	s->highest = -RECORD_TIME_MAX;
	if (c->shape.mode == WINDOW_BY_SESSION)
		return bodies_init(&s->sessions, n->mem, c->shape.by, sizeof(struct session));
	s->by_time = (struct time_windows){.n = n,
	        .width = c->shape.width,
	        .slide = c->shape.slide,
	        .pane = c->shape.pane,
	        .late = c->late,
	        .step = stream_time_step(c->step, c->late),
	        .out = c->out,
	        .max = c->max};
	time_windows_init(&s->by_time);
	return 0;
}

static int window_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	const struct weir_col *ts = weir_batch_col(b, c->time);
	struct state *s = n->state;

	if (!ts)
		return -ENOMEM;
	switch (c->shape.mode) {
	case WINDOW_BY_TIME:
		return time_windows_push(&s->by_time, b, ts);
	case WINDOW_BY_COUNT:
		return process_count(n, b, ts);
	default:
		return process_session(n, b, ts);
	}
}

static int window_flush(struct weir_node *n, enum weir_mark mark)
{
	struct state *s = n->state;
	int r;

	if (mark != WEIR_END)
		return 0;
	r = time_windows_end(&s->by_time);
	if (r == 0)
		r = close_count(s);
	return r == 0 ? bodies_end_all(&s->sessions) : r;
}

static int window_clock(struct weir_node *n, int64_t *ret_due)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	switch (c->shape.mode) {
	case WINDOW_BY_TIME:
		return time_windows_clock(&s->by_time, ret_due);
	case WINDOW_BY_COUNT:
		return s->body ? weir_body_clock(s->body, ret_due) : 0;
	default:
		return bodies_clock(&s->sessions, n, c->shape.width, c->late, NULL, ret_due);
	}
}

static void window_close(struct weir_node *n)
{
	struct state *s = n->state;

	time_windows_release(&s->by_time);
	weir_body_close(s->body);
	bodies_release(&s->sessions);
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_ARGS,
                .name = "shape",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, args),
                .arg = "TIME [slide TIME] | N records | session TIME [by FIELD…]",
                .doc = "how the stream is cut"},
        RECORD_LATE_OPTION(offsetof(struct config, late)),
        STREAM_STEP_OPTION(offsetof(struct config, step)),
        {.type = WEIR_OPT_U64,
                .name = "max",
                .letter = 'm',
                .offset = offsetof(struct config, max),
                .min = 1,
                .max = 1e6,
                .preset = "10000",
                .arg = "N",
                .doc = "how many windows may be open at once"},
        RECORD_TIME_OPTION(offsetof(struct config, time), 't', ""),
        WEIR_OPTIONS_END,
};

static const char *const counters[] = {"late", "missing", "early", "steps", NULL};

WEIR_MODULE(window) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_SCOPE | WEIR_ORDERED,
        .name = "window",
        .summary = "answer for each window of the stream",
        .doc = "What stands behind it answers for each window and starts anew:\n\n"
               "'window 10s' cuts the stream every ten seconds (of the records' time, counted from "
               "the epoch). 'window 60s slide 10s' begins a window of a minute every ten seconds; "
               "a "
               "record is in six of them. 'window 1000 records' counts. 'window session 30s by "
               "srcip' "
               "has a window for each source address, which ends where thirty seconds pass without "
               "a "
               "record of it; without 'by' there is one for all.\n\n"
               "Rows gain 'window', its start (of a session or of counted records: the time of the "
               "first). A window closes when the highest time seen, less --late, reaches its end; "
               "a "
               "record that comes for closed windows only is dropped and counted as 'late', one "
               "without a time or a field of the key as 'missing'. The query's status says which "
               "windows lack how many; of sessions, by the time of the record, cut to a multiple "
               "of "
               "the gap. If more than --max are open, the oldest closes, which is counted as "
               "'early'; of windows that share panes, --max says how many panes there may be.\n\n"
               "Sixteen records in a row that are all further behind than --step are no late ones: "
               "the clock was set. All windows close and time begins anew, which is counted in "
               "'steps'; sessions go on.\n\n"
               "On a live source the clock closes windows, too, see weir-query(7). Windows that "
               "overlap share panes where all that stands before a group looks at each record by "
               "itself, and the group's figures can be added up of parts: all but first, last, min "
               "and max of addresses and text, distinct of text, and sum, mean and stddev of "
               "numbers that are not whole or take more than 32 bits. The plan says so. Else each "
               "has a copy of what follows.",
        .example = "packets | window 1s | group srcip count()",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = window_bind,
        .open = window_open,
        .process = window_process,
        .flush = window_flush,
        .clock = window_clock,
        .close = window_close,
};
