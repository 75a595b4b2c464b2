/* SPDX-License-Identifier: MIT */
/* sketch_counts.c: counting sketches against exact counts, over 100 seeds: what they promise never
 * to do, and the probability of what they may do. Merged parts must keep the same promises. */
#include "engine/sketch/countmin.h"
#include "engine/sketch/heavy.h"
#include "engine/sketch/hll.h"
#include "tests/unit/sketch_test.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(countmin_bound),
	        cmocka_unit_test(countmin_full),
	        cmocka_unit_test(heavy_bound),
	        cmocka_unit_test(hll_bound),
	        cmocka_unit_test(hll_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
