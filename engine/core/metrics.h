/* SPDX-License-Identifier: MIT */
/* metrics.h: counters in the OpenMetrics text format (1.0): families of samples with labels.
 *
 * A family stands together: its head, then all its samples. Whoever assembles the text ends it with
 * "# EOF\n".
 */
#ifndef METRICS_H
#define METRICS_H

#include "engine/core/text.h"
#include <stdint.h>

struct engine;

enum metric_type { METRIC_GAUGE, METRIC_COUNTER };

struct metric {
	const char *name; /* without _total; ends in _UNIT where there is a unit */
	enum metric_type type;
	const char *unit; /* or NULL */
	const char *help;
};

/* The family's TYPE, UNIT and HELP lines. */
void metric_head(const struct metric *m, struct text *to);
/* The name and the labels of a sample: pairs of a label's name and value, ended by NULL. A value
 * may hold any bytes: what is not UTF-8 becomes U+FFFD. A space and the value follow. */
void metric_sample(const struct metric *m, const char *const *labels, struct text *to);
void metric_u64(const struct metric *m, const char *const *labels, uint64_t v, struct text *to);
/* Nanoseconds, as seconds. */
void metric_ns(const struct metric *m, const char *const *labels, int64_t ns, struct text *to);

/* The families of sources, queries and their nodes. */
void engine_metrics(struct engine *e, struct text *to);

#endif
