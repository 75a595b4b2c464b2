/* SPDX-License-Identifier: MIT */
/* feed_queue.c: a feed at the limits of its queues, and what it says is worked off: its links moved
 * by hand, step by step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/core/feed_parts.h"

#define BATCHES 64 /* of ROWS */
#define ROWS 100
#define DEADLINE 30 /* s */

/* ---- a source of numbers, that remembers what was taken ---- */

struct source_state {
	uint64_t next;
};

static uint64_t settled;

static int number_open(struct weir_reader *r, struct weir_err *err)
{
	static const struct weir_field f[] = {{.name = "n", .kind = WEIR_U64}};

	r->once = r->remembers = true;
	r->schema = weir_schema_new("number", f, 1);
	return r->schema ? 0 : -ENOMEM;
}

static int number_read(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err)
{
	struct source_state *s = r->state;
	struct weir_batch *b = s->next < BATCHES * ROWS ? weir_source_batch(r) : NULL;
	struct weir_col *c = NULL;

	if (s->next == BATCHES * ROWS)
		return 0;
	if (b) {
		b->n = b->nsel = ROWS;
		c = weir_batch_own(b, 0);
	}
	if (!c) {
		weir_batch_unref(b);
		return -ENOMEM;
	}
	for (int i = 0; i < ROWS; i++)
		((uint64_t *)c->data)[i] = s->next++;
	*ret = b;
	return 1;
}

static void number_taken(struct weir_reader *r, uint64_t batches)
{
	settled = batches;
}

static const struct weir_source numbers = {.abi = WEIR_ABI,
        .name = "numbers",
        .reader_size = sizeof(struct source_state),
        .open = number_open,
        .read = number_read,
        .taken = number_taken};

/* ---- a query's end ---- */

struct taker {
	struct feed_link link;
	struct reader *reader;
	struct weir_mem mem;
	struct faults faults;
	uint64_t next; /* number that it expects */
};

static void wake(void *arg)
{
}

static struct feed *make(struct weir_mem *mem)
{
	struct rights all = {.all = true};
	struct reader *r;
	struct feed *f;

	settled = 0;
	assert_int_equal(reader_open(&numbers, NULL, &all, NULL, mem, NULL, &r, NULL), 0);
	f = feed_new(r, 0);
	assert_non_null(f);
	return f;
}

static void join(struct taker *t, struct feed *f)
{
	*t = (struct taker){.link = {.feed = f, .name = "numbers", .wake = wake}};
	faults_init(&t->faults);
	t->link.mem = &t->mem;
	t->link.faults = &t->faults;
	pthread_mutex_init(&t->link.lock, NULL);
	assert_int_equal(feed_open(&t->link, NULL, &t->reader, NULL), 0);
	assert_int_equal(feed_join(&t->link), 0);
	t->next = (t->link.begins - 1);
}

/* Takes so many batches, which have to come in order; fewer only at the end. How many. */
static uint32_t take(struct taker *t, uint32_t most)
{
	int64_t late = now_ns(CLOCK_MONOTONIC) + DEADLINE * 1000000000ll;
	uint32_t n = 0;

	while (n < most) {
		struct weir_batch *b = NULL;
		int r = t->reader->source->read(&t->reader->pub, &b, NULL);

		if (r == 0)
			break;
		if (r == -EAGAIN) {
			assert_true(now_ns(CLOCK_MONOTONIC) < late);
			usleep(100);
			continue;
		}
		assert_int_equal(r, 1);
		for (uint32_t i = 0; i < weir_batch_count(b); i++)
			assert_int_equal(weir_col_u64(weir_batch_col(b, 0))[i], t->next++);
		weir_batch_unref(b);
		n++;
	}
	return n;
}

static void leave(struct taker *t)
{
	reader_close(t->reader);
	feed_link_release(&t->link);
	faults_release(&t->faults);
	assert_int_equal(t->mem.used, 0);
}

#define UNTIL(f, what)                                                                             \
	do {                                                                                       \
		int64_t late = now_ns(CLOCK_MONOTONIC) + DEADLINE * 1000000000ll;                  \
		bool is = false;                                                                   \
                                                                                                   \
		while (!is) {                                                                      \
			pthread_mutex_lock(&(f)->lock);                                            \
			is = (what);                                                               \
			pthread_mutex_unlock(&(f)->lock);                                          \
			if (!is && now_ns(CLOCK_MONOTONIC) > late)                                 \
				fail_msg("not after %d s: %s", DEADLINE, #what);                   \
			if (!is)                                                                   \
				usleep(100);                                                       \
		}                                                                                  \
	} while (0)

/* A query whose queue is full goes on just when a batch is on its way to another one. */
static void full_again(void **state)
{
	struct weir_mem mem = {0};
	struct feed *f = make(&mem);
	struct taker a, b;

	join(&a, f);
	UNTIL(f, a.link.n == FEED_QUEUE && f->waiting);
	feed_pause(&a.link, true);
	join(&b, f);
	UNTIL(f, b.link.n == FEED_QUEUE && f->waiting);
	/* as if feed_pause() had come first to this lock, which is wanted next */
	pthread_mutex_lock(&f->trunk_lock);
	assert_int_equal(take(&b, FEED_QUEUE), FEED_QUEUE);
	UNTIL(f, f->next.batch && !f->waiting);
	pthread_mutex_lock(&f->lock);
	a.link.paused = a.link.end.passed_over = false;
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_unlock(&f->trunk_lock);
	UNTIL(f, f->waiting);
	assert_int_equal(a.link.n, FEED_QUEUE);
	assert_int_equal(b.link.n, 0);
	assert_int_equal(take(&a, FEED_QUEUE), FEED_QUEUE);
	assert_int_equal(a.next, FEED_QUEUE * ROWS);
	assert_int_equal(a.link.skipped, FEED_QUEUE * ROWS);
	a.next += a.link.skipped;
	for (uint32_t n = 2 * FEED_QUEUE; n < BATCHES; n++) {
		assert_int_equal(take(&a, 1), 1);
		assert_int_equal(take(&b, 1), 1);
	}
	assert_int_equal(take(&a, 1) + take(&b, 1), 0);
	leave(&a);
	leave(&b);
	feed_free(f);
	assert_int_equal(mem.used, 0);
}

/* All leave, or pause, while a batch is on its way: it is there for who comes. */
static void nobody_there(void **state)
{
	struct weir_mem mem = {0};
	struct feed *f = make(&mem);
	struct taker a;

	join(&a, f);
	UNTIL(f, a.link.n == FEED_QUEUE && f->waiting);
	pthread_mutex_lock(&f->trunk_lock);
	assert_int_equal(take(&a, FEED_QUEUE), FEED_QUEUE);
	UNTIL(f, f->next.batch && !f->waiting);
	pthread_mutex_lock(&f->lock);
	a.link.paused = a.link.end.passed_over = true;
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_unlock(&f->trunk_lock);
	UNTIL(f, f->waiting);
	feed_pause(&a.link, false);
	assert_int_equal(take(&a, BATCHES), BATCHES - FEED_QUEUE);
	assert_int_equal(a.link.skipped, 0);
	leave(&a);
	feed_free(f);
}

/* What the last query had in hand when it went is taken only where it says so. */
static void in_hand(void **state)
{
	for (int took = 0; took < 2; took++) {
		struct weir_mem mem = {0};
		struct feed *f = make(&mem);
		struct taker a;

		join(&a, f);
		assert_int_equal(take(&a, 3), 3);
		if (took)
			feed_took(&a.link);
		feed_leave(&a.link);
		leave(&a);
		feed_free(f);
		assert_int_equal(settled, 2 + took);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(full_again),
	        cmocka_unit_test(nobody_there),
	        cmocka_unit_test(in_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
