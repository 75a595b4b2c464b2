/* SPDX-License-Identifier: MIT */
/* notes.h: what a sketch says about itself beside its answer, as annotations: `error`, its bound in
 * the unit that its module's page gives, and `memory`, its bytes, shown only where it is printed by
 * name. */
#ifndef SKETCH_NOTES_H
#define SKETCH_NOTES_H

#include <weir/module.h>

struct notes {
	uint32_t error, memory; /* output fields */
};

static inline int notes_bind(struct weir_bind *b, struct notes *notes, enum weir_kind kind,
        const char *doc, struct weir_err *err)
{
	struct weir_field error = {
	        .name = "error", .kind = kind, .flags = WEIR_FIELD_ALWAYS, .doc = doc};
	struct weir_field memory = {.name = "memory",
	        .kind = WEIR_U64,
	        .flags = WEIR_FIELD_ALWAYS | WEIR_FIELD_HIDDEN,
	        .unit = "bytes",
	        .doc = "bytes of the sketch"};
	int r = weir_bind_add(b, &error, err);

	if (r < 0)
		return r;
	notes->error = (uint32_t)r;
	r = weir_bind_add(b, &memory, err);
	notes->memory = (uint32_t)r;
	return r < 0 ? r : 0;
}

/* Fills an own column of a view with one number for all of its rows, if anybody reads it. 0 or
 * -ENOMEM. */
static inline int notes_fill(
        struct weir_node *n, struct weir_batch *out, uint32_t field, union weir_datum v)
{
	struct weir_col *c;

	if (!weir_node_needs(n, field))
		return 0;
	c = weir_batch_own(out, field);
	if (!c)
		return -ENOMEM;
	for (uint32_t k = 0; k < weir_batch_count(out); k++)
		((uint64_t *)c->data)[weir_batch_row(out, k)] = v.u;
	return 0;
}

/* Fails where a seed is given to a module that is not in its sketch mode. */
static inline int notes_seed(
        const struct weir_bind *b, uint64_t seed, const char *needs, struct weir_err *err)
{
	return seed ? weir_fail(
	                      err, WEIR_E_MISSING_ARGUMENT, b->pos, b->len, b->module->name, needs)
	            : 0;
}

/* Rows of option tables; `at` is the value's place in the configuration. */

/* -m SIZE, bytes: at least `least`. */
#define NOTES_MEMORY_OPTION(at, least, text)                                                       \
	{                                                                                          \
		.type = WEIR_OPT_SIZE, .name = "memory", .letter = 'm', .offset = (at),            \
		.min = (least), .max = (double)(1ull << 36), .arg = "SIZE", .doc = text            \
	}

#define NOTES_SEED_OPTION(at)                                                                      \
	{                                                                                          \
		.type = WEIR_OPT_U64, .name = "seed", .offset = (at), .arg = "SEED",               \
		.doc = "where the hash of a sketch begins: the same seed, the same answer; "       \
		       "0: drawn at start"                                                         \
	}

#endif
