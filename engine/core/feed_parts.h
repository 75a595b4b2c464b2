/* SPDX-License-Identifier: MIT */
/* feed_parts.h: what the files of a feed share. Not for others; see feed.h.
 *
 * feed.c is the thread, the queues and who is joined, feed_link.c a query's reader and its batches,
 * feed_shed.c who goes without something, feed_settle.c what all have worked off.
 */
#ifndef FEED_PARTS_H
#define FEED_PARTS_H

#include "engine/core/engine.h"
#include "engine/core/feed.h"

struct feed {
	struct reader *reader; /* of the thread, once it runs; NULL after the end */
	struct weir_schema *schema;
	uint64_t total;        /* bytes of the source, 0: unknown */
	double pace;           /* of the reader */
	struct faults faults;  /* of the source, in the order they came */
	uint64_t told;         /* how many of them the links have got */
	struct feed_item next; /* read, and not handed on yet */
	int event;             /* readable: wake up from poll(2), it ends */
	pthread_t thread;

	pthread_mutex_t trunk_lock; /* protects the trunk, the links' ends of it */
	struct trunk *trunk;

	pthread_mutex_t lock; /* protects what follows, and the links */
	pthread_cond_t room;  /* a link came, went, or took something */
	struct feed_link *links;
	bool started, stop;
	bool waiting, ended; /* written with the lock, and atomic */
	int error;           /* ended: 0 or -errno with err */
	struct weir_err err;
	struct prefilters wanted; /* of a live source; texts of the links */
	struct text wants;        /* the same, to be read */
	struct history history;
	uint32_t headers;        /* links that read packets' headers */
	uint64_t records, bytes; /* handed on */
	uint64_t batches;        /* the same */
	bool remembers;          /* the source wants to know what is settled; never changed */
	uint64_t settled;        /* of them, see feed_settle() */
	uint64_t said;           /* of those, by the thread: the source knows */
};

static inline bool feed_is_packets(const struct weir_batch *b)
{
	return b->ops && b->ops->fill == weir_packet_fill;
}

/* Numbers of counts that a query has for a batch: the source's, its stages'. */
static inline uint32_t feed_width(const struct feed_link *l)
{
	uint32_t n = l->end.plan ? l->end.plan->nlead : 0;

	return 1 + (n < TRUNK_STAGES ? n : TRUNK_STAGES);
}

/* Those of place i of the queue; FEED_QUEUE: those of no item. */
static inline struct node_stats *feed_counts(const struct feed_link *l, uint32_t i)
{
	return l->counts + (size_t)i * feed_width(l);
}

/* Whether a link's queue has no place for a batch of so many bytes. */
bool feed_is_full(const struct feed_link *l, size_t more);
/* Whether the trunk may run stages for it: there is memory for their counts. */
bool feed_has_counts(struct feed_link *l);
/* Puts batch b of i, behind `level` stages, into the queue, with the counts up to there. With the
 * link's lock, and room. How many are there now. */
uint32_t feed_put(
        struct feed_link *l, const struct feed_item *i, struct weir_batch *b, uint32_t level);
/* feed_shed.c: whether a query goes without something, and the source is half full. By the thread,
 * with the feed's lock, as what follows. */
bool feed_is_pressed(const struct feed *f);
/* Whether the feed need not wait for this query, which is full for `more` bytes or not; raises and
 * lowers what it goes without. */
bool feed_sheds(struct feed_link *l, bool full, bool pressed);
/* Puts the batch that is read into the queue, or what a sample takes of it; with the link's lock,
 * and room. How many are there now. */
uint32_t feed_put_sample(struct feed_link *l);

/* feed_settle.c: finds out what all have worked off; with the feed's lock, as feed_unlist(). */
void feed_settle(struct feed *f);
/* The query, which has left, has nothing more in hand. */
void feed_unlist(struct feed_link *l);
/* The source may forget that much. By the thread, without the lock, which protects `settled`. */
void feed_tell_settled(struct feed *f, uint64_t settled);
/* The query leaves. What it has in hand, and feed_took() was not called for, it has not had. */
void feed_close(struct feed_link *l);

/* Lets go what is not wanted any more. */
void feed_drop(struct feed_link *l, struct feed_item *i);

#endif
