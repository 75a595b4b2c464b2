/* SPDX-License-Identifier: MIT */
/* hll.c: the two forms of hll.h. */
#include "engine/sketch/hll.h"

#include <math.h>

#include "engine/core/libm.h"

#define SPARSE_P 25
#define SLOTS_MIN 8
#define THERE (1u << 31) /* a slot in use: THERE | 25 bits << 6 | zeros + 1 */

enum { SPARSE, DENSE };

struct hll {
	uint32_t form;
	uint32_t n, cap; /* sparse: slots in use, and of the table */
	uint32_t zero;
	union {
		uint32_t slot[1];
		struct {
			uint32_t have[66]; /* registers with that value */
			uint8_t reg[1];
		};
	};
};

static struct hll *of(const struct heap_cell *c)
{
	return (struct hll *)(uintptr_t)c->bytes;
}

static size_t sparse_size(uint32_t cap)
{
	return offsetof(struct hll, slot) + cap * sizeof(uint32_t);
}

static size_t dense_size(unsigned p)
{
	return offsetof(struct hll, reg) + ((size_t)1 << p);
}

static inline uint32_t sparse_code(uint64_t hash)
{
	uint32_t zeros = (uint32_t)__builtin_clzll(hash << SPARSE_P | 1ull << (SPARSE_P - 1));

	return THERE | (uint32_t)(hash >> (64 - SPARSE_P)) << 6 | (zeros + 1);
}

/* What the hash of a slot would do to a dense sketch: its register, and the value for it. */
static inline uint32_t dense_of(uint32_t code, unsigned p, uint8_t *ret_value)
{
	uint32_t index = (code & ~THERE) >> 6, rest = SPARSE_P - p;
	uint32_t low = index & ((1u << rest) - 1);

	*ret_value = (uint8_t)(low ? (uint32_t)__builtin_clz(low) - (32 - rest) + 1
	                           : rest + (code & 63));
	return index >> rest;
}

static inline int raise_register(struct hll *h, uint32_t i, uint8_t value)
{
	uint8_t old = h->reg[i];

	if (old >= value)
		return 0;
	h->have[old]--;
	h->have[value]++;
	h->reg[i] = value;
	return 1;
}

static inline uint32_t slot_of(uint32_t code, uint32_t cap)
{
	return (uint32_t)((uint64_t)((code >> 6) * 0x9e3779b1u) * cap >> 32);
}

/* Puts a code into a sparse table that has room. */
static int put_code(struct hll *h, uint32_t code)
{
	uint32_t i = slot_of(code, h->cap);

	for (; h->slot[i]; i = i + 1 == h->cap ? 0 : i + 1) {
		if ((h->slot[i] ^ code) >> 6)
			continue;
		if (h->slot[i] >= code)
			return 0;
		h->slot[i] = code;
		return 1;
	}
	h->slot[i] = code;
	h->n++;
	return 1;
}

/* A cell of the form, without a hash in it. */
static struct heap_cell *fresh(struct heap *heap, unsigned p, uint32_t cap)
{
	size_t size = cap ? sparse_size(cap) : dense_size(p);
	struct heap_cell *c = heap_take(heap, size);

	if (!c)
		return NULL;
	memset(c->bytes, 0, size);
	of(c)->form = cap ? SPARSE : DENSE;
	of(c)->cap = cap;
	if (!cap)
		of(c)->have[0] = 1u << p;
	return c;
}

/* Twice the slots, or dense where they would take too much. Moves the hashes over. */
static int enlarge(struct heap_cell **cell, struct heap *heap, unsigned p)
{
	uint32_t cap = *cell ? 2 * of(*cell)->cap : SLOTS_MIN;
	struct heap_cell *c;

	if (sizeof(uint32_t) * cap > (size_t)1 << (p - 1))
		cap = 0;
	c = fresh(heap, p, cap);
	if (!c)
		return -ENOMEM;
	for (uint32_t i = 0; *cell && i < of(*cell)->cap; i++) {
		uint32_t code = of(*cell)->slot[i], r;
		uint8_t value;

		if (!code)
			continue;
		if (cap) {
			put_code(of(c), code);
		} else {
			r = dense_of(code, p, &value);
			raise_register(of(c), r, value);
		}
	}
	heap_drop(heap, *cell);
	*cell = c;
	return 0;
}

static int add_code(struct heap_cell **cell, struct heap *heap, unsigned p, uint32_t code)
{
	uint8_t value;
	uint32_t r;

	if (!*cell || (of(*cell)->form == SPARSE && of(*cell)->n >= of(*cell)->cap / 4 * 3))
		if (enlarge(cell, heap, p) < 0)
			return -ENOMEM;
	if (of(*cell)->form == SPARSE)
		return put_code(of(*cell), code);
	r = dense_of(code, p, &value);
	return raise_register(of(*cell), r, value);
}

int hll_add(struct heap_cell **cell, struct heap *heap, unsigned p, uint64_t hash)
{
	uint64_t rest = hash << p | 1ull << (p - 1);

	if (!*cell || of(*cell)->form == SPARSE)
		return add_code(cell, heap, p, sparse_code(hash));
	return raise_register(
	        of(*cell), (uint32_t)(hash >> (64 - p)), (uint8_t)(__builtin_clzll(rest) + 1));
}

void hll_prefetch(const struct heap_cell *c, unsigned p, uint64_t hash)
{
	if (c && of(c)->form == DENSE)
		__builtin_prefetch(&of(c)->reg[hash >> (64 - p)], 1);
	else if (c)
		__builtin_prefetch(&of(c)->slot[slot_of(sparse_code(hash), of(c)->cap)], 1);
}

/* Sums of Ertl's paper, section 2.4: until they no longer change. */
static double sigma(double x)
{
	double y = 1, z = x, last;

	if (x == 1)
		return INFINITY;
	do {
		x *= x;
		last = z;
		z += x * y;
		y += y;
	} while (z != last);
	return z;
}

static double tau(double x)
{
	double y = 1, z = 1 - x, last;

	if (x == 0 || x == 1)
		return 0;
	do {
		x = sqrt(x);
		last = z;
		y /= 2;
		z -= (1 - x) * (1 - x) * y;
	} while (z != last);
	return z / 3;
}

double hll_estimate(const struct heap_cell *c, unsigned p)
{
	const struct hll *h = c ? of(c) : NULL;
	double m = ldexp(1, (int)p), all = ldexp(1, SPARSE_P), z;

	if (!h)
		return 0;
	if (h->form == SPARSE)
		return all * libm_log(all / (all - h->n));
	z = m * tau(1 - h->have[64 - p + 1] / m);
	for (unsigned k = 64 - p; k; k--)
		z = 0.5 * (z + h->have[k]);
	z += m * sigma(h->have[0] / m);
	return m * m / (2 * M_LN2 * z);
}

double hll_error(const struct heap_cell *c, unsigned p)
{
	if (!c || of(c)->form == SPARSE)
		return sqrt(ldexp(1, -(SPARSE_P + 1))); /* of linear counting far from full */
	return 1.04 / sqrt(ldexp(1, (int)p));
}

int hll_merge(struct heap_cell **to, struct heap *heap, unsigned p, const struct heap_cell *from)
{
	const struct hll *h = from ? of(from) : NULL;

	if (!h)
		return 0;
	if (h->form == SPARSE) {
		for (uint32_t i = 0; i < h->cap; i++)
			if (h->slot[i] && add_code(to, heap, p, h->slot[i]) < 0)
				return -ENOMEM;
		return 0;
	}
	while (!*to || of(*to)->form == SPARSE)
		if (enlarge(to, heap, p) < 0)
			return -ENOMEM;
	for (uint32_t i = 0; i < 1u << p; i++)
		raise_register(of(*to), i, h->reg[i]);
	return 0;
}
