/* SPDX-License-Identifier: MIT */
/* time_windows.c: see time_windows.h. */
#include "engine/core/time_windows.h"

#include "engine/core/late_windows.h"
#include "engine/core/panes.h"

void time_windows_init(struct time_windows *tw)
{
	tw->keeper = panes_shared(tw->n) ? &window_panes : &window_copies;
	stream_time_init(&tw->time);
	tw->closed = -RECORD_TIME_MAX;
	tw->first = INT64_MAX;
}

int time_windows_end(struct time_windows *tw)
{
	int r = 0;

	while (r == 0 && tw->n_open)
		r = tw->keeper->close_first(tw);
	return r;
}

void time_windows_release(struct time_windows *tw)
{
	if (tw->keeper)
		tw->keeper->release(tw);
}

int window_push(struct weir_node *n, uint32_t out, int64_t start, struct weir_body *body,
        struct weir_batch *b, const uint16_t *rows, uint32_t k)
{
	struct weir_batch *v = weir_view(n, b);
	struct weir_col *col;
	uint16_t *sel;

	if (!v)
		return -ENOMEM;
	sel = weir_batch_sel(v, k);
	col = weir_batch_own(v, out);
	if (!sel || !col) {
		weir_batch_unref(v);
		return -ENOMEM;
	}
	memcpy(sel, rows, k * sizeof *sel);
	weir_batch_select(v, sel, k);
	for (uint32_t i = 0; i < k; i++)
		((int64_t *)col->data)[sel[i]] = start;
	return weir_body_push(body, v);
}

/* Counts k records of the pane at `from` with each window of it that has closed. *ret_open: one has
 * not; and none at all is nothing to be late for. */
static int count_late(struct time_windows *tw, int64_t from, uint32_t k, bool *ret_open)
{
	int64_t start = floor_to(from, tw->slide);
	bool covered = start + tw->width > from;
	int r = 0;

	*ret_open = covered && start + tw->width > tw->closed;
	if (covered && !*ret_open)
		tw->n->counters[WINDOW_LATE] += k;
	if (first_start(tw, from) + tw->width > tw->closed)
		return 0;
	for (; start + tw->width > from && r == 0; start -= tw->slide)
		if (start + tw->width <= tw->closed)
			r = late_windows_add(tw->n, start, k);
	return r;
}

/* The rows have come, and nothing that they close is open: so it does not matter which of them it
 * was that closed windows without records, for none of the pane is among those. */
static int push_pane(struct time_windows *tw, struct weir_batch *b, int64_t from,
        const uint16_t *rows, uint32_t k)
{
	bool open;
	int r;

	window_closed(tw, tw->time.highest - tw->late);
	r = count_late(tw, from, k, &open);
	return r == 0 && open ? tw->keeper->push(tw, b, from, rows, k) : r;
}

/* Closes what ends by `t`. */
static int close_until(struct time_windows *tw, int64_t t)
{
	int r = 0;

	while (r == 0 && tw->first <= t)
		r = tw->keeper->close_first(tw);
	return r;
}

/* A record of time t has come: what it closes. */
static int advance(struct time_windows *tw, int64_t t, int64_t clock)
{
	int64_t until;
	int r = 0;

	if (stream_time_add(&tw->time, t, tw->step, clock)) {
		tw->n->counters[WINDOW_STEPS]++;
		r = time_windows_end(tw);
		tw->closed = -RECORD_TIME_MAX;
	}
	until = tw->time.highest - tw->late;
	if (r == 0)
		r = close_until(tw, until);
	window_closed(tw, until);
	return r;
}

/* Whether the record, behind others of the pane, is the newest of all, and closes nothing. */
static inline bool is_next(const struct time_windows *tw, int64_t from, int64_t t)
{
	return t >= tw->time.highest && t < from + tw->pane && t - tw->late < tw->first;
}

/* Rows of one pane go to it together. Those before a record come before what its time closes. */
int time_windows_push(struct time_windows *tw, struct weir_batch *b, const struct weir_col *ts)
{
	int64_t clock = weir_node_clock(tw->n), from = 0;
	uint16_t rows[WEIR_BATCH_ROWS];
	uint32_t k = 0;
	int r = 0;

	for (uint32_t i = 0; i < weir_batch_count(b) && r == 0; i++) {
		uint32_t row = weir_batch_row(b, i);
		int64_t t;

		if (!weir_col_has(ts, row)) {
			tw->n->counters[WINDOW_MISSING]++;
			continue;
		}
		t = record_time(ts, row);
		if (k && is_next(tw, from, t)) {
			tw->time = (struct stream_time){.highest = t, .seen = clock};
			rows[k++] = (uint16_t)row;
			continue;
		}
		if (k && (t < from || t >= from + tw->pane || t - tw->late >= tw->first ||
		                 t < tw->time.highest - tw->step)) {
			r = push_pane(tw, b, from, rows, k);
			k = 0;
		}
		if (r == 0)
			r = advance(tw, t, clock);
		if (!k)
			from = floor_to(t, tw->pane);
		rows[k++] = (uint16_t)row;
	}
	return r == 0 && k ? push_pane(tw, b, from, rows, k) : r;
}

int time_windows_clock(struct time_windows *tw, int64_t *ret_due)
{
	int64_t now = stream_time_by_clock(&tw->time, weir_node_clock(tw->n));
	int r = close_until(tw, now - tw->late);

	if (tw->first != INT64_MAX)
		stream_time_due(&tw->time, tw->first + tw->late, ret_due);
	for (uint32_t i = 0; tw->w && i < tw->n_open && r == 0; i++)
		if (weir_body_clocked(tw->w[i].body))
			r = weir_body_clock(tw->w[i].body, ret_due);
	return r;
}
