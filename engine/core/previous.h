/* SPDX-License-Identifier: MIT */
/* previous.h: the record before this one with the same key: what delta, derivative and intervals
 * share. Records that lack the field, the time or a key field are dropped and counted. */
#ifndef PREVIOUS_H
#define PREVIOUS_H

#include "engine/core/keymap.h"
#include "engine/core/record_time.h"

struct previous_config {
	struct weir_fields by; /* first: WEIR_KEYED's keys_offset is 0 */
	const char *name;      /* of the annotation */
	uint32_t field;        /* whose value is compared; UINT32_MAX: the time itself */
	uint32_t time;         /* UINT32_MAX: none is needed */
	uint32_t out;          /* the annotation */
	enum weir_kind kind;   /* of `field` */
};

struct previous_state {
	struct keymap map;
};

/* What is remembered for a key. */
struct previous {
	union {
		uint64_t u;
		int64_t i;
		double f;
	} value;
	int64_t time;
	bool there;
};

/* Rows of a batch with all that is needed, and what was before each. */
struct previous_rows {
	uint32_t n;
	uint16_t *row;
	struct keymap_entry **entry;
	const struct weir_col *value, *time;
	struct weir_col *out;
	uint64_t *valid;
	struct weir_batch *view;
};

/* Adds the annotation, of kind `kind`. `clock`: the time is needed. */
int previous_bind(struct weir_bind *b, enum weir_kind kind, const char *unit, bool clock,
        struct weir_err *err);
/* Fails where the field is not of a kind that can be subtracted. */
int previous_number(struct weir_bind *b, struct weir_err *err);

int previous_open(struct weir_node *n, struct weir_err *err);
void previous_close(struct weir_node *n);

/* A view of b with the rows that have what is needed; r->view is NULL where there are none. Then
 * previous_emit(). 0 or -ENOMEM. */
int previous_begin(struct weir_node *n, struct weir_batch *b, struct previous_rows *r);
static inline int previous_emit(struct weir_node *n, struct previous_rows *r)
{
	return r->view ? weir_emit(n, 0, r->view) : 0;
}

extern const char *const previous_counters[];

/* What the modules' option tables and descriptors have in common. */
#define PREVIOUS_FIELD_BY                                                                          \
	{.type = WEIR_OPT_FIELD,                                                                   \
	        .name = "field",                                                                   \
	        .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,                                  \
	        .offset = offsetof(struct previous_config, field),                                 \
	        .arg = "FIELD",                                                                    \
	        .doc = "a number, a time or a duration"},                                          \
	{                                                                                          \
		.type = WEIR_OPT_FIELDS, .name = "by", .letter = 'b',                              \
		.offset = offsetof(struct previous_config, by), .arg = "FIELD,…",                  \
		.doc = "compare with the last record that agrees in these fields"                  \
	}

#define PREVIOUS_TIME RECORD_TIME_OPTION(offsetof(struct previous_config, time), 't', "")

#define PREVIOUS_MODULE                                                                            \
	.abi = WEIR_ABI, .flags = WEIR_KEYED | WEIR_VIEWS, .options = options,                     \
	.config_size = sizeof(struct previous_config),                                             \
	.state_size = sizeof(struct previous_state),                                               \
	.keys_offset = offsetof(struct previous_config, by), .counters = previous_counters,        \
	.open = previous_open, .close = previous_close

#define PREVIOUS_OPTIONS(preset_name)                                                              \
	{                                                                                          \
		.type = WEIR_OPT_NAME, .name = "name", .letter = 'f',                              \
		.offset = offsetof(struct previous_config, name), .preset = preset_name,           \
		.arg = "NAME", .doc = "the name of the annotation"                                 \
	}

#endif
