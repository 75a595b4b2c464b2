/* SPDX-License-Identifier: MIT */
/* feed.c: many queries on one pipe: each gets every record from its start on, in order, whoever
 * else is slow, paused, removed or ended.
 */
#include "engine/core/feed_parts.h"
#include "tests/unit/on_pipe.h"

/* ---- queries that check what they get ---- */

struct tally {
	struct query *q;
	uint32_t n, first, next, gaps, doubles; /* atomic */
	pthread_mutex_t lock;
	pthread_cond_t go;
	bool held; /* protected by lock: the sink waits */
};

static int on_schema(void *arg, const struct weir_schema *s, const uint32_t *shown, uint32_t n)
{
	return 0;
}

static int on_rows(void *arg, struct weir_batch *b)
{
	struct tally *t = arg;
	const struct weir_col *c;

	if (!b)
		return 0;
	c = weir_batch_col(b, (uint32_t)weir_schema_find(b->schema, "len", 3));
	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		uint32_t v = (uint32_t)weir_col_u64(c)[weir_batch_row(b, k)];

		if (!t->n)
			t->first = v;
		else if (v != t->next)
			t->gaps++;
		t->doubles += v < t->next;
		t->next = v + 1;
		__atomic_add_fetch(&t->n, 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_lock(&t->lock);
	while (t->held)
		pthread_cond_wait(&t->go, &t->lock);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static void hold(struct tally *t, bool held)
{
	pthread_mutex_lock(&t->lock);
	t->held = held;
	pthread_cond_broadcast(&t->go);
	pthread_mutex_unlock(&t->lock);
}

static void start(struct tally *t, struct in *in, const char *spec, bool held)
{
	struct query_sink sink = {on_rows, t};
	struct cred who = {.uid = getuid(), .gid = getgid()};
	struct weir_err err = WEIR_ERR_INIT;

	*t = (struct tally){
	        .lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER, .held = held};
	if (query_run_to(in->e, spec, strlen(spec), &who, on_schema, &sink, &t->q, &err) < 0)
		fail_msg("%s: %s", spec, err.text);
}

static uint32_t count(const struct tally *t)
{
	return __atomic_load_n(&t->n, __ATOMIC_ACQUIRE);
}

static bool says(struct query *q, const char *what, const char *text)
{
	struct text to = TEXT_INIT;
	bool r;

	assert_int_equal(query_text(q, what, &to), 0);
	r = to.p && strstr(to.p, text);
	text_release(&to);
	return r;
}

static bool log_says(struct query *q, const char *text)
{
	char got[4096] = "";

	assert_true(textlog_read(query_textlog(q), 0, got, sizeof got - 1) >= 0);
	return strstr(got, text);
}

static bool source_says(struct in *in, const char *what, const char *text)
{
	struct text to = TEXT_INIT;
	bool r;

	assert_int_equal(engine_source_text(in->e, 0, what, &to), 0);
	r = to.p && strstr(to.p, text);
	text_release(&to);
	return r;
}

#define UNTIL(what)                                                                                \
	do {                                                                                       \
		int64_t late = now_ns(CLOCK_MONOTONIC) + DEADLINE * 1000000000ll;                  \
                                                                                                   \
		while (!(what)) {                                                                  \
			if (now_ns(CLOCK_MONOTONIC) > late)                                        \
				fail_msg("not after %d s: %s", DEADLINE, #what);                   \
			usleep(1000);                                                              \
		}                                                                                  \
	} while (0)

static void expect(struct tally *t, uint32_t first, uint32_t n)
{
	assert_int_equal(query_wait(t->q), QUERY_DONE);
	assert_int_equal(count(t), n);
	assert_int_equal(t->first, n ? first : 0);
	assert_int_equal(t->gaps, 0);
	query_unref(t->q);
}

static void finish(struct in *in)
{
	end_input(in);
	engine_free(in->e);
}

/* ---- */

static void *write_many(void *arg)
{
	packets(arg, 100000);
	end_input(arg);
	return NULL;
}

static void several(void **state)
{
	struct tally t[4];
	struct in in;
	pthread_t writer;

	begin(&in);
	start(&t[0], &in, "net | print len", false);
	start(&t[1], &in, "net | print len", false);
	start(&t[2], &in, "packets | where len < 50000 | print len", false);
	start(&t[3], &in, "net | head 3", false);
	pthread_create(&writer, NULL, write_many, &in);
	pthread_join(writer, NULL);
	expect(&t[0], 0, 100000);
	expect(&t[1], 0, 100000);
	expect(&t[2], 0, 50000);
	expect(&t[3], 0, 3);
	assert_true(source_says(&in, "stats", "records: 100000\n"));
	assert_true(source_says(&in, "stats", "bytes: 8000024\n"));
	assert_true(source_says(&in, "info", "state: ended\n"));
	finish(&in);
}

static void late(void **state)
{
	struct tally a, b, c;
	struct in in;

	begin(&in);
	start(&a, &in, "net | print len", false);
	packets(&in, 3000);
	UNTIL(count(&a) == 3000);
	start(&b, &in, "net | print len", false);
	assert_true(log_says(b.q, " net: begins at record 3001\n"));
	assert_true(says(b.q, "status", "\nnet: begins at record 3001\n"));
	assert_false(says(a.q, "status", "begins"));
	packets(&in, 3000);
	end_input(&in);
	expect(&a, 0, 6000);
	expect(&b, 3000, 3000);
	start(&c, &in, "net | print len", false);
	assert_true(log_says(c.q, " net: had ended after 6000 records\n"));
	assert_true(says(c.q, "status", "\nnet: had ended after 6000 records\n"));
	expect(&c, 0, 0);
	finish(&in);
}

/* One that does not take its batches holds the others back, within bounds; once removed, or
 * stopped, it does not, wherever it hangs. */
static void slow(void **state)
{
	struct tally a, b, c;
	struct in in;
	pthread_t writer;

	begin(&in);
	start(&a, &in, "net | print len", true);
	start(&c, &in, "set memory 1MB net | print len", false);
	start(&b, &in, "net | print len", false);
	pthread_create(&writer, NULL, write_many, &in);
	UNTIL(count(&a) && count(&b) && count(&b) == count(&c) &&
	        source_says(&in, "info", "waits for queries\n"));
	assert_in_range(count(&b), 1, (FEED_QUEUE + 1) * WEIR_BATCH_ROWS);
	query_remove(a.q);
	UNTIL(count(&b) == 100000);
	pthread_join(writer, NULL);
	expect(&b, 0, 100000);
	expect(&c, 0, 100000);
	hold(&a, false);
	assert_int_equal(query_wait(a.q), QUERY_STOPPED);
	query_unref(a.q);
	finish(&in);
}

static void control(struct tally *t, const char *command)
{
	assert_int_equal(query_control(t->q, command, strlen(command), NULL, NULL), 0);
}

static void paused(void **state)
{
	struct tally a, b;
	struct in in;

	begin(&in);
	start(&a, &in, "net | print len", false);
	start(&b, &in, "net | print len", false);
	control(&a, "pause");
	UNTIL(query_state(a.q) == QUERY_PAUSED);
	packets(&in, 5000);
	UNTIL(count(&b) == 5000);
	assert_true(says(a.q, "status", "net.skipped: 5000\n"));
	control(&a, "refresh"); /* wakes it up, for that alone */
	packets(&in, 500);
	UNTIL(count(&b) == 5500);
	assert_int_equal(count(&a), 0);
	/* both: nothing is lost */
	control(&b, "pause");
	UNTIL(query_state(b.q) == QUERY_PAUSED);
	packets(&in, 500);
	control(&a, "resume");
	UNTIL(count(&a) == 500);
	assert_true(says(a.q, "status", "net.skipped: 5500\n"));
	control(&b, "resume");
	UNTIL(query_state(b.q) == QUERY_RUNNING);
	packets(&in, 1);
	end_input(&in);
	expect(&a, 5500, 501);
	assert_int_equal(query_wait(b.q), QUERY_DONE);
	assert_int_equal(count(&b), 5501);
	assert_int_equal(b.gaps, 1);
	query_unref(b.q);
	finish(&in);
}

/* It goes on while it still answers what it was asked for while it was paused. */
static void resumed(void **state)
{
	struct tally a;
	struct in in;

	begin(&in);
	start(&a, &in, "net | group count() as len", false);
	packets(&in, 10);
	UNTIL(says(a.q, "status", "\nrecords: 10\n"));
	control(&a, "pause");
	UNTIL(query_state(a.q) == QUERY_PAUSED);
	hold(&a, true);
	control(&a, "flush");
	UNTIL(count(&a) == 1);
	control(&a, "resume");
	hold(&a, false);
	UNTIL(query_state(a.q) == QUERY_RUNNING);
	packets(&in, 5);
	UNTIL(says(a.q, "status", "\nrecords: 15\n"));
	assert_false(says(a.q, "status", "skipped"));
	end_input(&in);
	assert_int_equal(query_wait(a.q), QUERY_DONE);
	assert_int_equal(a.first, 10);
	assert_int_equal(a.next, 5 + 1);
	query_unref(a.q);
	finish(&in);
}

static bool is_pressed(struct weir_reader *r)
{
	return true;
}

/* Who goes without what it has no room for has the rest once, also where stages are run for it. */
static void without(void **state)
{
	struct weir_source pressed;
	struct tally t[2];
	struct in in;

	begin(&in);
	pressed = *in.e->mounted[0]->source;
	pressed.pressed = is_pressed;
	in.e->mounted[0]->source = in.e->mounted[0]->feed->reader->source = &pressed;
	for (int i = 0; i < 2; i++)
		start(&t[i], &in, "set shed drop net | where len < 200000 | print len", true);
	assert_true(source_says(&in, "info", "\nshared: 2 queries: "));
	write_many(&in);
	UNTIL(source_says(&in, "stats", "records: 100000\n"));
	for (int i = 0; i < 2; i++) {
		char line[64];

		hold(&t[i], false);
		assert_int_equal(query_wait(t[i].q), QUERY_DONE);
		assert_in_range(count(&t[i]), 1, (FEED_QUEUE + 1) * WEIR_BATCH_ROWS);
		assert_int_equal(t[i].doubles, 0);
		snprintf(line, sizeof line, "net.shed: %u\n", 100000 - count(&t[i]));
		assert_true(says(t[i].q, "status", line));
		snprintf(line, sizeof line, "\nrecords: %u\n", count(&t[i]));
		assert_true(says(t[i].q, "status", line));
		query_unref(t[i].q);
	}
	finish(&in);
}

/* While nobody asks, nothing is read. */
static void nobody(void **state)
{
	struct tally a, b;
	struct in in;

	begin(&in);
	packets(&in, 500);
	start(&a, &in, "net | print len", false);
	UNTIL(count(&a) == 500);
	control(&a, "stop");
	assert_int_equal(query_wait(a.q), QUERY_STOPPED);
	query_unref(a.q);
	packets(&in, 600);
	assert_true(source_says(&in, "stats", "records: 500\n"));
	start(&b, &in, "net | print len", false);
	assert_true(log_says(b.q, "begins at record 501\n"));
	end_input(&in);
	expect(&b, 500, 600);
	finish(&in);
}

/* A query that was removed is not brought back, and the source waits for no run of it. */
static void removed(void **state)
{
	static const char spec[] = "net | print len";
	struct weir_err err = WEIR_ERR_INIT;
	struct tally a;
	struct in in;

	begin(&in);
	start(&a, &in, spec, false);
	packets(&in, 500);
	UNTIL(count(&a) == 500);
	query_remove(a.q);
	assert_int_equal(query_replace(a.q, spec, strlen(spec), NULL, &err), -ENOENT);
	assert_string_equal(err.text, "q1: the query was removed");
	assert_int_equal(query_control(a.q, "restart", 7, NULL, NULL), -ENOENT);
	assert_int_equal(query_wait(a.q), QUERY_STOPPED);
	assert_int_equal(query_run(a.q), 1);
	assert_true(source_says(&in, "info", "state: waits for queries\nqueries: 0\n"));
	query_unref(a.q);
	finish(&in);
}

/* Commands, and the end of all, reach a query whose source is silent. */
static void silent(void **state)
{
	struct tally a, b;
	struct in in;
	int64_t t;

	begin(&in);
	start(&a, &in, "net | print len", false);
	start(&b, &in, "net | print len", false);
	packets(&in, 1);
	UNTIL(count(&a) == 1 && count(&b) == 1);
	t = now_ns(CLOCK_MONOTONIC);
	control(&a, "stop");
	assert_int_equal(query_wait(a.q), QUERY_STOPPED);
	query_unref(a.q);
	query_unref(b.q);
	engine_free(in.e);
	assert_true(now_ns(CLOCK_MONOTONIC) - t < 5000000000);
	end_input(&in);
}

static void faulty(void **state)
{
	static const uint32_t rec[4] = {1600000000, 0, 64, 0};
	struct tally a, b;
	struct in in;

	begin(&in);
	start(&a, &in, "net | print len", false);
	start(&b, &in, "net | print len", false);
	packets(&in, 10);
	put(&in, rec, sizeof rec);
	end_input(&in);
	query_ref(a.q);
	query_ref(b.q);
	expect(&a, 0, 10);
	expect(&b, 0, 10);
	assert_true(says(a.q, "status", "fault: - at byte 824: the file ends within a packet"));
	assert_true(says(b.q, "status", "fault: - at byte 824: the file ends within a packet"));
	assert_true(source_says(&in, "info", "fault: - at byte 824"));
	query_unref(a.q);
	query_unref(b.q);
	finish(&in);
}

/* ---- a source of other records, whose columns are filled late ---- */

static int fill(struct weir_batch *b, uint32_t field)
{
	struct weir_col *c = weir_batch_own(b, field);

	for (uint32_t i = 0; c && i < b->n; i++)
		((uint64_t *)c->data)[i] = b->token + i;
	return c ? 0 : -ENOMEM;
}

static const struct weir_batch_ops number_ops = {.fill = fill};

static int number_open(struct weir_reader *r, struct weir_err *err)
{
	static const struct weir_field f[] = {{.name = "n", .kind = WEIR_U64}};

	r->schema = weir_schema_new("number", f, 1);
	return r->schema ? 0 : -ENOMEM;
}

static int number_read(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err)
{
	uint64_t *next = r->state;

	if (*next == 200 * 100)
		return weir_fail(err, WEIR_E_SYSTEM, WEIR_NOPOS, 0, "numbers", "no more");
	*ret = weir_source_batch(r);
	if (!*ret)
		return -ENOMEM;
	(*ret)->n = (*ret)->nsel = 100;
	(*ret)->ops = &number_ops;
	(*ret)->token = *next;
	*next += 100;
	return 1;
}

static const struct weir_source numbers = {.abi = WEIR_ABI,
        .name = "numbers",
        .reader_size = 8,
        .open = number_open,
        .read = number_read};

struct taker {
	struct feed_link link;
	struct weir_mem mem;
	struct faults faults;
	uint64_t sum;
	uint32_t seen;
};

static void wake(void *arg)
{
}

static void *take_all(void *arg)
{
	struct taker *t = arg;
	struct weir_err err = WEIR_ERR_INIT;
	struct weir_batch *b;
	struct reader *r;
	int n;

	assert_int_equal(feed_open(&t->link, NULL, &r, &err), 0);
	assert_int_equal(feed_join(&t->link), 0);
	while ((n = r->source->read(&r->pub, &b, &err)) > 0 || n == -EAGAIN) {
		const struct weir_col *c;

		if (n == -EAGAIN) {
			usleep(100);
			continue;
		}
		c = weir_batch_col(b, 0);
		for (uint32_t i = 0; i < b->n; i++)
			t->sum += weir_col_u64(c)[i];
		t->seen += b->n;
		weir_batch_unref(b);
	}
	assert_true(n < 0); /* the error comes to all, behind the records */
	assert_int_equal(err.id, WEIR_E_SYSTEM);
	reader_close(r);
	return NULL;
}

static void columns(void **state)
{
	struct rights all = {.all = true};
	struct weir_mem mem = {0};
	struct taker t[3] = {0};
	struct reader *r;
	struct feed *f;
	pthread_t id[3];

	assert_int_equal(reader_open(&numbers, NULL, &all, NULL, &mem, NULL, &r, NULL), 0);
	f = feed_new(r, 0);
	assert_non_null(f);
	for (int i = 0; i < 3; i++) {
		faults_init(&t[i].faults);
		t[i].link = (struct feed_link){.feed = f,
		        .name = "numbers",
		        .wake = wake,
		        .mem = &t[i].mem,
		        .faults = &t[i].faults};
		assert_int_equal(pthread_create(&id[i], NULL, take_all, &t[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		uint64_t first = 0;

		pthread_join(id[i], NULL);
		first = t[i].link.begins - 1;
		assert_int_equal(t[i].seen, 20000 - first);
		assert_int_equal(
		        t[i].sum, 20000ull * 19999 / 2 - (first ? first * (first - 1) / 2 : 0));
		assert_int_equal(t[i].mem.used, 0);
		faults_release(&t[i].faults);
	}
	feed_free(f);
	assert_int_equal(mem.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(several),
	        cmocka_unit_test(late),
	        cmocka_unit_test(slow),
	        cmocka_unit_test(paused),
	        cmocka_unit_test(resumed),
	        cmocka_unit_test(without),
	        cmocka_unit_test(nobody),
	        cmocka_unit_test(removed),
	        cmocka_unit_test(silent),
	        cmocka_unit_test(faulty),
	        cmocka_unit_test(columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
