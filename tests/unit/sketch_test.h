/* SPDX-License-Identifier: MIT */
/* sketch_test.h: what the tests of the sketches share.
 *
 * A promise in probability p is tested over all T trials of all seeds: not more than
 * p T + 5 sqrt(p T) + 5 of them may fail, which a sound sketch breaks once in a million runs. */
#ifndef SKETCH_TEST_H
#define SKETCH_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/core/mem.h"
#include "engine/sketch/random.h"

#define SEEDS 100
#define STEP 1000 /* hashes at a time; no multiple of any block */

static inline double most(double p, double trials)
{
	return p * trials + 5 * sqrt(p * trials) + 5;
}

/* Hash of thing `i` under a seed. */
static inline uint64_t hash_of(uint64_t seed, uint64_t i)
{
	return random_mix(random_mix(seed + 1) + i * 0x9e3779b97f4a7c15u);
}

static inline void hashes(uint64_t seed, uint64_t first, uint32_t n, uint64_t *to)
{
	for (uint32_t k = 0; k < n; k++)
		to[k] = hash_of(seed, first + k);
}

/* A thing of 0 … n - 1, the i-th coming about 1 / (i + 1) as often as the first. */
static inline uint32_t zipf(uint64_t *random, uint32_t n)
{
	return (uint32_t)(exp(random_unit(random) * log(n + 1.0)) - 1) % n;
}

#endif
