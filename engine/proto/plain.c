/* SPDX-License-Identifier: MIT */
/* plain.c: the layers of plain packets.
 *
 * The hot path of every packet query. A layer is two stores of 16 bytes: a shuffle of those from
 * the protocol to the ports, and the protocol's half with the packet's end put in. Written in
 * smaller pieces it would have to be put together again by whoever loads it (pack.c), which costs
 * more than all the rest.
 */
#include "engine/proto/plain.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define HALF(bytes, more)                                                                          \
	{                                                                                          \
		LAYER_IP_BITS | L_IP4 | (more), 14, 34, 34 + (bytes), 0x0800, 0                    \
	}

const struct plain_half plain_halves[256] __attribute__((aligned(64))) = {
        [0] = HALF(PLAIN_NEVER, 0),
        [1] = HALF(4, L_L4 | L_ICMP | L_FULL4),
        [2 ... 5] = HALF(PLAIN_NEVER, 0),
        [6] = HALF(20, LAYER_PORT_BITS | L_TCP),
        [7 ... 16] = HALF(PLAIN_NEVER, 0),
        [17] = HALF(8, LAYER_PORT_BITS | L_UDP),
        [18 ... 57] = HALF(PLAIN_NEVER, 0),
        [58] = HALF(4, L_L4 | L_ICMP | L_FULL4),
        [59 ... 255] = HALF(PLAIN_NEVER, 0),
};

_Static_assert(offsetof(struct layer, sport) == 8 && offsetof(struct layer, vlan) == 12 &&
                       offsetof(struct layer, proto) == 14 && offsetof(struct layer, have) == 16 &&
                       offsetof(struct layer, l3) == 20 && offsetof(struct layer, end) == 24 &&
                       offsetof(struct layer, ethertype) == 28 && sizeof(struct layer) == 32 &&
                       offsetof(struct plain_half, need) == 8 && sizeof(struct plain_half) == 16,
        "layers are written in halves");

uint32_t plain_layers_portable(const struct weir_packet *pk, uint32_t n, struct layer *d,
        uint16_t *odd, uint32_t *ret_all, uint32_t *ret_any)
{
	uint32_t all = UINT32_MAX, any = 0, m = 0;

	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *p = pk[k].data;
		const struct plain_half *h;
		uint32_t end;

		odd[m] = (uint16_t)k;
		if (plain_too_short(&pk[k])) {
			m++;
			continue;
		}
		h = &plain_halves[p[23]];
		end = plain_end(&pk[k]);
		if ((get16(p + 12) != 0x0800) | (p[14] != 0x45) | (get16(p + 20) & 0x3fff) |
		        (end < h->need)) {
			m++;
			continue;
		}
		memcpy(&d[k], p + 26, 12);
		memset((uint8_t *)&d[k] + 12, 0, 4);
		d[k].proto = p[23];
		memcpy((uint8_t *)&d[k] + 16, h, 16);
		d[k].end = end;
		all &= h->have;
		any |= h->have;
	}
	*ret_all = all;
	*ret_any = any;
	return m;
}

#ifdef __x86_64__
__attribute__((target("sse4.1"))) static uint32_t plain_layers_sse41(const struct weir_packet *pk,
        uint32_t n, struct layer *d, uint16_t *odd, uint32_t *ret_all, uint32_t *ret_any)
{
	/* of the 16 bytes from the type on: the type, version and header length, fragment bits */
	const __m128i want = _mm_setr_epi8(8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	const __m128i mask = _mm_setr_epi8(-1, -1, -1, 0, 0, 0, 0, 0, 0x3f, -1, 0, 0, 0, 0, 0, 0);
	/* of those from the protocol on: addresses and ports, no tag, the protocol */
	const __m128i from = _mm_setr_epi8(3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, -1, -1, 0, -1);
	uint32_t all = UINT32_MAX, any = 0, m = 0;

	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *p = pk[k].data;
		const struct plain_half *h;
		uint32_t end, is;
		__m128i head, half;

		odd[m] = (uint16_t)k;
		if (plain_too_short(&pk[k])) {
			m++;
			continue;
		}
		h = &plain_halves[p[23]];
		end = plain_end(&pk[k]);
		head = _mm_and_si128(_mm_loadu_si128((const __m128i *)(p + 12)), mask);
		half = _mm_load_si128((const __m128i *)h);
		is = (_mm_movemask_epi8(_mm_cmpeq_epi8(head, want)) == 0xffff) & (end >= h->need);
		_mm_storeu_si128((__m128i *)&d[k],
		        _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 23)), from));
		_mm_storeu_si128((__m128i *)&d[k] + 1, _mm_insert_epi32(half, (int)end, 2));
		m += is ^ 1;
		all &= h->have | (is - 1);
		any |= h->have & -is;
	}
	*ret_all = all;
	*ret_any = any;
	return m;
}
#endif

plain_layers *plain_layers_best(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.1"))
		return plain_layers_sse41;
#endif
	return plain_layers_portable;
}
