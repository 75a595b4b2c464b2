/* SPDX-License-Identifier: MIT */
/* slab.c: pieces of huge pages: apart from each other, used again, and given back. */
#include "engine/core/slab.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "engine/core/mem.h"
#include "engine/core/sanitizers.h"

#define REGION ((uintptr_t)2 << 20)
#define UNIT (REGION / 64)
#define PIECES 300
#define THREADS 4
#if defined(WITH_ASAN) || defined(WITH_TSAN)
#define ROUNDS 2000
#else
#define ROUNDS 20000
#endif

struct piece {
	uint8_t *p;
	size_t size;
	uint8_t with;
};

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Its first and last bytes, and some between, are what was written there. */
static void look_at(const struct piece *a)
{
	for (size_t i = 0; i < a->size; i += 4093)
		assert_int_equal(a->p[i], a->with);
	assert_int_equal(a->p[a->size - 1], a->with);
}

static void take(struct piece *a, uint64_t *seed)
{
	a->size = SLAB_MIN + next(seed) % (SLAB_MAX - SLAB_MIN + 1);
	a->with = (uint8_t)next(seed);
	a->p = slab_get(a->size);
	assert_non_null(a->p);
	assert_int_equal((uintptr_t)a->p % 16, 0);
	memset(a->p, a->with, a->size);
}

static void *turn_over(void *arg)
{
	struct piece piece[PIECES / THREADS] = {0};
	uint64_t seed = (uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct piece *a = &piece[next(&seed) % (PIECES / THREADS)];

		if (a->p) {
			look_at(a);
			slab_put(a->p, a->size);
			a->p = NULL;
		} else if (next(&seed) % 4) {
			take(a, &seed);
		}
	}
	for (int i = 0; i < PIECES / THREADS; i++) {
		if (piece[i].p)
			look_at(&piece[i]);
		slab_put(piece[i].p, piece[i].size);
	}
	return NULL;
}

static void are_apart(void **state)
{
	pthread_t t[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, turn_over, (void *)(i + 77)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

#ifndef WITH_ASAN /* which has them of the heap */
static bool is_mapped(uintptr_t region)
{
	unsigned char there[REGION / 4096];

	return mincore((void *)region, REGION, there) == 0 || errno != ENOMEM;
}

/* What is given back is what the next one gets; empty regions go, but two: the first, and one more.
 */
static void are_given_back(void **state)
{
	void *p[PIECES];
	uintptr_t region[PIECES];
	uint32_t n = 0, mapped = 0;

	for (int i = 0; i < PIECES; i++) {
		p[i] = slab_get(SLAB_MAX);
		assert_non_null(p[i]);
		region[i] = (uintptr_t)p[i] & ~(REGION - 1);
		assert_int_not_equal(region[i], (uintptr_t)p[i]); /* the record is in front */
		n += i == 0 || region[i] != region[i - 1];
	}
	assert_int_equal(n, PIECES); /* one fits into a region */
	slab_put(p[7], SLAB_MAX);
	assert_ptr_equal(slab_get(SLAB_MAX), p[7]);
	for (int i = 0; i < PIECES; i++)
		slab_put(p[i], SLAB_MAX);
	for (int i = 0; i < PIECES; i++)
		mapped += is_mapped(region[i]);
	assert_true(mapped <= 2);
	/* 12 pieces of 5 units fit into one, and 3 units more */
	for (int i = 0; i < 12; i++)
		p[i] = slab_get(SLAB_MIN);
	for (int i = 1; i < 12; i++)
		assert_int_equal((uintptr_t)p[i] & ~(REGION - 1), (uintptr_t)p[0] & ~(REGION - 1));
	p[12] = slab_get(SLAB_MIN);
	assert_int_not_equal((uintptr_t)p[12] & ~(REGION - 1), (uintptr_t)p[0] & ~(REGION - 1));
	for (int i = 0; i < 13; i++)
		slab_put(p[i], SLAB_MIN);
}
#endif

/* Through the account: sizes on both sides of both limits, grown and made smaller. */
static void account(void **state)
{
	static const size_t sizes[] = {
	        1, SLAB_MIN - 1, SLAB_MIN, SLAB_MIN + UNIT, SLAB_MAX, SLAB_MAX + 1, 3 * SLAB_MAX};
	enum { N = sizeof sizes / sizeof *sizes };
	struct weir_mem m = {0};

	for (int i = 0; i < N; i++)
		for (int k = 0; k < N; k++) {
			size_t least = sizes[i] < sizes[k] ? sizes[i] : sizes[k];
			uint8_t *p = weir_alloc(&m, sizes[i]), *q;

			assert_non_null(p);
			memset(p, 0x5a, sizes[i]);
			q = weir_realloc(&m, p, sizes[i], sizes[k]);
			assert_non_null(q);
			assert_int_equal(m.used, sizes[k]);
			for (size_t at = 0; at < least; at++)
				if (q[at] != 0x5a)
					fail();
			weir_free(&m, q, sizes[k]);
			q = weir_calloc(&m, sizes[k]);
			assert_non_null(q);
			for (size_t at = 0; at < sizes[k]; at++)
				if (q[at])
					fail();
			weir_free(&m, q, sizes[k]);
			assert_int_equal(m.used, 0);
		}
	m.limit = SLAB_MAX;
	assert_null(weir_alloc(&m, SLAB_MAX + 1));
	assert_int_equal(m.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef WITH_ASAN
	        cmocka_unit_test(are_given_back),
#endif
	        cmocka_unit_test(are_apart),
	        cmocka_unit_test(account),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
