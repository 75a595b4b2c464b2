/* SPDX-License-Identifier: MIT */
/* countmin.c: the sketch of countmin.h. A batch goes through in blocks: prefetch, then count. */
#include "engine/sketch/countmin.h"

#include <math.h>

#include "engine/sketch/table.h"

#define BLOCK 32 /* hashes under way, four lines each */
#define WIDTH_MAX ((uint64_t)1 << 31)

int countmin_init(struct countmin *c, struct weir_mem *mem, uint64_t size)
{
	uint64_t width = size / (COUNTMIN_ROWS * sizeof *c->at);

	*c = (struct countmin){.mem = mem};
	if (width < 1)
		width = 1;
	if (width > WIDTH_MAX)
		width = WIDTH_MAX;
	c->size = width * COUNTMIN_ROWS * sizeof *c->at;
	c->at = table_new(mem, c->size);
	c->width = (uint32_t)width;
	return c->at ? 0 : -ENOMEM;
}

void countmin_release(struct countmin *c)
{
	table_free(c->mem, c->at, c->size);
	*c = (struct countmin){.mem = c->mem};
}

/* The hash's counter in row i. Two halves of a hash give all four places (A. Kirsch, M.
 * Mitzenmacher, Less hashing, same performance, ESA 2006). */
static inline size_t place(const struct countmin *c, uint64_t hash, uint32_t i)
{
	uint32_t a = (uint32_t)(hash >> 32), b = (uint32_t)hash | 1;

	a += i * b;
	a ^= a >> 15; /* so that the steps are not all the same */
	a *= 0x2c1b3c6du;
	return (size_t)i * c->width + ((uint64_t)a * c->width >> 32);
}

static inline uint64_t add(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

uint64_t countmin_error(const struct countmin *c)
{
	double e = ceil(M_E * (double)c->total / c->width);

	return e >= 0x1p63 ? UINT64_MAX : (uint64_t)e;
}

void countmin_add(struct countmin *c, const uint64_t *hash, const uint64_t *by, uint32_t n,
        uint64_t *ret, uint64_t *error)
{
	size_t at[BLOCK][COUNTMIN_ROWS];

	for (uint32_t first = 0; first < n; first += BLOCK) {
		uint32_t some = n - first < BLOCK ? n - first : BLOCK;

		for (uint32_t k = 0; k < some; k++)
			for (uint32_t i = 0; i < COUNTMIN_ROWS; i++) {
				at[k][i] = place(c, hash[first + k], i);
				__builtin_prefetch(&c->at[at[k][i]], 1);
			}
		for (uint32_t k = 0; k < some; k++) {
			uint64_t v = by ? by[first + k] : 1, count = UINT64_MAX;

			for (uint32_t i = 0; i < COUNTMIN_ROWS; i++)
				if (c->at[at[k][i]] < count)
					count = c->at[at[k][i]];
			count = add(count, v);
			for (uint32_t i = 0; i < COUNTMIN_ROWS; i++)
				if (c->at[at[k][i]] < count)
					c->at[at[k][i]] = count;
			c->total = add(c->total, v);
			ret[first + k] = count;
			if (error)
				error[first + k] = countmin_error(c);
		}
	}
}

uint64_t countmin_get(const struct countmin *c, uint64_t hash)
{
	uint64_t count = UINT64_MAX;

	for (uint32_t i = 0; i < COUNTMIN_ROWS; i++) {
		uint64_t v = c->at[place(c, hash, i)];

		if (v < count)
			count = v;
	}
	return count;
}

int countmin_merge(struct countmin *to, const struct countmin *from)
{
	if (to->width != from->width)
		return -EINVAL;
	for (size_t i = 0; i < (size_t)to->width * COUNTMIN_ROWS; i++)
		to->at[i] = add(to->at[i], from->at[i]);
	to->total = add(to->total, from->total);
	return 0;
}
