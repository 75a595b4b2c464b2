/* SPDX-License-Identifier: MIT */
/* stream_time.h: how far the time of a stream of records has come, for the modules that close
 * something by it.
 *
 * It is the highest time of a record. Records behind it come late; but where STREAM_STEP_RECORDS
 * in a row are all further behind than `step`, it is the clock that was set, back to theirs, or
 * one record had a time from the far future: time begins anew with the last of them. That depends
 * on nothing but the records' order.
 *
 * On a live source it goes on with the clock, see weir_node_clock().
 */
#ifndef STREAM_TIME_H
#define STREAM_TIME_H

#include "engine/core/record_time.h"

#define STREAM_STEP_RECORDS 16

struct stream_time {
	int64_t highest; /* -RECORD_TIME_MAX: no record yet */
	int64_t seen;    /* the clock when it came */
	uint32_t behind; /* records in a row that were further behind than a step */
};

static inline void stream_time_init(struct stream_time *s)
{
	*s = (struct stream_time){.highest = -RECORD_TIME_MAX};
}

/* A record of time t comes, with the clock at `clock`. True: time begins anew with it. */
static inline bool stream_time_add(struct stream_time *s, int64_t t, int64_t step, int64_t clock)
{
	bool anew = t < s->highest - step && ++s->behind == STREAM_STEP_RECORDS;

	if (t >= s->highest || anew)
		*s = (struct stream_time){.highest = t, .seen = clock};
	else if (t >= s->highest - step)
		s->behind = 0;
	return anew;
}

/* What time it is when the clock is at `clock`, as far as records are known. */
static inline int64_t stream_time_by_clock(const struct stream_time *s, int64_t clock)
{
	return s->highest + (clock - s->seen);
}

/* Lowers *due to the clock at which it will be `t`. */
static inline void stream_time_due(const struct stream_time *s, int64_t t, int64_t *due)
{
	int64_t at = s->seen + (t - s->highest);

	if (at < *due)
		*due = at;
}

/* A row of an option table; `at` is the value's place in the configuration, int64_t nanoseconds. */
#define STREAM_STEP_OPTION(at)                                                                     \
	{                                                                                          \
		.type = WEIR_OPT_DURATION, .name = "step", .offset = (at), .min = 0.001,           \
		.max = 1e9, .preset = "60s", .arg = "TIME",                                        \
		.doc = "sixteen records in a row that are further behind than this, and than "     \
		       "--late, are no late ones: the clock was set back"                          \
	}

static inline int64_t stream_time_step(int64_t step, int64_t late)
{
	return step > late ? step : late;
}

#endif
