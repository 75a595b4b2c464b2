/* SPDX-License-Identifier: MIT */
/* joint_parts.h: what the files of joint passes share. Not for others; see joint.h.
 *
 * joint.c is who takes part, joint_pass.c the pass and its window, joint_chunk.c memory and batches
 * of a chunk.
 */
#ifndef JOINT_PARTS_H
#define JOINT_PARTS_H

#include "engine/core/engine.h"
#include "engine/core/flow_numbers.h"
#include "engine/core/joint.h"

#define CHUNK_SIZE ((size_t)256 << 10) /* more than any form takes, and eight usual ones */
#define CHUNK_BATCHES 16

/* A batch's form. */
struct chunk_batch {
	struct compact form;
	uint32_t flows; /* numbers of flows are below this, here and before */
	uint64_t end;   /* packets of the trace up to its end */
	uint64_t done;  /* bytes of the source */
};

/* Some batches in a row: immutable but for `next` once it is in a pass's window. */
struct chunk {
	uint32_t refs; /* atomic: the window, members that are in it, batches */
	uint32_t n;
	size_t used; /* bytes, with this head */
	uint64_t number;
	struct joints *all;
	const void *pass;   /* whose flow numbers they are; an address only */
	struct chunk *next; /* the pass's lock protects it */
	struct chunk_batch batch[CHUNK_BATCHES];
};

struct joints {
	uint32_t cpus;
	uint64_t bytes;
	struct weir_mem *mem;
	pthread_mutex_t lock; /* protects what follows, and who is in which list */
	struct member *alone; /* that could take part in a pass */
	struct joint *passes;
	uint64_t begun, joined, left; /* passes; members that came, and that had to leave */
	pthread_mutex_t chunk_lock;   /* protects what follows */
	struct chunk *free;
	uint32_t npasses; /* as long as there are any, free chunks are kept */
};

/* A pass. */
struct joint {
	struct joints *all;
	struct joint *next; /* protected by that of all, as `threads` */
	uint32_t threads;   /* of its members */
	struct mounted *of;
	struct weir_mem mem;   /* of the reader: a few blocks and a batch */
	struct weir_mem table; /* of the flows, with a limit */
	struct faults faults;
	/* whoever fills a chunk uses these four; nobody else */
	struct reader *reader;
	struct weir_batch *ahead; /* read, and the chunk had no room for it */
	struct flow_numbers numbers;
	uint64_t packets; /* of all chunks */

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t more;  /* a chunk was filled, or let go while somebody waited for room */
	struct chunk *first, *last; /* the window */
	struct member *members;
	uint32_t came, filled; /* members, chunks in all */
	bool filling, ended, broken;
	uint32_t waiting; /* for room */
	uint32_t burst;   /* chunks to be filled at once */
};

/* A query's end of it, for as long as its reader is open. */
struct member {
	const struct weir_source *source; /* the reader's own */
	struct joints *all;
	struct run *run;
	struct reader *reader;
	struct mounted *of;
	struct member *next;   /* of the list that it is in; protected as that */
	bool begun;            /* used by the one who reads, as what follows */
	uint64_t own;          /* packets that its own reader has given */
	struct chunk *chunk;   /* that it is in; holds a reference */
	uint32_t at;           /* batch of it that is next */
	int64_t since, waited; /* CLOCK_MONOTONIC ns; for room */
	uint64_t packets;      /* atomic: that the query has had */
	bool invited;          /* atomic: there is a pass that it might join */
	bool rests;            /* atomic */
	bool alone;            /* in that list, protected by the lock of all */
	struct joint *joint;   /* NULL: it reads by itself; changed with both locks, by who reads */
	uint64_t number;       /* of the chunk that it is in, protected by the pass's lock */
	bool out;              /* it has to leave, the same */
};

#define JOINT_LEFT 2

/* joint_pass.c */
/* Like the reader of m: 0 and *ret, with no member, or -errno. */
int pass_open(struct member *m, struct joint **ret);
void pass_free(struct joint *j); /* no member is left; NULL is fine */
/* Whether it still has the beginning. With the lock of all. */
bool pass_is_open(struct joint *j);
void pass_enter(struct joint *j, struct member *m);
/* True: it was the last one. */
bool pass_quit(struct joint *j, struct member *m);
void pass_put_out(struct joint *j, struct member *m);
/* Takes m on to its next chunk: 1; 0: the end; JOINT_LEFT: it is to go on by itself. */
int pass_next(struct joint *j, struct member *m);

/* joint_chunk.c */
struct chunk *chunk_new(struct joints *js, struct joint *j); /* NULL: there is no room */
struct chunk *chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c); /* NULL is fine */
void chunks_keep(struct joints *js, bool keep);
/* Adds b's form. 0, -ENOSPC: it is full, or -errno. */
int chunk_add(struct chunk *c, struct joint *j, struct weir_batch *b, uint64_t done);
/* A batch of the query's own, without its first packets where it has had them. NULL: no memory. */
struct weir_batch *chunk_serve(
        struct chunk *c, const struct chunk_batch *from, struct weir_reader *to, uint64_t had);
/* Leaves out the first n rows of a batch that has all. 0 or -ENOMEM. */
int batch_cut(struct weir_batch *b, uint32_t n);

#endif
