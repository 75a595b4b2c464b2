/* SPDX-License-Identifier: MIT */
/* doc.h: descriptors as pages: modules/<name> and types/<name> of the tree, `weir modules`,
 * weir-modules(7). All of them come from here, so they cannot differ.
 */
#ifndef DOC_H
#define DOC_H

#include "engine/core/text.h"
#include <weir/source.h>

/* "uniq [-m SIZE] FIELD…": from the option table. */
void doc_synopsis(const char *name, const struct weir_option *options, struct text *to);

void doc_module(const struct weir_module *m, struct text *to);
void doc_source(const struct weir_source *s, struct text *to);

/* A line "name  summary" for each module or source. */
void doc_list(struct text *to);

/* The page of the module or source `name`; -ENOENT. */
int doc_named(const char *name, struct text *to);

/* The whole weir-modules(7), as mdoc. */
void doc_man(struct text *to);

/* Fields, kinds, units, aliases of a schema. */
void doc_schema(const struct weir_schema *s, struct text *to);

/* The schemas that are known before a source is read: a reference, NULL after the last. */
struct weir_schema *doc_schema_at(size_t i);

#endif
