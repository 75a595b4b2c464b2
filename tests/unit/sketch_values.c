/* SPDX-License-Identifier: MIT */
/* sketch_values.c: quantiles against sorted values, over 100 seeds; a reservoir is even. Merged
 * parts too. */
#include "engine/sketch/quantile.h"
#include "engine/sketch/reservoir.h"
#include "tests/unit/sketch_test.h"

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
	        cmocka_unit_test(quantile_bound),
	        cmocka_unit_test(quantile_odd),
	        cmocka_unit_test(reservoir_even),
	        cmocka_unit_test(reservoir_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
