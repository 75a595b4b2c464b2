/* SPDX-License-Identifier: MIT */
/* run_read.c: the sources of a run while it runs: whose batch comes next, what has been read.
 *
 * The reader that is behind in time goes first, so that several sources run in step; while one of
 * them has nothing yet, none of the others gets ahead of it. But one that is live may have nothing
 * for ever: once it had nothing for a while, the others wait for it no more until it has.
 */
#include "engine/core/run_parts.h"

#define HOLD_NS 10000000ll /* with `set order arrival` */

static int64_t first_time(struct weir_batch *b)
{
	int f = weir_schema_find(b->schema, "ts", 2);
	const struct weir_col *c = f < 0 ? NULL : weir_batch_col(b, (uint32_t)f);
	uint32_t row = weir_batch_count(b) ? weir_batch_row(b, 0) : 0;

	return c && weir_col_has(c, row) ? weir_col_i64(c)[row] : INT64_MIN;
}

/* Until when others wait for a source that has nothing; INT64_MAX: until it has. */
static int64_t hold_until(const struct run *r, uint32_t source, const struct run_head *h)
{
	const struct weir_reader *pub = &r->readers[source]->pub;
	const struct settings *set = &r->plan->set;

	if (!r->links[source].feed || (pub->pace <= 0 && !set->idle))
		return INT64_MAX;
	return h->since + (set->order ? run_clock_held(r) / 2 : HOLD_NS);
}

/* Whether what is there must wait for a source; *ret is which. */
static bool is_held(struct run *r, const struct run_head *head, uint32_t n, bool any, uint32_t *ret)
{
	int64_t until = 0;

	for (uint32_t i = 0; i < n; i++)
		if (head[i].waits && !head[i].batch && !head[i].end) {
			int64_t at = any ? hold_until(r, i, &head[i]) : INT64_MAX;

			*ret = i;
			until = at > until ? at : until;
		}
	if (!until || until <= now_ns(CLOCK_MONOTONIC))
		return false;
	r->hold = until == INT64_MAX ? 0 : until;
	return true;
}

static int next_batch(struct run *r, struct run_head *head, uint32_t n, uint32_t *ret)
{
	int best = -1;

	r->hold = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct run_head *h = &head[i];
		struct reader *reader = r->readers[i];

		if (!h->batch && !h->end) {
			int got = reader->source->read(&reader->pub, &h->batch, &r->context.err);

			if (got == -EAGAIN && !h->waits)
				h->since = now_ns(CLOCK_MONOTONIC);
			h->waits = got == -EAGAIN;
			if (h->waits)
				continue;
			if (got < 0)
				return got;
			h->end = got == 0;
			if (got > 0 && n > 1)
				h->ts = first_time(h->batch);
		}
		if (h->batch && (best < 0 || h->ts < head[best].ts))
			best = (int)i;
	}
	if (is_held(r, head, n, best >= 0, ret))
		return -EAGAIN;
	*ret = (uint32_t)best;
	return best >= 0;
}

/* Timed: reading is a lane of its own. */
int run_read(struct run *r, struct run_head *head, uint32_t *ret)
{
	int64_t start = now_ns(CLOCK_MONOTONIC);
	int got = next_batch(r, head, r->plan->nsources, ret);

	stat_add(&r->context.read_ns, (uint64_t)(now_ns(CLOCK_MONOTONIC) - start));
	return got;
}

bool run_wanted(const struct run *r, const struct graph *g, const struct run_head *head)
{
	for (uint32_t i = 0; i < r->plan->nsources; i++)
		if (!head[i].end && graph_wants(g, head[i].node))
			return true;
	return false;
}

uint32_t run_entry(const struct run *r, uint32_t i, const struct run_head *h)
{
	uint32_t level = r->links[i].level;

	return level ? r->plan->lead[level - 1] : h->node;
}

void run_took(struct run *r, uint32_t i, struct weir_batch *b)
{
	struct feed_link *l = &r->links[i];
	uint64_t n = b ? weir_batch_count(b) : 0;

	if (l->feed) { /* its trunk may have left less, or nothing */
		n = l->records;
		l->records = 0;
	}
	if (!b && !n)
		return;
	if (r->clock.pace > 0)
		run_clock_batch(r, l->feed ? l->newest : run_clock_time(b));
	run_progress(r, r->records + n);
}

uint64_t run_taken(const struct run *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->plan->root.n; i++)
		if (r->plan->root.nodes[i]->source)
			n += stat_get(&r->context.stats[r->plan->root.nodes[i]->id].records_out);
	return n;
}

void run_progress(struct run *r, uint64_t records)
{
	uint64_t bytes = 0, total = 0;

	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		bytes += __atomic_load_n(&r->readers[i]->pub.bytes_done, __ATOMIC_RELAXED);
		total += r->readers[i]->pub.bytes_total;
	}
	__atomic_store_n(&r->bytes, bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&r->total, total, __ATOMIC_RELAXED);
	__atomic_store_n(&r->records, records, __ATOMIC_RELAXED);
}

void run_count_sources(struct run *r)
{
	for (uint32_t i = 0; i < r->plan->root.n; i++) {
		const struct plan_node *n = r->plan->root.nodes[i];

		if (!n->mounted || n->mounted->feed)
			continue;
		__atomic_add_fetch(&n->mounted->records,
		        stat_get(&r->context.stats[n->id].records_out), __ATOMIC_RELAXED);
		__atomic_add_fetch(&n->mounted->bytes, r->readers[n->reader]->pub.bytes_done,
		        __ATOMIC_RELAXED);
	}
}

void run_leave_feeds(struct run *r)
{
	for (uint32_t i = 0; r->links && i < r->plan->nsources; i++)
		if (r->links[i].feed)
			feed_leave(&r->links[i]);
}

void run_pause_feeds(struct run *r, bool pause)
{
	for (uint32_t i = 0; i < r->plan->nsources; i++)
		if (r->links[i].feed)
			feed_pause(&r->links[i], pause);
		else if (pause)
			joint_rest(r->readers[i]);
}

int run_join(struct run *r)
{
	int ret = 0;

	for (uint32_t i = 0; i < r->plan->nsources && ret == 0; i++) {
		struct feed_link *l = &r->links[i];

		if (!l->feed)
			continue;
		/* worker threads have lanes enough of their own; a union goes by its sources' time;
		 * a sample is the query's own */
		if (r->plan->nsources == 1 && l->shed.mode != SHED_SAMPLE &&
		        r->context.scheduler != &scheduler_workers)
			l->end = (struct trunk_end){.plan = r->plan, .stats = r->context.stats};
		l->history = r->plan->set.history;
		ret = feed_join(l);
	}
	return ret;
}
