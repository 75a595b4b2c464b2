/* SPDX-License-Identifier: MIT */
/* late_windows.h: which windows have missed records that came late, and how many, for the status of
 * a query.
 *
 * That is no field of a window's rows: they are out when it has closed, a log only grows, and its
 * late records come after that. So the status tells them, by the window that lacks them, as long as
 * the query lives.
 *
 * Of each query LATE_WINDOWS are remembered; where there are more, the oldest of a node are counted
 * together.
 */
#ifndef LATE_WINDOWS_H
#define LATE_WINDOWS_H

#include <pthread.h>
#include <stdint.h>

struct plan_node;
struct text;
struct weir_node;

#define LATE_WINDOWS 256
#define LATE_BEFORE INT64_MIN /* start of all those that are counted together */

struct late_windows {
	pthread_mutex_t lock; /* protects what follows */
	uint32_t n;
	struct late_window {
		uint32_t node; /* of the plan */
		int64_t start;
		uint64_t records;
	} * w; /* by node, then start; LATE_WINDOWS of them, made with the first */
};

void late_windows_init(struct late_windows *l);
void late_windows_release(struct late_windows *l);

/* So many records of a window of node `n` came late. 0 or -ENOMEM. */
int late_windows_add(struct weir_node *n, int64_t start, uint64_t records);

/* "window.late[START]: N" lines, times with the digits of the node's stamp. */
void late_windows_text(struct late_windows *l, const struct plan_node *n, struct text *to);

#endif
