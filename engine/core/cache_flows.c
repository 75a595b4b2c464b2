/* SPDX-License-Identifier: MIT */
/* cache_flows.c: numbers for the flows of a trace that is being kept.
 *
 * A table of keys as queries use it, which is dropped when the trace has ended: the numbers are the
 * ids. Where flows are short, numbers save nothing; where the table has no room in the cache, it is
 * not worth that others go for it. Then the trace is kept without.
 */
#include "engine/core/cache.h"

#include <stdlib.h>

#include "engine/core/keytab.h"

#define LOOK 65536 /* packets before it is known how long flows are */
#define LEAST 3    /* packets of a flow, on average */

/* In `numbers`, where they were given up. */
static struct keytab none;

static int begin(struct cached *d, const struct weir_schema *s)
{
	uint32_t field[WEIR_PACK_FIELDS], n = 0;

	for (; compact_flow[n]; n++)
		field[n] = (uint32_t)weir_schema_find(s, compact_flow[n], strlen(compact_flow[n]));
	return keytab_new(cache_mem(d->cache), s, field, n, KEYPACK_NULLS, 0, &d->numbers);
}

bool cached_unnumber(struct cached *d)
{
	struct keytab *t = d->numbers;

	d->numbers = &none;
	if (!t || t == &none)
		return false;
	keytab_free(cache_mem(d->cache), t);
	return true;
}

static bool is_short(const struct cached *d)
{
	return d->packets >= LOOK && d->numbers->n > d->packets / LEAST;
}

void cached_number(struct cached *d, struct weir_batch *b, compact_room *room, void *arg)
{
	struct compact *c = &d->batch[d->n - 1].form;
	struct keytab_rows rows;
	uint32_t *to;

	if (d->numbers == &none)
		return;
	if ((!d->numbers && begin(d, b->schema) < 0) || keytab_map(d->numbers, b, &rows) < 0 ||
	        rows.n != b->n || is_short(d)) {
		cached_unnumber(d);
		return;
	}
	to = room(arg, b->n * sizeof *to);
	if (!to) {
		cached_unnumber(d);
		return;
	}
	memcpy(to, rows.id, b->n * sizeof *to);
	c->flow = to;
}

void cached_numbered(struct cached *d)
{
	bool all = d->numbers && d->numbers != &none && d->numbers->n <= d->packets / LEAST;

	d->flows = all ? d->numbers->n : 0;
	for (uint32_t i = 0; !all && i < d->n; i++)
		d->batch[i].form.flow = NULL;
	cached_unnumber(d);
	d->numbers = NULL;
}
