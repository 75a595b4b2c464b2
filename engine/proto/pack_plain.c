/* SPDX-License-Identifier: MIT */
/* pack_plain.c: keys of plain packets. */
#include "engine/proto/pack_plain.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* Where the bytes of a layer stand in a plain packet: addresses and ports, then the protocol. */
#define PROTO_AT 23
#define SEQ_AT 38

struct pack_plain pack_plain_of(const struct pack_places *p, uint32_t have, int seq)
{
	struct pack_plain ret = {.size = p->size, .have = have, .seq = seq};

	memcpy(ret.rest, p->rest, sizeof ret.rest);
	memset(ret.from, LAYER_NONE, sizeof ret.from);
	for (uint32_t j = 0; j < p->size; j++) {
		if (p->from[j] < offsetof(struct layer, vlan))
			ret.from[j] = (uint8_t)(26 - PROTO_AT + p->from[j]);
		else if (p->from[j] == offsetof(struct layer, proto))
			ret.from[j] = 0;
	}
	ret.addresses = !(have & ~(uint32_t)(L_SRC | L_DST));
	return ret;
}

static inline void put_seq(const struct pack_plain *p, const uint8_t *packet, uint8_t *to)
{
	uint32_t seq = get32(packet + SEQ_AT);

	memcpy(to + p->seq, &seq, 4);
}

uint32_t pack_plain_portable(const struct pack_plain *p, const struct weir_packet *pk,
        const uint16_t *rows, uint32_t n, uint8_t *to, uint8_t *odd)
{
	uint32_t m = 0;

	for (uint32_t k = 0; k < n; k++, to += p->size) {
		const struct weir_packet *w = &pk[rows[k]];
		const uint8_t *d = w->data;
		const struct plain_half *h;
		uint32_t need;
		bool is;

		odd[m] = (uint8_t)k;
		if (plain_too_short(w)) {
			m++;
			continue;
		}
		h = &plain_halves[d[PROTO_AT]];
		need = p->addresses ? 34 : h->need;
		is = get16(d + 12) == 0x0800 && d[14] == 0x45 && plain_end(w) >= need;
		if (!p->addresses)
			is = is && !(get16(d + 20) & 0x3fff) && (h->have & p->have) == p->have;
		m += !is;
		for (uint32_t j = 0; j < p->size; j++)
			to[j] = (p->from[j] == LAYER_NONE ? 0 : d[PROTO_AT + p->from[j]]) |
			        p->rest[j];
		if (is && p->seq >= 0)
			put_seq(p, d, to);
	}
	return m;
}

#ifdef __x86_64__
/* `half`: whether a record is 8 bytes longer than a multiple of 16. */
static inline __attribute__((always_inline, target("sse4.1"))) uint32_t pack(
        const struct pack_plain *p, const struct weir_packet *pk, const uint16_t *rows, uint32_t n,
        uint8_t *to, uint8_t *odd, uint32_t whole, bool half, bool addresses)
{
	const __m128i want = _mm_setr_epi8(8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	const int frag = addresses ? 0 : -1;
	const __m128i mask = _mm_setr_epi8(
	        -1, -1, -1, 0, 0, 0, 0, 0, (char)(frag & 0x3f), (char)frag, 0, 0, 0, 0, 0, 0);
	const uint32_t have = p->have;
	const int seq = p->seq;
	__m128i from[2], rest[2];
	uint32_t m = 0;

	for (uint32_t i = 0; i < whole + half; i++) {
		from[i] = _mm_loadu_si128((const __m128i *)p->from + i);
		rest[i] = _mm_loadu_si128((const __m128i *)p->rest + i);
	}
	for (uint32_t k = 0; k < n; k++, to += 16 * whole + 8 * half) {
		const struct weir_packet *w = &pk[rows[k]];
		const uint8_t *d = w->data;
		__m128i head, key;
		uint32_t is;

		odd[m] = (uint8_t)k;
		if (plain_too_short(w)) {
			m++;
			continue;
		}
		head = _mm_and_si128(_mm_loadu_si128((const __m128i *)(d + 12)), mask);
		is = _mm_movemask_epi8(_mm_cmpeq_epi8(head, want)) == 0xffff;
		if (addresses) {
			is &= plain_end(w) >= 34;
		} else {
			const struct plain_half *h = &plain_halves[d[PROTO_AT]];

			is &= plain_end(w) >= h->need;
			is &= !(~h->have & have);
		}
		m += is ^ 1;
		key = _mm_loadu_si128((const __m128i *)(d + PROTO_AT));
		for (uint32_t i = 0; i < whole; i++)
			_mm_storeu_si128((__m128i *)to + i,
			        _mm_or_si128(_mm_shuffle_epi8(key, from[i]), rest[i]));
		if (half)
			_mm_storel_epi64((__m128i *)to + whole,
			        _mm_or_si128(_mm_shuffle_epi8(key, from[whole]), rest[whole]));
		if (seq >= 0 && is)
			put_seq(p, d, to);
	}
	return m;
}

__attribute__((target("sse4.1"))) static uint32_t pack_plain_sse41(const struct pack_plain *p,
        const struct weir_packet *pk, const uint16_t *rows, uint32_t n, uint8_t *to, uint8_t *odd)
{
	if (p->addresses)
		return p->size == 8    ? pack(p, pk, rows, n, to, odd, 0, true, true)
		       : p->size == 16 ? pack(p, pk, rows, n, to, odd, 1, false, true)
		                       : pack_plain_portable(p, pk, rows, n, to, odd);
	switch (p->size) {
	case 8:
		return pack(p, pk, rows, n, to, odd, 0, true, false);
	case 16:
		return pack(p, pk, rows, n, to, odd, 1, false, false);
	case 24:
		return pack(p, pk, rows, n, to, odd, 1, true, false);
	default:
		return pack(p, pk, rows, n, to, odd, 2, false, false);
	}
}
#endif

pack_plain *pack_plain_best(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.1"))
		return pack_plain_sse41;
#endif
	return pack_plain_portable;
}
