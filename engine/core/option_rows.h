/* SPDX-License-Identifier: MIT */
/* option_rows.h: rows that the option tables of many modules have. `at` is the value's place in the
 * configuration. */
#ifndef OPTION_ROWS_H
#define OPTION_ROWS_H

#include <weir/option.h>

/* The fields that the module is about, struct weir_fields; `how`: 0, or WEIR_OPT_REQUIRED. */
#define OPTION_FIELDS(at, how, text)                                                               \
	{                                                                                          \
		.type = WEIR_OPT_FIELDS, .name = "fields", .flags = WEIR_OPT_POSITIONAL | (how),   \
		.offset = (at), .arg = "FIELD…", .doc = text                                       \
	}

/* -f NAME of the field that the module adds, const char *; `usual`: the name without it, or NULL.
 */
#define OPTION_FIELD_NAME(at, usual, text)                                                         \
	{                                                                                          \
		.type = WEIR_OPT_NAME, .name = "field", .letter = 'f', .offset = (at),             \
		.preset = (usual), .arg = "NAME", .doc = text                                      \
	}

#endif
