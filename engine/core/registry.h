/* SPDX-License-Identifier: MIT */
/* registry.h: the modules and sources there are, by name.
 *
 * Built from the generated tables build/gen/{modules,sources}.c, which a Make rule writes from
 * the files in engine/modules/ and sources/. Sorted by name.
 */
#ifndef REGISTRY_H
#define REGISTRY_H

#include <weir/source.h>

const struct weir_module *registry_module(const char *name, size_t len);
const struct weir_source *registry_source(const char *name, size_t len);
const struct weir_module *registry_module_at(size_t i); /* NULL after the last */
const struct weir_source *registry_source_at(size_t i);

/* The source that reads `spec` best, NULL where none does. */
const struct weir_source *registry_probe(const char *spec);

#endif
