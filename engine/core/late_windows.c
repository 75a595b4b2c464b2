/* SPDX-License-Identifier: MIT */
/* late_windows.c: see late_windows.h. */
#include "engine/core/late_windows.h"

#include <stdlib.h>

#include "engine/core/node.h"
#include "engine/core/put.h"

void late_windows_init(struct late_windows *l)
{
	*l = (struct late_windows){0};
	pthread_mutex_init(&l->lock, NULL);
}

void late_windows_release(struct late_windows *l)
{
	free(l->w);
	pthread_mutex_destroy(&l->lock);
}

/* Where the window stands, or would. */
static uint32_t place(const struct late_windows *l, uint32_t node, int64_t start)
{
	uint32_t low = 0, high = l->n;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct late_window *w = &l->w[mid];

		if (w->node < node || (w->node == node && w->start < start))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Makes room for one: the first two of a node become one. */
static bool unite(struct late_windows *l)
{
	for (uint32_t i = 0; i + 1 < l->n; i++) {
		struct late_window *w = &l->w[i];

		if (w->node != w[1].node)
			continue;
		w->start = LATE_BEFORE;
		w->records += w[1].records;
		memmove(w + 1, w + 2, (l->n - i - 2) * sizeof *w);
		l->n--;
		return true;
	}
	return false;
}

/* Entry i is that of all older windows of its node, and others of that follow. */
static bool is_before(const struct late_windows *l, uint32_t i)
{
	return l->w[i].start == LATE_BEFORE && i + 1 < l->n && l->w[i + 1].node == l->w[i].node;
}

static void add(struct late_windows *l, uint32_t node, int64_t start, uint64_t records)
{
	uint32_t i;

	for (;;) {
		i = place(l, node, start);
		if (i < l->n && l->w[i].node == node && l->w[i].start == start)
			break;
		if (i > 0 && l->w[i - 1].node == node && is_before(l, i - 1)) {
			i--;
			break;
		}
		if (l->n < LATE_WINDOWS) {
			memmove(l->w + i + 1, l->w + i, (l->n - i) * sizeof *l->w);
			l->w[i] = (struct late_window){node, start, 0};
			l->n++;
			break;
		}
		if (!unite(l))
			return; /* as many nodes as places: their counters must do */
	}
	l->w[i].records += records;
}

int late_windows_add(struct weir_node *n, int64_t start, uint64_t records)
{
	struct late_windows *l = node_of(n)->graph->run->late;
	int r = 0;

	if (!l)
		return 0;
	pthread_mutex_lock(&l->lock);
	if (!l->w)
		l->w = calloc(LATE_WINDOWS, sizeof *l->w);
	if (l->w)
		add(l, node_of(n)->plan->id, start, records);
	else
		r = -ENOMEM;
	pthread_mutex_unlock(&l->lock);
	return r;
}

void late_windows_text(struct late_windows *l, const struct plan_node *n, struct text *to)
{
	unsigned digits = n->nstamps ? n->out->fields[n->stamps[0]].digits : 9;

	pthread_mutex_lock(&l->lock);
	for (uint32_t i = place(l, n->id, LATE_BEFORE); i < l->n && l->w[i].node == n->id; i++) {
		char buf[WEIR_PRINT_MAX] = "before";

		if (l->w[i].start != LATE_BEFORE)
			*put_time(buf, l->w[i].start, digits) = '\0';
		text_printf(to, "%s.late[%s]: %llu\n", n->name, buf,
		        (unsigned long long)l->w[i].records);
	}
	pthread_mutex_unlock(&l->lock);
}
