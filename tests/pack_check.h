/* SPDX-License-Identifier: MIT */
/* pack_check.h: keys that the packets give themselves against those made from their columns. */
#ifndef PACK_CHECK_H
#define PACK_CHECK_H

#include "engine/core/keypack.h"
#include "engine/core/pool.h"
#include "engine/proto/column.h"
#include <stdio.h>
#include <stdlib.h>

static inline void pack_need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pack: %s\n", what);
	abort();
}

static inline void pack_fields(
        const char *const *names, const struct weir_schema *s, uint32_t *index, uint32_t *n)
{
	for (*n = 0; names[*n]; ++*n)
		index[*n] = (uint32_t)weir_schema_find(s, names[*n], strlen(names[*n]));
}

/* Octets of the IPv6 address at (place, field), NULL: there is none. */
static inline const uint8_t *pack_octets(
        const struct weir_packed *from, uint32_t place, uint32_t field)
{
	for (uint32_t i = 0; i < from->nip6; i++)
		if (from->ip6[i].place == place && from->ip6[i].field == field)
			return from->ip6[i].octets;
	return NULL;
}

/* ps: n packets, n <= WEIR_PACK_ROWS. walked: whether the batch that packs has been walked. */
static inline void pack_check(struct weir_packets *ps, uint32_t n, struct weir_pool *pool,
        struct weir_schema *schema, bool walked)
{
	static const char *const sets[][8] = {
	        {"srcip"},
	        {"dstip"},
	        {"dstip", "srcip"},
	        {"srcip", "dstip", "dstport"},
	        {"srcip", "dstip", "srcport", "dstport", "ipprotocol"},
	        {"seq", "srcip", "dstip", "srcport", "dstport"},
	        {"vlan", "ipprotocol"},
	        {"srcport", "ttl", "srcip", "len"},
	        {"seq"},
	        {"ipprotocol", "dstport"},
	        {"ts", "flags"},
	        {"srcip", "dstip", "vlan", "srcport", "seq", "ipprotocol"},
	};
	static const struct weir_batch_ops columns = {.fill = weir_packet_fill},
	                                   packs = {.fill = weir_packet_fill,
	                                           .pack = weir_packet_pack};
	static struct keypack_block want, got;
	static uint8_t keys[2][WEIR_PACK_ROWS * 64];

	for (uint32_t set = 0; set < 2 * sizeof sets / sizeof *sets; set++) {
		unsigned flags = set & 1 ? KEYPACK_NULLS : 0;
		uint16_t rows[2][WEIR_PACK_ROWS];
		uint32_t index[8], nindex;
		struct weir_batch *b[2];
		struct keypack p;

		pack_fields(sets[set / 2], schema, index, &nindex);
		pack_need(keypack_init(&p, NULL, schema, index, nindex, flags) == 0, "memory");
		memset(keys, 0, sizeof keys);
		for (int i = 0; i < 2; i++) {
			b[i] = pool_batch(pool, schema, n);
			b[i]->ops = i ? &packs : &columns;
			b[i]->priv = ps;
			keypack_rows(b[i], rows[i]);
			ps->decoded = NULL;
			decode_walks = DECODE_WALKS;
			if (i && walked)
				decode(b[i]);
			else if (i)
				decode_walks = 0;
			pack_need(keypack_pack(&p, b[i], rows[i], n, NULL, keys[i],
			                  i ? &got : &want) == 0,
			        "memory");
		}
		pack_need(want.n == got.n, "rows");
		for (uint32_t k = 0; k < want.n; k++) {
			uint8_t *key[2] = {keys[0] + k * p.size, keys[1] + k * p.size};

			pack_need(rows[0][k] == rows[1][k], "row");
			for (uint32_t f = 0; f < nindex; f++) {
				const uint8_t *a = pack_octets(&want.from, k, f),
				              *c = pack_octets(&got.from, k, f);

				pack_need(!a == !c && (!a || memcmp(a, c, 16) == 0), "IPv6");
				if (a) /* then these bytes are anything */
					memset(key[0] + p.f[f].at, 0, p.f[f].width);
				if (a)
					memset(key[1] + p.f[f].at, 0, p.f[f].width);
			}
			pack_need(memcmp(key[0], key[1], p.size) == 0, "key");
		}
		weir_batch_unref(b[0]);
		weir_batch_unref(b[1]);
		keypack_release(&p);
	}
	ps->decoded = NULL;
}

#endif
