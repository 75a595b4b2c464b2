/* SPDX-License-Identifier: MIT */
/* definition.c: the definitions of a spec, by name: as many look-ups as a spec has words cost no
 * more than the reading of it, whatever the names are (keyhash.h: nobody can choose names that
 * collide).
 */
#include "engine/core/keyhash.h"
#include "engine/lang/parse.h"

#include <string.h>

#define BUCKETS 1024 /* at DEFINITIONS_MAX ten in each */

static struct ast_definition **bucket(const struct ast_spec *spec, const char *name, size_t len)
{
	return &spec->buckets[keyhash_bytes(keyhash_secret(), name, len) % BUCKETS];
}

const struct ast_definition *ast_definition(
        const struct ast_spec *spec, const char *name, size_t len)
{
	const struct ast_definition *d = spec->buckets ? *bucket(spec, name, len) : NULL;

	while (d && (d->len != len || memcmp(d->name, name, len) != 0))
		d = d->same;
	return d;
}

int definition_add(struct parse *p, struct ast_definition *d)
{
	struct ast_spec *spec = p->spec;
	struct ast_definition **at;

	if (!spec->buckets)
		spec->buckets = lex_alloc(p, BUCKETS * sizeof *spec->buckets);
	if (!spec->buckets)
		return -ENOMEM;
	at = bucket(spec, d->name, d->len);
	d->same = *at;
	*at = d;
	at = p->last_definition ? &p->last_definition->next : &spec->definitions;
	*at = d;
	p->last_definition = d;
	spec->ndefinitions++;
	return 0;
}
