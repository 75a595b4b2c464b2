/* SPDX-License-Identifier: MIT */
/* hll.h: how many different hashes there were, in little memory: HyperLogLog++.
 *
 * A sketch of precision p lies in one cell of a heap. At first it is *sparse*: a small table of
 * (25 bits of the hash, the number of zeros that follow), exact but for hashes that share those,
 * which linear counting allows for. Where that would take half of 2^p bytes it becomes *dense*: 2^p
 * registers of a byte and how many registers have each value, so that an estimate looks at 66
 * numbers.
 *
 * Standard error of the estimate, relative: 1.04 / sqrt(2^p) dense (0.81 % for p = 14), below 0.013
 * % sparse. It is distributed almost normally: 3 of 1,000 are off by more than three times that.
 *
 * S. Heule, M. Nunkesser, A. Hall, HyperLogLog in practice (EDBT 2013), for 64-bit hashes and the
 * sparse form; the estimator, which needs no tables of corrections, is that of O. Ertl, New
 * cardinality estimation algorithms for HyperLogLog sketches (arXiv 1702.01284, 2017).
 */
#ifndef SKETCH_HLL_H
#define SKETCH_HLL_H

#include "engine/core/heap.h"

#define HLL_P_MIN 4
#define HLL_P_MAX 18

/* Adds a hash to the sketch *h of precision p, which may be NULL (nothing yet) and moves as it
 * grows. 1: the estimate may have changed; 0; -ENOMEM, and *h is as before. */
int hll_add(struct heap_cell **h, struct heap *heap, unsigned p, uint64_t hash);

/* Fetches what hll_add() will touch. */
void hll_prefetch(const struct heap_cell *h, unsigned p, uint64_t hash);

/* NULL: 0. */
double hll_estimate(const struct heap_cell *h, unsigned p);

/* The relative standard error of the estimate. */
double hll_error(const struct heap_cell *h, unsigned p);

/* Adds the hashes of `from` to *to, both of precision p; NULL is a sketch of none. 0 or -ENOMEM:
 * then *to has some of them. */
int hll_merge(struct heap_cell **to, struct heap *heap, unsigned p, const struct heap_cell *from);

#endif
