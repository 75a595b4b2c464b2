/* SPDX-License-Identifier: MIT */
/* cuckoo.c: the filter of cuckoo.h.
 *
 * A bucket's number is base bits, which come from the hash and which the second bucket has another
 * value of, then `doubled` bits: the highest of the fingerprint, which both buckets share.
 */
#include "engine/sketch/cuckoo.h"
#include "engine/core/libm.h"

#include <math.h>

#include "engine/core/grow.h"
#include "engine/sketch/random.h"

#define BLOCK 64    /* probes under way */
#define KICKS 256   /* moves before the table counts as full */
#define LOAD 0.85   /* of the slots, at which it doubles: fuller ones cost more moves than memory */
#define BITS_MAX 30 /* log2 of the buckets */

static unsigned base_of(double error)
{
	return error < CUCKOO_FINE ? 17 : 12;
}

int cuckoo_init(struct cuckoo *c, struct weir_mem *mem, double error, uint64_t limit)
{
	int most = (int)floor(29 + libm_log2(error));

	*c = (struct cuckoo){
	        .mem = mem, .error = error, .base = base_of(error), .limit = limit, .random = 1};
	if (most > BITS_MAX - (int)c->base)
		most = BITS_MAX - (int)c->base;
	c->doubled_max = most < 0 ? 0 : (unsigned)most;
	c->bucket = grow(mem, NULL, &c->size, sizeof *c->bucket << c->base);
	return c->bucket ? 0 : -ENOMEM;
}

void cuckoo_release(struct cuckoo *c)
{
	grow_free(c->mem, c->bucket, c->size);
	*c = (struct cuckoo){.mem = c->mem};
}

static inline uint32_t print_of(uint64_t hash)
{
	uint32_t print = (uint32_t)hash;

	return print ? print : 1;
}

static inline uint32_t at_level(const struct cuckoo *c, uint32_t base, uint32_t print)
{
	return (uint32_t)((uint64_t)base << c->doubled | (uint64_t)print >> (32 - c->doubled));
}

static inline uint32_t first_of(const struct cuckoo *c, uint64_t hash)
{
	return at_level(c, (uint32_t)(hash >> (64 - c->base)), print_of(hash));
}

static inline uint32_t other_of(const struct cuckoo *c, uint32_t at, uint32_t print)
{
	uint32_t step = (print * 0x9e3779b1u >> (32 - c->base)) | 1;

	return at ^ (step << c->doubled);
}

static inline bool holds(const uint32_t *bucket, uint32_t print)
{
	return (bucket[0] == print) | (bucket[1] == print) | (bucket[2] == print) |
	       (bucket[3] == print);
}

static inline bool put(uint32_t *bucket, uint32_t print)
{
	for (int i = 0; i < 4; i++)
		if (!bucket[i]) {
			bucket[i] = print;
			return true;
		}
	return false;
}

/* What grow() makes of a size: huge pages from a megabyte on. */
static uint64_t real_size(uint64_t size)
{
	const uint64_t huge = (uint64_t)2 << 20;

	return size < huge / 2 ? size : (size + huge - 1) & ~(huge - 1);
}

static uint64_t buckets(const struct cuckoo *c)
{
	return (uint64_t)1 << (c->base + c->doubled);
}

/* Splits every bucket in two, from the last one down: each goes to where all has moved already. */
static int twice(struct cuckoo *c)
{
	uint64_t old = buckets(c);
	uint32_t(*bucket)[4];

	if (c->doubled == c->doubled_max)
		return -EOVERFLOW;
	if (c->limit && real_size(2 * old * sizeof *bucket) > c->limit)
		return -ENOSPC;
	bucket = grow(c->mem, c->bucket, &c->size, 2 * old * sizeof *bucket);
	if (!bucket)
		return -ENOMEM;
	c->bucket = bucket;
	for (uint64_t i = old; i-- > 0;) {
		uint32_t from[4], n[2] = {0, 0};

		memcpy(from, bucket[i], sizeof from);
		memset(bucket[i], 0, sizeof from);
		memset(bucket[2 * i], 0, 2 * sizeof from);
		for (int k = 0; k < 4; k++) {
			uint32_t bit = from[k] >> (31 - c->doubled) & 1;

			if (from[k])
				bucket[2 * i + bit][n[bit]++] = from[k];
		}
	}
	c->doubled++;
	return 0;
}

/* Puts a fingerprint that is in neither of its buckets into one of them. Moves others where both
 * are full; where that leads nowhere the last one moved is *ret_stray, of bucket *ret_at. */
static bool insert(
        struct cuckoo *c, uint32_t at, uint32_t print, uint32_t *ret_stray, uint32_t *ret_at)
{
	if (put(c->bucket[at], print))
		return true;
	at = other_of(c, at, print);
	for (int i = 0; i < KICKS; i++) {
		uint32_t *victim, old;

		if (put(c->bucket[at], print))
			return true;
		victim = &c->bucket[at][random_next(&c->random) & 3];
		old = *victim;
		*victim = print;
		print = old;
		at = other_of(c, at, print);
	}
	*ret_stray = print;
	*ret_at = at;
	return false;
}

/* Room for a new fingerprint: doubles at the load, or else where insert() fails: a table that
 * cannot become larger goes on as long as there is room. With a limit it is full then. 0 or -errno.
 */
static int keep(struct cuckoo *c, uint64_t base, uint32_t print)
{
	uint32_t stray, at;
	int r;

	if (c->n >= (uint64_t)(LOAD * 4 * (double)buckets(c)) && !c->last)
		c->last = twice(c) < 0;
	if (insert(c, at_level(c, (uint32_t)base, print), print, &stray, &at)) {
		c->n++;
		return 0;
	}
	for (;;) {
		r = twice(c);
		if (r == -ENOSPC) {
			c->full = true;
			c->stray = stray;
			c->stray_at = at;
			c->n++;
			return 0;
		}
		if (r < 0)
			return r;
		at = 2 * at + (stray >> (32 - c->doubled) & 1);
		if (insert(c, at, stray, &stray, &at)) {
			c->n++;
			return 0;
		}
	}
}

static inline bool is_stray(const struct cuckoo *c, uint32_t at, uint32_t print)
{
	return c->stray == print && (c->stray_at == at || c->stray_at == other_of(c, at, print));
}

int cuckoo_add(
        struct cuckoo *c, const uint64_t *hash, uint32_t n, uint16_t *fresh, uint64_t *unkept)
{
	uint32_t at[BLOCK][2], m = 0;

	for (uint32_t from = 0; from < n; from += BLOCK) {
		uint32_t some = n - from < BLOCK ? n - from : BLOCK;
		unsigned doubled = c->doubled;

		for (uint32_t k = 0; k < some; k++) {
			at[k][0] = first_of(c, hash[from + k]);
			at[k][1] = other_of(c, at[k][0], print_of(hash[from + k]));
			__builtin_prefetch(c->bucket[at[k][0]], 1);
			__builtin_prefetch(c->bucket[at[k][1]]);
		}
		for (uint32_t k = 0; k < some; k++) {
			uint32_t print = print_of(hash[from + k]);
			int r;

			if (c->doubled != doubled) { /* in this block */
				at[k][0] = first_of(c, hash[from + k]);
				at[k][1] = other_of(c, at[k][0], print);
			}
			if (holds(c->bucket[at[k][0]], print) ||
			        holds(c->bucket[at[k][1]], print) ||
			        (c->full && is_stray(c, at[k][0], print)))
				continue;
			fresh[m++] = (uint16_t)(from + k);
			if (c->full) {
				++*unkept;
				continue;
			}
			r = keep(c, hash[from + k] >> (64 - c->base), print);
			if (r < 0)
				return r;
		}
	}
	return (int)m;
}

double cuckoo_error(const struct cuckoo *c)
{
	double load = (double)c->n / (4 * (double)buckets(c));

	return 8 * (load < 1 ? load : 1) * ldexp(1, (int)c->doubled - 32);
}

int cuckoo_merge(struct cuckoo *to, const struct cuckoo *from)
{
	if (to->error != from->error)
		return -EINVAL;
	for (uint64_t i = 0; i < buckets(from) + from->full; i++) {
		bool stray = i == buckets(from);
		uint64_t base = (stray ? from->stray_at : i) >> from->doubled;

		for (int k = 0; k < (stray ? 1 : 4); k++) {
			uint32_t print = stray ? from->stray : from->bucket[i][k];
			uint32_t at = print ? at_level(to, (uint32_t)base, print) : 0;
			int r;

			if (!print || holds(to->bucket[at], print) ||
			        holds(to->bucket[other_of(to, at, print)], print) ||
			        (to->full && is_stray(to, at, print)))
				continue;
			if (to->full)
				return -ENOSPC;
			r = keep(to, base, print);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
