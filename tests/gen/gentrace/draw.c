/* SPDX-License-Identifier: MIT */
/* draw.c: see draw.h. */
#include "draw.h"

uint64_t draw_state[4];

void draw_seed(uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		draw_state[i] = mix(seed * 4 + (uint64_t)i);
}
