/* SPDX-License-Identifier: MIT */
/* flow_numbers.c: see flow_numbers.h. */
#include "engine/core/flow_numbers.h"

#include <string.h>

#include "engine/core/keytab.h"

#define LOOK 65536 /* packets before it is known how long flows are */

static int begin(struct flow_numbers *f, const struct weir_schema *s)
{
	uint32_t field[WEIR_PACK_FIELDS], n = 0;

	for (; compact_flow[n]; n++)
		field[n] = (uint32_t)weir_schema_find(s, compact_flow[n], strlen(compact_flow[n]));
	return keytab_new(f->mem, s, field, n, KEYPACK_NULLS, 0, &f->table);
}

bool flow_numbers_drop(struct flow_numbers *f)
{
	struct keytab *t = f->table;

	f->off = true;
	f->table = NULL;
	keytab_free(f->mem, t);
	return t != NULL;
}

uint32_t flow_numbers_most(const struct flow_numbers *f)
{
	return f->table ? f->table->n : 0;
}

static bool is_short(const struct flow_numbers *f)
{
	return f->packets >= LOOK && f->table->n > f->packets / FLOW_LEAST;
}

const uint32_t *flow_numbers(
        struct flow_numbers *f, struct weir_batch *b, compact_room *room, void *arg)
{
	struct keytab_rows rows;
	uint32_t *to;

	if (f->off)
		return NULL;
	f->packets += b->n;
	if ((!f->table && begin(f, b->schema) < 0) || keytab_map(f->table, b, &rows) < 0 ||
	        rows.n != b->n || is_short(f)) {
		flow_numbers_drop(f);
		return NULL;
	}
	to = room(arg, b->n * sizeof *to);
	if (!to) {
		flow_numbers_drop(f);
		return NULL;
	}
	return memcpy(to, rows.id, b->n * sizeof *to);
}
