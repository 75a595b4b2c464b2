/* SPDX-License-Identifier: MIT */
/* rnd.h: draws of the tests: the same after the same seed, on every machine.
 *
 * Marsaglia, Xorshift RNGs, 2003: 64 bits, shifts of 13, 7 and 17.
 */
#ifndef RND_H
#define RND_H

#include <stdint.h>

static uint64_t seed = 1; /* not 0 */

static inline uint64_t rnd64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* 0 … n - 1. */
static inline uint32_t rnd(uint32_t n)
{
	return (uint32_t)((rnd64() >> 16) % n);
}

#endif
