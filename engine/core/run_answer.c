/* SPDX-License-Identifier: MIT */
/* run_answer.c: what a run says: its rows, the versions of a table, the end, and why it failed.
 *
 * Rows go to a result that readers see, or to the sink of whoever runs the query.
 */
#include "engine/core/run_parts.h"

#include <stdio.h>
#include <string.h>

int run_rows_to_result(void *arg, struct weir_batch *b)
{
	struct run *r = arg;

	return result_add(r->result, b);
}

int run_rows_to_sink(void *arg, struct weir_batch *b)
{
	struct run *r = arg;
	int ret;

	pthread_mutex_lock(&r->sink_lock);
	ret = r->sink.rows(r->sink.arg, b);
	pthread_mutex_unlock(&r->sink_lock);
	return ret;
}

void run_tick(struct run *r, bool waits)
{
	pthread_mutex_lock(&r->sink_lock);
	r->sink.tick(r->sink.arg, waits);
	pthread_mutex_unlock(&r->sink_lock);
}

static int publish(struct run *r)
{
	int ret;

	if (!r->result)
		return run_rows_to_sink(r, NULL);
	if (result_is_log(r->result))
		return 0;
	ret = result_publish(r->result, now_ns(CLOCK_REALTIME));
	if (ret == 1)
		__atomic_add_fetch(&r->versions, 1, __ATOMIC_RELAXED);
	return ret < 0 ? ret : 0;
}

int run_answer(struct run *r, struct graph *g)
{
	int64_t start = now_ns(CLOCK_MONOTONIC);
	int ret;

	__atomic_store_n(&r->refreshed, start, __ATOMIC_RELAXED);
	if (!r->plan->table)
		return 0;
	__atomic_add_fetch(&r->refreshes, 1, __ATOMIC_RELAXED);
	if (r->result)
		result_restart(r->result);
	ret = graph_refresh(g);
	if (ret == 0)
		ret = publish(r);
	if (stat_get(&r->context.spilled)) { /* reading the disk is a fifth of the work at most */
		int64_t end = now_ns(CLOCK_MONOTONIC);

		__atomic_store_n(&r->refreshed, end + 4 * (end - start), __ATOMIC_RELAXED);
	}
	r->changed(r->arg, r, false);
	return ret;
}

int run_begin_anew(struct run *r, struct graph *g, bool answer)
{
	int ret;

	__atomic_store_n(&r->refreshed, now_ns(CLOCK_MONOTONIC), __ATOMIC_RELAXED);
	if (answer && r->plan->table && r->result)
		result_restart(r->result);
	ret = graph_cut(g, answer);
	if (ret == 0 && answer && r->plan->table)
		ret = publish(r);
	if (answer)
		r->changed(r->arg, r, false);
	return ret;
}

int run_finish(struct run *r, struct graph *g)
{
	int ret;

	if (r->plan->table && r->result)
		result_restart(r->result);
	ret = graph_end(g);
	return ret == 0 ? publish(r) : ret;
}

/* A source or a module may have put it in words of its own: the limit is what matters. */
int run_at_limit(struct run *r, struct weir_err *err, uint32_t pos, uint32_t len, const char *where)
{
	char limit[32];
	uint64_t mb = r->mem->limit >> 20;

	if (mb)
		snprintf(limit, sizeof limit, "%llu MiB", (unsigned long long)mb);
	else
		snprintf(
		        limit, sizeof limit, "%llu KiB", (unsigned long long)(r->mem->limit >> 10));
	*err = (struct weir_err)WEIR_ERR_INIT;
	return weir_fail(err, WEIR_E_MEMORY_LIMIT, pos, len, limit, where);
}

int run_fail(struct run *r, int ret)
{
	struct weir_err *err = &r->context.err;

	if (ret == -ENOMEM && r->mem->denied) {
		run_at_limit(r, err, WEIR_NOPOS, 0,
		        r->context.failed ? r->context.failed : "the source");
	} else if (err->id == WEIR_E_NONE) {
		weir_fail_no(err, -ret, WEIR_E_SYSTEM, WEIR_NOPOS, 0,
		        r->context.failed ? r->context.failed : "query", strerror(-ret));
	}
	return ret;
}
