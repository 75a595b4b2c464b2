/* SPDX-License-Identifier: MIT */
/* jobs.h: threads for what may take long (planning a query, rendering a large table), so that no
 * FUSE worker waits. Started when needed, at most JOBS_MAX; jobs begin in the order they came. */
#ifndef JOBS_H
#define JOBS_H

#define JOBS_MAX 8

struct jobs *jobs_new(void);
/* Runs fn(arg) on one of the threads, or here where there is none. */
void jobs_run(struct jobs *j, void (*fn)(void *arg), void *arg);
/* Waits for all jobs and ends the threads; later jobs run where they are asked for. */
void jobs_end(struct jobs *j);
void jobs_free(struct jobs *j); /* after jobs_end() */

#endif
