/* SPDX-License-Identifier: MIT */
/* stream.h: streams/<query>: the rows of a result as they come, for any number of readers.
 *
 * A reader gets a heading and all rows from its open on, as CSV, and the end when the query ends.
 * It has no queue: it stands at a row of the log, and the log's retention is the buffer of all. One
 * that is too slow finds that the rows before the log's first are gone, gets a line `# N rows
 * lost`, and goes on there. The writer knows nothing of readers.
 *
 * Of a table a reader gets whole versions: the one that is current at its open, then each new one.
 * Before a version stands a line `# version N at TIME, R rows`, and the heading; behind it an empty
 * line. Versions that it missed are counted: `# N versions lost`; one that has become too old while
 * it was read ends early: `# version N cut after R rows`.
 *
 * What a reader holds: at most one chunk of STREAM_CHUNK bytes of text, shared with those who stand
 * at the same row, and a version of a table not older than STREAM_HELD versions; and there are at
 * most STREAM_READERS, of whom STREAM_KEPT are root's and the mount's own user's.
 *
 * Nothing here waits. Who has nothing to read is told by `wake`, called from the writer's thread:
 * see ops_stream.c. No FUSE types here.
 *
 * Lock order: a reader's lock, then the streams' lock; then the result's listener; then what wake()
 * takes.
 */
#ifndef STREAM_H
#define STREAM_H

#include "fs/fs.h"

#define STREAM_CHUNK 65536
#define STREAM_READERS 1024
#define STREAM_KEPT (STREAM_READERS / 8)
#define STREAM_HELD 2

struct stream_text;
struct streams;
struct stream;

struct stream_reader {
	struct stream *stream;
	struct stream_reader *next; /* of the stream; under the streams' lock */
	uint32_t refs;              /* atomic: the handle's, and of who goes through all */
	pthread_mutex_t lock;       /* protects what follows */
	/* the place: in a log, or in the version `snap` */
	uint64_t row;
	size_t skip; /* bytes of a row longer than a chunk that were read already */
	struct snapshot *snap;
	uint64_t version;          /* the last that was begun */
	bool begun, cut;           /* cut: it was let go before its end */
	struct stream_text *chunk; /* being read, from `at` on, or read: see stream_take() */
	size_t at;
	uint64_t pos; /* bytes read, ever: the offset of the next one */
	void *waits;  /* of ops_stream.c, as the next one */
	void *poll;
};

/* wake(arg): some stream may have more; see streams_next(). */
struct streams *streams_new(void (*wake)(void *arg), void *arg);
void streams_free(struct streams *ss); /* NULL is fine */

/* A reader of the query's result, from now on, for `who`. 0, -ENFILE, -ENOMEM. */
int stream_open(struct streams *ss, const struct look *l, const struct cred *who,
        struct stream_reader **ret);
/* The last reference, that of the handle as a rule, takes it off. */
void stream_unref(struct stream_reader *r);
/* Has streams_next() give it. Under any lock but the streams'. */
void stream_wake(struct stream_reader *r);

/* With the reader's lock held: up to `size` bytes at *p, which stay until the chunk *hold is let
 * go. How many; 0: the end; -EAGAIN: nothing now; -errno.
 *
 * A stream has no offsets but one: `off` is where the reader is, or no further back than the chunk
 * that it read last goes: head(1) and a shell's `read` take more than they want and go back to the
 * end of the line. Else -ESPIPE. */
int64_t stream_take(struct stream_reader *r, uint64_t off, size_t size, const char **p,
        struct stream_text **hold);
/* With the reader's lock held: lets a version go that is too old. */
void stream_trim(struct stream_reader *r);
/* With the reader's lock held: whether stream_take() would give bytes or the end. */
bool stream_ready(struct stream_reader *r);
void stream_text_unref(struct stream_text *c); /* NULL is fine */

/* References to the readers of streams that may have more since the last time, to `to` (room for
 * STREAM_READERS); their number. `all`: every reader. */
uint32_t streams_next(struct streams *ss, bool all, struct stream_reader **to);
/* Somebody looks, as long as there are readers: to be called every half a minute. */
void streams_look(struct streams *ss);
/* Readers now; rows and versions that were lost by all, ever. */
void streams_count(struct streams *ss, uint32_t *readers, uint64_t *rows, uint64_t *versions);

#endif
