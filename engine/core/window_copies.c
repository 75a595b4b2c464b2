/* SPDX-License-Identifier: MIT */
/* window_copies.c: windows each of which has a body of its own, and gets all of its records; see
 * time_windows.h. */
#include "engine/core/time_windows.h"

static void find_first(struct time_windows *tw)
{
	tw->first = tw->n_open ? tw->w[0].start + tw->width : INT64_MAX;
}

static int copies_close_first(struct time_windows *tw)
{
	struct window w = tw->w[0];
	int r;

	window_closed(tw, w.start + tw->width);
	memmove(tw->w, tw->w + 1, --tw->n_open * sizeof *tw->w);
	find_first(tw);
	r = weir_body_end(w.body);
	return r < 0 ? r : 0;
}

/* Opens a window as w[i]. */
static int open_window(struct time_windows *tw, int64_t start, uint32_t i)
{
	struct weir_body *body;

	if (tw->n_open == tw->cap) {
		uint32_t cap = tw->cap ? 2 * tw->cap : 2;
		struct window *w =
		        weir_realloc(tw->n->mem, tw->w, tw->cap * sizeof *w, cap * sizeof *w);

		if (!w)
			return -ENOMEM;
		tw->w = w;
		tw->cap = cap;
	}
	body = weir_body_open(tw->n, 0, NULL);
	if (!body)
		return -ENOMEM;
	memmove(tw->w + i + 1, tw->w + i, (tw->n_open - i) * sizeof *tw->w);
	tw->w[i] = (struct window){.start = start, .body = body};
	tw->n_open++;
	find_first(tw);
	return 0;
}

/* The window that begins at `start`, as w[*ret]: 0; 1: to make room for it it has closed. */
static int find(struct time_windows *tw, int64_t start, uint32_t *ret)
{
	uint32_t i = tw->n_open;
	int r;

	while (i > 0 && tw->w[i - 1].start > start)
		i--;
	if (i > 0 && tw->w[i - 1].start == start) {
		*ret = i - 1;
		return 0;
	}
	while (tw->n_open >= tw->max) {
		tw->n->counters[WINDOW_EARLY]++;
		r = copies_close_first(tw);
		if (r < 0)
			return r;
		i -= i > 0;
	}
	*ret = i;
	return start + tw->width > tw->closed ? open_window(tw, start, i) : 1;
}

/* The newest first: if there is no room for all, the oldest have closed. */
static int copies_push(struct time_windows *tw, struct weir_batch *b, int64_t from,
        const uint16_t *rows, uint32_t k)
{
	int64_t start = floor_to(from, tw->slide);

	for (; start + tw->width > from && start + tw->width > tw->closed; start -= tw->slide) {
		uint32_t i;
		int r = find(tw, start, &i);

		if (r == 0 && !tw->w[i].done) {
			r = window_push(tw->n, tw->out, start, tw->w[i].body, b, rows, k);
			tw->w[i].done = r == WEIR_DONE;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static void copies_release(struct time_windows *tw)
{
	for (uint32_t i = 0; i < tw->n_open; i++)
		weir_body_close(tw->w[i].body);
	weir_free(tw->n->mem, tw->w, tw->cap * sizeof *tw->w);
}

const struct window_keeper window_copies = {copies_push, copies_close_first, copies_release};
