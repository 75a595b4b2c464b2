// SPDX-License-Identifier: MIT
/* column_ip.c: columns of the IP header, and the flow hash. */
#include "engine/proto/column.h"

/* First every row as IPv4, then those that are not over it: no branch for each row. `at4`: the
 * address within struct layer; `at6`: within an IPv6 header. */
static inline __attribute__((always_inline)) int fill_ip(
        const struct column *c, uint32_t bit, size_t at4, uint32_t at6)
{
	struct weir_ip *out = c->col->data;
	const struct rows *six;

	if (!(c->any & L_IP6))
		c->col->flags |= WEIR_COL_IPV4;
	if (!(c->any & bit))
		return column_none(c);
	for (uint32_t k = 0; k < c->n; k++)
		put4(&out[k], (const uint8_t *)&c->d[k] + at4);
	if (c->any & L_IP6) {
		six = decode_rows(c->b, c->l, L_IP6);
		if (!six)
			return -ENOMEM;
		for (uint32_t i = 0; i < (c->n + 63) / 64; i++)
			for (uint64_t bits = six->bits[i]; bits; bits &= bits - 1) {
				uint32_t k = i * 64 + (uint32_t)__builtin_ctzll(bits);

				if (c->d[k].have & bit)
					put6(&out[k], c->pk[k].data + c->d[k].l3 + at6);
			}
	}
	return column_have(c, bit);
}

int fill_srcip(const struct column *c)
{
	return fill_ip(c, L_SRC, offsetof(struct layer, src), 8);
}

int fill_dstip(const struct column *c)
{
	return fill_ip(c, L_DST, offsetof(struct layer, dst), 24);
}

#define V6 (d->have & L_IP6)

/* Whether `n` bytes of the IP header from its byte `at` on were captured. */
#define HAS(at, n) (d->have & (L_IP4 | L_IP6) && d->l3 + (at) + (n) <= pk->caplen)

FILL_LAYER(ipprotocol, L_PROTO, d->proto)
FILL_WORDS(ipversion, 0, L_IP4 | L_IP6, d->have &(L_IP4 | L_IP6), V6 ? 6 : 4)
FILL_WORDS(ttl, L_FULL3, L_IP4 | L_IP6, HAS(V6 ? 7u : 8u, 1u), *AT(d->l3 + (V6 ? 7 : 8)))
FILL_WORDS(tos, L_FULL3, L_IP4 | L_IP6, HAS(V6 ? 0u : 1u, V6 ? 2u : 1u),
        V6 ? get16(AT(d->l3)) >> 4 & 0xff : AT(d->l3)[1])
FILL_WORDS(fragment, L_FULL3, L_IP4 | L_IP6, HAS(0u, V6 ? 40u : 8u), !!(d->have & L_FRAG))

static inline uint64_t identification(const struct weir_packet *pk, const struct layer *d)
{
	if (V6)
		return d->have & L_FRAG6 ? get32(pk->data + ip6_fragment(pk->data, d) + 4) : 0;
	return get16(pk->data + d->l3 + 4);
}

FILL_WORDS(ipid, L_FULL3 | L_IP4, L_IP4 | L_FRAG6, V6 ? !!(d->have & L_FRAG6) : HAS(4u, 2u),
        ok ? identification(pk, d) : 0)

static inline uint64_t offset_of(const struct weir_packet *pk, const struct layer *d)
{
	if (V6)
		return get16(pk->data + ip6_fragment(pk->data, d) + 2) & 0xfff8;
	return (get16(pk->data + d->l3 + 6) & 0x1fffu) * 8;
}

/* There for fragments only. */
FILL_WORDS(fragoffset, 0, L_FRAG, d->have &L_FRAG, ok ? offset_of(pk, d) : 0)

/* The high and low halves of the product, folded. Neither factor may be 0 for long. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Fixed: the same packet has the same flowid in every run and on every machine. The upper 16 bits
 * are set, so that a factor made from an IPv4 endpoint (48 bits) cannot be 0. */
#define SEED_1 0x9e3779b97f4a7c15ull
#define SEED_2 0xc2b2ae3d27d4eb4full
#define SEED_3 0xd6e8feb86659fd93ull

static inline uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static inline uint64_t endpoint6(const uint8_t *addr, uint16_t port)
{
	return mix(get64(addr) ^ SEED_1, get64(addr + 8) ^ SEED_2) + port * SEED_3;
}

/* The endpoints in ascending order, then the protocol. Ports count as 0 where there are none. */
static inline uint64_t flow(const struct weir_packet *pk, const struct layer *d)
{
	uint16_t sport = d->have & L_SPORT ? __builtin_bswap16(d->sport) : 0;
	uint16_t dport = d->have & L_DPORT ? __builtin_bswap16(d->dport) : 0;
	uint64_t a, b, low, high;

	if (V6) {
		a = endpoint6(pk->data + d->l3 + 8, sport);
		b = endpoint6(pk->data + d->l3 + 24, dport);
	} else {
		a = (uint64_t)__builtin_bswap32(d->src) << 16 | sport;
		b = (uint64_t)__builtin_bswap32(d->dst) << 16 | dport;
	}
	low = a < b ? a : b;
	high = a < b ? b : a;
	return mix(mix(low ^ SEED_1, high ^ SEED_2) ^ SEED_3, d->proto + SEED_2);
}

#define ALL_OF (L_SRC | L_DST | L_PROTO)

FILL_WORDS(flowid, ALL_OF, L_PROTO, (d->have & (ALL_OF)) == (ALL_OF), ok ? flow(pk, d) : 0)
