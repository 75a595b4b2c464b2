/* SPDX-License-Identifier: MIT */
/* mixed_packets.h: drawn packets for a trace: Ethernet, one in eight tagged; IPv4 or IPv6; TCP, UDP
 * or neither; some of them cut. */
#ifndef MIXED_PACKETS_H
#define MIXED_PACKETS_H

#include "tests/unit/rnd.h"
#include "tests/unit/trace_maker.h"

/* One of n things, with `few` of a twelfth of them. */
static inline uint32_t mixed_of(uint32_t n, bool few)
{
	return rnd(few ? 1 + n / 12 : n);
}

/* At p, 90 bytes; its length. `few`: of few flows. */
static inline uint32_t mixed_packet(uint8_t *p, bool few)
{
	uint8_t *h = p + 12, *l4, proto = rnd(5) ? rnd(3) ? 6 : 17 : 47;
	bool six = rnd(8) == 0;

	memset(p, 0, 90);
	if (rnd(8) == 0) {
		put16(h, 0x8100);
		put16(h + 2, rnd(9));
		h += 4;
	}
	l4 = put_ip(h, six, proto, 20);
	h += 2;
	if (six) {
		h[8] = h[24] = 0x20;
		h[23] = (uint8_t)mixed_of(20, few);
		h[39] = (uint8_t)mixed_of(40, few);
	} else {
		h[8] = (uint8_t)rnd(9);
		h[12] = 10;
		put16(h + 14, mixed_of(50, few) * mixed_of(50, few));
		h[16] = 192;
		h[19] = (uint8_t)mixed_of(200, few);
	}
	put16(l4, mixed_of(60, few));
	put16(l4 + 2, mixed_of(24, few));
	l4[12] = 0x50;
	l4[13] = rnd(4) ? 0x10 : 0x02;
	return (uint32_t)(l4 + 20 - p);
}

/* n of them, two milliseconds apart. */
static inline void mixed_packets(FILE *f, uint32_t n, bool few)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t p[90];
		uint32_t len = mixed_packet(p, few), cut = rnd(9) ? len : rnd(len + 1);

		trace_put(f, i * 2000ull, p, cut, len + rnd(1400));
	}
}

#endif
