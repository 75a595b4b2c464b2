/* SPDX-License-Identifier: MIT */
/* tails.c: pages of growing arrays that somebody else asks for. */
#include "engine/core/tails.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "engine/core/grow.h"
#include "engine/core/mem.h"

#define MB ((size_t)1 << 20)
#define PAGE 4096u

/* Pages of p[0 … size) that are there. */
static size_t resident(void *p, size_t size)
{
	static unsigned char there[64 * MB / PAGE];
	size_t n = 0;

	assert_true(size / PAGE <= sizeof there);
	assert_int_equal(mincore(p, size, there), 0);
	for (size_t i = 0; i < size / PAGE; i++)
		n += there[i] & 1;
	return n;
}

static void are_touched_by_steps(void **state)
{
	struct weir_mem mem = {0}, part = {.parent = &mem};
	struct tails tails;
	size_t size = 0, small = 0;
	uint32_t steps = 0;
	char *p, *q;

	tails_init(&tails, &mem);
	assert_false(tails_step(&tails));
	q = grow(&part, NULL, &small, 1000);
	assert_non_null(q);
	assert_false(tails_step(&tails)); /* of the heap */
	p = grow(&part, NULL, &size, 10 * MB);
	assert_non_null(p);
	assert_int_equal(size, 10 * MB);
	assert_int_equal(resident(p, size), 0);
	while (tails_step(&tails))
		steps++;
	if (tails.off) { /* before Linux 5.14 nothing has come of it */
		assert_int_equal(steps, 0);
	} else {
		assert_int_equal(steps, 5);
		assert_int_equal(resident(p, size), size / PAGE);
	}
	for (size_t i = 0; i < size; i += PAGE)
		assert_int_equal(p[i], 0);
	grow_free(&part, p, size);
	grow_free(&part, q, small);
	tails_release(&tails, &mem);
	assert_null(mem.tails);
	assert_int_equal(mem.used, 0);
}

/* Only what has been added; what was there keeps its bytes. Freed: nothing is left to be done. */
static void move_with_the_array(void **state)
{
	struct weir_mem mem = {0};
	struct tails tails;
	size_t size = 0;
	uint32_t steps = 0;
	char *p;

	tails_init(&tails, &mem);
	p = grow(&mem, NULL, &size, 4 * MB);
	assert_non_null(p);
	memset(p, 7, size);
	p = grow(&mem, p, &size, 12 * MB);
	assert_non_null(p);
	assert_int_equal(tails.n, 1);
	while (tails_step(&tails))
		steps++;
	assert_true(tails.off || steps == 4);
	for (size_t i = 0; i < size; i += PAGE)
		assert_int_equal(p[i], i < 4 * MB ? 7 : 0);
	p = grow(&mem, p, &size, 40 * MB);
	assert_non_null(p);
	grow_free(&mem, p, size);
	assert_int_equal(tails.n, 0);
	assert_false(tails_step(&tails));
	p = grow(&mem, NULL, (size = 0, &size), 4 * MB);
	tails_forget(&tails);
	assert_false(tails_step(&tails));
	grow_free(&mem, p, size);
	tails_release(&tails, &mem);
}

/* More arrays than there are places for: those are touched by who uses them. */
static void are_few(void **state)
{
	struct weir_mem mem = {0};
	struct tails tails;
	void *p[TAILS_MAX + 3];
	size_t size[TAILS_MAX + 3] = {0};

	tails_init(&tails, &mem);
	for (int i = 0; i < TAILS_MAX + 3; i++) {
		p[i] = grow(&mem, NULL, &size[i], 2 * MB);
		assert_non_null(p[i]);
	}
	assert_true(tails.off || tails.n == TAILS_MAX);
	for (int i = 0; i < TAILS_MAX + 3; i++)
		grow_free(&mem, p[i], size[i]);
	assert_int_equal(tails.n, 0);
	tails_release(&tails, &mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(are_touched_by_steps),
	        cmocka_unit_test(move_with_the_array),
	        cmocka_unit_test(are_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
