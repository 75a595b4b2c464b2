/* SPDX-License-Identifier: MIT */
/* stream_parts.h: what stream.c (who reads) and stream_fill.c (what) share. */
#ifndef STREAM_PARTS_H
#define STREAM_PARTS_H

#include "fs/stream.h"

/* Some text and where it stands. Immutable. */
struct stream_text {
	atomic_uint refs;
	uint64_t version; /* of a table; 0: of a log */
	uint64_t row, end_row;
	size_t skip, end_skip;
	size_t len;
	char p[];
};

/* One result, while it has readers. */
struct stream {
	struct stream *next; /* under the streams' lock, as `readers` */
	struct stream_reader *readers;
	struct streams *all;
	struct result *result; /* references */
	struct query *query;
	bool log;
	atomic_bool more;           /* something came since streams_next() */
	pthread_mutex_t lock;       /* of `recent`; nothing is called with it held */
	struct stream_text *recent; /* the last that was rendered at the end */
};

struct streams {
	pthread_mutex_t lock;
	struct stream *first;
	uint32_t readers;
	void (*wake)(void *arg);
	void *arg;
	atomic_ullong rows_lost, versions_lost;
};

#endif
