/* SPDX-License-Identifier: MIT */
/* quantile.c: the buckets of quantile.h, in an open-addressed table. */
#include "engine/sketch/quantile.h"

#include <math.h>

#include "engine/core/libm.h"

#define CAP_MIN 4

struct quantile {
	uint64_t total;
	uint32_t n, shift; /* buckets in use; 32 - log2(cap) */
	uint64_t count[];  /* cap, and behind them keys: bucket + 1, 0: free */
};

static struct quantile *of(const struct heap_cell *c)
{
	return (struct quantile *)(uintptr_t)c->bytes;
}

static inline uint32_t cap_of(const struct quantile *q)
{
	return 1u << (32 - q->shift);
}

static inline uint32_t *keys_of(const struct quantile *q)
{
	return (uint32_t *)(uintptr_t)(q->count + cap_of(q));
}

unsigned quantile_bits(double error)
{
	unsigned bits = 0;

	while (ldexp(1, -(int)(bits + 1)) > error)
		bits++;
	return bits;
}

/* Buckets are numbered in the order of their values. */
static inline uint32_t bucket_of(unsigned bits, double v)
{
	const uint64_t sign = 1ull << 63;
	uint64_t u;

	if (v == 0)
		v = 0; /* -0.0 too */
	if (v != v)
		return (uint32_t)(UINT64_MAX >> (52 - bits));
	memcpy(&u, &v, sizeof u);
	u = u & sign ? ~u : u | sign;
	return (uint32_t)(u >> (52 - bits));
}

/* The smallest and largest number of a bucket, by size without sign. */
static bool bounds(unsigned bits, uint32_t bucket, double *lo, double *hi)
{
	const uint64_t sign = 1ull << 63;
	uint64_t from = (uint64_t)bucket << (52 - bits), to = from | ((1ull << (52 - bits)) - 1);
	bool negative = !(from & sign);

	if (negative) {
		uint64_t t = ~from;

		from = ~to;
		to = t;
	}
	from &= ~sign;
	to &= ~sign;
	memcpy(lo, &from, sizeof *lo);
	memcpy(hi, &to, sizeof *hi);
	return negative;
}

static double value_of(unsigned bits, uint32_t bucket, bool whole)
{
	double lo, hi, v;
	bool negative = bounds(bits, bucket, &lo, &hi);

	if (lo != lo || hi != hi)
		return lo == INFINITY ? (negative ? -lo : lo) : NAN;
	if (whole) {
		lo = ceil(lo);
		hi = floor(hi);
	}
	/* as far from one end as from the other, relatively: the harmonic mean, in an order in
	 * which nothing leaves the range */
	v = lo == 0 ? 0 : lo / (lo / 2 + hi / 2) * hi;
	if (whole)
		v = libm_nearbyint(v);
	return negative ? -v : v;
}

static size_t size_of(uint32_t cap)
{
	return sizeof(struct quantile) + cap * (sizeof(uint64_t) + sizeof(uint32_t));
}

static inline uint32_t slot_of(const struct quantile *q, uint32_t bucket)
{
	return (bucket + 1) * 0x9e3779b1u >> q->shift;
}

static void count_bucket(struct quantile *q, uint32_t bucket, uint64_t n)
{
	uint32_t *key = keys_of(q), mask = cap_of(q) - 1;
	uint32_t i = slot_of(q, bucket);

	while (key[i] && key[i] != bucket + 1)
		i = (i + 1) & mask;
	q->n += !key[i];
	key[i] = bucket + 1;
	q->count[i] += n;
	q->total += n;
}

/* Makes room for one bucket more. */
static int reserve(struct heap_cell **cell, struct heap *heap)
{
	const struct quantile *old = *cell ? of(*cell) : NULL;
	uint32_t cap = old ? cap_of(old) : 0;
	struct heap_cell *c;

	if (old && old->n < cap / 4 * 3)
		return 0;
	cap = cap ? 2 * cap : CAP_MIN;
	c = heap_take(heap, size_of(cap));
	if (!c)
		return -ENOMEM;
	memset(c->bytes, 0, size_of(cap));
	of(c)->shift = (uint32_t)__builtin_clz(cap) + 1;
	for (uint32_t i = 0; old && i < cap_of(old); i++)
		if (keys_of(old)[i])
			count_bucket(of(c), keys_of(old)[i] - 1, old->count[i]);
	heap_drop(heap, *cell);
	*cell = c;
	return 0;
}

int quantile_add(struct heap_cell **cell, struct heap *heap, unsigned bits, double value)
{
	if (reserve(cell, heap) < 0)
		return -ENOMEM;
	count_bucket(of(*cell), bucket_of(bits, value), 1);
	return 0;
}

void quantile_prefetch(const struct heap_cell *cell, unsigned bits, double value)
{
	uint32_t i = cell ? slot_of(of(cell), bucket_of(bits, value)) : 0;

	if (!cell)
		return;
	__builtin_prefetch(&keys_of(of(cell))[i]);
	__builtin_prefetch(&of(cell)->count[i], 1);
}

/* By digits of eight bits of the bucket's number, the highest first: those of the rank's. */
double quantile_get(const struct heap_cell *cell, unsigned bits, double percent, bool whole)
{
	const struct quantile *q = cell ? of(cell) : NULL;
	uint64_t rank, known = 0; /* bits of the bucket known so far */

	if (!q)
		return NAN;
	rank = (uint64_t)ceil(percent / 100 * (double)q->total);
	rank = rank < 1 ? 1 : rank > q->total ? q->total : rank;
	for (int shift = 24; shift >= 0; shift -= 8) {
		uint64_t have[256] = {0};
		uint32_t digit = 0;

		for (uint32_t i = 0; i < cap_of(q); i++) {
			uint64_t bucket = keys_of(q)[i];

			if (bucket-- && bucket >> (shift + 8) == known)
				have[bucket >> shift & 255] += q->count[i];
		}
		while (digit < 255 && rank > have[digit])
			rank -= have[digit++];
		known = known << 8 | digit;
	}
	return value_of(bits, (uint32_t)known, whole);
}

uint64_t quantile_count(const struct heap_cell *cell)
{
	return cell ? of(cell)->total : 0;
}

int quantile_merge(struct heap_cell **to, struct heap *heap, const struct heap_cell *from)
{
	const struct quantile *q = from ? of(from) : NULL;

	for (uint32_t i = 0; q && i < cap_of(q); i++) {
		if (!keys_of(q)[i])
			continue;
		if (reserve(to, heap) < 0)
			return -ENOMEM;
		count_bucket(of(*to), keys_of(q)[i] - 1, q->count[i]);
	}
	return 0;
}
