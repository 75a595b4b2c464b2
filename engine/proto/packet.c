// SPDX-License-Identifier: MIT
/* packet.c: the packet schema, and the dispatch from a field to its column.
 *
 * Schemas differ by the digits of `ts` only. Each is made once and kept for good: a batch holds
 * no reference to it.
 */
#include "engine/proto/column.h"
#include <stdatomic.h>

#define D WEIR_FIELD_DEFAULT
#define A WEIR_FIELD_ALWAYS

static const struct weir_field fields[FIELDS] = {
#define X(twin, id, fname, k, fl, width, table, u, alias, text)                                    \
	{.name = fname,                                                                            \
	        .kind = WEIR_##k,                                                                  \
	        .flags = fl,                                                                       \
	        .bits = width,                                                                     \
	        .names = table,                                                                    \
	        .unit = u,                                                                         \
	        .aliases = alias,                                                                  \
	        .doc = text},
        PACKET_FIELDS(X)
#undef X
#define INNER(id, fname, k, fl, width, table, u, alias, text)                                      \
	{.name = "inner." fname,                                                                   \
	        .kind = WEIR_##k,                                                                  \
	        .bits = width,                                                                     \
	        .names = table,                                                                    \
	        .unit = u,                                                                         \
	        .doc = "of the packet inside of IP-in-IP, GRE or 6in4: " text},
                PACKET_FIELDS(X_INNER)
#undef INNER
};

static column_fill *const fills[FIELDS] = {
#define X(twin, id, ...) fill_##id,
        PACKET_FIELDS(X)
#undef X
#define INNER(id, ...) fill_##id,
                PACKET_FIELDS(X_INNER)
#undef INNER
};

/* Which walk a field needs: none (0), that of the headers (1), that of the tunnel too (2). */
static const uint8_t walks[FIELDS] = {
#define X(twin, id, ...) WALK_##twin(id),
#define WALK_ONE(id) 0
#define WALK_BOTH(id) 1
        PACKET_FIELDS(X)
#undef X
#define INNER(id, ...) 2,
                PACKET_FIELDS(X_INNER)
#undef INNER
};

struct weir_schema *weir_packet_schema(unsigned digits)
{
	static _Atomic(struct weir_schema *) made[10];
	struct weir_field f[FIELDS];
	struct weir_schema *s, *none = NULL;

	if (digits > 9)
		digits = 9;
	s = atomic_load(&made[digits]);
	if (!s) {
		memcpy(f, fields, sizeof f);
		f[FIELD_ts].digits = (uint8_t)digits;
		s = weir_schema_new("packet", f, FIELDS);
		if (!s)
			return NULL;
		if (!atomic_compare_exchange_strong(&made[digits], &none, s)) {
			weir_schema_unref(s);
			s = none;
		}
	}
	return weir_schema_ref(s);
}

static int direct(struct weir_batch *b, uint32_t field)
{
	struct weir_col *col = weir_batch_own(b, field);
	int r = col ? fill_direct(b, col, field == FIELD_srcip) : -ENOMEM;

	if (r < 0 && col)
		col->data = NULL; /* not filled */
	return r;
}

int weir_packet_fill(struct weir_batch *b, uint32_t field)
{
	struct weir_packets *ps = b->priv;
	struct column c = {.b = b, .pk = ps->pk, .n = b->n};
	struct decoded *d;
	int r;

	if (field >= FIELDS)
		return -EINVAL;
	if (field == FIELD_srcip || field == FIELD_dstip) {
		if (!ps->decoded && !decode_walks)
			return direct(b, field);
		decode_walks -= decode_walks > 0;
	} else if (walks[field]) {
		decode_walks = DECODE_WALKS;
	}
	if (walks[field]) {
		d = decode(b);
		if (!d || (walks[field] == 2 && decode_inner(b, d) < 0))
			return -ENOMEM;
		c.l = walks[field] == 2 ? &d->inner : &d->outer;
		c.d = c.l->d;
		c.all = c.l->all;
		c.any = c.l->any;
	}
	c.col = weir_batch_own(b, field);
	if (!c.col)
		return -ENOMEM;
	c.col->kind = fields[field].kind;
	r = fills[field](&c);
	if (r < 0)
		c.col->data = NULL; /* not filled */
	return r;
}
