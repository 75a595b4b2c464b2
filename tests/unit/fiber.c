/* SPDX-License-Identifier: MIT */
/* fiber.c: stacks of their own: switches, other threads, registers, guards, memory. */
#include "engine/core/fiber.h"
#include "engine/core/mem.h"
#include "engine/core/sanitizers.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct counter {
	struct fiber f;
	uint64_t n, until;
	double sum;
	int asked;
};

static int ask(void *arg)
{
	struct counter *c = arg;

	assert_null(fiber_here());
	return ++c->asked;
}

/* Keeps integers and doubles in registers across waits. */
static void count(void *arg)
{
	struct counter *c = arg;
	double a = 0.5, b = 0.25;

	assert_ptr_equal(fiber_here(), &c->f);
	while (c->n < c->until) {
		uint64_t before = ++c->n;

		a += b;
		fiber_wait(&c->f);
		assert_int_equal(c->n, before);
		assert_int_equal(fiber_call(&c->f, ask, c), before);
		assert_ptr_equal(fiber_here(), &c->f);
	}
	c->sum = a;
}

static void waits_and_goes_on(void **state)
{
	struct weir_mem mem = {0};
	struct counter c[3] = {0};

	for (int i = 0; i < 3; i++) {
		c[i].until = 10 + (uint64_t)i;
		assert_int_equal(fiber_init(&c[i].f, &mem, 0, count, &c[i]), 0);
	}
	for (uint64_t k = 0; k < 13; k++)
		for (int i = 0; i < 3; i++) {
			if (c[i].f.ended)
				continue;
			assert_int_equal(fiber_resume(&c[i].f), 0);
			assert_null(fiber_here());
			assert_int_equal(c[i].n, k < c[i].until ? k + 1 : c[i].until);
		}
	assert_true(mem.used >= 3 * 4096);
	for (int i = 0; i < 3; i++) {
		assert_true(c[i].f.ended);
		assert_true(c[i].sum == 0.5 + 0.25 * (double)c[i].until);
		fiber_release(&c[i].f);
	}
	assert_int_equal(mem.used, 0);
}

static void *resume(void *arg)
{
	struct counter *c = arg;

	assert_int_equal(fiber_resume(&c->f), 0);
	return NULL;
}

/* A fiber goes on on whichever thread resumes it. */
static void other_threads(void **state)
{
	struct counter c = {.until = 50};

	assert_int_equal(fiber_init(&c.f, NULL, 0, count, &c), 0);
	for (int i = 0; i < 51; i++) {
		pthread_t t;

		assert_int_equal(pthread_create(&t, NULL, resume, &c), 0);
		pthread_join(t, NULL);
	}
	assert_true(c.f.ended);
	fiber_release(&c.f);
}

struct nest {
	struct fiber f;
	struct nest *inner;
	int depth;
};

static int run_inner(void *arg)
{
	struct nest *n = arg;

	while (!n->f.ended)
		if (fiber_resume(&n->f) < 0)
			return -1;
	return n->depth;
}

static void nest(void *arg)
{
	struct nest *n = arg;

	n->depth = n->inner ? fiber_call(&n->f, run_inner, n->inner) + 1 : 1;
	fiber_wait(&n->f);
}

/* A fiber that has its host run another one, and so on. */
static void nested(void **state)
{
	struct nest n[20] = {0};

	for (int i = 0; i < 20; i++) {
		n[i].inner = i < 19 ? &n[i + 1] : NULL;
		assert_int_equal(fiber_init(&n[i].f, NULL, 0, nest, &n[i]), 0);
	}
	assert_int_equal(run_inner(&n[0]), 20);
	for (int i = 0; i < 20; i++)
		fiber_release(&n[i].f);
}

#if !defined(WITH_ASAN) && !defined(WITH_TSAN)
struct deep {
	struct fiber f;
	size_t bytes;
};

static __attribute__((noinline)) int touch(size_t bytes)
{
	volatile char frame[512];

	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = 1;
	return bytes > sizeof frame ? touch(bytes - sizeof frame) + frame[0] : frame[0];
}

static void go_deep(void *arg)
{
	struct deep *d = arg;

	for (;;) {
		touch(d->bytes);
		fiber_wait(&d->f);
	}
}

/* So many that most lose their pages; all but the last one of them are then in use again, so that
 * it is the next. */
static void use_and_give_back(void)
{
	enum { N = 300 };
	static struct deep d[N];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < N - round; i++) {
			d[i].bytes = 1000;
			if (fiber_init(&d[i].f, NULL, 65536, go_deep, &d[i]) < 0 ||
			        fiber_resume(&d[i].f) < 0)
				_exit(1);
			if (round == 0 && i == N - 1)
				for (int k = 0; k < N; k++)
					fiber_release(&d[k].f);
		}
}

/* Whether going `bytes` deep on a stack of 64 KiB is SIGSEGV, also on one that is used `again`. In
 * a process of its own. */
static bool dies(size_t bytes, bool again)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct rlimit none = {0};
		struct deep d = {.bytes = bytes};

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		if (again)
			use_and_give_back();
		if (fiber_init(&d.f, NULL, 65536, go_deep, &d) == 0)
			fiber_resume(&d.f);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void guards(void **state)
{
	for (int again = 0; again < 2; again++) {
		assert_false(dies(50000, again));
		assert_true(dies(66000, again));
		stacks_guard(GUARD_PAGE);
		assert_false(dies(50000, again));
		assert_true(dies(66000, again));
		stacks_guard(GUARD_MARKER);
	}
}

/* Without a page: the one below notices, and so does the neighbour whose frames are gone. */
static void zones(void **state)
{
	struct deep d[3] = {{.bytes = 1000}, {.bytes = 1000}, {.bytes = 1000}};
	struct weir_mem mem = {0};
	struct stacks_info before, after;

	stacks_info(&before);
	stacks_guard(GUARD_ZONE);
	for (int i = 0; i < 3; i++) { /* of a size of their own: one beside the other */
		assert_int_equal(fiber_init(&d[i].f, &mem, 32768, go_deep, &d[i]), 0);
		assert_int_equal(fiber_resume(&d[i].f), 0);
	}
	assert_int_equal(d[1].f.stack.low - d[0].f.stack.low, 32768);
	d[1].bytes = 29000;
	assert_int_equal(fiber_resume(&d[1].f), 0);
	d[1].bytes = 33000;
	assert_int_equal(fiber_resume(&d[1].f), -EFAULT);
	assert_int_equal(fiber_resume(&d[0].f), -EFAULT);
	assert_int_equal(fiber_resume(&d[2].f), 0);
	for (int i = 0; i < 3; i++)
		fiber_release(&d[i].f);
	assert_int_equal(mem.used, 0);
	stacks_info(&after);
	assert_int_equal(after.inuse, before.inuse + 2); /* the two are not used again */
	stacks_guard(GUARD_MARKER);
}

/* What is touched is counted, and limited. */
static void counted(void **state)
{
	struct weir_mem mem = {.limit = 100000};
	struct deep d = {.bytes = 100}, e = {.bytes = 100};

	assert_int_equal(fiber_init(&d.f, &mem, 1 << 20, go_deep, &d), 0);
	assert_int_equal(fiber_resume(&d.f), 0);
	assert_int_equal(mem.used, 4096);
	d.bytes = 50000;
	for (int i = 2; i <= 8; i++) /* counted at 2, 8, 32 … */
		assert_int_equal(fiber_resume(&d.f), 0);
	assert_in_range(mem.used, 50000, 50000 + 3 * 4096);
	d.bytes = 200000;
	for (int i = 9; i <= 31; i++)
		assert_int_equal(fiber_resume(&d.f), 0);
	assert_int_equal(fiber_resume(&d.f), -ENOMEM);
	assert_int_equal(mem.denied, 1);
	fiber_release(&d.f);
	assert_int_equal(mem.used, 0);
	mem.limit = 4000;
	assert_int_equal(fiber_init(&e.f, &mem, 0, go_deep, &e), -ENOMEM);
	fiber_release(&e.f);
}

static void spin(void *arg)
{
	for (;;)
		fiber_wait(arg);
}

static void speed(void **state)
{
	enum { N = 1000000 };
	struct timespec a, b;
	struct fiber f;

	assert_int_equal(fiber_init(&f, NULL, 0, spin, &f), 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < N; i++)
		fiber_resume(&f);
	clock_gettime(CLOCK_MONOTONIC, &b);
	print_message("# there and back: %.1f ns\n",
	        ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / N);
	fiber_release(&f);
}
#endif

/* Stacks are used again; what many left is given back. */
static void recycled(void **state)
{
	enum { N = 5000 };
	static struct counter c[N];
	struct weir_mem mem = {0};
	struct stacks_info before, info;
	char *low;

	stacks_info(&before);
	for (int round = 0; round < 3; round++) {
		memset(c, 0, sizeof c);
		for (int i = 0; i < N; i++) {
			c[i].until = 2;
			assert_int_equal(fiber_init(&c[i].f, &mem, 0, count, &c[i]), 0);
			assert_int_equal(fiber_resume(&c[i].f), 0);
		}
		stacks_info(&info);
		assert_int_equal(info.inuse - before.inuse, N);
		for (int k = 0; k < 2; k++)
			for (int i = N - 1; i >= 0; i--)
				assert_int_equal(fiber_resume(&c[i].f), 0);
		for (int i = 0; i < N; i++) {
			assert_true(c[i].f.ended);
			fiber_release(&c[i].f);
		}
		assert_int_equal(mem.used, 0);
		stacks_info(&info);
		assert_int_equal(info.inuse, before.inuse);
		assert_true(info.slabs <= before.slabs + 1);
	}
	c[0] = c[1] = (struct counter){.until = 1};
	assert_int_equal(fiber_init(&c[0].f, &mem, 0, count, &c[0]), 0);
	low = c[0].f.stack.low;
	fiber_release(&c[0].f);
	assert_int_equal(fiber_init(&c[1].f, &mem, 0, count, &c[1]), 0);
	assert_ptr_equal(c[1].f.stack.low, low);
	fiber_release(&c[1].f);
}

static void *take_one(void *arg)
{
	struct weir_mem mem = {0};
	struct stack s = {0};

	assert_int_equal(stack_take(&s, &mem, 65536), 0);
	stack_give(&s);
	return arg;
}

/* The first stacks of a process, by two threads: for ThreadSanitizer, so it stands first. */
static void first_of_two_threads(void **state)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, take_one, NULL), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_of_two_threads),
		cmocka_unit_test(waits_and_goes_on),
		cmocka_unit_test(other_threads),
		cmocka_unit_test(nested),
#if !defined(WITH_ASAN) && !defined(WITH_TSAN)
		cmocka_unit_test(guards),
		cmocka_unit_test(zones),
		cmocka_unit_test(counted),
		cmocka_unit_test(speed),
#endif
		cmocka_unit_test(recycled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
