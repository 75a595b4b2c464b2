/* SPDX-License-Identifier: MIT */
/* window.c: what stands behind it answers for each window of the stream and starts anew.
 *
 * Every window is a body of its own (weir_body_open): an instance of all that follows. Time is the
 * records' time: a window closes once the highest time seen, less the tolerance for late records,
 * has reached its end; after every single record, so that the answer does not depend on how
 * records come in batches.
 *
 *   tumbling, sliding   the stream is cut into panes of gcd(width, slide); a pane's rows go to each
 *                       window that covers it. Windows begin at multiples of the slide since the
 *                       epoch. Only windows with records exist. Open ones stand sorted by start.
 *   records             one window at a time.
 *   session             one window for each key (bodies.h), in a list ordered by last record.
 *
 * The number of open windows is bounded by --max; at the bound the oldest (the one idle for
 * longest) closes early, which is counted.
 */
#include "engine/core/bodies.h"
#include "engine/core/record_time.h"
#include "engine/core/window_shape.h"

enum { LATE, MISSING, EARLY };

struct config {
	struct weir_args args;
	uint32_t time;
	int64_t late;
	uint64_t max;
	struct window_shape shape;
	uint32_t out;
};

/* A window that is open. */
struct window {
	int64_t start, end;
	struct weir_body *body;
	bool done; /* the body wants no more */
};

struct session {
	struct keyed_body body;
	int64_t start;
};

struct state {
	int64_t highest, closed; /* times; closed: end of the last window that closed */
	struct window *w;        /* by time: sorted by start; by count: at most one */
	uint32_t n, cap;
	uint64_t count; /* by count: records in the open window */
	struct bodies sessions;
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
	return weir_bind_stamp(b, c->out);
}

/* ---- windows ---- */

/* Gives rows[0..k) of b to a window. */
static int push(struct weir_node *n, struct weir_batch *b, struct window *w, const uint16_t *rows,
        uint32_t k)
{
	const struct config *c = n->config;
	struct weir_batch *v;
	struct weir_col *col;
	uint16_t *sel;
	int r;

	if (w->done || !k)
		return 0;
	v = weir_view(n, b);
	if (!v)
		return -ENOMEM;
	sel = weir_batch_sel(v, k);
	col = weir_batch_own(v, c->out);
	if (!sel || !col) {
		weir_batch_unref(v);
		return -ENOMEM;
	}
	memcpy(sel, rows, k * sizeof *sel);
	weir_batch_select(v, sel, k);
	for (uint32_t i = 0; i < k; i++)
		((int64_t *)col->data)[sel[i]] = w->start;
	r = weir_body_push(w->body, v);
	w->done = r == WEIR_DONE;
	return r < 0 ? r : 0;
}

static int finish(struct window *w)
{
	struct weir_body *body = w->body;
	int r;

	w->body = NULL;
	r = body ? weir_body_end(body) : 0;
	return r < 0 ? r : 0;
}

static int close_first(struct state *s)
{
	struct window w = s->w[0];

	if (w.end > s->closed)
		s->closed = w.end;
	memmove(s->w, s->w + 1, --s->n * sizeof *s->w);
	return finish(&w);
}

/* Opens a window and puts it in its place by start; its index in *ret. */
static int open_window(struct weir_node *n, int64_t start, int64_t end, uint32_t *ret)
{
	struct state *s = n->state;
	uint32_t i;

	if (s->n == s->cap) {
		uint32_t cap = s->cap ? 2 * s->cap : 2;
		struct window *w = weir_realloc(n->mem, s->w, s->cap * sizeof *w, cap * sizeof *w);

		if (!w)
			return -ENOMEM;
		s->w = w;
		s->cap = cap;
	}
	for (i = s->n; i > 0 && s->w[i - 1].start > start; i--)
		;
	struct weir_body *body = weir_body_open(n, 0, NULL);

	if (!body)
		return -ENOMEM;
	memmove(s->w + i + 1, s->w + i, (s->n - i) * sizeof *s->w);
	s->w[i] = (struct window){.start = start, .end = end, .body = body};
	s->n++;
	*ret = i;
	return 0;
}

/* ---- by time ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Gives the rows of one pane to every window that covers it and has not closed. */
static int push_pane(
        struct weir_node *n, struct weir_batch *b, int64_t pane, const uint16_t *rows, uint32_t k)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int64_t from = pane * c->shape.pane,
	        start = floor_div(from, c->shape.slide) * c->shape.slide;
	bool covered = false, taken = false;

	for (; start + c->shape.width > from; start -= c->shape.slide) {
		uint32_t i = s->n;
		int r;

		covered = true;
		if (start + c->shape.width <= s->closed)
			break;
		while (i > 0 && s->w[i - 1].start > start)
			i--;
		if (i > 0 && s->w[i - 1].start == start) {
			i--;
		} else {
			if (s->n >= c->max) {
				n->counters[EARLY]++;
				r = close_first(s);
				if (r < 0)
					return r;
				if (start + c->shape.width <= s->closed)
					break;
			}
			r = open_window(n, start, start + c->shape.width, &i);
			if (r < 0)
				return r;
		}
		taken = true;
		r = push(n, b, &s->w[i], rows, k);
		if (r < 0)
			return r;
	}
	if (covered && !taken)
		n->counters[LATE] += k;
	return 0;
}

static int process_time(struct weir_node *n, struct weir_batch *b, const struct weir_col *ts)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint16_t rows[WEIR_BATCH_ROWS];
	uint32_t k = 0;
	int64_t pane = 0;
	int r = 0;

	for (uint32_t i = 0; i < weir_batch_count(b) && r == 0; i++) {
		uint32_t row = weir_batch_row(b, i);
		int64_t t, p;

		if (!weir_col_has(ts, row)) {
			n->counters[MISSING]++;
			continue;
		}
		t = record_time(ts, row);
		p = floor_div(t, c->shape.pane);
		if (t > s->highest)
			s->highest = t;
		/* the rows before this one come before what its time closes */
		if (k && (p != pane || (s->n && s->w[0].end <= s->highest - c->late))) {
			r = push_pane(n, b, pane, rows, k);
			k = 0;
		}
		while (r == 0 && s->n && s->w[0].end <= s->highest - c->late)
			r = close_first(s);
		pane = p;
		rows[k++] = (uint16_t)row;
	}
	return r == 0 && k ? push_pane(n, b, pane, rows, k) : r;
}

/* ---- by count ---- */

static int process_count(struct weir_node *n, struct weir_batch *b, const struct weir_col *ts)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint16_t rows[WEIR_BATCH_ROWS];
	uint32_t k = 0, i = 0;
	int r = 0;

	while (r == 0 && i < weir_batch_count(b)) {
		uint32_t row = weir_batch_row(b, i);

		if (!s->n) {
			uint32_t at;
			int64_t t = weir_col_has(ts, row) ? weir_col_i64(ts)[row] : s->highest;

			r = open_window(n, t, t, &at);
			if (r < 0)
				return r;
			s->count = 0;
		}
		for (k = 0; i < weir_batch_count(b) && s->count < c->shape.records; i++, s->count++)
			rows[k++] = (uint16_t)weir_batch_row(b, i);
		r = push(n, b, &s->w[0], rows, k);
		if (r == 0 && s->count == c->shape.records)
			r = close_first(s);
	}
	return r;
}

/* ---- by session ---- */

/* Record i of the batch, of session x. */
static int session_row(
        struct weir_node *n, struct bodies_batch *bb, struct session *x, uint32_t i, int64_t t)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct keyed_body *idle;
	int r;

	while ((idle = bodies_idle(&s->sessions, &x->body, t, c->shape.width, c->late)) != NULL) {
		r = bodies_end(&s->sessions, n, bb, idle);
		if (r < 0)
			return r;
	}
	if (!x->body.body) {
		if (t + c->shape.width < s->sessions.highest - c->late) {
			n->counters[LATE]++;
			return 0;
		}
		if (s->sessions.n >= c->max) {
			n->counters[EARLY]++;
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
		r = bodies_begin(&s->sessions, n, v, ts, &n->counters[MISSING], &bb);
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

	s->highest = s->closed = -RECORD_TIME_MAX;
	return c->shape.mode == WINDOW_BY_SESSION
	               ? bodies_init(&s->sessions, n->mem, c->shape.by, sizeof(struct session))
	               : 0;
}

static int window_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	const struct weir_col *ts = weir_batch_col(b, c->time);

	if (!ts)
		return -ENOMEM;
	switch (c->shape.mode) {
	case WINDOW_BY_TIME:
		return process_time(n, b, ts);
	case WINDOW_BY_COUNT:
		return process_count(n, b, ts);
	default:
		return process_session(n, b, ts);
	}
}

static int window_flush(struct weir_node *n, enum weir_mark mark)
{
	struct state *s = n->state;
	int r = 0;

	if (mark != WEIR_END)
		return 0;
	while (r == 0 && s->n)
		r = close_first(s);
	return r == 0 ? bodies_end_all(&s->sessions) : r;
}

static void window_close(struct weir_node *n)
{
	struct state *s = n->state;

	for (uint32_t i = 0; i < s->n; i++)
		weir_body_close(s->w[i].body);
	if (s->w)
		weir_free(n->mem, s->w, s->cap * sizeof *s->w);
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

static const char *const counters[] = {"late", "missing", "early", NULL};

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
               "without a time or a field of the key as 'missing'. If more than --max are open, "
               "the "
               "oldest closes, which is counted as 'early'.",
        .example = "packets | window 1s | group srcip count()",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = window_bind,
        .open = window_open,
        .process = window_process,
        .flush = window_flush,
        .close = window_close,
};
