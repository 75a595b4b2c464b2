// SPDX-License-Identifier: MIT
/* compact.c: packets into their compact form.
 *
 * One pass for the ranges, which say how wide the arrays are; one that writes each packet once. The
 * numbers of kinds and of IPv6 addresses come from two small tables, hashed with the process's
 * secret: what comes from the network must not choose its places.
 */
#include "engine/proto/compact.h"

#include "engine/core/keyhash.h"
#include "engine/proto/column.h"

#define KINDS WEIR_BATCH_ROWS /* at most */
#define ADDRESSES (2 * WEIR_BATCH_ROWS)
#define KIND_SLOTS (2 * KINDS)
#define ADDRESS_SLOTS (2 * ADDRESSES)

_Static_assert(sizeof(struct compact_kind) == 16 && offsetof(struct layer, zero) == COMPACT_KIND,
        "the spare byte of a layer holds the kind");

/* Tables of numbers + 1, open addressing; 0: free. */
struct making {
	const struct keyhash_secret *secret;
	uint32_t nkinds, nip6;
	uint16_t kind_slot[KIND_SLOTS];
	uint16_t ip6_slot[ADDRESS_SLOTS]; /* cleared with the first address */
	uint16_t number[WEIR_BATCH_ROWS]; /* of each packet's kind */
	struct compact_kind kind[KINDS];
	uint8_t ip6[ADDRESSES][16];
};

/* What is asked of ranges. */
struct range {
	int64_t first, last;
	uint32_t len, caplen; /* the largest */
	bool cut;             /* caplen is the lesser of len and the largest caplen, in all */
};

static struct range range_of(const struct weir_packet *pk, uint32_t n)
{
	struct range r = {.first = pk->ts, .last = pk->ts, .cut = true};

	for (uint32_t k = 0; k < n; k++) {
		r.first = pk[k].ts < r.first ? pk[k].ts : r.first;
		r.last = pk[k].ts > r.last ? pk[k].ts : r.last;
		r.len = pk[k].len > r.len ? pk[k].len : r.len;
		r.caplen = pk[k].caplen > r.caplen ? pk[k].caplen : r.caplen;
	}
	for (uint32_t k = 0; k < n; k++)
		r.cut &= pk[k].caplen == (pk[k].len < r.caplen ? pk[k].len : r.caplen);
	return r;
}

static inline uint16_t kind_number(struct making *m, const struct compact_kind *kind)
{
	uint64_t w[2], seen[2];
	uint32_t at;

	memcpy(w, kind, sizeof w);
	at = (uint32_t)(keyhash_fold(w[0] ^ m->secret->word[0], w[1] ^ m->secret->word[1]) >> 32);
	for (;; at++) {
		uint16_t *slot = &m->kind_slot[at % KIND_SLOTS];

		if (!*slot) {
			m->kind[m->nkinds++] = *kind;
			*slot = (uint16_t)m->nkinds;
			return (uint16_t)(m->nkinds - 1);
		}
		memcpy(seen, &m->kind[*slot - 1], sizeof seen);
		if (seen[0] == w[0] && seen[1] == w[1])
			return (uint16_t)(*slot - 1);
	}
}

static uint32_t address_number(struct making *m, const uint8_t *octets)
{
	uint64_t hash = keyhash_fold(keyhash_load(octets) ^ m->secret->word[2],
	        keyhash_load(octets + 8) ^ m->secret->word[3]);

	if (!m->nip6)
		memset(m->ip6_slot, 0, sizeof m->ip6_slot);
	for (uint32_t at = (uint32_t)(hash >> 32);; at++) {
		uint16_t *slot = &m->ip6_slot[at % ADDRESS_SLOTS];

		if (!*slot) {
			memcpy(m->ip6[m->nip6++], octets, 16);
			*slot = (uint16_t)m->nip6;
			return m->nip6 - 1;
		}
		if (memcmp(m->ip6[*slot - 1], octets, 16) == 0)
			return *slot - 1u;
	}
}

/* Fields that are not there are zero; IPv6 addresses become numbers. */
static __attribute__((noinline)) void put_odd(
        struct making *m, const struct weir_packet *pk, const struct layer *d, uint8_t *to)
{
	struct layer key;
	bool six = d->have & L_IP6;

	memcpy(&key, d, LAYER_KEY);
	if (!(d->have & L_SRC))
		key.src = 0;
	else if (six)
		key.src = address_number(m, pk->data + d->l3 + 8);
	if (!(d->have & L_DST))
		key.dst = 0;
	else if (six)
		key.dst = address_number(m, pk->data + d->l3 + 24);
	if (!(d->have & L_SPORT))
		key.sport = 0;
	if (!(d->have & L_DPORT))
		key.dport = 0;
	if (!(d->have & L_PROTO))
		key.proto = 0;
	if (!(d->have & L_VLAN))
		key.vlan = 0;
	memcpy(to, &key, LAYER_KEY);
}

static inline struct compact_kind kind_of(const struct weir_packet *pk, const struct layer *d)
{
	struct compact_kind kind = {
	        .have = d->have, .linktype = pk->linktype, .ifindex = pk->ifindex};

	if (d->have & (L_IP4 | L_IP6)) {
		kind.have |= COMPACT_IP;
		if (d->l3 + (d->have & L_IP6 ? 40u : 8u) <= pk->caplen)
			kind.have |= COMPACT_FRAGMENT;
	}
	if (d->have & L_TYPE)
		kind.ethertype = d->ethertype;
	if (d->have & L_TCP && d->l4 + 14u <= d->end) {
		kind.have |= COMPACT_FLAGS;
		kind.flags = get16(pk->data + d->l4 + 12) & 0xfff;
	}
	return kind;
}

static void put_keys(struct making *m, const struct weir_packet *pk, const struct layer *d,
        uint32_t n, uint8_t *to)
{
	const uint32_t usual = L_SRC | L_DST | L_SPORT | L_DPORT | L_PROTO;

	for (uint32_t k = 0; k < n; k++, to += LAYER_KEY) {
		struct compact_kind kind = kind_of(&pk[k], &d[k]);

		if ((d[k].have & (usual | L_IP6)) == usual)
			memcpy(to, &d[k], LAYER_KEY);
		else
			put_odd(m, &pk[k], &d[k], to);
		m->number[k] = kind_number(m, &kind);
		to[COMPACT_KIND] = (uint8_t)m->number[k];
	}
}

#define PUT(type, value)                                                                           \
	do {                                                                                       \
		type *put_to = to;                                                                 \
                                                                                                   \
		for (uint32_t k = 0; k < n; k++)                                                   \
			put_to[k] = (type)(value);                                                 \
	} while (0)

static uint8_t width_of(uint64_t most)
{
	return most <= UINT16_MAX ? 2 : most <= UINT32_MAX ? 4 : 8;
}

static void put_times(
        const struct weir_packet *pk, uint32_t n, int64_t first, uint8_t size, void *to)
{
	if (size == 4)
		PUT(uint32_t, (uint64_t)pk[k].ts - (uint64_t)first);
	else
		PUT(uint64_t, (uint64_t)pk[k].ts - (uint64_t)first);
}

static void put_lens(const struct weir_packet *pk, uint32_t n, uint8_t size, void *to)
{
	if (size == 2)
		PUT(uint16_t, pk[k].len);
	else
		PUT(uint32_t, pk[k].len);
}

static void put_caplens(const struct weir_packet *pk, uint32_t n, uint8_t size, void *to)
{
	if (size == 2)
		PUT(uint16_t, pk[k].caplen);
	else
		PUT(uint32_t, pk[k].caplen);
}

/* `count` things of `size` bytes, copied to room; NULL: there is none. */
static const void *keep(compact_room *room, void *arg, const void *from, size_t size)
{
	void *to = room(arg, size);

	return to ? memcpy(to, from, size) : NULL;
}

/* The arrays that have a place for each packet, in one piece. */
static uint8_t *arrays(compact_room *room, void *arg, const struct range *r, struct compact *c)
{
	uint32_t n = c->n;
	uint8_t *key;

	c->first = r->first;
	c->ts_size = width_of((uint64_t)r->last - (uint64_t)r->first);
	c->ts_size = c->ts_size < 4 ? 4 : c->ts_size;
	c->len_size = width_of(r->len);
	c->caplen_size = r->cut ? 0 : width_of(r->caplen);
	c->most = r->caplen;
	key = room(arg, (size_t)n * (LAYER_KEY + c->ts_size + c->len_size + c->caplen_size));
	if (!key)
		return NULL;
	c->key = key;
	c->ts = key + (size_t)n * LAYER_KEY;
	c->len = (const uint8_t *)c->ts + (size_t)n * c->ts_size;
	c->caplen = r->cut ? NULL : (const uint8_t *)c->len + (size_t)n * c->len_size;
	return key;
}

int compact_make(struct weir_batch *b, compact_room *room, void *arg, struct compact *ret)
{
	struct weir_packets *ps = b->priv;
	const struct decoded *s;
	struct making m;
	struct range r;
	uint8_t *key;

	if (!b->ops || b->ops->fill != weir_packet_fill || b->sel || !b->n)
		return -EINVAL;
	s = decode(b);
	if (!s)
		return -ENOMEM;
	*ret = (struct compact){.n = b->n};
	r = range_of(ps->pk, b->n);
	key = arrays(room, arg, &r, ret);
	if (!key)
		return -ENOMEM;
	m.secret = keyhash_secret();
	m.nkinds = m.nip6 = 0;
	memset(m.kind_slot, 0, sizeof m.kind_slot);
	put_keys(&m, ps->pk, s->outer.d, b->n, key);
	put_times(ps->pk, b->n, r.first, ret->ts_size, (void *)ret->ts);
	put_lens(ps->pk, b->n, ret->len_size, (void *)ret->len);
	if (ret->caplen)
		put_caplens(ps->pk, b->n, ret->caplen_size, (void *)ret->caplen);
	ret->nkinds = m.nkinds;
	ret->all = UINT32_MAX;
	for (uint32_t i = 0; i < m.nkinds; i++) {
		ret->all &= m.kind[i].have;
		ret->any |= m.kind[i].have;
	}
	ret->kind = keep(room, arg, m.kind, m.nkinds * sizeof *m.kind);
	if (m.nip6)
		ret->ip6 = keep(room, arg, m.ip6, (size_t)m.nip6 * 16);
	if (m.nkinds > 256)
		ret->wide = keep(room, arg, m.number, b->n * sizeof *m.number);
	if (!ret->kind || (m.nip6 && !ret->ip6) || (m.nkinds > 256 && !ret->wide))
		return -ENOMEM;
	return 0;
}
