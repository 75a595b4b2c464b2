/* SPDX-License-Identifier: MIT */
/* registry.c: look-ups in the generated tables. */
#include "engine/core/registry.h"

extern const struct weir_module *const registry_modules[];
extern const struct weir_source *const registry_sources[];

const struct weir_module *registry_module_at(size_t i)
{
	return registry_modules[i];
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
	for (size_t i = 0; registry_modules[i]; i++)
		if (same(registry_modules[i]->name, name, len))
			return registry_modules[i];
	return NULL;
}

const struct weir_source *registry_source(const char *name, size_t len)
{
	for (size_t i = 0; registry_sources[i]; i++)
		if (same(registry_sources[i]->name, name, len))
			return registry_sources[i];
	return NULL;
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
