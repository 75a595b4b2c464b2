/* SPDX-License-Identifier: MIT */
/* aggregate.h: figures over the records of a group: count, sum, min, max, mean, stddev, distinct,
 * percentile, first, last.
 *
 * Each aggregate has a few bytes in the state of its group, zero at first, and is updated for a
 * whole batch at a time. What does not fit there (the values that a percentile needs, the tuples
 * that distinct has seen) lies in its struct aggregate_run. A record that lacks the value does
 * not count; a group without any has no figure (count and distinct: 0).
 *
 * Sums of whole numbers are exact; one that leaves 64 bits stays at the end of the range and is
 * counted. Means of f64 and sums of them are plain double arithmetic; stddev is that of a sample
 * (n - 1), by Welford's recurrence (Technometrics 4, 1962); of whole numbers below 2^32 both are
 * made of exact sums. Percentiles are exact: the smallest value that
 * at least p percent of the values do not exceed (nearest rank); they keep all values.
 *
 * Over a sample, count and sum are scaled back, and have an error (aggregate_weight.c).
 *
 * distinct and percentile can be estimated instead (aggregate_sketch.c): by HyperLogLog++ and
 * DDSketch, whose cells of the heap the group's state points to.
 */
#ifndef AGGREGATE_H
#define AGGREGATE_H

#include "engine/core/keytab.h"
#include "engine/sketch/keys.h"

enum aggregate_op {
	AGG_COUNT,
	AGG_SUM,
	AGG_MIN,
	AGG_MAX,
	AGG_MEAN,
	AGG_STDDEV,
	AGG_DISTINCT,
	AGG_PERCENTILE,
	AGG_FIRST,
	AGG_LAST,
	AGG_OPS
};

struct aggregate {
	enum aggregate_op op;
	enum weir_kind kind;          /* of the value; WEIR_NONE: count() of records */
	enum weir_kind result;        /* of the figure */
	int32_t field;                /* input field, -1: expr */
	const struct weir_expr *expr; /* the value, where it is more than a field */
	struct weir_fields fields;    /* distinct */
	/* at most 32 bits: a sum stays in range for 2^32 records, so no order of adding overflows
	 */
	bool narrow;
	bool always; /* each record has the value, and each group a record */
	double percent;
	/* distinct: precision of HyperLogLog++; percentile: digits of DDSketch and one more; 0:
	 * exact */
	unsigned sketch;
	uint64_t seed;
	/* count and sum of records that stand for several: fields of the input, see
	 * aggregate_weight.c */
	bool weighted;
	int32_t weight, flow;
	uint32_t at, seen; /* bytes in the group's state; seen: whether there is a figure */
	uint32_t out;      /* output field */
};

struct aggregate_run {
	struct weir_mem *mem;
	bool needed;              /* somebody reads the figure */
	struct keytab *tuples;    /* distinct */
	struct sketch_keys *keys; /* distinct, estimated */
	struct heap heap;
	uint32_t *group; /* percentile: group and value of each record */
	uint64_t *value;
	size_t group_size, value_size;
	uint64_t n;
	/* of the flush at hand */
	uint64_t *start, *sorted;
	size_t start_size, sorted_size;
};

/* The op of that name, -1: none. */
int aggregate_by_name(const char *name);
const char *aggregate_name(enum aggregate_op op);

/* Sets a->result; false: `op` cannot take values of a->kind. */
bool aggregate_check(struct aggregate *a);

/* Gives the aggregates their places; the bytes of a group's state. */
uint32_t aggregate_layout(struct aggregate *a, uint32_t n);

int aggregate_open(const struct aggregate *a, struct aggregate_run *run, struct weir_mem *mem,
        const struct weir_schema *in);
void aggregate_close(struct aggregate_run *run);

/* Adds rows row[0..n) of b to the groups with these ids and states. `id` is read by distinct and
 * percentile alone. 0 or -ENOMEM. */
struct aggregate_rows {
	uint32_t n;
	const uint16_t *row;
	const uint32_t *id;
	uint8_t *const *state;
	bool one;   /* all states are the same: there are no keys */
	bool dense; /* row[k] is row[0] + k */
};
int aggregate_update(const struct aggregate *a, struct aggregate_run *run, struct weir_batch *b,
        const struct aggregate_rows *r, uint64_t *overflows);

/* Of an estimated figure: its error (the relative standard error of distinct and of what is scaled
 * back, the largest relative
 * error of a percentile) and its bytes in the group with this state. */
double aggregate_error(const struct aggregate *a, const uint8_t *state);
uint64_t aggregate_memory(const struct aggregate *a, const uint8_t *state);

/* aggregate_sketch.c: the same for estimated figures, and what one is. */
int aggregate_sketch_update(const struct aggregate *a, struct aggregate_run *run,
        struct weir_batch *b, const struct aggregate_rows *r, const struct weir_col *value);
bool aggregate_sketch_value(const struct aggregate *a, const uint8_t *state, union weir_datum *ret);

/* aggregate_weight.c: the same where a->weighted; value NULL: count() of records. */
int aggregate_weight_update(const struct aggregate *a, struct weir_batch *b,
        const struct weir_col *value, const struct aggregate_rows *r, uint64_t *overflows);
double aggregate_weight_error(const struct aggregate *a, const uint8_t *state);

/* Whether it takes only state[0] of rows that are all of one group. */
bool aggregate_is_plain(const struct aggregate *a);

/* Whether count() and the sum in a[0..2), in either order, can be updated together, and that. */
bool aggregate_is_pair(const struct aggregate *a);
int aggregate_update_pair(const struct aggregate *a, struct weir_batch *b,
        const struct aggregate_rows *r, uint64_t *overflows);

/* ---- aggregate_add.c ---- */

/* Whether what several tables have of a group can be added up, in any order, to what one would
 * have. */
bool aggregate_adds(const struct aggregate *a, const struct weir_schema *in);
/* Whether that takes as long as the group's records did: it keeps something of each. */
bool aggregate_grows(const struct aggregate *a);
/* That, for n groups. 0 or -ENOMEM. */
int aggregate_add(const struct aggregate *a, struct aggregate_run *run, uint8_t *const *to,
        uint8_t *const *from, uint32_t n);
/* What is kept outside the groups' states, once all groups are there: group g of `from` is id[g],
 * with the states of `groups`, or `whole` where that is NULL. 0 or -ENOMEM. */
int aggregate_add_kept(const struct aggregate *a, struct aggregate_run *run,
        const struct aggregate_run *from, const uint32_t *id, const struct keytab *groups,
        uint8_t *whole);

/* Before and after the figures of all n groups are loaded. */
int aggregate_begin(const struct aggregate *a, struct aggregate_run *run, uint32_t n);
void aggregate_end(struct aggregate_run *run);

/* Fills column a->out of the built batch with the figures of groups first … first + n - 1. */
int aggregate_load(const struct aggregate *a, struct aggregate_run *run, uint32_t first,
        uint8_t *const *state, uint32_t n, struct weir_batch *b);

#endif
