/* SPDX-License-Identifier: MIT */
/* store.h: what a result is made of; private to engine/store.
 *
 * One writer, many readers. Lock order: a snapshot's text lock, then the result's lock. Blocks,
 * tails and texts that readers use outside the lock are held by references, which are counted
 * under the lock: nothing is rendered, packed or copied from a batch while it is held.
 */
#ifndef STORE_H
#define STORE_H

#include "engine/core/now.h"
#include "engine/store/block.h"
#include "engine/store/render.h"
#include <pthread.h>

enum {
	TEXTS = 16,            /* rendered pieces of a log that are kept */
	TEXTS_BYTES = 8 << 20, /* but no more than this */
	WORKERS = 4,           /* idle ones that are kept */
	EPOCHS = 16384,        /* that are remembered */
	SEAL_BYTES = 1 << 20,  /* typed bytes of a block at most, but for one large row */
};

#define YOUNG 60000000000ll /* ns that an old version of a table is kept for */

/* A reader's tools: not shared while in use, recycled. */
struct worker {
	struct worker *next;
	struct view view;
	struct render render[FORMATS]; /* logs */
	bool ready[FORMATS];
	struct text text;
};

/* Text of the first `rows` rows of block `seq`, cached. Immutable; refs under the lock. */
struct piece {
	uint32_t refs, rows;
	enum result_format format;
	uint64_t seq;
	size_t len;
	char data[];
};

/* Where the text of blocks lies, in one format. Positions are known for blocks lo .. hi - 1 and
 * count from an arbitrary origin; `end` is where block hi starts. Of block hi, the first part_rows
 * rows are known to take part_len bytes. Blocks below `broken` were dropped unmeasured or stand
 * before such: positions before it can no longer be related to those behind it. */
struct extent {
	bool started;
	uint32_t turn; /* counts the origins */
	uint64_t lo, hi, broken;
	int64_t end;
	uint64_t part_seq;
	uint32_t part_rows;
	int64_t part_len;
};

struct epoch {
	uint64_t row, seq, at;
	int64_t pos[FORMATS]; /* once the block is gone */
	bool known[FORMATS];
};

struct result {
	pthread_mutex_t lock;
	uint32_t refs; /* atomic */
	bool log;
	uint64_t retain, seal_bytes;
	const struct weir_schema *schema;
	uint32_t *shown, nshown;
	struct keep keep;
	struct weir_mem *mem; /* under the lock */
	bool has_packets;
	size_t text_bytes;      /* of cached pieces and snapshots' texts; under the lock */
	struct worker *workers; /* under the lock */
	unsigned nworkers;
	uint64_t typed; /* bytes of blocks that are held; under the lock */
	bool ended;     /* under the lock */

	pthread_mutex_t
	        listen_lock;       /* held while it is called; taken before any lock of readers' */
	void (*listen)(void *arg); /* atomic where the lock is not held */
	void *listen_arg;

	/* Written by the writer; the pointer, refs and rows under the lock. */
	struct tail *tail;

	/* ---- logs, all under the lock ---- */
	struct block **blocks; /* a window of an array: block seq is blocks[first + seq - head] */
	size_t first, nblocks, cap;
	uint64_t head;         /* sequence number of the oldest kept block */
	uint64_t rows, end_at; /* ever packed: rows, typed bytes */
	int64_t time;
	bool link_known;
	uint16_t linktype;
	struct extent extent[FORMATS];
	struct epoch *epochs; /* bases ascend */
	size_t nepochs, epochs_cap;
	uint64_t epochs_gone;       /* number of epochs[0] */
	struct piece *texts[TEXTS]; /* last used first */
	struct text header[FORMATS];

	/* ---- tables ---- */
	struct block **next; /* the writer's: blocks of the coming version */
	size_t nnext, next_cap;
	struct snapshot *current;   /* under the lock, as all below */
	struct snapshot **versions; /* kept or held, by number */
	size_t nversions, versions_cap;
	uint64_t number;
	uint32_t history; /* versions kept, the current one among them, beyond their minute; 0: none
	                   */
};

struct snapshot {
	struct result *r;
	uint32_t refs; /* of outsiders: each holds a reference to r too; under r's lock */
	bool kept;     /* current or young; under r's lock */
	uint64_t number, rows;
	int64_t time, born; /* born: CLOCK_MONOTONIC */
	struct block **blocks;
	size_t nblocks;
	pthread_mutex_t text_lock;     /* protects rendering and text */
	struct rendered text[FORMATS]; /* piece NULL: not rendered */
};

/* Rows at which tail number `i` is packed: small results stay small. */
static inline uint32_t seal_rows(uint64_t i)
{
	return i == 0 ? 64 : i == 1 ? 256 : WEIR_BATCH_ROWS;
}

struct worker *worker_get(struct result *r);
void worker_put(struct result *r, struct worker *w);
void worker_free(struct worker *w);

/* Call with the lock held. */
void block_put(struct result *r, struct block *b);
void tail_put(struct result *r, struct tail *t);

/* What is asked of one record, or of several that follow each other. */
struct ask {
	int field;       /* its value; -1: all lines */
	struct text *to; /* appended to */
	uint64_t *sizes; /* instead: how long the lines of each are */
	uint32_t n;      /* records at most, 1 where it is text */
};

/* Answers from w's view, which begins with the row. How many rows, or -ENODATA, -ENOMEM. */
int ask_answer(struct result *r, struct worker *w, const struct ask *a);
int worker_ready(struct result *r, struct worker *w, enum result_format f);

/* rows.c: after rows came to be read, without the lock */
void result_tell(struct result *r);

/* log.c; with the lock held */
int log_push(struct result *r, struct block *b);
void log_retain(struct result *r);
bool log_shed(struct result *r); /* drops the oldest block; false: there is none */
void log_release(struct result *r);
int log_record(struct result *r, uint64_t row, const struct ask *a); /* without it */

/* snapshot.c */
void rendered_release(struct rendered *t);
int table_seal(struct result *r);
bool table_shed(struct result *r); /* without the lock */
void table_release(struct result *r);
int snapshot_record(struct snapshot *s, uint64_t row, const struct ask *a);
size_t snapshot_block(const struct snapshot *s, uint64_t row); /* the one with that row */

#endif
