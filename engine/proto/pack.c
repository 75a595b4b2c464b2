/* SPDX-License-Identifier: MIT */
/* pack.c: keys straight from packets.
 *
 * Most keys of packets are made of addresses, ports and protocol, which stand together in struct
 * layer. So a record is one shuffle of its layer's first 16 bytes, and no column is made for it.
 * Rows that lack a field, and IPv6 addresses, are told apart by one look at `have` and done one by
 * one. A batch that nobody has walked needs no layers either, but for what is not plain.
 */
#include "engine/proto/pack.h"
#include "engine/core/pool.h"

#include "engine/proto/column.h"
#include "engine/proto/pack_plain.h"
#ifdef __x86_64__
#include <immintrin.h>
#endif

void pack_layers_portable(const struct pack_places *p, const void *keys, size_t stride,
        const uint16_t *rows, uint32_t n, uint8_t *to)
{
	uint8_t key[256] = {0}; /* what is no place of the layer is zero */

	for (uint32_t k = 0; k < n; k++, to += p->size) {
		memcpy(key, (const uint8_t *)keys + rows[k] * stride, LAYER_KEY);
		for (uint32_t j = 0; j < p->size; j++)
			to[j] = key[p->from[j]] | p->rest[j];
	}
}

#ifdef __x86_64__
/* `halves`: whether a record is 8 bytes longer than a multiple of 16. */
static inline __attribute__((always_inline, target("ssse3"))) void shuffle(
        const struct pack_places *p, const uint8_t *keys, size_t stride, const uint16_t *rows,
        uint32_t n, uint8_t *to, uint32_t whole, bool half)
{
	__m128i from[2], rest[2];

	for (uint32_t i = 0; i < whole + half; i++) {
		from[i] = _mm_loadu_si128((const __m128i *)p->from + i);
		rest[i] = _mm_loadu_si128((const __m128i *)p->rest + i);
	}
	for (uint32_t k = 0; k < n; k++) {
		__m128i key = _mm_loadu_si128((const __m128i *)(keys + rows[k] * stride));

		for (uint32_t i = 0; i < whole; i++, to += 16)
			_mm_storeu_si128((__m128i *)to,
			        _mm_or_si128(_mm_shuffle_epi8(key, from[i]), rest[i]));
		if (half) {
			_mm_storel_epi64((__m128i *)to,
			        _mm_or_si128(_mm_shuffle_epi8(key, from[whole]), rest[whole]));
			to += 8;
		}
	}
}

__attribute__((target("ssse3"))) static void pack_layers_ssse3(const struct pack_places *p,
        const void *keys, size_t stride, const uint16_t *rows, uint32_t n, uint8_t *to)
{
	switch (p->size) {
	case 8:
		shuffle(p, keys, stride, rows, n, to, 0, true);
		break;
	case 16:
		shuffle(p, keys, stride, rows, n, to, 1, false);
		break;
	case 24:
		shuffle(p, keys, stride, rows, n, to, 1, true);
		break;
	default:
		shuffle(p, keys, stride, rows, n, to, 2, false);
		break;
	}
}
#endif

pack_layers *pack_layers_best(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("ssse3"))
		return pack_layers_ssse3;
#endif
	return pack_layers_portable;
}

bool pack_place_of(uint32_t field, struct pack_place *ret)
{
	switch (field) {
	case FIELD_srcip:
		*ret = (struct pack_place){L_SRC, offsetof(struct layer, src), 4, false};
		return true;
	case FIELD_dstip:
		*ret = (struct pack_place){L_DST, offsetof(struct layer, dst), 4, false};
		return true;
	case FIELD_srcport:
		*ret = (struct pack_place){L_SPORT, offsetof(struct layer, sport), 2, true};
		return true;
	case FIELD_dstport:
		*ret = (struct pack_place){L_DPORT, offsetof(struct layer, dport), 2, true};
		return true;
	case FIELD_ipprotocol:
		*ret = (struct pack_place){L_PROTO, offsetof(struct layer, proto), 1, false};
		return true;
	case FIELD_vlan:
		*ret = (struct pack_place){L_VLAN, offsetof(struct layer, vlan), 2, false};
		return true;
	case FIELD_seq:
		*ret = (struct pack_place){L_TCP | L_FULL4, 0, 0, false};
		return true;
	}
	return false;
}

void pack_put(struct pack_places *p, const struct pack_place *s, uint32_t at)
{
	for (uint32_t j = 0; j < s->bytes; j++)
		p->from[at + j] = (uint8_t)(s->from + (s->swapped ? s->bytes - 1u - j : j));
}

/* What is to be packed. */
struct packing {
	const struct weir_pack *p;
	struct pack_places places;
	struct pack_place place[WEIR_PACK_FIELDS];
	uint32_t have;                                                /* all that the fields need */
	uint8_t naddr, addr[WEIR_PACK_FIELDS], at6[WEIR_PACK_FIELDS]; /* in an IPv6 header */
	int seq; /* the field that is the sequence number, -1 */
	/* of the last row that was looked at closer: */
	uint32_t last_have; /* its `have`, as far as it matters; UINT32_MAX: none so far */
	uint64_t last_mask[WEIR_PACK_SIZE / 8]; /* what of a record is there */
	uint8_t last_lack;
};

/* The fields that are done, a bit each. */
static uint8_t plan(struct packing *w, const struct weir_pack *p)
{
	uint8_t done = 0;

	*w = (struct packing){.p = p, .seq = -1, .last_have = UINT32_MAX};
	w->places.size = p->size;
	memset(w->places.from, LAYER_NONE, sizeof w->places.from);
	memcpy(w->places.rest, p->rest, p->size);
	for (uint32_t i = 0; i < p->n; i++) {
		struct pack_place *s = &w->place[i];

		if (!pack_place_of(p->f[i].field, s))
			continue;
		done |= (uint8_t)(1u << i);
		w->have |= s->have;
		if (s->bytes == 4) {
			w->addr[w->naddr] = (uint8_t)i;
			w->at6[w->naddr++] = s->have & L_SRC ? 8 : 24;
		}
		if (!s->bytes)
			w->seq = (int)i;
		pack_put(&w->places, s, p->f[i].at);
	}
	return done;
}

/* The IPv6 addresses of a row that are there. */
static inline void note_octets(const struct packing *w, const uint8_t *header, uint32_t k,
        uint8_t lack, struct weir_packed *ret)
{
	uint32_t n = ret->nip6;

	for (uint32_t i = 0; i < w->naddr; i++) {
		ret->ip6[n] = (struct weir_pack_ip6){(uint8_t)k, w->addr[i], header + w->at6[i]};
		n += !(lack >> w->addr[i] & 1);
	}
	ret->nip6 = n;
}

static void note_ip6(const struct packing *w, const struct weir_packet *pk, const struct layer *d,
        uint32_t k, uint8_t lack, struct weir_packed *ret)
{
	note_octets(w, pk->data + d->l3, k, lack, ret);
}

/* What a row with this `have` lacks: rows of a kind come together, so the last answer is kept. */
static void remember(struct packing *w, uint32_t have, uint8_t done)
{
	uint8_t mask[WEIR_PACK_SIZE];

	memset(mask, 0xff, sizeof mask);
	w->last_lack = 0;
	for (uint32_t i = 0; i < w->p->n; i++) {
		const struct weir_pack_field *f = &w->p->f[i];

		if (!(done >> i & 1) || (have & w->place[i].have) == w->place[i].have)
			continue;
		w->last_lack |= (uint8_t)(1u << i);
		memset(mask + f->at, 0, f->width);
	}
	memcpy(w->last_mask, mask, sizeof mask);
	w->last_have = have;
}

/* The sequence number of a header that may be cut behind it. Returns its bit where it is not there.
 */
static uint8_t seq_with_care(
        const struct packing *w, const struct weir_packet *pk, const struct layer *d, uint8_t *to)
{
	uint32_t seq = 0;
	bool there = d->have & L_TCP && d->l4 + 8u <= d->end;

	if (there)
		seq = get32(pk->data + d->l4 + 4);
	memcpy(to + w->p->f[w->seq].at, &seq, 4);
	return (uint8_t)(!there << w->seq);
}

/* One row that may lack fields or have IPv6 addresses; what is IPv4 and there is done. */
static void care(struct packing *w, const struct weir_packet *pk, const struct layer *d, uint32_t k,
        uint8_t *to, struct weir_packed *ret)
{
	uint32_t have = d->have & w->have;
	uint8_t lack;

	if (have != w->last_have)
		remember(w, have, ret->done);
	lack = w->last_lack;
	if (lack)
		for (uint32_t j = 0; j < w->p->size / 8; j++) {
			uint64_t v;

			memcpy(&v, to + 8 * j, 8);
			v &= w->last_mask[j];
			memcpy(to + 8 * j, &v, 8);
		}
	if (w->seq >= 0)
		lack = (lack & (uint8_t) ~(1u << w->seq)) | seq_with_care(w, pk, d, to);
	if (d->have & L_IP6)
		note_ip6(w, pk, d, k, lack, ret);
	ret->odd[ret->nodd] = (uint8_t)k;
	ret->lack[ret->nodd] = lack;
	ret->nodd += lack != 0;
}

static inline void put_be32(const uint8_t *from, uint8_t *to)
{
	uint32_t v = get32(from);

	memcpy(to, &v, 4);
}

/* With care, later, where it is not all there. */
static inline void put_seq_of(const struct weir_packet *pk, const struct layer *d, uint8_t *to)
{
	if ((d->have & (L_TCP | L_FULL4)) == (L_TCP | L_FULL4))
		put_be32(pk->data + d->l4 + 4, to);
}

static void put_seq(const struct weir_packets *ps, const struct layer *d, const uint16_t *rows,
        uint32_t n, uint32_t size, uint8_t *to)
{
	for (uint32_t k = 0; k < n; k++, to += size)
		put_seq_of(&ps->pk[rows[k]], &d[rows[k]], to);
}

/* What this machine does best. */
static struct {
	pack_layers *layers;
	pack_plain *plain;
} best;

static pack_layers *best_layers(void)
{
	pack_layers *f = __atomic_load_n(&best.layers, __ATOMIC_RELAXED);

	if (!f) {
		f = pack_layers_best();
		__atomic_store_n(&best.layers, f, __ATOMIC_RELAXED);
	}
	return f;
}

static pack_plain *best_plain(void)
{
	pack_plain *f = __atomic_load_n(&best.plain, __ATOMIC_RELAXED);

	if (!f) {
		f = pack_plain_best();
		__atomic_store_n(&best.plain, f, __ATOMIC_RELAXED);
	}
	return f;
}

/* The record of a layer, which lacks nothing of an IPv4 one's, has been put at `to`. */
static inline void finish(struct packing *w, const struct weir_packet *pk, const struct layer *d,
        uint32_t k, uint8_t *to, struct weir_packed *ret)
{
	if ((d->have & w->have) != w->have)
		care(w, pk, d, k, to, ret);
	else if (d->have & L_IP6)
		note_ip6(w, pk, d, k, 0, ret);
}

/* Of a batch that has been walked. */
static int from_layers(struct weir_batch *b, struct packing *w, const uint16_t *rows, uint32_t n,
        uint8_t *to, struct weir_packed *ret)
{
	const struct weir_packets *ps = b->priv;
	const struct decoded *s = decode(b);
	uint32_t size = w->p->size, want = w->have, care_for = want, m = 0;
	const struct layer *d;
	uint8_t odd[WEIR_PACK_ROWS];

	if (!s)
		return -ENOMEM;
	d = s->outer.d;
	best_layers()(&w->places, d, sizeof *d, rows, n, to);
	if (w->seq >= 0)
		put_seq(ps, d, rows, n, size, to + w->p->f[w->seq].at);
	if (want & (L_SRC | L_DST))
		care_for |= L_IP6;
	if ((s->outer.all & want) == want && !(s->outer.any & care_for & L_IP6))
		return 0;
	for (uint32_t k = 0; k < n; k++) {
		odd[m] = (uint8_t)k;
		m += (d[rows[k]].have & care_for) != want;
	}
	for (uint32_t i = 0; i < m; i++) {
		uint32_t k = odd[i], row = rows[k];

		finish(w, &ps->pk[row], &d[row], k, to + (size_t)k * size, ret);
	}
	return 0;
}

static inline __attribute__((always_inline)) void scatter_sized(
        uint8_t *to, const uint8_t *keys, const uint8_t *place, uint32_t n, uint32_t size)
{
	for (uint32_t i = 0; i < n; i++)
		memcpy(to + (size_t)place[i] * size, keys + (size_t)i * size, size);
}

/* Moves record i of keys[] to place[i] of to[]. */
static void scatter(
        uint8_t *to, const uint8_t *keys, const uint8_t *place, uint32_t n, uint32_t size)
{
	if (size == 8)
		scatter_sized(to, keys, place, n, 8);
	else if (size == 16)
		scatter_sized(to, keys, place, n, 16);
	else
		scatter_sized(to, keys, place, n, size);
}

#define TAG 4 /* octets of a VLAN tag, behind the Ethernet addresses (IEEE 802.1Q) */

/* Places of a block, a bit each. */
struct places {
	uint64_t bits[WEIR_PACK_ROWS / 64];
};

static inline bool is_tagged(const struct weir_packet *pk)
{
	return (pk->linktype == 1) & (pk->caplen >= TAG + PLAIN_SHORTEST) &&
	       get16(pk->data + 12) == 0x8100;
}

/* Packs the rows at odd[0..m) that are plain but for a tag: without it, what is looked at lies
 * where it does in the others. Those that are left, in order, stay in odd[]; returns how many. */
static uint32_t pack_tagged(const struct pack_plain *p, const struct weir_packet *pk,
        const uint16_t *rows, uint8_t *odd, uint32_t m, uint8_t *to)
{
	struct weir_packet bare[WEIR_PACK_ROWS];
	uint8_t tagged[WEIR_PACK_ROWS + 1], still[WEIR_PACK_ROWS + 1];
	uint8_t keys[WEIR_PACK_ROWS * WEIR_PACK_SIZE];
	uint16_t iota[WEIR_PACK_ROWS];
	struct places left = {0};
	uint32_t n = 0, k = 0;

	for (uint32_t i = 0; i < m; i++) {
		uint64_t is = is_tagged(&pk[rows[odd[i]]]);

		tagged[n] = odd[i];
		n += (uint32_t)is;
		left.bits[odd[i] / 64] |= (is ^ 1) << odd[i] % 64;
	}
	if (!n)
		return m;
	for (uint32_t i = 0; i < n; i++) {
		bare[i] = pk[rows[tagged[i]]];
		bare[i].data += TAG;
		bare[i].caplen -= TAG;
		iota[i] = (uint16_t)i;
	}
	m = best_plain()(p, bare, iota, n, keys, still);
	scatter(to, keys, tagged, n, p->size);
	for (uint32_t i = 0; i < m; i++)
		left.bits[tagged[still[i]] / 64] |= 1ull << tagged[still[i]] % 64;
	for (uint32_t i = 0; i < WEIR_PACK_ROWS / 64; i++)
		for (uint64_t bits = left.bits[i]; bits; bits &= bits - 1)
			odd[k++] = (uint8_t)(64 * i + (uint32_t)__builtin_ctzll(bits));
	return k;
}

/* Of a batch that nobody has walked: what is not plain gets a layer, here, for this. */
static void from_packets(const struct weir_packets *ps, struct packing *w, const uint16_t *rows,
        uint32_t n, uint8_t *to, struct weir_packed *ret)
{
	int seq = w->seq < 0 ? -1 : w->p->f[w->seq].at;
	struct pack_plain p = pack_plain_of(&w->places, w->have, seq);
	uint8_t odd[WEIR_PACK_ROWS + 1], keys[WEIR_PACK_ROWS * WEIR_PACK_SIZE];
	struct layer d[WEIR_PACK_ROWS];
	bool six[WEIR_PACK_ROWS];
	uint16_t place[WEIR_PACK_ROWS];
	uint32_t m = best_plain()(&p, ps->pk, rows, n, to, odd);

	if (m)
		m = pack_tagged(&p, ps->pk, rows, odd, m, to);
	if (!m)
		return;
	for (uint32_t i = 0; i < m; i++) {
		const struct weir_packet *pk = &ps->pk[rows[odd[i]]];

		six[i] = pack_plain6(&p, pk, (uint8_t *)&d[i]);
		if (!six[i])
			decode_one(pk, &d[i]);
		place[i] = (uint16_t)i;
	}
	best_layers()(&w->places, d, sizeof *d, place, m, keys);
	scatter(to, keys, odd, m, w->p->size);
	for (uint32_t i = 0; i < m; i++) {
		const struct weir_packet *pk = &ps->pk[rows[odd[i]]];
		uint8_t *key = to + (size_t)odd[i] * w->p->size;

		if (six[i]) {
			if (seq >= 0)
				put_be32(pk->data + PLAIN6_SEQ, key + seq);
			note_octets(w, pk->data + PLAIN6_IP, odd[i], 0, ret);
			continue;
		}
		if (seq >= 0)
			put_seq_of(pk, &d[i], key + seq);
		finish(w, pk, &d[i], odd[i], key, ret);
	}
}

int weir_packet_pack(struct weir_batch *b, const struct weir_pack *p, const uint16_t *rows,
        uint32_t n, uint8_t *to, struct weir_packed *ret)
{
	struct weir_packets *ps = b->priv;
	bool walked = __atomic_load_n(&ps->decoded, __ATOMIC_ACQUIRE);
	struct packing w;

	ret->done = plan(&w, p);
	if (!ret->done)
		return 0;
	if (!walked && decode_walks && !batch_is_shared(b)) { /* else others are at it too */
		decode_walks--;
		walked = true;
	}
	if (walked)
		return from_layers(b, &w, rows, n, to, ret);
	from_packets(ps, &w, rows, n, to, ret);
	return 0;
}
