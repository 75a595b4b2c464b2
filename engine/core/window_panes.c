/* SPDX-License-Identifier: MIT */
/* window_panes.c: windows that share their panes; see time_windows.h and panes.h.
 *
 * A record goes into its pane, once. A window is its panes added up, and each pane is added up only
 * a few times, whatever number of windows it is in, by two stacks (K. Tangwongsan, M. Hirzel, S.
 * Schneider, "Low-latency sliding-window aggregation in worst-case constant time", DEBS 2017,
 * section 2):
 *
 *   p[0 .. nfront)        each holds itself and all behind it up to nfront
 *   p[nfront .. nsummed)  hold themselves; `back` holds all of them
 *   p[nsummed .. n_open)  hold themselves; no window that has closed reached them
 *
 * So the first window is p[0] with `back` and, once, the panes that are new to it. When the front
 * is used up, what is behind becomes the front, from its end on. p[0] leaves with the last window
 * that covers it, so that window may be added up in its place.
 *
 * A record that comes late goes to all that hold its pane.
 */
#include "engine/core/panes.h"
#include "engine/core/time_windows.h"

static void find_first(struct time_windows *tw)
{
	int64_t behind = tw->n_open ? tw->p[0].from : 0;

	if (tw->closed > behind)
		behind = tw->closed;
	tw->first = tw->n_open ? first_start(tw, behind) + tw->width : INT64_MAX;
}

static void drop_back(struct time_windows *tw)
{
	weir_body_close(tw->back);
	tw->back = NULL;
}

/* The panes before `from` are in no window any more. */
static void evict(struct time_windows *tw, int64_t from)
{
	uint32_t m = 0;

	while (m < tw->n_open && tw->p[m].from < from)
		weir_body_close(tw->p[m++].body);
	tw->n_open -= m;
	memmove(tw->p, tw->p + m, tw->n_open * sizeof *tw->p);
	tw->nfront -= m < tw->nfront ? m : tw->nfront;
	tw->nsummed -= m < tw->nsummed ? m : tw->nsummed;
	if (!tw->nfront) {
		drop_back(tw);
		tw->nsummed = 0;
	}
}

/* All of p[0 .. m) is in p[0] and `back`. */
static int sum(struct time_windows *tw, uint32_t m)
{
	int r = 0;

	if (!tw->nfront) {
		for (uint32_t i = m - 1; i > 0 && r == 0; i--)
			r = body_absorb(tw->p[i - 1].body, tw->p[i].body);
		tw->nfront = tw->nsummed = m;
		return r;
	}
	if (tw->nsummed < m && !tw->back) {
		tw->back = weir_body_open(tw->n, 0, NULL);
		if (!tw->back)
			return -ENOMEM;
	}
	for (; tw->nsummed < m && r == 0; tw->nsummed++)
		r = body_absorb(tw->back, tw->p[tw->nsummed].body);
	return r;
}

/* The window of p[0] and `back`: where p[0] is in no other, in its place. */
static int make(struct time_windows *tw, bool take, struct weir_body **ret)
{
	struct weir_body *body = take ? tw->p[0].body : weir_body_open(tw->n, 0, NULL);
	int r = body ? 0 : -ENOMEM;

	if (take)
		tw->p[0].body = NULL;
	else if (r == 0)
		r = body_absorb(body, tw->p[0].body);
	if (r == 0 && tw->back)
		r = body_absorb(body, tw->back);
	*ret = body;
	return r;
}

static int panes_close_first(struct time_windows *tw)
{
	int64_t start = tw->first - tw->width, next = start + tw->slide;
	struct weir_body *body = NULL;
	uint32_t m = 0;
	int r;

	while (m < tw->n_open && tw->p[m].from < tw->first)
		m++;
	r = sum(tw, m);
	if (r == 0)
		r = make(tw, tw->p[0].from < next, &body);
	window_closed(tw, tw->first);
	evict(tw, next);
	find_first(tw);
	if (r < 0) {
		weir_body_close(body);
		return r;
	}
	body_stamp(body, (struct weir_value){.kind = WEIR_TIME, .d.i = start});
	r = weir_body_end(body);
	return r < 0 ? r : 0;
}

/* Where the pane stands, or would. */
static uint32_t place(const struct time_windows *tw, int64_t from)
{
	uint32_t i = tw->n_open;

	while (i > 0 && tw->p[i - 1].from >= from)
		i--;
	return i;
}

/* A new pane as p[i]. */
static int insert(struct time_windows *tw, int64_t from, uint32_t i)
{
	struct weir_body *body;
	int r = 0;

	if (tw->n_open == tw->cap) {
		uint32_t cap = tw->cap ? 2 * tw->cap : 2;
		struct pane *p =
		        weir_realloc(tw->n->mem, tw->p, tw->cap * sizeof *p, cap * sizeof *p);

		if (!p)
			return -ENOMEM;
		tw->p = p;
		tw->cap = cap;
	}
	body = weir_body_open(tw->n, 0, NULL);
	if (!body)
		return -ENOMEM;
	if (i < tw->nfront)
		r = body_absorb(body, tw->p[i].body);
	memmove(tw->p + i + 1, tw->p + i, (tw->n_open - i) * sizeof *tw->p);
	tw->p[i] = (struct pane){from, body};
	tw->n_open++;
	tw->nfront += i < tw->nfront;
	tw->nsummed += i < tw->nsummed;
	find_first(tw);
	return r;
}

static int panes_push(struct time_windows *tw, struct weir_batch *b, int64_t from,
        const uint16_t *rows, uint32_t k)
{
	uint32_t i = place(tw, from), first;
	bool is_new = i == tw->n_open || tw->p[i].from != from;
	int r = 0;

	while (r == 0 && is_new && tw->n_open >= tw->max) {
		tw->n->counters[WINDOW_EARLY]++;
		r = panes_close_first(tw);
	}
	if (r == 0 && is_new) {
		if (floor_to(from, tw->slide) + tw->width <= tw->closed) {
			tw->n->counters[WINDOW_LATE] += k;
			return 0;
		}
		i = place(tw, from);
		r = insert(tw, from, i);
	}
	first = i < tw->nfront ? 0 : i;
	for (uint32_t at = first; at <= i && r >= 0; at++)
		r = window_push(tw->n, tw->out, from, tw->p[at].body, b, rows, k);
	if (r >= 0 && i >= tw->nfront && i < tw->nsummed)
		r = window_push(tw->n, tw->out, from, tw->back, b, rows, k);
	return r < 0 ? r : 0;
}

static void panes_release(struct time_windows *tw)
{
	for (uint32_t i = 0; i < tw->n_open; i++)
		weir_body_close(tw->p[i].body);
	weir_body_close(tw->back);
	weir_free(tw->n->mem, tw->p, tw->cap * sizeof *tw->p);
}

const struct window_keeper window_panes = {panes_push, panes_close_first, panes_release};
