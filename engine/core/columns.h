/* SPDX-License-Identifier: MIT */
/* columns.h: columns made of expressions: what print, project, expr and const share. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <weir/module.h>

struct columns {
	struct weir_args args;
	const char *name; /* of fields without "as", or NULL */
	uint32_t first;   /* output field of the first column made here … */
	uint32_t n;       /* … and how many there are, side by side with `made` */
	struct columns_made {
		uint32_t field;
		const struct weir_expr *expr; /* or */
		struct weir_str text;         /* a bare word */
	} * made;
};

/* The row of an option table for the name. */
#define COLUMNS_NAME_OPTION                                                                        \
	{                                                                                          \
		.type = WEIR_OPT_NAME, .name = "name", .letter = 'f',                              \
		.offset = offsetof(struct columns, name), .arg = "NAME",                           \
		.doc = "the name of the field, where 'as NAME' does not say"                       \
	}

/* Positional expressions, at least one. */
extern const struct weir_option columns_options[];

/* A bind that keeps only the named fields and computes the others, in order. */
int columns_bind(struct weir_bind *b, struct weir_err *err);

/* A bind that passes all fields on and appends every argument as a computed one: `preset` is the
 * name where nothing else gives one. A bare word is its own text. */
int columns_add(struct weir_bind *b, struct columns *c, const char *preset, struct weir_err *err);

int columns_process(struct weir_node *n, uint32_t input, struct weir_batch *b);

#endif
