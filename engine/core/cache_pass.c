/* SPDX-License-Identifier: MIT */
/* cache_pass.c: passes that are watched for their end, and passes that read what was kept.
 *
 * Both take the place of the reader's source: nothing else of a query knows of them, and a pass
 * that has nothing to do with the cache is what it is without one.
 */
#include "engine/core/cache.h"

#include <stdlib.h>

#include "engine/core/run.h"
#include "engine/core/served.h"

static struct reader *of(struct weir_reader *pub)
{
	return (struct reader *)pub; /* pub is the first member */
}

/* ---- watching ---- */

struct watch {
	const struct weir_source *source; /* the reader's own */
	struct run *run;
	const struct plan_node *node;
	uint64_t packets;
	bool ended;
};

static int read_watched(struct weir_reader *pub, struct weir_batch **ret, struct weir_err *err)
{
	struct watch *w = of(pub)->watch;
	int r = w->source->read(pub, ret, err);

	if (r == 1)
		w->packets += (*ret)->n;
	w->ended |= r == 0;
	return r;
}

static int pieces_watched(struct weir_reader *pub, uint32_t ahead, uint32_t workers)
{
	const struct weir_source *s = of(pub)->watch->source;

	return s->pieces ? s->pieces(pub, ahead, workers) : 0;
}

static int fetch_watched(struct weir_reader *pub, uint64_t number, uint32_t worker)
{
	return of(pub)->watch->source->fetch(pub, number, worker);
}

/* Back to the reader's own source. The query has given its answer now. */
static void close_watched(struct weir_reader *pub)
{
	struct reader *r = of(pub);
	struct watch *w = r->watch;

	r->source = w->source;
	r->watch = NULL;
	if (r->source->close)
		r->source->close(pub);
	if (w->ended)
		cache_want(w->run->e->cache, w->run, w->node, w->packets);
	free(w);
}

static const struct weir_source watched = {
        .abi = WEIR_ABI,
        .name = "watched",
        .summary = "a source whose end is told",
        .read = read_watched,
        .pieces = pieces_watched,
        .fetch = fetch_watched,
        .close = close_watched,
};

int cache_pass_watch(struct reader *r, struct run *run, const struct plan_node *n)
{
	struct watch *w = malloc(sizeof *w);

	if (!w)
		return -ENOMEM;
	*w = (struct watch){.source = r->source, .run = run, .node = n};
	r->watch = w;
	r->source = &watched;
	return 0;
}

void cache_pass_ended(struct reader *r, uint64_t packets)
{
	if (!r->watch)
		return;
	r->watch->packets = packets;
	r->watch->ended = true;
}

/* ---- serving ---- */

struct serving {
	struct cached *from;
	uint32_t next;
};

/* Nobody writes the faults of a trace that is kept. */
static int over(struct weir_reader *pub, const struct cached *d)
{
	const struct faults *from = &d->faults;

	for (uint64_t i = 0; i < from->count && i < FAULTS_MAX; i++)
		weir_source_fault(
		        pub, from->fault[i].file, from->fault[i].offset, from->fault[i].text);
	__atomic_store_n(&pub->bytes_done, d->done, __ATOMIC_RELAXED);
	return 0;
}

static void let_go(void *holder)
{
	cached_unref(holder);
}

static int read_served(struct weir_reader *pub, struct weir_batch **ret, struct weir_err *err)
{
	struct serving *s = pub->state;
	const struct cached_batch *from = &s->from->batch[s->next];

	if (s->next == s->from->n)
		return over(pub, s->from);
	*ret = served_batch(pub, &(struct served){.form = &from->form,
	                                 .flows = s->from->flows,
	                                 .of = s->from,
	                                 .holder = cached_ref(s->from),
	                                 .let_go = let_go});
	if (!*ret)
		return -ENOMEM;
	__atomic_store_n(&pub->bytes_done, from->done, __ATOMIC_RELAXED);
	s->next++;
	return 1;
}

static void close_served(struct weir_reader *pub)
{
	struct serving *s = pub->state;

	cached_unref(s->from);
	s->from = NULL;
}

static const struct weir_source serving = {
        .abi = WEIR_ABI,
        .name = "cache",
        .summary = "what was kept of a trace",
        .reader_size = sizeof(struct serving),
        .read = read_served,
        .close = close_served,
};

/* The files are closed: nothing is read from them. The schema and the number of bytes stay. */
int cache_pass_serve(struct reader *r, struct cached *d)
{
	struct weir_reader *pub = &r->pub;
	struct serving *s = weir_calloc(pub->mem, sizeof *s);

	if (!s)
		return -ENOMEM;
	if (r->source->close)
		r->source->close(pub);
	weir_free(pub->mem, pub->state, r->source->reader_size);
	s->from = d;
	pub->state = s;
	r->source = &serving;
	return 0;
}
