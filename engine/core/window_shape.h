/* SPDX-License-Identifier: MIT */
/* window_shape.h: how a stream is cut into windows, as the words of `window` say it:
 *
 *   10s                     tumbling
 *   60s slide 10s           sliding
 *   1000 records            by count
 *   session 30s by srcip    by gaps, for each key
 */
#ifndef WINDOW_SHAPE_H
#define WINDOW_SHAPE_H

#include <weir/module.h>

enum window_mode { WINDOW_BY_TIME, WINDOW_BY_COUNT, WINDOW_BY_SESSION };

struct window_shape {
	enum window_mode mode;
	int64_t width; /* ns, > 0; by session: the gap */
	int64_t slide; /* by time: from the start of one window to that of the next */
	int64_t pane;  /* by time: the greatest common divisor of both */
	uint64_t records;
	struct weir_fields by; /* by session */
};

/* Fills *s, which is zeroed. 0 or -errno. */
int window_shape_bind(struct weir_bind *b, const struct weir_args *args, struct window_shape *s,
        struct weir_err *err);

#endif
