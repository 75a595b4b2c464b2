/* SPDX-License-Identifier: MIT */
/* quantile.h: quantiles of numbers with a relative error, in memory that grows with the logarithm
 * of their range: DDSketch.
 *
 * Values are counted in buckets whose width is at most 2^-bits of what they hold: the sign, the
 * exponent and the first `bits` digits of the number as a double, read as an integer, which is the
 * paper's mapping with its logarithm interpolated linearly. The bucket of any rank is known
 * exactly, so the value given for it is off by at most 2^-(bits + 1) of itself, always. (But for
 * numbers below 2^-1022, and NaN, which ranks behind all others.)
 *
 * A sketch lies in one cell of a heap: a table of the buckets that are not empty, 12 bytes and a
 * third for each at least. Of 64-bit whole numbers there are at most 64 x 2^bits, of doubles 4096 x
 * 2^bits.
 *
 * C. Masson, J. Rim, H. Lee, DDSketch (VLDB 2019).
 */
#ifndef SKETCH_QUANTILE_H
#define SKETCH_QUANTILE_H

#include "engine/core/heap.h"

#define QUANTILE_ERROR_MIN 1e-4
#define QUANTILE_ERROR_MAX 0.5

/* The digits that keep a relative error within QUANTILE_ERROR_MIN … QUANTILE_ERROR_MAX. */
unsigned quantile_bits(double error);

/* Adds a value to the sketch *q, which may be NULL (nothing yet) and moves as it grows. 0; -ENOMEM,
 * and *q is as before. */
int quantile_add(struct heap_cell **q, struct heap *heap, unsigned bits, double value);

/* Fetches what quantile_add() will touch. NULL is fine. */
void quantile_prefetch(const struct heap_cell *q, unsigned bits, double value);

/* The value of nearest rank: the smallest that at least `percent` percent of the values do not
 * exceed. whole: the values are whole numbers, and so is the answer. NaN: no values. */
double quantile_get(const struct heap_cell *q, unsigned bits, double percent, bool whole);

/* Values added. */
uint64_t quantile_count(const struct heap_cell *q);

/* Adds the values of `from` to *to, both with these bits; NULL is a sketch of none. 0 or -ENOMEM:
 * then *to has some of them. */
int quantile_merge(struct heap_cell **to, struct heap *heap, const struct heap_cell *from);

#endif
