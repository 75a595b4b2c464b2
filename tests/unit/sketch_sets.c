/* SPDX-License-Identifier: MIT */
/* sketch_sets.c: the filters against exact sets, over 100 seeds: they never forget, and seldom take
 * a new hash for a known one. Merged parts must keep the same promises. */
#include "engine/sketch/bloom.h"
#include "engine/sketch/cuckoo.h"
#include "tests/unit/sketch_test.h"

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

/* lgamma() would leave the sign in a global, which threads share. */
static void bloom_error_has_no_global(void **state)
{
	struct weir_mem mem = {0};
	struct bloom b;

	assert_int_equal(bloom_init(&b, &mem, 4096), 0);
	signgam = 7;
	assert_true(bloom_error(&b, 1000) > 0);
	assert_int_equal(signgam, 7);
	bloom_release(&b);
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
		assert_true(new >= (int)(0.92 * (4 << 16)));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bloom_bound),
	        cmocka_unit_test(bloom_error_has_no_global),
	        cmocka_unit_test(bloom_merged),
	        cmocka_unit_test(bloom_twins),
	        cmocka_unit_test(cuckoo_bound),
	        cmocka_unit_test(cuckoo_worn),
	        cmocka_unit_test(cuckoo_limit),
	        cmocka_unit_test(cuckoo_merged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
