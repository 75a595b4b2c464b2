/* SPDX-License-Identifier: MIT */
/* aggregate_state.h: what a figure keeps in the state of its group. For the files of aggregate.h.
 *
 * count, sum           the figure; of whole numbers
 * min, max of words    the complement of the value turned so that less is better: zero is worse
 *                      than any
 * mean, stddev         the structs below: of small whole numbers their sums, else floating ones
 * distinct             how many; estimated: a cell of the heap
 * percentile           nothing; estimated: a cell of the heap
 * others               the value, a text as a cell of the heap
 */
#ifndef AGGREGATE_STATE_H
#define AGGREGATE_STATE_H

#include "engine/core/aggregate.h"

struct welford {
	uint64_t n;
	double mean, m2;
};

#define WEIGHTED_SIGNS 16

/* Of a sample: the figure, then what its error is estimated by. */
struct weighted {
	union {
		uint64_t u;
		int64_t i;
		double f;
	} sum;
	double z[WEIGHTED_SIGNS];
};

struct mean {
	double sum;
	uint64_t n;
};

/* Of numbers below 2^32, of which there are at most 2^32: exact, in any order. */
struct moments {
	uint64_t n, sum;
	uint64_t squares[2]; /* low, high */
};

static inline bool aggregate_is_whole(const struct aggregate *a)
{
	return a->kind == WEIR_BOOL || (a->kind == WEIR_U64 && a->narrow);
}

static inline unsigned __int128 aggregate_squares(const struct moments *m)
{
	return (unsigned __int128)m->squares[1] << 64 | m->squares[0];
}

static inline void aggregate_add_squares(struct moments *m, unsigned __int128 more)
{
	more += aggregate_squares(m);
	m->squares[0] = (uint64_t)more;
	m->squares[1] = (uint64_t)(more >> 64);
}

/* Whether a byte of the state says that there is a figure. */
static inline bool aggregate_has_seen(const struct aggregate *a)
{
	switch (a->op) {
	case AGG_SUM:
		return !a->always;
	case AGG_MIN:
	case AGG_MAX:
		return !a->always || weir_storage_of(a->kind) != WEIR_WORD;
	default:
		return a->op == AGG_FIRST || a->op == AGG_LAST;
	}
}

static inline uint64_t aggregate_extreme(const struct aggregate *a, uint64_t state)
{
	const uint64_t sign = 1ull << 63;
	uint64_t v = ~state ^ (a->op == AGG_MAX ? UINT64_MAX : 0);

	if (a->kind == WEIR_I64 || a->kind == WEIR_TIME || a->kind == WEIR_DURATION)
		return v ^ sign;
	if (a->kind == WEIR_F64)
		return v & sign ? v ^ sign : ~v;
	return v;
}

static inline struct heap_cell *aggregate_cell(const uint8_t *at)
{
	struct heap_cell *c;

	memcpy(&c, at, sizeof c);
	return c;
}

/* The value kept in a group's state, of any kind. */
static inline union weir_datum aggregate_kept(const struct aggregate *a, const uint8_t *st)
{
	union weir_datum d;
	struct heap_cell *c;

	memset(&d, 0, sizeof d);
	switch (weir_storage_of(a->kind)) {
	case WEIR_WORD:
		memcpy(&d.u, st, 8);
		break;
	case WEIR_ADDR:
		memcpy(&d.ip, st, sizeof d.ip);
		break;
	case WEIR_VAR:
		c = aggregate_cell(st);
		if (c)
			d.s = (struct weir_str){c->bytes, c->len};
		break;
	}
	return d;
}

#endif
