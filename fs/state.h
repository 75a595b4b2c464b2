/* SPDX-License-Identifier: MIT */
/* state.h: what a mount remembers of a file whose versions it makes itself (texts), and of a
 * directory whose time moves. One small record for each that was looked at. Those of a query stay
 * while anybody holds it, removed or not, so that the numbers of its versions never begin again.
 */
#ifndef STATE_H
#define STATE_H

#include "fs/fs.h"

struct states *states_new(void);
void states_free(struct states *ss);

/* The time of directory `id`: moves on when `key` is another than at the last call, once a
 * second at most. `first`: its time where nothing is known yet. */
int64_t state_time(struct states *ss, uint64_t id, uint64_t key, int64_t first);

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

/* Forgets what belongs to others. */
void states_prune(struct states *ss, const struct serials *known);
/* How many records there are. */
uint64_t states_count(struct states *ss);

#endif
