/* SPDX-License-Identifier: MIT */
/* intake.h: a flow that reads its source by itself, with all workers.
 *
 * The source's input comes in pieces (source.h). Whoever has nothing better to do fetches the next
 * one; up to so many are there ahead. One worker at a time then *walks* through them, in order:
 * calls the source's read(), which finds the records in a piece and makes batches of them, and
 * these become tokens. The walk goes from worker to worker, to the one who fetched the piece, since
 * its bytes are in that one's cache, and so are the tokens made there.
 *
 * The walk stops where the flow has no room for tokens, and at marks.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include "engine/core/flow.h"

struct piece_task {
	struct task task; /* first: to fetch it */
	struct intake *in;
	uint64_t number;
	uint32_t home; /* who has fetched it, protected by the lock */
	bool fetched;  /* its task has been run, the same */
};

struct intake {
	struct task walk; /* first; in a deque only while `walking` */
	struct flow *flow;
	struct reader *reader;
	struct weir_pool *pool; /* the reader's own; in a walk it has its worker's */
	uint32_t ahead;
	struct piece_task *piece; /* by number modulo `ahead` */
	pthread_mutex_t lock;     /* protects what follows */
	uint64_t next;            /* piece that the walk needs, or is in */
	uint64_t asked;           /* pieces that were to be fetched, or are */
	bool dry;                 /* there are no further pieces */
	uint32_t fetching; /* tasks of pieces that have not been run; atomic from here on … */
	bool walking;      /* somebody walks, or will */
	bool stalled;      /* it would, but for the room or a mark */
	bool hold;         /* no tokens now */
	bool ended;        /* the walk: nothing comes any more … */
	int error;         /* why; 0: the end of the input, or nobody wants more */
	struct weir_err err;
};

/* 0, also where the source has no pieces: f->intake is NULL then. -ENOMEM. */
int intake_open(struct flow *f, struct reader *r);
void intake_close(struct flow *f); /* what is in flight has left */

/* Room for a token was made. */
void intake_room(struct hand *w, struct intake *in);
/* Stops the walk, or lets it go on. */
void intake_hold(struct intake *in, bool hold);
/* Stops it for good. */
void intake_stop(struct intake *in);
/* Whether it rests: held, at the end, or without room. */
bool intake_rests(const struct intake *in);
/* Whether it has ended: `error` and `err` say why. */
bool intake_ended(const struct intake *in);

#endif
