/* SPDX-License-Identifier: MIT */
/* record_time.h: the time of a record, as the modules that close something by it take it. */
#ifndef RECORD_TIME_H
#define RECORD_TIME_H

#include <weir/module.h>

/* Times beyond are taken for this: sums of two do not overflow. */
#define RECORD_TIME_MAX (1ll << 62)

static inline int64_t record_time(const struct weir_col *c, uint32_t row)
{
	int64_t t = weir_col_i64(c)[row];

	return t > RECORD_TIME_MAX ? RECORD_TIME_MAX : t < -RECORD_TIME_MAX ? -RECORD_TIME_MAX : t;
}

/* Checks the field that RECORD_TIME_OPTION put at `slot` of the config. `what` needs it. 0 or
 * -errno. */
static inline int record_time_check(
        struct weir_bind *b, const uint32_t *slot, const char *what, struct weir_err *err)
{
	const struct weir_field *f;
	uint32_t field = *slot;

	if (field == UINT32_MAX) {
		int r = weir_bind_find(b, "ts", err); /* fails: the preset was not there */

		return r < 0 ? r : -EINVAL;
	}
	f = &b->in->fields[field];
	if (f->kind == WEIR_TIME)
		return 0;
	weir_bind_blame(b, slot, 0);
	return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, what, "a time", f->name,
	        weir_kind_article(f->kind));
}

/* Rows of an option table; `at` is the value's place in the configuration. */

/* The field, uint32_t; UINT32_MAX where records have no "ts". `key` is its letter, `use` goes
 * behind what it is. */
#define RECORD_TIME_OPTION(at, key, use)                                                           \
	{                                                                                          \
		.type = WEIR_OPT_FIELD, .name = "time", .letter = (key), .offset = (at),           \
		.preset = "ts", .arg = "FIELD", .doc = "the time of a record" use                  \
	}

/* The tolerance, int64_t nanoseconds. */
#define RECORD_LATE_OPTION(at)                                                                     \
	{                                                                                          \
		.type = WEIR_OPT_DURATION, .name = "late", .letter = 'l', .offset = (at),          \
		.min = 0, .max = 86400, .arg = "TIME",                                             \
		.doc = "how much later than its successors a record may come; as 'set late'"       \
	}

#endif
