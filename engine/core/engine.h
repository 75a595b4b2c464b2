/* SPDX-License-Identifier: MIT */
/* engine.h: the engine's own view of sources and queries. Not for fs/; see query.h. */
#ifndef ENGINE_H
#define ENGINE_H

#include "engine/core/arena.h"
#include "engine/core/cache.h"
#include "engine/core/feed.h"
#include "engine/core/joint.h"
#include "engine/core/now.h"
#include "engine/core/query.h"
#include "engine/core/reader.h"
#include <unistd.h>

/* A source of the mount. Immutable after engine_add_source(), but for `faults` and counters. */
struct mounted {
	char *name, *spec;
	const struct weir_source *source;
	void *config; /* in the arena */
	struct arena arena;
	struct faults faults;
	struct feed
	        *feed; /* standard input, a FIFO: one pass for all; NULL: each query has its own */
	struct text about; /* feed: what its headers say */
	struct weir_schema *schema;
	/* atomic; feed: not used. Passes over it, queries that took part in a joint one */
	uint64_t passes, joined, records, bytes;
	struct weir_mem mem;
};

#define SOURCES_MAX 256

struct engine {
	struct engine_options options;
	pthread_mutex_t lock; /* protects the lists below */
	struct mounted *mounted[SOURCES_MAX];
	size_t nmounted;
	struct query *queries; /* by serial, ascending; removed ones too, while held */
	uint32_t nqueries;     /* listed ones */
	uint64_t next_serial, next_name, generation;
	int64_t started;              /* CLOCK_REALTIME ns */
	uint64_t source_options_used; /* bits of options.source: a source has taken it */
	int input;                    /* standard input, -1: none */
	dev_t tree;                   /* with waits(), of engine_in_tree() */
	bool (*waits)(uint64_t ino);  /* NULL: in none */
	struct clock *clock;
	struct cache *cache;   /* NULL: none */
	struct joints *joints; /* NULL: none */
	uint32_t nthreads;     /* of runs */
	pthread_cond_t idle;   /* nthreads is 0 */
	struct textlog errors; /* the last rejected specs */
};

struct mounted *engine_find(struct engine *e, const char *name, size_t len);

/* Fills the option rows of a source that a named source or `packets` is made of: the file list,
 * the options of the command line. */
int source_config(struct engine *e, const struct weir_source *source, const char *const *specs,
        uint32_t n, struct arena *arena, void **ret, struct weir_err *err);

/* Calls fn(arg) from the engine's clock thread at CLOCK_MONOTONIC time `at`. 0 or -ENOMEM. */
int engine_call_at(struct engine *e, int64_t at, void (*fn)(void *arg), void *arg);

/* A line for each field: name, kind, unit, what it is. */
void schema_text(const struct weir_schema *s, struct text *to);

static inline uint64_t stat_get64(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

#endif
