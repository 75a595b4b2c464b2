// SPDX-License-Identifier: MIT
/* decode.c: the packet decoder on arbitrary bytes.
 *
 * Input: one byte that picks a link type, one for the number of wire bytes that were not captured,
 * then packets, each with a length byte before it (the last takes what is left). Each packet lies
 * in a heap block of exactly its size, so that a sanitizer sees every read beyond it. All columns
 * are filled and each value that is there is read whole; and the short cuts of the first pass, and
 * keys packed without columns, must give what the walk gives.
 */
#include "engine/core/pool.h"
#include "engine/proto/column.h"
#include "tests/pack_check.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t linktypes[] = {1, 1, 1, 1, 0, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 119,
        127, 163, 166, 204, 228, 229, 276, 147};

static const struct weir_batch_ops ops = {.fill = weir_packet_fill};

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "decode: %s\n", what);
	abort();
}

/* Only what `have` vouches for counts. */
static void same(const struct layer *a, const struct layer *b)
{
	need(a->have == b->have, "have");
	need(!(a->have & (L_IP4 | L_IP6)) || (a->l3 == b->l3 && a->end == b->end), "l3, end");
	need(!(a->have & L_L4) || a->l4 == b->l4, "l4");
	need(!(a->have & L_TYPE) || a->ethertype == b->ethertype, "ethertype");
	need(!(a->have & L_VLAN) || a->vlan == b->vlan, "vlan");
	need(!(a->have & L_PROTO) || a->proto == b->proto, "proto");
	need(!(a->have & L_SPORT) || a->sport == b->sport, "sport");
	need(!(a->have & L_DPORT) || a->dport == b->dport, "dport");
	if (a->have & L_IP4 && a->have & L_SRC)
		need(a->src == b->src, "src");
	if (a->have & L_IP4 && a->have & L_DST)
		need(a->dst == b->dst, "dst");
}

static void check_walk(const struct weir_packet *pk, const struct layer *got)
{
	struct layer d = {0};
	struct walk w = {.p = pk->data, .lim = pk->caplen, .wire = pk->len, .d = &d};

	walk_link(&w, pk);
	layer_cut(&d);
	same(got, &d);
	if (d.have & (L_IP4 | L_IP6))
		need(d.l3 < pk->caplen && d.end <= pk->caplen, "offsets beyond the packet");
	if (d.have & L_L4)
		need(d.l3 < d.l4 && d.l4 <= d.end, "upper header beyond the packet");
}

/* Addresses without the walk of the batch are those with it. */
static void check_direct(struct weir_batch *walked, struct weir_batch *b, uint32_t field)
{
	const struct weir_col *want = weir_batch_col(walked, field), *got;

	decode_walks = 0;
	got = weir_batch_col(b, field);
	need(want && got, "out of memory");
	need(want->flags == got->flags, "direct: flags");
	for (uint32_t k = 0; k < b->n; k++) {
		need(weir_col_has(want, k) == weir_col_has(got, k), "direct: there or not");
		need(!weir_col_has(want, k) || memcmp(weir_col_ip(want) + k, weir_col_ip(got) + k,
		                                       sizeof(struct weir_ip)) == 0,
		        "direct: address");
	}
}

/* Reads what a column says is there. */
static uint64_t read_column(struct weir_batch *b, uint32_t field)
{
	const struct weir_col *c = weir_batch_col(b, field);
	uint64_t sum = 0;

	need(c != NULL, "out of memory");
	for (uint32_t k = 0; k < b->n; k++) {
		struct weir_value v;

		need(weir_batch_value(b, field, k, &v) == 0, "value");
		if (v.kind == WEIR_BYTES)
			for (uint64_t i = 0; i < v.d.s.len; i++)
				sum += v.d.s.p[i];
		else if (v.kind == WEIR_IP)
			need(v.d.ip.family == 4 ? v.d.ip.prefix == 32
			                        : v.d.ip.family == 6 && v.d.ip.prefix == 128 &&
			                                  !(c->flags & WEIR_COL_IPV4),
			        "address");
		else if (v.kind == WEIR_U64 && b->schema->fields[field].bits % 64)
			need(v.d.u >> b->schema->fields[field].bits == 0, "wider than its bits");
		else if (v.kind == WEIR_BOOL)
			need(v.d.u <= 1, "neither true nor false");
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct weir_packets ps;
	static struct weir_schema *schema;
	static struct weir_pool *pool;
	const uint8_t *end = data + size;
	volatile uint64_t sum = 0;
	struct weir_batch *b, *d;
	uint16_t linktype;
	uint32_t extra, n = 0;

	if (size < 3)
		return 0;
	if (!schema) {
		schema = weir_packet_schema(6);
		pool = pool_new(NULL);
	}
	linktype = linktypes[*data++ % (sizeof linktypes / sizeof *linktypes)];
	extra = *data++;
	while (data < end && n < 8) {
		uint32_t len = *data++, left = (uint32_t)(end - data);
		uint8_t *copy;

		if (len > left || n == 7 || len == 255)
			len = left;
		copy = malloc(len + !len);
		memcpy(copy, data, len);
		data += len;
		ps.pk[n++] = (struct weir_packet){
		        .data = copy, .caplen = len, .len = len + extra, .linktype = linktype};
	}
	decode_walks = DECODE_WALKS;
	ps.decoded = NULL;
	b = pool_batch(pool, schema, n);
	b->ops = &ops;
	b->priv = &ps;
	for (uint32_t f = 0; f < schema->nfields; f++)
		sum += read_column(b, f);
	(void)sum;
	for (uint32_t k = 0; k < n; k++)
		check_walk(&ps.pk[k], &decode(b)->outer.d[k]);
	ps.decoded = NULL;
	d = pool_batch(pool, schema, n);
	d->ops = &ops;
	d->priv = &ps;
	check_direct(b, d, (uint32_t)weir_schema_find(schema, "srcip", 5));
	check_direct(b, d, (uint32_t)weir_schema_find(schema, "dstip", 5));
	weir_batch_unref(d);
	weir_batch_unref(b);
	pack_check(&ps, n, pool, schema, false);
	pack_check(&ps, n, pool, schema, true);
	for (uint32_t k = 0; k < n; k++)
		free((void *)ps.pk[k].data);
	return 0;
}
