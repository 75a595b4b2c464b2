/* SPDX-License-Identifier: MIT */
/* run_open.c: what is settled before a run starts: its readers, and which scheduler it gets.
 *
 * A source is read by a pass of the run's own, served by the cache where that has it all, joint
 * with that of others who come at the same time, or, where it can be read only once, shared with
 * other runs through a feed.
 */
#include "engine/core/run_parts.h"

#include <stdlib.h>

#include "engine/core/plugin.h"
#include "engine/proto/compact.h"

#define SMALL (4ull << 20)       /* bytes of a source that one thread has read in no time */
#define TOKEN_BYTES (4ull << 20) /* of the memory limit, for each batch in flight */

/* A plug-in may read fields that it did not name: then only the file has them all. */
static bool has_plugins(const struct plan_graph *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];

		if (n->module && plugin_of(n->module))
			return true;
		for (uint32_t k = 0; k < n->nbodies; k++)
			if (has_plugins(&n->bodies[k]))
				return true;
	}
	return false;
}

static void attach(struct run *r, const struct plan_node *n)
{
	bool plugins = has_plugins(&r->plan->root), served = false;

	if (r->e->cache && !n->own)
		served = cache_attach(r, r->readers[n->reader], n, !plugins);
	r->served += served;
	if (!served && !plugins)
		joint_attach(r, r->readers[n->reader], n);
}

int run_open_sources(struct run *r, struct weir_err *err)
{
	const struct plan_graph *g = &r->plan->root;

	r->readers = calloc(r->plan->nsources + 1, sizeof *r->readers);
	r->links = calloc(r->plan->nsources + 1, sizeof *r->links);
	if (!r->readers || !r->links)
		return -ENOMEM;
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];
		struct rights all = {.all = true};
		struct weir_err why = WEIR_ERR_INIT;
		int ret = 0;

		if (!n->source)
			continue;
		if (n->mounted && n->mounted->feed) {
			struct feed_link *l = &r->links[n->reader];

			*l = (struct feed_link){.feed = n->mounted->feed,
			        .name = n->mounted->name,
			        .wake = run_wake,
			        .arg = r,
			        .mem = r->mem,
			        .faults = &r->faults,
			        .prefilter = prefilter_of(g, n),
			        .headers = compact_decodes(n->needs),
			        .schema = n->out,
			        .shed.mode = n->source->pressed ? r->plan->set.shed : SHED_NONE};
			pthread_mutex_init(&l->lock, NULL);
			ret = feed_open(l, r->e, &r->readers[n->reader], err);
			if (ret < 0)
				return ret;
			continue;
		}
		if (n->mounted)
			__atomic_add_fetch(&n->mounted->passes, 1, __ATOMIC_RELAXED);
		ret = reader_open(n->source, n->config, n->own ? &r->rights : &all, r->e, r->mem,
		        &r->faults, &r->readers[n->reader], &why);
		if (ret == -ENOMEM && r->mem->denied && err)
			return run_at_limit(r, err, n->pos, n->len, n->name);
		if (ret < 0)
			return why.id ? weir_fail_no(err, why.no, WEIR_E_BAD_TRACE, n->pos, n->len,
			                        why.text)
			              : ret;
		attach(r, n);
	}
	return 0;
}

/* Threads cost something to start, and batches in flight memory: for little work one thread does.
 */
static bool is_worth_threads(const struct run *r)
{
	uint64_t total = 0;

	if (r->plan->set.threads < 2 || !r->plan->nstretches || r->plan->nspills)
		return false;
	for (uint32_t i = 0; i < r->plan->nsources; i++)
		total += r->readers[i]->pub.bytes_total;
	return !total || total >= SMALL;
}

/* A batch that is read is one that the query is through with; worker threads have some in flight.
 */
static bool is_remembered(const struct run *r)
{
	for (uint32_t i = 0; i < r->plan->nsources; i++)
		if (r->links[i].feed && feed_remembers(r->links[i].feed))
			return true;
	return false;
}

void run_choose_scheduler(struct run *r)
{
	const struct settings *set = &r->plan->set;
	uint64_t tokens = set->tokens ? set->tokens : 4 * set->threads + 4;
	uint64_t most = set->memory / TOKEN_BYTES;
	bool many = (set->scheduler == PLAN_WORKERS && !r->plan->nspills) ||
	            (set->scheduler == PLAN_AUTO && is_worth_threads(r));

	many &= !is_remembered(r);
	if (set->memory && tokens > most)
		tokens = most;
	if (set->scheduler == PLAN_BREADTH)
		r->context.scheduler = &scheduler_breadth;
	else if (many && tokens > set->threads)
		r->context.scheduler = &scheduler_workers;
	r->context.threads = (uint32_t)set->threads;
	r->context.tokens = (uint32_t)tokens;
}
