/* SPDX-License-Identifier: MIT */
/* shed.h: what a query goes without when it cannot keep up with a live source (`set shed`).
 *
 * First its queue takes what comes, then the source (the ring of an interface). Only when the
 * source is half full (weir_source.pressed) something is given up, by this query alone:
 *
 * - drop: batches for which its queue has no room, as long as that lasts.
 * - sample: the packets of a part of all flows, 1/2, 1/4 … as much as it takes; while there is
 *   room, twice as many again each second. A flow is taken whole, by its flowid. Each record says
 *   how many it stands for, `weight`; sums by that are unbiased (Horvitz and Thompson, JASA 47,
 *   1952).
 *
 * What was given up is counted, and so are the last times at which it was.
 */
#ifndef SHED_H
#define SHED_H

#include "engine/core/text.h"
#include <weir/packet.h>

enum shed_mode { SHED_NONE, SHED_DROP, SHED_SAMPLE };

#define SHED_LEVELS 16 /* one flow in 2^16 */
#define SHED_SPELLS 8  /* are remembered */

struct shed {
	enum shed_mode mode; /* set by who has it */
	uint32_t level;      /* sample: one flow in 2^level */
	int64_t changed;     /* CLOCK_MONOTONIC ns */
	uint64_t records;    /* given up */
	uint64_t nspells;
	struct shed_spell {
		int64_t from, to; /* CLOCK_REALTIME ns; a second without ends it */
		uint64_t records;
		uint32_t level; /* the highest */
	} spell[SHED_SPELLS];
};

/* The queue is full and the source pressed (or neither, for some time). Whether the level rose. */
bool shed_more(struct shed *s);
void shed_less(struct shed *s);
/* So many records were given up now. */
void shed_count(struct shed *s, uint32_t records);

/* The rows of a batch of packets pk whose flows are taken at a level: their number, in `rows`,
 * which has room for all; -ENOMEM. Fills columns of b. */
int shed_rows(struct weir_batch *b, const struct weir_packet *pk, uint32_t level, uint16_t *rows);

/* For a view of packets with `weight`, of so many fields in all: those of the packets, then -1. The
 * fields of packets are everywhere the same. */
#define SHED_FIELDS 256
const int32_t *shed_map(uint32_t nfields);

/* "NAME.shed: …" lines. */
void shed_text(const struct shed *s, const char *name, struct text *to);

/* The schema of `s` with `weight` behind its fields; NULL: out of memory. */
struct weir_schema *shed_schema(const struct weir_schema *s);

#endif
