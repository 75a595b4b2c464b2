// SPDX-License-Identifier: MIT
/* decode.c: the first pass over a batch: where each packet's headers are.
 *
 * What most packets are is recorded in one pass over all of them (plain.c). Those left over that
 * are Ethernet with at most two tags, IPv4 with or without options or IPv6 without extension
 * headers, TCP, UDP or ICMP, no fragment, headers captured whole, are recognised here in a few
 * loads; the rest walks (link.c, ip.c) and gets the same answers.
 */
#include "engine/proto/column.h"
#include "engine/proto/plain.h"

static inline bool is_tag(uint16_t type)
{
	return type == 0x8100 || type == 0x88a8;
}

/* IPv6 with extension headers, or cut: fragment floods are made of it. `have`: of the link layer.
 */
static bool extended(
        const struct weir_packet *pk, uint32_t off, uint16_t vlan, uint32_t have, struct layer *d)
{
	struct walk w = {.p = pk->data, .lim = pk->caplen, .wire = pk->len, .d = d};

	memset(d, 0, sizeof *d);
	d->ethertype = 0x86dd;
	d->vlan = vlan;
	d->have = have & (L_TYPE | L_VLAN);
	walk_ipv6(&w, off);
	layer_cut(d);
	return true;
}

/* Plain but for up to two tags, IPv4 options, IPv6. */
static inline bool fast(const struct weir_packet *pk, struct layer *d)
{
	const uint8_t *p = pk->data, *h;
	uint32_t caplen = pk->caplen, off = 14, l4, end, have = LAYER_IP_BITS, bad;
	const struct plain_half *u;
	uint16_t type, vlan = 0;
	uint64_t addresses = 0;
	uint8_t proto;

	if (pk->linktype != LT_ETHERNET || caplen < 22 + 20)
		return false;
	type = get16(p + 12);
	if (is_tag(type)) {
		vlan = get16(p + 14) & 0xfff;
		have |= L_VLAN;
		type = get16(p + 16);
		off = 18;
		if (is_tag(type)) {
			type = get16(p + 20);
			off = 22;
		}
	}
	h = p + off;
	if (type == 0x0800) {
		uint32_t ihl = (h[0] & 15u) * 4;
		uint16_t frag;

		proto = h[9];
		memcpy(&frag, h + 6, 2);
		memcpy(&addresses, h + 12, 8);
		have |= L_IP4;
		l4 = off + ihl;
		end = off + get16(h + 2);
		bad = (h[0] >> 4 != 4) | (ihl < 20) | (frag & __builtin_bswap16(0x3fff));
	} else if (type == 0x86dd) {
		proto = h[6];
		have |= L_IP6;
		l4 = off + 40;
		end = l4 + get16(h + 4);
		bad = h[0] >> 4 != 6;
	} else {
		return false;
	}
	u = &plain_halves[proto];
	end = end < caplen ? end : caplen;
	if (bad | (end + 34 < l4 + u->need))
		return type == 0x86dd && !bad && extended(pk, off, vlan, have, d);
	memcpy(&d->src, &addresses, 8);
	memcpy(&d->sport, p + l4, 4);
	d->l3 = (uint16_t)off;
	d->l4 = (uint16_t)l4;
	d->end = end;
	d->ethertype = type;
	d->vlan = vlan;
	d->have = have | (u->have & ~(uint32_t)(LAYER_IP_BITS | L_IP4));
	d->proto = proto;
	return true;
}

static __attribute__((noinline)) void slow(const struct weir_packet *pk, struct layer *d)
{
	struct walk w = {.p = pk->data, .lim = pk->caplen, .wire = pk->len, .d = d};

	memset(d, 0, sizeof *d);
	walk_link(&w, pk);
	layer_cut(d);
}

static struct layer *room(struct weir_batch *b, struct layers *l)
{
	l->n = b->n;
	l->all = UINT32_MAX;
	return weir_batch_alloc(b, (b->n + 1u) * sizeof *l->d);
}

void decode_one(const struct weir_packet *pk, struct layer *d)
{
	if (!fast(pk, d))
		slow(pk, d);
}

_Thread_local unsigned decode_walks;

struct decoded *decode(struct weir_batch *b)
{
	static plain_layers *best;
	plain_layers *plain = __atomic_load_n(&best, __ATOMIC_RELAXED);
	struct weir_packets *ps = b->priv;
	struct decoded *s = ps->decoded;
	uint16_t odd[WEIR_BATCH_ROWS + 1];
	uint32_t n;
	struct layer *d;

	if (s)
		return s;
	s = weir_batch_alloc(b, sizeof *s);
	if (!s)
		return NULL;
	memset(s, 0, sizeof *s);
	d = room(b, &s->outer);
	if (!d)
		return NULL;
	if (!plain) {
		plain = plain_layers_best();
		__atomic_store_n(&best, plain, __ATOMIC_RELAXED);
	}
	n = plain(ps->pk, b->n, d, odd, &s->outer.all, &s->outer.any);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = odd[i];

		decode_one(&ps->pk[k], &d[k]);
		s->outer.all &= d[k].have;
		s->outer.any |= d[k].have;
	}
	s->outer.d = d;
	__atomic_store_n(&ps->decoded, s, __ATOMIC_RELEASE); /* pairs with weir_packet_pack() */
	return s;
}

int decode_inner(struct weir_batch *b, struct decoded *s)
{
	const struct weir_packets *ps = b->priv;
	struct layers *l = &s->inner;
	struct layer *d;

	if (l->d)
		return 0;
	d = room(b, l);
	if (!d)
		return -ENOMEM;
	for (uint32_t k = 0; k < l->n; k++) {
		walk_inner(&ps->pk[k], &s->outer.d[k], &d[k]);
		layer_cut(&d[k]);
		l->all &= d[k].have;
		l->any |= d[k].have;
	}
	l->d = d;
	return 0;
}

/* Bit `at` of the `have` of up to 64 layers. */
static uint64_t bits_of(const struct layer *d, uint32_t n, unsigned at)
{
	uint64_t bits = 0;

	if (n == 64) {
		for (uint32_t j = 0; j < 64; j += 8) {
			uint32_t eight = 0;

#pragma GCC unroll 8
			for (uint32_t i = 0; i < 8; i++)
				eight |= (d[j + i].have >> at & 1) << i;
			bits |= (uint64_t)eight << j;
		}
		return bits;
	}
	for (uint32_t j = 0; j < n; j++)
		bits |= (uint64_t)(d[j].have >> at & 1) << j;
	return bits;
}

struct rows *decode_rows(struct weir_batch *b, struct layers *l, uint32_t bit)
{
	unsigned at = (unsigned)__builtin_ctz(bit);
	struct rows *r = l->rows[at];

	if (r)
		return r;
	r = weir_batch_alloc(b, sizeof *r);
	if (!r)
		return NULL;
	for (uint32_t k = 0; k < l->n; k += 64)
		r->bits[k / 64] = bits_of(l->d + k, l->n - k < 64 ? l->n - k : 64, at);
	l->rows[at] = r;
	return r;
}
