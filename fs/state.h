/* SPDX-License-Identifier: MIT */
/* state.h: what a mount remembers of a file whose versions it makes itself (texts), and of a
 * directory whose time moves. One small record for each that was looked at; those of a query go
 * with it.
 */
#ifndef STATE_H
#define STATE_H

#include "fs/fs.h"

struct states *states_new(void);
void states_free(struct states *ss);

/* The time of directory `id`: moves on when `key` is another than at the last call, once a
 * second at most. `first`: its time where nothing is known yet. */
int64_t state_time(struct states *ss, uint64_t id, uint64_t key, int64_t first);

/* Whether this is the first call with this id and run. */
bool state_first(struct states *ss, uint64_t id, uint64_t run);

/* Of a text: its current version and when that was made. */
struct state_text {
	uint64_t key, version; /* version 0: none yet */
	uint64_t hash;         /* of the text */
	int64_t made;          /* monotonic */
	int64_t time;          /* of the version, ns since the epoch */
};
void state_text_get(struct states *ss, uint64_t id, struct state_text *ret);
/* The same text at another time: not made again for a second. */
void state_text_same(struct states *ss, uint64_t id, uint64_t key);
/* Another text: its version's number, made now. */
void state_text_new(
        struct states *ss, uint64_t id, uint64_t key, uint64_t hash, struct state_text *ret);

/* Forgets what belongs to query `serial`. */
void states_drop(struct states *ss, uint32_t serial);

#endif
