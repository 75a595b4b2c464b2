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
 *   session             one window for each key, kept in a list ordered by last record.
 *
 * The number of open windows is bounded by --max; at the bound the oldest (the one idle for
 * longest) closes early, which is counted.
 */
#include "engine/core/keymap.h"

enum { LATE, MISSING, EARLY };
enum mode { BY_TIME, BY_COUNT, BY_SESSION };

#define COVER_MAX 1000       /* windows that one record may be in */
#define TIME_MAX (1ll << 62) /* times beyond are taken for this: sums of two do not overflow */

struct config {
	struct weir_args args;
	uint32_t time;
	int64_t late;
	uint64_t max;
	enum mode mode;
	int64_t width, slide, pane; /* BY_SESSION: width is the gap */
	uint64_t records;
	struct weir_fields by;
	uint32_t out;
};

/* A window that is open. */
struct window {
	int64_t start, end; /* of a session: end is its last record */
	struct weir_body *body;
	bool done; /* the body wants no more */
};

/* A session, the value of a keymap entry. Without a body it is only a key of the batch at hand. */
struct session {
	struct window w;
	struct session *older, *newer; /* by last record */
	struct session *touched;       /* has rows in the batch at hand */
	struct session *dead;          /* to be removed after it */
	struct keymap_entry *entry;
	uint32_t head, tail, count; /* its rows there */
	bool is_dead;
};

struct state {
	int64_t highest, closed; /* times; closed: end of the last window that closed */
	struct window *w;        /* BY_TIME: sorted by start; BY_COUNT: at most one */
	uint32_t n, cap;
	uint64_t count; /* BY_COUNT: records in the open window */
	struct keymap map;
	struct session *oldest, *newest;
	uint64_t sessions;
};

/* ---- bind: "10s", "60s slide 10s", "1000 records", "session 30s by srcip" ---- */

static int bad(const struct weir_arg *a, const char *expected, struct weir_err *err)
{
	const char *text = a->text ? a->text : a->call ? a->call : "expression";

	return weir_fail(err, WEIR_E_BAD_VALUE, a->pos, a->len, text, "window", expected);
}

static const char *word(const struct weir_arg *a)
{
	return a->word ? a->word : a->field >= 0 ? a->text : "";
}

static bool constant(const struct weir_arg *a, enum weir_kind kind, uint64_t *ret)
{
	struct weir_value v;

	if (!a->expr || !weir_expr_constant(a->expr, &v) || v.kind != kind)
		return false;
	*ret = v.d.u;
	return true;
}

static int duration(const struct weir_arg *a, int64_t *ret, struct weir_err *err)
{
	uint64_t v;

	if (!constant(a, WEIR_DURATION, &v))
		return bad(a, "a time such as 10s", err);
	*ret = (int64_t)v;
	if (*ret <= 0 || *ret > TIME_MAX / 4)
		return weir_fail(err, WEIR_E_OUT_OF_RANGE, a->pos, a->len,
		        a->text ? a->text : "time", "more than 0, at most 36 years");
	return 0;
}

static int bind_session(struct weir_bind *b, struct config *c, struct weir_err *err)
{
	const struct weir_arg *a = c->args.arg;
	uint32_t *index, n = c->args.n;
	int r;

	c->mode = BY_SESSION;
	if (n < 2)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a->pos, a->len, "window session",
		        "a time without records that ends it");
	r = duration(&a[1], &c->width, err);
	if (r < 0 || n == 2)
		return r;
	if (strcmp(word(&a[2]), "by") != 0)
		return bad(&a[2], "'by' and fields", err);
	if (n == 3)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a[2].pos, a[2].len, "by", "fields");
	index = weir_bind_alloc(b, n * sizeof *index);
	if (!index)
		return -ENOMEM;
	for (uint32_t i = 3; i < n; i++) {
		if (a[i].word)
			return weir_fail(
			        err, WEIR_E_UNKNOWN_FIELD, a[i].pos, a[i].len, a[i].word, "");
		if (a[i].field < 0)
			return bad(&a[i], "a field", err);
		index[c->by.n++] = (uint32_t)a[i].field;
	}
	c->by.index = index;
	return 0;
}

static int64_t gcd(int64_t a, int64_t b)
{
	while (b) {
		int64_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

static int bind_time(struct config *c, struct weir_err *err)
{
	const struct weir_arg *a = c->args.arg;
	int r = duration(&a[0], &c->width, err);

	if (r < 0)
		return r;
	c->mode = BY_TIME;
	c->slide = c->width;
	if (c->args.n > 1) {
		if (strcmp(word(&a[1]), "slide") != 0)
			return bad(&a[1], "'slide'", err);
		if (c->args.n == 2)
			return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a[1].pos, a[1].len, "slide",
			        "a time");
		r = duration(&a[2], &c->slide, err);
		if (r < 0)
			return r;
		if (c->args.n > 3)
			return bad(&a[3], "nothing more", err);
		if (c->width / c->slide >= COVER_MAX)
			return weir_fail(err, WEIR_E_OUT_OF_RANGE, a[2].pos, a[2].len,
			        a[2].text ? a[2].text : "slide",
			        "at least a thousandth of the window");
	}
	c->pane = gcd(c->width, c->slide);
	return 0;
}

static int bind_shape(struct weir_bind *b, struct config *c, struct weir_err *err)
{
	const struct weir_arg *a = c->args.arg;

	if (strcmp(word(&a[0]), "session") == 0)
		return bind_session(b, c, err);
	if (!constant(&a[0], WEIR_U64, &c->records)) {
		uint64_t v;

		if (!constant(&a[0], WEIR_DURATION, &v))
			return bad(&a[0], "a time such as 10s, 'N records' or 'session'", err);
		return bind_time(c, err);
	}
	c->mode = BY_COUNT;
	if (c->args.n < 2 || strncmp(word(&a[1]), "record", 6) != 0)
		return bad(&a[c->args.n < 2 ? 0 : 1],
		        "a unit of time, or 'records' behind the number", err);
	if (c->args.n > 2)
		return bad(&a[2], "nothing more", err);
	if (c->records == 0)
		return weir_fail(err, WEIR_E_OUT_OF_RANGE, a[0].pos, a[0].len, "0", "at least 1");
	return 0;
}

static int window_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field f = {.name = "window", .kind = WEIR_TIME, .flags = WEIR_FIELD_ALWAYS};
	int r = bind_shape(b, c, err);

	if (r < 0)
		return r;
	if (c->time == UINT32_MAX) {
		r = weir_bind_find(b, "ts", err); /* fails: the preset was not there */
		return r < 0 ? r : -EINVAL;
	}
	if (b->in->fields[c->time].kind != WEIR_TIME)
		return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, "window", "a time",
		        b->in->fields[c->time].name,
		        weir_kind_article(b->in->fields[c->time].kind));
	f.digits = b->in->fields[c->time].digits;
	r = weir_bind_pass(b, err);
	if (r < 0 || (r = weir_bind_add(b, &f, err)) < 0)
		return r;
	c->out = (uint32_t)r;
	return weir_bind_stamp(b, c->out);
}

/* ---- windows ---- */

static int64_t clamp(int64_t t)
{
	return t > TIME_MAX ? TIME_MAX : t < -TIME_MAX ? -TIME_MAX : t;
}

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
	int64_t from = pane * c->pane, start = floor_div(from, c->slide) * c->slide;
	bool covered = false, taken = false;

	for (; start + c->width > from; start -= c->slide) {
		uint32_t i = s->n;
		int r;

		covered = true;
		if (start + c->width <= s->closed)
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
				if (start + c->width <= s->closed)
					break;
			}
			r = open_window(n, start, start + c->width, &i);
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
		t = clamp(weir_col_i64(ts)[row]);
		p = floor_div(t, c->pane);
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
		for (k = 0; i < weir_batch_count(b) && s->count < c->records; i++, s->count++)
			rows[k++] = (uint16_t)weir_batch_row(b, i);
		r = push(n, b, &s->w[0], rows, k);
		if (r == 0 && s->count == c->records)
			r = close_first(s);
	}
	return r;
}

/* ---- by session ---- */

/* The batch at hand: chains of rows of each session in it. */
struct chains {
	struct weir_batch *view; /* with the starts of windows */
	uint16_t row[WEIR_BATCH_ROWS], next[WEIR_BATCH_ROWS];
	struct session *touched, **last_touched, *dead;
};

/* The windows of the batch at hand share its columns, that of their starts too: a row is in one
 * session only. */
static int push_session(struct weir_node *n, struct chains *ch, struct session *x)
{
	const struct config *c = n->config;
	struct weir_batch *v;
	uint16_t *rows;
	uint32_t i = x->head, count = x->count;
	int64_t *start;
	int r;

	x->count = 0;
	if (x->w.done || !count)
		return 0;
	v = weir_narrow(n, ch->view);
	rows = v ? weir_batch_sel(v, count) : NULL;
	if (!rows) {
		weir_batch_unref(v);
		return -ENOMEM;
	}
	start = ch->view->cols[c->out].data;
	for (uint32_t k = 0; k < count; k++, i = ch->next[i]) {
		rows[k] = ch->row[i];
		start[rows[k]] = x->w.start;
	}
	weir_batch_select(v, rows, count);
	r = weir_body_push(x->w.body, v);
	x->w.done = r == WEIR_DONE;
	return r < 0 ? r : 0;
}

static void unlink_session(struct state *s, struct session *x)
{
	*(x->older ? &x->older->newer : &s->oldest) = x->newer;
	*(x->newer ? &x->newer->older : &s->newest) = x->older;
	x->older = x->newer = NULL;
}

static void link_newest(struct state *s, struct session *x)
{
	x->older = s->newest;
	x->newer = NULL;
	*(s->newest ? &s->newest->newer : &s->oldest) = x;
	s->newest = x;
}

static void bury(struct chains *ch, struct session *x)
{
	if (x->is_dead)
		return;
	x->is_dead = true;
	x->dead = ch->dead;
	ch->dead = x;
}

static int close_session(struct weir_node *n, struct chains *ch, struct session *x)
{
	struct state *s = n->state;
	int r = push_session(n, ch, x), r2;

	unlink_session(s, x);
	s->sessions--;
	r2 = finish(&x->w);
	bury(ch, x);
	return r < 0 ? r : r2;
}

static int open_session(struct weir_node *n, struct chains *ch, struct session *x, int64_t t)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	if (s->sessions >= c->max) {
		int r = close_session(n, ch, s->oldest);

		n->counters[EARLY]++;
		if (r < 0)
			return r;
	}
	x->w = (struct window){.start = t, .end = t, .body = weir_body_open(n, 0, NULL)};
	if (!x->w.body)
		return -ENOMEM;
	s->sessions++;
	link_newest(s, x);
	return 0;
}

static void touch(struct chains *ch, struct session *x, uint32_t i)
{
	bool listed = x->touched || ch->last_touched == &x->touched;

	if (!listed) {
		*ch->last_touched = x;
		ch->last_touched = &x->touched;
	}
	if (x->count++ == 0)
		x->head = i;
	else
		ch->next[x->tail] = (uint16_t)i;
	x->tail = i;
}

/* One record of session x. */
static int session_row(
        struct weir_node *n, struct chains *ch, struct session *x, uint32_t i, int64_t t)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int r = 0;

	if (t > s->highest)
		s->highest = t;
	while (r == 0 && s->oldest && s->oldest->w.end + c->width < s->highest - c->late)
		r = close_session(n, ch, s->oldest);
	if (r == 0 && x->w.body && t - x->w.end > c->width)
		r = close_session(n, ch, x);
	if (r < 0)
		return r;
	if (!x->w.body) {
		if (t + c->width < s->highest - c->late) {
			n->counters[LATE]++;
			return 0;
		}
		r = open_session(n, ch, x, t);
		if (r < 0)
			return r;
	}
	if (t > x->w.end) {
		x->w.end = t;
		unlink_session(s, x);
		link_newest(s, x);
	}
	touch(ch, x, i);
	return 0;
}

/* Pushes what is left and removes the keys without a session. */
static int end_batch(struct weir_node *n, struct chains *ch, int r)
{
	struct state *s = n->state;
	struct session *x, *next;

	for (x = ch->touched; x; x = next) {
		next = x->touched;
		x->touched = NULL;
		if (r == 0 && x->count)
			r = push_session(n, ch, x);
		x->count = 0;
	}
	for (x = ch->dead; x; x = next) {
		next = x->dead;
		x->dead = NULL;
		x->is_dead = false;
		if (!x->w.body)
			keymap_remove(&s->map, x->entry);
	}
	return r;
}

static int process_session(struct weir_node *n, struct weir_batch *b, const struct weir_col *ts)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct keymap_entry *entry[WEIR_BATCH_ROWS];
	struct chains ch;
	uint32_t k = 0;
	int r;

	ch.view = weir_view(n, b);
	if (!ch.view || !weir_batch_own(ch.view, c->out)) {
		weir_batch_unref(ch.view);
		return -ENOMEM;
	}
	ch.touched = ch.dead = NULL;
	ch.last_touched = &ch.touched;
	for (uint32_t i = 0; i < weir_batch_count(b); i++) {
		uint32_t row = weir_batch_row(b, i);

		ch.row[k] = (uint16_t)row;
		k += weir_col_has(ts, row);
		n->counters[MISSING] += !weir_col_has(ts, row);
	}
	r = keymap_rows(&s->map, b, ch.row, k, entry, &n->counters[MISSING]);
	if (r < 0) {
		weir_batch_unref(ch.view);
		return r;
	}
	for (uint32_t i = 0; i < k && r == 0; i++) {
		struct session *x = entry[i] ? keymap_value(entry[i]) : NULL;

		if (!x)
			continue;
		x->entry = entry[i];
		r = session_row(n, &ch, x, i, clamp(weir_col_i64(ts)[ch.row[i]]));
	}
	for (uint32_t i = 0; i < k; i++) {
		struct session *x = entry[i] ? keymap_value(entry[i]) : NULL;

		if (x && !x->w.body) {
			x->entry = entry[i];
			bury(&ch, x);
		}
	}
	r = end_batch(n, &ch, r);
	weir_batch_unref(ch.view);
	return r;
}

/* ---- the node ---- */

static int window_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	s->highest = s->closed = -TIME_MAX;
	return c->mode == BY_SESSION ? keymap_init(&s->map, n->mem, c->by, sizeof(struct session))
	                             : 0;
}

static int window_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	const struct weir_col *ts = weir_batch_col(b, c->time);

	if (!ts)
		return -ENOMEM;
	switch (c->mode) {
	case BY_TIME:
		return process_time(n, b, ts);
	case BY_COUNT:
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
	while (r == 0 && s->oldest) {
		struct session *x = s->oldest;

		unlink_session(s, x);
		r = finish(&x->w);
	}
	return r;
}

static void window_close(struct weir_node *n)
{
	struct state *s = n->state;

	for (uint32_t i = 0; i < s->n; i++)
		weir_body_close(s->w[i].body);
	for (struct session *x = s->oldest; x; x = x->newer)
		weir_body_close(x->w.body);
	if (s->w)
		weir_free(n->mem, s->w, s->cap * sizeof *s->w);
	keymap_release(&s->map);
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_ARGS,
                .name = "shape",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, args),
                .arg = "TIME [slide TIME] | N records | session TIME [by FIELD…]",
                .doc = "how the stream is cut"},
        {.type = WEIR_OPT_DURATION,
                .name = "late",
                .letter = 'l',
                .offset = offsetof(struct config, late),
                .min = 0,
                .max = 86400,
                .arg = "TIME",
                .doc = "how much later than its successors a record may come; as 'set late'"},
        {.type = WEIR_OPT_U64,
                .name = "max",
                .letter = 'm',
                .offset = offsetof(struct config, max),
                .min = 1,
                .max = 1e6,
                .preset = "10000",
                .arg = "N",
                .doc = "how many windows may be open at once"},
        {.type = WEIR_OPT_FIELD,
                .name = "time",
                .letter = 't',
                .offset = offsetof(struct config, time),
                .preset = "ts",
                .arg = "FIELD",
                .doc = "the time of a record"},
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
