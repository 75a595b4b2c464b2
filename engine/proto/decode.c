// SPDX-License-Identifier: MIT
/* decode.c: the first pass over a batch: where each packet's headers are.
 *
 * The hot path of every packet query. What most packets are (Ethernet, IPv4 with or without
 * options, TCP or UDP, no fragment, headers captured whole) is recognised and recorded here in a
 * few loads; the rest walks (link.c, ip.c). Headers of the packets to come are prefetched.
 */
#include "engine/proto/column.h"

#define AHEAD 8

#define FAST                                                                                       \
	(L_TYPE | L_IP4 | L_SRC | L_DST | L_PROTO | L_L4 | L_SPORT | L_DPORT | L_FULL3 | L_FULL4)

static inline bool fast(const struct weir_packet *pk, struct layer *d)
{
	const uint8_t *p = pk->data;
	uint32_t ihl, total, l4, need;
	uint16_t type, frag;
	uint8_t proto;

	if (pk->linktype != 1 || pk->caplen < 14 + 20 + 8)
		return false;
	memcpy(&type, p + 12, 2);
	memcpy(&frag, p + 20, 2);
	proto = p[23];
	if (type != __builtin_bswap16(0x0800) || frag & __builtin_bswap16(0x3fff))
		return false;
	if (p[14] >> 4 != 4 || (proto != 6 && proto != 17))
		return false;
	ihl = (p[14] & 15u) * 4;
	total = get16(p + 16);
	l4 = 14 + ihl;
	need = ihl + (proto == 6 ? 20 : 8);
	if (ihl < 20 || total < need || pk->caplen < 14 + need)
		return false;
	memcpy(&d->src, p + 26, 8);
	memcpy(&d->sport, p + l4, 4);
	d->l3 = 14;
	d->l4 = (uint16_t)l4;
	d->end = pk->caplen < 14 + total ? pk->caplen : 14 + total;
	d->ethertype = 0x0800;
	d->vlan = 0;
	d->have = proto == 6 ? FAST | L_TCP : FAST | L_UDP;
	d->proto = proto;
	return true;
}

static __attribute__((noinline)) void slow(const struct weir_packet *pk, struct layer *d)
{
	struct walk w = {.p = pk->data, .lim = pk->caplen, .wire = pk->len, .d = d};

	memset(d, 0, sizeof *d);
	walk_link(&w, pk);
}

struct decoded *decode(struct weir_batch *b)
{
	struct weir_packets *ps = b->priv;
	struct decoded *s = ps->decoded;
	uint32_t n = b->n, all = UINT32_MAX, any = 0;

	if (s)
		return s;
	s = weir_batch_alloc(b, sizeof *s + n * sizeof s->outer[0]);
	if (!s)
		return NULL;
	for (uint32_t k = 0; k < AHEAD && k < n; k++)
		__builtin_prefetch(ps->pk[k].data + 12);
	for (uint32_t k = 0; k < n; k++) {
		struct layer *d = &s->outer[k];

		if (k + AHEAD < n) {
			__builtin_prefetch(ps->pk[k + AHEAD].data + 12);
			__builtin_prefetch(ps->pk[k + AHEAD].data + 54);
		}
		if (__builtin_expect(!fast(&ps->pk[k], d), 0))
			slow(&ps->pk[k], d);
		all &= d->have;
		any |= d->have;
	}
	s->all = all;
	s->any = any;
	s->inner = NULL;
	s->n = n;
	ps->decoded = s;
	return s;
}

int decode_inner(struct weir_batch *b, struct decoded *s)
{
	const struct weir_packets *ps = b->priv;
	uint32_t all = UINT32_MAX, any = 0;
	struct layer *in;

	if (s->inner)
		return 0;
	in = weir_batch_alloc(b, s->n * sizeof *in + 1);
	if (!in)
		return -ENOMEM;
	for (uint32_t k = 0; k < s->n; k++) {
		walk_inner(&ps->pk[k], &s->outer[k], &in[k]);
		all &= in[k].have;
		any |= in[k].have;
	}
	s->inner_all = all;
	s->inner_any = any;
	s->inner = in;
	return 0;
}
