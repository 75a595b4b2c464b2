/* SPDX-License-Identifier: MIT */
/* cache.h: the headers of traces that have been read, so that a second question reads no file.
 *
 * When a query has read a trace to its end, a thread of low priority (cache_keep.c) reads it again,
 * from the page cache, and keeps the compact form (engine/proto/compact.h) of each batch; a later
 * query that reads nothing but what the form covers gets batches made from it: the same records in
 * batches of the same size, so the same answer. Whatever else it reads, it gets from the file. To
 * keep it in passing would cost the first query from a sixth of its time to twice as much as it
 * takes, by how little it does itself.
 *
 * A trace is the files that its source opened, in that order. It is kept only where another pass
 * would give the same (weir_reader.steady), all are regular files, none was changed within the last
 * two seconds (what is still being written is no trace yet, and a change within the clock's tick
 * could not be seen), and they are at the end what they were at the beginning. It is used while
 * device, inode, size and the times of the last change of all of them are the same; each query
 * opens its files all the same, with its own rights.
 *
 * Packets of the same flow (addresses, ports, protocol) get the same number on the way, as long as
 * there are at least three to a flow on average: by it tables find their keys again without hashing
 * them (keymemo.h).
 *
 * Memory is counted for the engine, not for a query. At the limit the traces that were not used for
 * longest go; a trace that alone is too large is not kept. When the machine's memory runs short all
 * go. One that is in use then is freed by its last user.
 *
 * Lock: `lock` in cache.c, taken alone.
 */
#ifndef CACHE_H
#define CACHE_H

#include "engine/core/flow_numbers.h"
#include "engine/core/mem.h"
#include "engine/core/reader.h"
#include "engine/core/text.h"

struct cache;
struct cached;
struct plan_node;
struct run;

struct cache *cache_new(size_t limit); /* bytes; NULL: out of memory */
void cache_free(struct cache *c);      /* NULL is fine; nothing may be in use */
/* What is asked whether memory runs short, for tests. */
void cache_set_pressed(struct cache *c, bool (*pressed)(void));

/* A pass of a run is about to begin, at source `n` of its plan, whose reader `r` has been opened.
 * Whether what it reads comes from the cache from then on; `may_serve`: it surely reads no field
 * but n->needs. */
bool cache_attach(struct run *run, struct reader *r, const struct plan_node *n, bool may_serve);

/* Ends what goes on in the background; the cache can still be read. No run is at work any more. */
void cache_stop(struct cache *c);

/* "cache: …" lines about the trace of an open reader; about all. */
void cache_trace_text(struct cache *c, const struct reader *r, struct text *to);
void cache_text(struct cache *c, struct text *to);

/* ---- for cache_pass.c and cache_keep.c ---- */

/* A batch's form, and how far the source was behind it. */
struct cached_batch {
	struct compact form;
	uint64_t done;
};

/* The forms of one trace. Written by the thread that keeps it, immutable from then on. */
struct cached {
	uint32_t refs; /* atomic: the cache's list, who keeps it, passes, batches */
	struct cache *cache;
	struct cache_files files;
	const struct weir_source *source;
	struct cached_batch *batch;
	uint32_t n, room;
	struct slab *slab; /* the last one */
	size_t size;       /* bytes counted */
	uint64_t packets, done;
	uint32_t flows;              /* numbers of flows are below this; 0: there are none */
	struct flow_numbers numbers; /* while it is kept */
	struct faults faults;        /* of the pass that kept it */

	struct cached *next; /* protected by the cache's lock, as is what follows */
	enum { CACHED_BEING, CACHED_WHOLE, CACHED_REFUSED } state;
	bool listed;
	uint64_t used, hits;
};

struct cached *cached_ref(struct cached *d);
void cached_unref(struct cached *d); /* NULL is fine */
/* A trace that the cache does not know yet, to be kept; takes the reader's files. NULL: it knows
 * it, or out of memory. */
struct cached *cached_begin(struct cache *c, struct reader *r);
/* Adds a batch's form; `total`: bytes of the source, 0: unknown. 0 or -errno. */
int cached_add(struct cached *d, struct weir_batch *b, uint64_t done, uint64_t total);

/* It is over. `e`: 0, all was added; -ENOSPC, -EINVAL: it cannot be kept and is not to be tried
 * again; other -errno: this time. Drops the reference of who kept it. */
void cached_end(struct cached *d, int e);

/* cache_pass.c: the reader's pass is served from now on; takes the reference. 0 or -ENOMEM. */
int cache_pass_serve(struct reader *r, struct cached *d);
/* … is to be kept if it comes to its end. */
int cache_pass_watch(struct reader *r, struct run *run, const struct plan_node *n);
/* What reader r would have read, so many packets, came to its end in another way. */
void cache_pass_ended(struct reader *r, uint64_t packets);

/* cache_keep.c: somebody has read all of a trace, `packets` of them. */
void cache_want(struct cache *c, struct run *run, const struct plan_node *n, uint64_t packets);

struct cache_keeper;
struct cache_keeper *cache_keeper_new(struct cache *c);
void cache_keeper_free(struct cache_keeper *k);
/* Where the keeper and the limit stand. */
struct cache_keeper *cache_keeper(struct cache *c);
size_t cache_limit(const struct cache *c);

#endif
