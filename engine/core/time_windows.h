/* SPDX-License-Identifier: MIT */
/* time_windows.h: windows of one width that begin at multiples of one slide since the epoch.
 *
 * The records' time is cut into panes of gcd(width, slide); a record is of each window that covers
 * its pane. Only windows with records exist. One closes once the highest time seen, less the
 * tolerance for late records, has reached its end: after every single record, so that the answer
 * does not depend on how records come in batches. From then on a record of it is late, and so it is
 * where the window had no record before. It closes by the clock, too (weir_module.clock); but then
 * only those that exist: if the source was only held up, the next ones still get their records.
 *
 * The windows themselves are kept in one of two ways (struct window_keeper): each has a body of its
 * own (window_copies.c), or they share panes that are added up (window_panes.c). Both close the
 * first one first, and both answer the same; rows of equal order, where a table has them in that of
 * first appearance, may stand otherwise where records came late.
 */
#ifndef TIME_WINDOWS_H
#define TIME_WINDOWS_H

#include "engine/core/stream_time.h"
#include "engine/core/window_shape.h"

/* Counters of the node. */
enum { WINDOW_LATE, WINDOW_MISSING, WINDOW_EARLY, WINDOW_STEPS };

struct time_windows;

struct window_keeper {
	/* Gives rows[0..k) of b, of the pane that begins at `from`, to the windows of it that are
	 * open; at least one is. Where there would be more than tw->max it first closes some. 0 or
	 * -errno. */
	int (*push)(struct time_windows *tw, struct weir_batch *b, int64_t from,
	        const uint16_t *rows, uint32_t k);
	/* Closes the first window. */
	int (*close_first)(struct time_windows *tw);
	void (*release)(struct time_windows *tw);
};

extern const struct window_keeper window_copies, window_panes;

struct time_windows {
	struct weir_node *n;
	const struct window_keeper *keeper;
	int64_t width, slide, pane, late, step;
	uint32_t out; /* the field with the start of the window */
	uint64_t max;
	struct stream_time time;
	int64_t closed; /* windows that end by then have closed */
	int64_t first;  /* end of the first one that is open; INT64_MAX: none is */
	/* copies: sorted by start */
	struct window {
		int64_t start;
		struct weir_body *body;
		bool done; /* the body wants no more */
	} * w;
	/* panes: sorted by time */
	struct pane {
		int64_t from;
		struct weir_body *body; /* p[i] with i < nfront: all of p[i .. nfront) */
	} * p;
	struct weir_body *back; /* all of p[nfront .. nsummed); NULL: nothing */
	uint32_t nfront, nsummed;
	uint32_t n_open, cap; /* windows, or panes */
};

/* tw is zeroed but for n and what the configuration says, from `width` to `max`. */
void time_windows_init(struct time_windows *tw);
int time_windows_push(struct time_windows *tw, struct weir_batch *b, const struct weir_col *ts);
int time_windows_clock(struct time_windows *tw, int64_t *ret_due);
int time_windows_end(struct time_windows *tw); /* closes all */
void time_windows_release(struct time_windows *tw);

/* For any window of a scope whose output field `out` is its start: gives rows[0..k) of b to it. 0,
 * WEIR_DONE or -errno. */
int window_push(struct weir_node *n, uint32_t out, int64_t start, struct weir_body *body,
        struct weir_batch *b, const uint16_t *rows, uint32_t k);

static inline int64_t floor_to(int64_t t, int64_t by)
{
	return (t / by - (t % by < 0)) * by;
}

/* The first start of a window that ends behind t. */
static inline int64_t first_start(const struct time_windows *tw, int64_t t)
{
	return floor_to(t - tw->width, tw->slide) + tw->slide;
}

/* A window that ends there is closed. */
static inline void window_closed(struct time_windows *tw, int64_t end)
{
	if (end > tw->closed)
		tw->closed = end;
}

#endif
