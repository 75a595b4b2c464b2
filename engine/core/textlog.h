/* SPDX-License-Identifier: MIT */
/* textlog.h: lines for people that only grow: a query's log, queries/errors.
 *
 * Each byte has a place that never changes. The oldest lines go once there are more than
 * TEXTLOG_KEEP bytes; half as many at least stay. Any thread may call any of these.
 */
#ifndef TEXTLOG_H
#define TEXTLOG_H

#include <pthread.h>
#include <stdint.h>

#include "engine/core/text.h"

#define TEXTLOG_KEEP (256u << 10)

struct textlog {
	pthread_mutex_t lock; /* of all below */
	struct text text;
	uint64_t first; /* place of text's first byte */
	int64_t time;   /* of the newest line, ns since the epoch; 0: none */
};

void textlog_init(struct textlog *l);
void textlog_release(struct textlog *l);
/* Appends whole lines. Without memory they are lost. */
void textlog_add(struct textlog *l, const char *text, size_t len);
/* The place behind the last byte; *ret_first, unless NULL: of the first that is kept. */
uint64_t textlog_end(struct textlog *l, uint64_t *ret_first);
int64_t textlog_time(struct textlog *l);
/* Bytes read from place `off` on, 0 at the end, -ESTALE before the first that is kept. */
int64_t textlog_read(struct textlog *l, uint64_t off, char *to, size_t size);

#endif
