/* SPDX-License-Identifier: MIT */
/* intervals.c: the time since the previous record of the same key. */
#include "engine/core/previous.h"

static int intervals_bind(struct weir_bind *b, struct weir_err *err)
{
	struct previous_config *c = b->config;

	c->field = UINT32_MAX;
	return previous_bind(b, WEIR_DURATION, "seconds", true, err);
}

static int intervals_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	struct previous_rows r;
	int rc = previous_begin(n, b, &r);

	for (uint32_t i = 0; rc == 0 && i < r.n; i++) {
		struct previous *p = keymap_value(r.entry[i]);
		uint32_t row = r.row[i];
		int64_t t = weir_col_i64(r.time)[row];

		if (p->there)
			weir_valid_set(r.valid, row);
		((int64_t *)r.out->data)[row] = (int64_t)((uint64_t)t - (uint64_t)p->time);
		p->time = t;
		p->there = true;
	}
	return rc < 0 ? rc : previous_emit(n, &r);
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_FIELDS,
                .name = "by",
                .flags = WEIR_OPT_POSITIONAL,
                .offset = offsetof(struct previous_config, by),
                .arg = "FIELD…",
                .doc = "the last record that agrees in these fields; none: the last record"},
        PREVIOUS_TIME,
        PREVIOUS_OPTIONS("interval"),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(intervals) = {
        PREVIOUS_MODULE,
        .name = "intervals",
        .summary = "time since the previous record of the same key",
        .doc = "Adds the time since the previous record that agrees in the named fields as "
               "'interval'. "
               "The first of each key has no value.\n\n"
               "A record that lacks a named field or the time is dropped and counted as 'missing'.",
        .example = "packets | intervals srcip dstip | print ts srcip dstip interval | head 5",
        .bind = intervals_bind,
        .process = intervals_process,
};
