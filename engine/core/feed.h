/* SPDX-License-Identifier: MIT */
/* feed.h: a source that can be read only once (standard input, a FIFO), for any number of queries.
 *
 * A feed has a thread of its own that reads batches and hands them to every query that has joined,
 * through a bounded queue for each. It reads while there is at least one query that runs, and has
 * room; so nothing is lost while nobody asks, and the slowest running query sets the pace. A
 * paused query is passed over, and what it misses is counted; where all are paused the feed waits.
 * A query that joins later begins with the next batch. At the end, or at an error, each gets it
 * behind what is in its queue.
 *
 * What is in a queue is a reference to the feed's batch; each query's own is a view of it, made in
 * the query's thread. So a packet's headers are decoded once: by the feed's thread, while they are
 * in its cache, where two queries or more read any, else by who asks. And stages that queries have
 * in common at their beginning are run once, by the feed's thread: see trunk.h. A query for which
 * they have left nothing is not even woken up, but now and then for its counters.
 *
 * A batch is *settled* when every query that was given it has worked it off (feed_took()) or is
 * gone; the source is told (weir_source.taken), so that it can remember what need not be read
 * again. What is in the queue of the last query that leaves is not settled; nobody gets it any
 * more, though.
 *
 * A live source is told what its queries want (weir_source.want), before they join and after they
 * have left, so that it need not bring more.
 *
 * Lock order: that of the trunk, the feed's lock, a link's, then what `wake` takes.
 */
#ifndef FEED_H
#define FEED_H

#include "engine/core/history.h"
#include "engine/core/prefilter.h"
#include "engine/core/reader.h"
#include "engine/core/shed.h"
#include "engine/core/trunk.h"

#define FEED_QUEUE 16            /* batches in a queue */
#define FEED_BYTES (16ull << 20) /* of them */

struct feed;

struct feed_item {
	struct weir_batch *batch;  /* the feed's, or what the trunk has left of it */
	struct trunk_stage *stage; /* that has made it, or NULL; a reference */
	uint32_t level;            /* stages of the query that are done */
	bool counted;              /* the trunk has counts for the query, in the item's place */
	size_t size, charged;      /* bytes; those that are counted with the query */
	uint64_t done;             /* bytes of the source behind it */
	uint64_t number;           /* of the batch, from 0 */
	int64_t newest;            /* time of its last record, of the source; INT64_MAX: none */
	uint16_t *rows;            /* of a sample: those that are in, owned; else NULL */
	uint32_t nrows, weight;
};

/* One query's end of it. Owned by the query, and there until feed_leave() at least. */
struct feed_link {
	struct feed *feed;
	const char *name; /* of the source, borrowed */
	/* There is something to read again. Called with the feed's lock held. */
	void (*wake)(void *arg);
	void *arg;
	struct weir_mem *mem;             /* the queue is counted there */
	struct faults *faults;            /* those of the source go there too */
	const char *prefilter;            /* see prefilter.h */
	bool headers;                     /* of packets, it reads something of theirs */
	const struct weir_schema *schema; /* of its batches: the feed's, or with `weight` */
	int64_t history;                  /* ns of the past that it begins with; 0: it begins now */
	struct past_end past; /* of that, what it has not read yet; the query's thread's */
	struct trunk_end end; /* protected by the trunk's lock */

	uint64_t records; /* of the source that the query has had; the query's thread's, as `level`
	                   */
	uint32_t level;   /* of the batch that was read last */
	int64_t newest;   /* time of the last of the records; INT64_MAX: none */

	struct feed_link *next; /* from here on protected by the feed's lock */
	struct shed shed;       /* its mode is set before it joins */
	bool joined, paused;
	bool sleeps;   /* it has not been woken up for what it has … */
	int64_t since; /* … since then, CLOCK_MONOTONIC ns; both the feed's thread's */
	bool left;     /* it gets no more, and is in the list for what it works on still … */
	pthread_mutex_t
	        lock;     /* protects what follows, up to `counts`, and is enough to read `left` */
	bool works;       /* … on batch `on` … */
	uint64_t on, low; /* … and has not had `low` and what came behind */
	uint32_t at, n;   /* item[at .. at + n) */
	size_t bytes;     /* of them */
	struct feed_item item[FEED_QUEUE];
	bool owed;                 /* the trunk has counts that belong to no item yet … */
	int64_t owed_newest;       /* … up to this time */
	struct node_stats *counts; /* of the items, and those; NULL: there were none yet */

	uint64_t begins; /* set by feed_join(): number of its first record, from 1 */
	uint64_t offset; /* bytes of the source before it */
	bool ended;      /* set by feed_join(): the source had ended */
	struct weir_counts before,
	        lost;     /* what the source had lost when it joined, and when last seen */
	uint64_t skipped; /* atomic: records passed over while paused */
};

/* history: bytes of the past that are kept for queries to come; 0: some, as long as a query runs
 * that wants any (`set history`). Takes an open reader. NULL: out of memory. Nothing is read yet.
 */
struct feed *feed_new(struct reader *r, uint64_t history);
/* Ends the thread, wherever it waits. No query may be joined. NULL is fine. */
void feed_free(struct feed *f);

/* A reader for one query, which stands at the link; it has to join before it is read. The caller
 * has filled the link up to `faults`. */
int feed_open(struct feed_link *l, struct engine *e, struct reader **ret, struct weir_err *err);
/* From now on the query gets every batch. The first one starts the feed. 0 or -errno. */
int feed_join(struct feed_link *l);
/* What was read last has been worked off: so it is by the next read, too. By who reads. */
void feed_took(struct feed_link *l);
/* For good: what is in the queue is dropped, and the feed waits for this one no more. A read gives
 * -EAGAIN from then on. May be called again, and by any thread. */
void feed_leave(struct feed_link *l);
void feed_pause(struct feed_link *l, bool pause);
/* When nobody uses the link any more. */
void feed_link_release(struct feed_link *l);

/* Whether the source keeps, across restarts, which batches were taken. A query has taken one when
 * it reads the next: so it must be through with it by then. */
bool feed_remembers(const struct feed *f);

/* The source's own counters. */
void feed_stats(
        struct feed *f, void (*line)(void *arg, const char *key, uint64_t value), void *arg);
/* What the query went without, as lines of its status. */
void feed_shed_text(struct feed_link *l, struct text *to);
uint64_t feed_shed(struct feed_link *l); /* records that it went without */
/* What was handed on so far, of how many bytes of the source. */
void feed_count(struct feed *f, uint64_t *ret_records, uint64_t *ret_bytes);
/* What came and was lost, of a source that says so; false: it does not. */
bool feed_losses(struct feed *f, struct weir_counts *ret);
/* The same of the time in which the query was joined. */
bool feed_lost(struct feed_link *l, struct weir_counts *ret);
/* What a live source has been told to bring, as text; else nothing. */
void feed_wants(struct feed *f, struct text *to);
/* What the source says of itself now, then "state: …" and "queries: …" lines. `about`: what it said
 * when it was opened, where it is no live one. */
void feed_text(struct feed *f, const struct text *about, struct text *to);

#endif
