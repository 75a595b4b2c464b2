/* SPDX-License-Identifier: MIT */
/* registry.c: look-ups in the generated tables, and in the table that plug-ins make of one. */
#include "engine/core/registry.h"

#include <errno.h>
#include <stdlib.h>

extern const struct weir_module *const registry_modules[];
extern const struct weir_source *const registry_sources[];

/* All modules, once one was added; NULL: the generated table as it is. */
static const struct weir_module **all_modules;
static size_t nmodules;

static const struct weir_module *const *modules(void)
{
	return all_modules ? all_modules : registry_modules;
}

const struct weir_module *registry_module_at(size_t i)
{
	return modules()[i];
}

const struct weir_source *registry_source_at(size_t i)
{
	return registry_sources[i];
}

static bool same(const char *a, const char *name, size_t len)
{
	return strlen(a) == len && memcmp(a, name, len) == 0;
}

const struct weir_module *registry_module(const char *name, size_t len)
{
	for (size_t i = 0; modules()[i]; i++)
		if (same(modules()[i]->name, name, len))
			return modules()[i];
	return NULL;
}

const struct weir_source *registry_source(const char *name, size_t len)
{
	for (size_t i = 0; registry_sources[i]; i++)
		if (same(registry_sources[i]->name, name, len))
			return registry_sources[i];
	return NULL;
}

int registry_add(const struct weir_module *m)
{
	const struct weir_module **table;
	size_t n = nmodules, at = 0;

	if (registry_module(m->name, strlen(m->name)) || registry_source(m->name, strlen(m->name)))
		return -EEXIST;
	while (!all_modules && registry_modules[n])
		n++;
	table = malloc((n + 2) * sizeof *table);
	if (!table)
		return -ENOMEM;
	while (at < n && strcmp(modules()[at]->name, m->name) < 0)
		at++;
	memcpy(table, modules(), at * sizeof *table);
	table[at] = m;
	memcpy(table + at + 1, modules() + at, (n - at) * sizeof *table);
	table[n + 1] = NULL;
	free(all_modules);
	all_modules = table;
	nmodules = n + 1;
	return 0;
}

const struct weir_source *registry_probe(const char *spec)
{
	const struct weir_source *best = NULL;
	int score = 0;

	for (size_t i = 0; registry_sources[i]; i++) {
		int s = registry_sources[i]->probe ? registry_sources[i]->probe(spec) : 0;

		if (s > score) {
			score = s;
			best = registry_sources[i];
		}
	}
	return best;
}
