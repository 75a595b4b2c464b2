/* SPDX-License-Identifier: MIT */
/* sketch.c: the sketches against exact counts, over 100 seeds each: what they promise never to do,
 * and the probability of what they may do. Merged parts must keep the same promises.
 *
 * A promise in probability p is tested over all T trials of all seeds: not more than
 * p T + 5 sqrt(p T) + 5 of them may fail, which a sound sketch breaks once in a million runs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/core/mem.h"
#include "engine/sketch/bloom.h"
#include "engine/sketch/countmin.h"
#include "engine/sketch/cuckoo.h"
#include "engine/sketch/heavy.h"
#include "engine/sketch/hll.h"
#include "engine/sketch/quantile.h"
#include "engine/sketch/random.h"
#include "engine/sketch/reservoir.h"

#define SEEDS 100
#define STEP 1000 /* hashes at a time; no multiple of any block */

static double most(double p, double trials)
{
	return p * trials + 5 * sqrt(p * trials) + 5;
}

/* Hash of thing `i` under a seed. */
static uint64_t hash_of(uint64_t seed, uint64_t i)
{
	return random_mix(random_mix(seed + 1) + i * 0x9e3779b97f4a7c15u);
}

static void hashes(uint64_t seed, uint64_t first, uint32_t n, uint64_t *to)
{
	for (uint32_t k = 0; k < n; k++)
		to[k] = hash_of(seed, first + k);
}

/* A thing of 0 … n - 1, the i-th coming about 1 / (i + 1) as often as the first. */
static uint32_t zipf(uint64_t *random, uint32_t n)
{
	return (uint32_t)(exp(random_unit(random) * log(n + 1.0)) - 1) % n;
}

/* ---- Bloom ---- */

static uint32_t bloom_some(struct bloom *b, uint64_t seed, uint32_t first, uint32_t n)
{
	uint64_t hash[STEP];
	uint16_t fresh[STEP];
	uint32_t m = 0;

	for (uint32_t i = 0; i < n; i += STEP) {
		uint32_t some = n - i < STEP ? n - i : STEP;

		hashes(seed, first + i, some, hash);
		m += bloom_add(b, hash, some, fresh);
	}
	return m;
}

static void bloom_bound(void **state)
{
	double expected = 0, lost = 0, after = 0, after_expected = 0;
	const uint32_t n = 40000;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct weir_mem mem = {0};
		struct bloom b;
		uint32_t new;

		assert_int_equal(bloom_init(&b, &mem, 65536), 0);
		assert_true(mem.used >= 65536 && mem.used <= 65536 + 64);
		new = bloom_some(&b, seed, 0, n);
		assert_int_equal(b.n, new);
		assert_int_equal(bloom_some(&b, seed, 0, n), 0); /* never forgets */
		/* the error at the end bounds the share lost on the way */
		expected += bloom_error(&b, b.n);
		lost += n - new;
		/* and is what the next ones meet */
		after_expected += bloom_error(&b, b.n) * 1000;
		after += 1000 - bloom_some(&b, seed, n, 1000);
		bloom_release(&b);
		assert_int_equal(mem.used, 0);
	}
	assert_true(lost <= most(expected / SEEDS, (double)SEEDS * n));
	assert_true(
	        fabs(after - after_expected) <= 0.1 * after_expected + 5 * sqrt(after_expected));
}

static void bloom_merged(void **state)
{
	struct bloom a = {0}, b = {0}, all = {0};

	assert_int_equal(bloom_init(&a, NULL, 70000), 0);
	assert_int_equal(bloom_init(&b, NULL, 70000), 0);
	assert_int_equal(bloom_init(&all, NULL, 70000), 0);
	bloom_some(&a, 7, 0, 20000);
	bloom_some(&b, 7, 20000, 20000);
	bloom_some(&all, 7, 0, 40000);
	assert_int_equal(bloom_merge(&a, &b), 0);
	/* the same bits, and a bound that is not below */
	assert_memory_equal(a.block, all.block, (size_t)all.nblocks * BLOOM_BLOCK);
	assert_true(bloom_error(&a, a.n) >= bloom_error(&all, all.n));
	assert_int_equal(bloom_some(&a, 7, 0, 40000), 0);
	bloom_release(&b);
	assert_int_equal(bloom_init(&b, NULL, 4096), 0);
	assert_int_equal(bloom_merge(&a, &b), -EINVAL);
	bloom_release(&a);
	bloom_release(&b);
	bloom_release(&all);
}

/* The way for this processor and the portable one do the same. */
static void bloom_twins(void **state)
{
	struct bloom a, b;

	assert_int_equal(bloom_init(&a, NULL, 30000), 0);
	assert_int_equal(bloom_init(&b, NULL, 30000), 0);
	bloom_portable(&b);
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(bloom_some(&a, 3, i * 700, 999), bloom_some(&b, 3, i * 700, 999));
	assert_memory_equal(a.block, b.block, (size_t)a.nblocks * BLOOM_BLOCK);
	bloom_release(&a);
	bloom_release(&b);
}

/* ---- cuckoo ---- */

static int cuckoo_some(
        struct cuckoo *c, uint64_t seed, uint32_t first, uint32_t n, uint64_t *unkept)
{
	uint64_t hash[STEP];
	uint16_t fresh[STEP];
	int m = 0;

	for (uint32_t i = 0; i < n; i += STEP) {
		uint32_t some = n - i < STEP ? n - i : STEP;
		int r;

		hashes(seed, first + i, some, hash);
		r = cuckoo_add(c, hash, some, fresh, unkept);
		if (r < 0)
			return r;
		for (int k = 1; k < r; k++)
			assert_true(fresh[k] > fresh[k - 1]);
		m += r;
	}
	return m;
}

static void cuckoo_bound(void **state)
{
	static const double errors[] = {0.01, 0.001, 0.00002};
	const uint32_t n = 100000;

	for (int e = 0; e < 3; e++) {
		double lost = 0;

		for (uint64_t seed = 0; seed < (e ? SEEDS / 4 : SEEDS); seed++) {
			struct weir_mem mem = {0};
			struct cuckoo c;
			uint64_t unkept = 0;
			int new;

			assert_int_equal(cuckoo_init(&c, &mem, errors[e], 0), 0);
			assert_true(mem.used >= cuckoo_min(errors[e]));
			new = cuckoo_some(&c, seed, 0, n, &unkept);
			assert_true(new > 0);
			assert_int_equal(c.n, new);
			assert_int_equal(unkept, 0);
			assert_int_equal(cuckoo_some(&c, seed, 0, n, &unkept), 0);
			assert_true(cuckoo_error(&c) <= errors[e]);
			lost += n - new;
			cuckoo_release(&c);
			assert_int_equal(mem.used, 0);
		}
		assert_true(lost <= most(errors[e], (double)(e ? SEEDS / 4 : SEEDS) * n));
	}
}

/* With as many doublings as the error allows it is still kept, and then there is an end. */
static void cuckoo_worn(void **state)
{
	double lost = 0, expected = 0, trials = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct cuckoo c;
		uint64_t unkept = 0;
		int r, new = 0;

		assert_int_equal(cuckoo_init(&c, NULL, 0.001, 0), 0);
		/* as if 17 doublings were gone: the 15 highest bits of all fingerprints agree */
		c.doubled_max = 4;
		for (uint32_t i = 0; (r = cuckoo_some(&c, seed, i, STEP, &unkept)) >= 0;
		        i += STEP) {
			new += r;
			trials += STEP;
			lost += STEP - r;
			assert_true(new < 4 << 16);
		}
		assert_int_equal(r, -EOVERFLOW);
		assert_int_equal(c.doubled, 4);
		assert_true(new >= (int)(0.84 * (4 << 16)));
		expected += cuckoo_error(&c) / SEEDS;
		cuckoo_release(&c);
		if (seed == 9)
			break;
	}
	assert_true(lost <= most(expected * 10, trials));
}

static void cuckoo_limit(void **state)
{
	struct cuckoo c;
	struct weir_mem mem = {0};
	uint64_t unkept = 0;
	int kept, again;

	/* two doublings fit: 65,536 fingerprints */
	assert_int_equal(cuckoo_init(&c, &mem, 0.01, 300000), 0);
	again = cuckoo_some(&c, 5, 0, 200000, &unkept);
	assert_int_equal(again, c.n + unkept);
	assert_true(c.full && unkept > 0);
	assert_true(mem.used <= 300000);
	kept = (int)c.n;
	assert_true(kept > 0.95 * 65536 && kept <= 65536 + 1);
	/* what was kept is known, the rest is new each time */
	unkept = 0;
	again = cuckoo_some(&c, 5, 0, 200000, &unkept);
	assert_int_equal(again, unkept);
	assert_true(again >= (200000 - kept) * 0.98 && again <= 200000 - kept);
	cuckoo_release(&c);
	/* the account's limit is an error */
	mem.limit = 100000;
	assert_int_equal(cuckoo_init(&c, &mem, 0.01, 0), 0);
	assert_int_equal(cuckoo_some(&c, 5, 0, 200000, &unkept), -ENOMEM);
	cuckoo_release(&c);
	assert_int_equal(mem.used, 0);
}

static void cuckoo_merged(void **state)
{
	double lost = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct cuckoo a, b;
		uint64_t unkept = 0;

		assert_int_equal(cuckoo_init(&a, NULL, 0.01, 0), 0);
		assert_int_equal(cuckoo_init(&b, NULL, 0.01, 0), 0);
		cuckoo_some(&a, seed, 0, 15000, &unkept);
		cuckoo_some(&b, seed, 10000, 40000, &unkept);
		assert_int_equal(cuckoo_merge(&a, &b), 0);
		assert_int_equal(cuckoo_some(&a, seed, 0, 50000, &unkept), 0);
		lost += 50000.0 - (double)a.n;
		assert_true(cuckoo_error(&a) <= 0.01);
		cuckoo_release(&b);
		assert_int_equal(cuckoo_init(&b, NULL, 0.5, 0), 0);
		assert_int_equal(cuckoo_merge(&a, &b), -EINVAL);
		cuckoo_release(&a);
		cuckoo_release(&b);
	}
	assert_true(lost <= most(0.01, SEEDS * 50000.0));
}

/* ---- counts ---- */

enum { THINGS = 3000, RECORDS = 30000 };

/* RECORDS draws of things and how often each came, of records from … to - 1. */
static void draw(uint64_t seed, uint32_t *thing, uint64_t *hash)
{
	uint64_t random = seed * 77 + 5;

	for (uint32_t i = 0; i < RECORDS; i++) {
		thing[i] = zipf(&random, THINGS);
		hash[i] = hash_of(seed, thing[i]);
	}
}

static void countmin_bound(void **state)
{
	static uint32_t thing[RECORDS];
	static uint64_t hash[RECORDS], by[RECORDS], ret[STEP], error[STEP];
	uint64_t over = 0, merged_over = 0, trials = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		uint64_t true_count[THINGS] = {0};
		struct countmin c, half;

		draw(seed, thing, hash);
		assert_int_equal(countmin_init(&c, NULL, 8192), 0);
		assert_int_equal(countmin_init(&half, NULL, 8192), 0);
		for (uint32_t i = 0; i < RECORDS; i += STEP) {
			for (uint32_t k = 0; k < STEP; k++)
				by[i + k] = seed & 1 ? 40 + hash[i + k] % 1460 : 1;
			countmin_add(&c, hash + i, seed & 1 ? by + i : NULL, STEP, ret, error);
			for (uint32_t k = 0; k < STEP; k++) {
				uint64_t n = true_count[thing[i + k]] += by[i + k];

				assert_true(ret[k] >= n);
				over += ret[k] - n > error[k];
				trials++;
			}
		}
		assert_int_equal(error[STEP - 1], countmin_error(&c));
		/* the two halves, merged */
		countmin_release(&c);
		assert_int_equal(countmin_init(&c, NULL, 8192), 0);
		for (uint32_t i = 0; i < RECORDS; i += STEP)
			countmin_add(i < RECORDS / 3 ? &c : &half, hash + i,
			        seed & 1 ? by + i : NULL, STEP, ret, NULL);
		assert_int_equal(countmin_merge(&c, &half), 0);
		for (uint32_t t = 0; t < THINGS; t++) {
			uint64_t n = countmin_get(&c, hash_of(seed, t));

			assert_true(n >= true_count[t]);
			merged_over += n - true_count[t] > countmin_error(&c);
		}
		countmin_release(&half);
		assert_int_equal(countmin_init(&half, NULL, 4096), 0);
		assert_int_equal(countmin_merge(&c, &half), -EINVAL);
		countmin_release(&half);
		countmin_release(&c);
	}
	assert_true((double)over <= most(exp(-4), (double)trials));
	assert_true((double)merged_over <= most(exp(-4), (double)SEEDS * THINGS));
}

/* Counts that would leave 64 bits stay. */
static void countmin_full(void **state)
{
	struct countmin c;
	uint64_t hash = 12345, by = UINT64_MAX - 5, ret, error;

	assert_int_equal(countmin_init(&c, NULL, 4096), 0);
	countmin_add(&c, &hash, &by, 1, &ret, &error);
	assert_true(ret == UINT64_MAX - 5);
	countmin_add(&c, &hash, &by, 1, &ret, &error);
	assert_true(ret == UINT64_MAX && c.total == UINT64_MAX);
	assert_true(countmin_get(&c, hash) == UINT64_MAX);
	countmin_release(&c);
}

static void check_heavy(const struct heavy *h, uint64_t seed, const uint64_t *true_count)
{
	double min = 0;

	for (uint32_t t = 0; t < THINGS; t++) {
		uint64_t count, error;

		heavy_get(h, hash_of(seed, t), &count, &error);
		assert_true(count >= true_count[t]);
		assert_true(count - error <= true_count[t]);
	}
	/* what has no counter came at most N / k times, on average over the sets */
	for (uint32_t i = 0; i < h->nsets; i++) {
		uint64_t least = UINT64_MAX;

		for (int k = 0; k < HEAVY_WAYS; k++)
			if (h->set[i].count[k] < least)
				least = h->set[i].count[k];
		min += (double)least;
	}
	assert_true(min / h->nsets <= (double)h->total / (h->nsets * HEAVY_WAYS));
}

static void heavy_bound(void **state)
{
	static uint32_t thing[RECORDS];
	static uint64_t hash[RECORDS], count[STEP], error[STEP];
	uint16_t fresh[STEP];

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		uint64_t true_count[THINGS] = {0};
		struct heavy h, half;
		struct weir_mem mem = {0};
		uint32_t free = 0;

		draw(seed, thing, hash);
		assert_int_equal(heavy_init(&h, &mem, 16384), 0);
		assert_true(mem.used <= 16384);
		for (uint32_t i = 0; i < RECORDS; i += STEP) {
			uint32_t m = heavy_add(&h, hash + i, STEP, count, error, fresh);

			for (uint32_t k = 0, j = 0; k < STEP; k++) {
				uint64_t n = ++true_count[thing[i + k]];

				assert_true(count[k] >= n && count[k] - error[k] <= n);
				/* the first time there cannot have been a counter */
				j += j < m && fresh[j] == k;
				assert_true(n > 1 || (j && fresh[j - 1] == k));
			}
			free += m;
		}
		assert_true(free >= 1024);
		check_heavy(&h, seed, true_count);
		heavy_release(&h);
		assert_int_equal(heavy_init(&h, &mem, 16384), 0);
		assert_int_equal(heavy_init(&half, &mem, 16384), 0);
		for (uint32_t i = 0; i < RECORDS; i += STEP)
			heavy_add(i % (3 * STEP) ? &h : &half, hash + i, STEP, count, error, NULL);
		assert_int_equal(heavy_merge(&h, &half), 0);
		assert_int_equal(h.total, RECORDS);
		check_heavy(&h, seed, true_count);
		heavy_release(&half);
		assert_int_equal(heavy_init(&half, &mem, 4096), 0);
		assert_int_equal(heavy_merge(&h, &half), -EINVAL);
		heavy_release(&half);
		heavy_release(&h);
		assert_int_equal(mem.used, 0);
	}
}

/* ---- HyperLogLog ---- */

static void hll_bound(void **state)
{
	static const struct {
		unsigned p;
		uint32_t n;
	} cases[] = {{4, 3}, {4, 300}, {10, 1}, {10, 90}, {10, 300}, {10, 1000}, {10, 2500},
	        {10, 40000}, {14, 1500}, {14, 3000}, {14, 40000}, {18, 30000}};

	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double sum = 0, square = 0, sigma = 0, beyond = 0;
		uint32_t n = cases[i].n;
		unsigned p = cases[i].p;

		for (uint64_t seed = 0; seed < SEEDS; seed++) {
			struct weir_mem mem = {0};
			struct heap heap;
			struct heap_cell *h = NULL, *half[2] = {NULL, NULL};
			double error;

			heap_init(&heap, &mem);
			assert_true(hll_estimate(NULL, p) == 0);
			for (uint32_t k = 0; k < n; k++)
				assert_int_equal(hll_add(&h, &heap, p, hash_of(seed, k)) >= 0, 1);
			for (uint32_t k = 0; k < n; k++)
				assert_int_equal(hll_add(&h, &heap, p, hash_of(seed, k)), 0);
			sigma = hll_error(h, p);
			error = hll_estimate(h, p) / n - 1;
			sum += error;
			square += error * error;
			beyond += fabs(error) > 3 * sigma;
			/* parts: halves of any size, merged into either, are the whole */
			for (uint32_t k = 0; k < n; k++)
				hll_add(&half[k % 7 == 0], &heap, p, hash_of(seed, k));
			assert_int_equal(
			        hll_merge(&half[seed & 1], &heap, p, half[!(seed & 1)]), 0);
			assert_true(fabs(hll_estimate(half[seed & 1], p) - hll_estimate(h, p)) <
			            1e-6 * n);
			heap_release(&heap);
			assert_int_equal(mem.used, 0);
		}
		/* sparse: a few pairs of equal hashes in all, if any. Dense: nearly normal; p = 4
		 * is off by a little more than its 26 %, as the paper says */
		if (sigma < 0.001) {
			assert_true(sqrt(square / SEEDS) <= 2.5 * sigma);
		} else {
			assert_true(sqrt(square / SEEDS) <= (p == 4 ? 1.5 : 1.25) * sigma);
			assert_true(fabs(sum / SEEDS) <= 4 * sigma / sqrt(SEEDS));
			assert_true(beyond <= (p == 4 ? 8 : 4));
		}
	}
}

static void hll_limit(void **state)
{
	struct weir_mem mem = {.limit = 12000};
	struct heap heap;
	struct heap_cell *h = NULL;
	int r = 0;

	heap_init(&heap, &mem);
	for (uint32_t k = 0; k < 100000 && r >= 0; k++)
		r = hll_add(&h, &heap, 14, hash_of(1, k));
	assert_int_equal(r, -ENOMEM);
	assert_true(hll_estimate(h, 14) > 100);
	heap_release(&heap);
	assert_int_equal(mem.used, 0);
}

/* ---- quantiles ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double draw_value(uint64_t *random, int kind)
{
	double u = random_unit(random), v = random_unit(random);

	switch (kind) {
	case 0: /* packet sizes */
		return floor(u < 0.5 ? 40 + 60 * v : 1514 * v);
	case 1: /* over all whole numbers */
		return floor(exp(43 * u));
	case 2: /* both signs, and zero */
		return v < 0.1 ? 0 : (v < 0.5 ? -1 : 1) * exp(200 * u - 100);
	case 3:
		return -floor(5000 * u);
	default:
		return 42;
	}
}

static void quantile_bound(void **state)
{
	static const double errors[] = {0.5, 0.02, 0.01, 0.001, 0.0001};
	static const double percents[] = {0, 0.1, 1, 25, 50, 75, 95, 99.9, 100};
	static double v[3000];

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		int kind = (int)(seed % 5);
		bool whole = kind != 2;
		double error = errors[seed / 5 % 5];
		unsigned bits = quantile_bits(error);
		struct weir_mem mem = {0};
		struct heap heap;
		struct heap_cell *q = NULL, *half[2] = {NULL, NULL};
		uint64_t random = seed + 900;
		uint32_t n = seed < 10 ? 1 + (uint32_t)seed : 3000;

		heap_init(&heap, &mem);
		assert_true(isnan(quantile_get(NULL, bits, 50, false)));
		for (uint32_t i = 0; i < n; i++) {
			v[i] = draw_value(&random, kind);
			assert_int_equal(quantile_add(&q, &heap, bits, v[i]), 0);
			assert_int_equal(quantile_add(&half[i % 3 == 0], &heap, bits, v[i]), 0);
		}
		assert_int_equal(quantile_count(q), n);
		assert_int_equal(quantile_merge(&half[1], &heap, half[0]), 0);
		assert_int_equal(quantile_count(half[1]), n);
		qsort(v, n, sizeof *v, by_value);
		for (uint32_t i = 0; i < sizeof percents / sizeof *percents; i++) {
			uint32_t rank = (uint32_t)ceil(percents[i] / 100 * n);
			double want = v[rank ? rank - 1 : 0];
			double got = quantile_get(q, bits, percents[i], whole);

			assert_true(fabs(got - want) <= error * fabs(want));
			assert_true(!whole || got == floor(got));
			assert_true(got == quantile_get(half[1], bits, percents[i], whole));
		}
		heap_release(&heap);
		assert_int_equal(mem.used, 0);
	}
}

static void quantile_odd(void **state)
{
	struct heap heap;
	struct heap_cell *q = NULL;

	heap_init(&heap, NULL);
	quantile_add(&q, &heap, 6, INFINITY);
	quantile_add(&q, &heap, 6, -INFINITY);
	quantile_add(&q, &heap, 6, -0.0);
	quantile_add(&q, &heap, 6, 0.0);
	quantile_add(&q, &heap, 6, NAN);
	assert_true(quantile_get(q, 6, 20, false) == -INFINITY);
	assert_true(quantile_get(q, 6, 40, false) == 0);
	assert_true(quantile_get(q, 6, 60, false) == 0);
	assert_true(quantile_get(q, 6, 80, false) == INFINITY);
	assert_true(isnan(quantile_get(q, 6, 100, false)));
	quantile_add(&q, &heap, 6, 1.7e308);
	assert_true(fabs(quantile_get(q, 6, 66, false) / 1.7e308 - 1) < 0.01);
	heap_release(&heap);
}

/* ---- reservoir ---- */

/* Each record is in with the same probability, alone and with parts merged: chi-square over 200
 * records, whose 99.9999 % point is about 310. */
static void reservoir_even(void **state)
{
	enum { N = 200, K = 20, TRIALS = 20000 };

	for (int merged = 0; merged < 3; merged++) {
		uint32_t in[N] = {0};
		double chi = 0, want = (double)TRIALS * K / N;
		/* the first part has 0, 7 or 150 of the records */
		uint32_t part = merged == 2 ? 150 : merged ? 7 : 0;

		for (uint32_t t = 0; t < TRIALS; t++) {
			struct reservoir r[2];
			uint32_t have[2][K], place[N], from[K], scratch[K];
			uint16_t which[N];

			reservoir_init(&r[0], K, t * 2 + 1);
			reservoir_init(&r[1], K, t * 2 + 2 + 1000003ull * TRIALS);
			for (uint32_t half = 0; half < 2; half++) {
				uint32_t n = half ? N - part : part;
				uint32_t m = reservoir_add(&r[half], n, which, place);

				for (uint32_t i = 0; i < m; i++)
					have[half][place[i]] = which[i] + (half ? part : 0);
			}
			reservoir_merge(&r[0], &r[1], from, scratch);
			assert_int_equal(reservoir_used(&r[0]), K);
			assert_int_equal(r[0].n, N);
			for (uint32_t i = 0; i < K; i++) {
				uint32_t rec =
				        from[i] == UINT32_MAX ? have[0][i] : have[1][from[i]];

				assert_true(rec < N);
				in[rec]++;
			}
		}
		for (uint32_t i = 0; i < N; i++)
			chi += (in[i] - want) * (in[i] - want) / want;
		assert_true(chi < 310);
	}
}

static void reservoir_small(void **state)
{
	struct reservoir a, b;
	uint16_t which[64];
	uint32_t place[64], from[8], scratch[8], kept = 0, taken = 0;

	reservoir_init(&a, 8, 1);
	reservoir_init(&b, 8, 2);
	assert_int_equal(reservoir_add(&a, 3, which, place), 3);
	assert_int_equal(reservoir_used(&a), 3);
	reservoir_add(&b, 4, which, place);
	reservoir_merge(&a, &b, from, scratch);
	assert_int_equal(reservoir_used(&a), 7);
	for (uint32_t i = 0; i < 8; i++) {
		kept += from[i] == UINT32_MAX && i < 3;
		taken += from[i] != UINT32_MAX;
	}
	assert_int_equal(kept, 3);
	assert_int_equal(taken, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bloom_bound),
	        cmocka_unit_test(bloom_merged),
	        cmocka_unit_test(bloom_twins),
	        cmocka_unit_test(cuckoo_bound),
	        cmocka_unit_test(cuckoo_worn),
	        cmocka_unit_test(cuckoo_limit),
	        cmocka_unit_test(cuckoo_merged),
	        cmocka_unit_test(countmin_bound),
	        cmocka_unit_test(countmin_full),
	        cmocka_unit_test(heavy_bound),
	        cmocka_unit_test(hll_bound),
	        cmocka_unit_test(hll_limit),
	        cmocka_unit_test(quantile_bound),
	        cmocka_unit_test(quantile_odd),
	        cmocka_unit_test(reservoir_even),
	        cmocka_unit_test(reservoir_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
