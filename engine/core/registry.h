/* SPDX-License-Identifier: MIT */
/* registry.h: the modules and sources there are, by name.
 *
 * Built from the generated tables build/gen/{modules,sources}.c, which a Make rule writes from
 * the files in engine/modules/ and sources/, and of what plug-ins add (plugin.h). Sorted by name.
 */
#ifndef REGISTRY_H
#define REGISTRY_H

#include <weir/source.h>

const struct weir_module *registry_module(const char *name, size_t len);
const struct weir_source *registry_source(const char *name, size_t len);
const struct weir_module *registry_module_at(size_t i); /* NULL after the last */
const struct weir_source *registry_source_at(size_t i);

/* Adds a module, for good; it must stay where it is. Before anything else looks: no lock guards the
 * table. 0, -EEXIST where a module or a source has the name, -ENOMEM. */
int registry_add(const struct weir_module *m);

/* The source that reads `spec` best, NULL where none does. */
const struct weir_source *registry_probe(const char *spec);

#endif
