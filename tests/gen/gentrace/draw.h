/* SPDX-License-Identifier: MIT */
/* draw.h: what is left to chance: the same after the same seed, on every machine. */
#ifndef DRAW_H
#define DRAW_H

#include <stdint.h>

extern uint64_t draw_state[4];

void draw_seed(uint64_t seed);

/* A number with all that x says, and no order. */
static inline uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* xoshiro256** of Blackman and Vigna. */
static inline uint64_t next(void)
{
	uint64_t r = draw_state[1] * 5, t = draw_state[1] << 17;

	r = (r << 7 | r >> 57) * 9;
	draw_state[2] ^= draw_state[0];
	draw_state[3] ^= draw_state[1];
	draw_state[1] ^= draw_state[2];
	draw_state[0] ^= draw_state[3];
	draw_state[2] ^= t;
	draw_state[3] = draw_state[3] << 45 | draw_state[3] >> 19;
	return r;
}

/* 0 … n - 1. */
static inline uint32_t below(uint32_t n)
{
	return (uint32_t)((next() >> 32) * n >> 32);
}

#endif
