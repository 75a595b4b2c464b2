/* SPDX-License-Identifier: MIT */
/* A log against a model that keeps every row: sizes, reads at random places over many epochs,
 * retention, records; and readers beside a writer. */
#include "tests/unit/store_test.h"

#include "engine/core/put.h"
#include "tests/unit/rnd.h"
#include <pthread.h>

#define RETAIN 20000

static const struct weir_field fields[] = {
        {.name = "ts", .kind = WEIR_TIME, .flags = WEIR_FIELD_DEFAULT, .digits = 6},
        {.name = "ip", .kind = WEIR_IP, .flags = WEIR_FIELD_DEFAULT},
        {.name = "n", .kind = WEIR_U64, .flags = WEIR_FIELD_DEFAULT},
        {.name = "s", .kind = WEIR_STR, .flags = WEIR_FIELD_DEFAULT},
        {.name = "other", .kind = WEIR_U64},
};

static const char header[] = "ts,ip,n,s\n";

/* Row i is made from i alone, as values and as CSV. */
static uint64_t mix(uint64_t i)
{
	i *= 0x9e3779b97f4a7c15ull;
	return i ^ i >> 29;
}

static const char words[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";

static void make_row(struct weir_batch *b, uint32_t row, uint64_t i)
{
	uint64_t m = mix(i);

	((uint64_t *)b->cols[0].data)[row] = i * 1000000 + m % 1000000;
	((struct weir_ip *)b->cols[1].data)[row] =
	        ip4((uint8_t)(m >> 8), (uint8_t)(m >> 16), (uint8_t)(m >> 24), (uint8_t)(m >> 32));
	((uint64_t *)b->cols[2].data)[row] = m >> (m & 63);
	((struct weir_str *)b->cols[3].data)[row] =
	        (struct weir_str){.p = (const uint8_t *)words, .len = m % 50};
	if (m % 7 == 0)
		((struct weir_ip *)b->cols[1].data)[row] = (struct weir_ip){
		        .family = 6, .prefix = 128, .b = {0x20, 1, [15] = (uint8_t)(m >> 8 | 1)}};
	if (m % 3)
		weir_valid_set(b->cols[1].valid, row);
	if (m % 5)
		weir_valid_set(b->cols[2].valid, row);
}

static size_t row_csv(uint64_t i, char *to)
{
	uint64_t m = mix(i), ns = i * 1000000 + m % 1000000;
	int n = sprintf(to, "%llu.%06llu,", (unsigned long long)(ns / 1000000000),
	        (unsigned long long)(ns % 1000000000 / 1000));

	if (m % 3 && m % 7 == 0)
		n += sprintf(to + n, "2001::%x", (unsigned)(m >> 8 & 255) | 1);
	else if (m % 3)
		n += sprintf(to + n, "%u.%u.%u.%u", (unsigned)(m >> 8 & 255),
		        (unsigned)(m >> 16 & 255), (unsigned)(m >> 24 & 255),
		        (unsigned)(m >> 32 & 255));
	n += sprintf(to + n, ",");
	if (m % 5)
		n += sprintf(to + n, "%llu", (unsigned long long)(m >> (m & 63)));
	n += m % 50 ? sprintf(to + n, ",%.*s\n", (int)(m % 50), words) : sprintf(to + n, ",\"\"\n");
	return (size_t)n;
}

/* A batch of n selected rows from row `first` on; every third place of the batch left out. */
static struct weir_batch *make_batch(struct weir_pool *p, uint64_t first, uint32_t n, bool gaps)
{
	uint32_t rows = gaps ? n + n / 2 : n;
	struct weir_batch *b = pool_batch(p, schema, rows);
	uint16_t *sel = weir_batch_sel(b, n);

	for (uint32_t f = 0; f < 4; f++)
		weir_batch_own(b, f);
	weir_batch_own_valid(b, &b->cols[1]);
	weir_batch_own_valid(b, &b->cols[2]);
	for (uint32_t i = 0, row = 0; i < n; i++, row++) {
		row += gaps && row % 3 == 2;
		make_row(b, row, first + i);
		sel[i] = (uint16_t)row;
	}
	if (gaps)
		weir_batch_select(b, sel, n);
	return b;
}

/* All text of rows from 0 on, and where each row starts. */
static char *model;
static uint64_t *start, model_rows;

static void model_grow(uint64_t rows)
{
	static size_t cap;

	while (model_rows < rows) {
		if (start[model_rows] + 200 > cap)
			model = realloc(model, cap = 2 * cap + 1000);
		start[model_rows + 1] =
		        start[model_rows] + row_csv(model_rows, model + start[model_rows]);
		model_rows++;
	}
}

static int64_t model_size(uint64_t base, uint64_t end)
{
	return (int64_t)(strlen(header) + start[end] - start[base]);
}

/* One read compared; 0, or -ESTALE where the log said so. */
static int64_t check_read(struct result *r, uint64_t base, uint64_t off, size_t size)
{
	static char got[300000];
	size_t h = strlen(header);
	uint64_t end = log_end(r), total = (uint64_t)model_size(base, end);
	int64_t n = log_read(r, FORMAT_CSV, base, off, got, size);
	uint64_t expect = off >= total ? 0 : total - off < size ? total - off : size;

	if (n < 0)
		return n;
	if ((uint64_t)n < expect) { /* cut short by rows that are gone: never behind the heading */
		assert_true(off < h && n == (int64_t)(h - off));
		assert_true(log_first(r) > base);
		expect = (uint64_t)n;
	}
	assert_int_equal(n, expect);
	for (uint64_t i = 0; i < expect; i++) {
		uint64_t at = off + i;
		char c = at < h ? header[at] : model[start[base] + at - h];

		if (got[i] != c)
			fail_msg("byte %llu differs", (unsigned long long)at);
	}
	return 0;
}

static void against_model(void **state)
{
	struct weir_mem mem = {0};
	struct result *r = result_new(schema, true, RETAIN, &mem);
	uint64_t rows = 0, epoch = 0, base = 0, last = 0, stale = 0;

	start = calloc(400001, sizeof *start);
	for (int round = 0; round < 1500; round++) {
		uint32_t n = rnd(4) ? rnd(20) : rnd(200);
		struct weir_batch *b = make_batch(pool, rows, n, rnd(2));
		uint64_t e;

		assert_int_equal(result_add(r, b), 0);
		weir_batch_unref(b);
		rows += n;
		model_grow(rows);
		assert_int_equal(log_end(r), rows);
		if (!round || rnd(3) == 0) { /* there is none before the first look */
			base = log_epoch(r, &epoch);
			assert_true(epoch == last || epoch == last + 1);
			last = epoch;
		}
		/* every epoch so far keeps its size and its bytes */
		e = epoch - (epoch ? rnd(epoch < 4 ? (uint32_t)epoch + 1 : 4) : 0);
		base = log_epoch_base(r, e);
		assert_true(base != UINT64_MAX);
		assert_int_equal(log_size(r, FORMAT_CSV, base), model_size(base, rows));
		for (int k = 0; k < 3; k++) {
			uint64_t off = rnd((uint32_t)model_size(base, rows) + 100),
			         first = log_first(r);
			uint64_t h = strlen(header);
			int64_t got =
			        check_read(r, base, off, rnd(2) ? rnd(500) + 1 : rnd(70000) + 1);

			if (got == 0)
				continue;
			assert_int_equal(got, -ESTALE);
			assert_true(off >= h && start[base] + off - h < start[first]);
			stale++;
		}
		assert_true(result_bytes(r) < 3 * RETAIN + 300000);
	}
	assert_true(epoch > 10);
	assert_true(stale > 0);
	assert_true(log_first(r) > 0);
	assert_int_equal(log_epoch_base(r, epoch + 1), UINT64_MAX);
	result_unref(r);
	assert_int_equal(mem.used, 0);
}

/* 3 * retain typed bytes stay: the rows of the last 2 * retain are always there for an epoch. */
static void retention(void **state)
{
	struct result *r = result_new(schema, true, RETAIN, NULL);
	uint64_t rows = 0, epoch, old;
	char c;

	for (int i = 0; i < 100; i++) {
		struct weir_batch *b = make_batch(pool, rows, 500, false);

		assert_int_equal(result_add(r, b), 0);
		weir_batch_unref(b);
		rows += 500;
	}
	/* a row takes less than 70 bytes */
	assert_true(rows - log_first(r) > 3 * RETAIN / 70);
	assert_true(rows - log_first(r) < 3 * RETAIN / 20);
	old = log_epoch(r, &epoch);
	assert_true(old >= log_first(r));
	/* an epoch that was never measured and is gone */
	for (int i = 0; i < 100; i++) {
		struct weir_batch *b = make_batch(pool, rows, 500, false);

		assert_int_equal(result_add(r, b), 0);
		weir_batch_unref(b);
		rows += 500;
	}
	assert_int_equal(log_size(r, FORMAT_CSV, old), -ESTALE);
	assert_int_equal(log_read(r, FORMAT_CSV, old, 1000, &c, 1), -ESTALE);
	assert_int_equal(log_read(r, FORMAT_CSV, old, 0, &c, 1), 1);
	assert_int_equal(c, 't');
	assert_true(log_epoch(r, &epoch) > old);
	assert_int_equal(epoch, 1);
	result_unref(r);
}

static void records(void **state)
{
	struct result *r = result_new(schema, true, RETAIN, NULL);
	struct weir_batch *b = make_batch(pool, 0, 700, true);
	struct text t = TEXT_INIT;
	uint64_t size[700];
	int sized = 0;

	assert_int_equal(result_add(r, b), 0);
	weir_batch_unref(b);
	while (sized < 700) {
		int n = result_record_sizes(
		        r, NULL, (uint64_t)sized, 700 - (uint32_t)sized, size + sized);

		assert_true(n > 0);
		sized += n;
	}
	assert_int_equal(result_record_sizes(r, NULL, 700, 1, size), -ENOENT);
	for (uint64_t i = 0; i < 700; i++) {
		char csv[200], *field, *line;
		static const char *const names[] = {"ts", "ip", "n", "s"};
		char expect[300] = "";

		row_csv(i, csv);
		*strchr(csv, '\n') = 0;
		line = csv;
		for (int f = 0; (field = strsep(&line, ",")); f++) {
			text_clear(&t);
			if (!*field) {
				assert_int_equal(result_record(r, NULL, i, f, &t), -ENODATA);
				continue;
			}
			assert_int_equal(result_record(r, NULL, i, f, &t), 0);
			if (strcmp(field, "\"\"") == 0)
				field += 2;
			assert_string_equal(t.p ? t.p : "", field);
			sprintf(expect + strlen(expect), "%s: %s\n", names[f], field);
		}
		text_clear(&t);
		assert_int_equal(result_record(r, NULL, i, -1, &t), 0);
		assert_string_equal(t.p, expect);
		assert_int_equal(size[i], t.len);
	}
	assert_int_equal(result_record(r, NULL, 700, -1, &t), -ENOENT);
	assert_int_equal(result_record(r, NULL, 1, 4, &t), -ENODATA);
	text_release(&t);
	result_unref(r);
}

/* ---- readers beside a writer ---- */

#define STRESS_ROWS 60000
#define END_ROWS 10000

struct reader {
	struct result *r;
	uint64_t seed, read, epochs;
	bool failed; /* wrong bytes */
	int error;   /* of a call, -errno */
};

/* Follows the log as tail -F does: each epoch from its base, rows in order, then the next. */
static void *follow(void *arg)
{
	struct reader *me = arg;
	uint64_t next = 0; /* the row that comes next */
	char *buf = malloc(70000);

	while (next < STRESS_ROWS && !me->failed && !me->error) {
		uint64_t epoch, base = log_epoch(me->r, &epoch), off = strlen(header), row = base;

		me->epochs++;
		for (int polls = 0; polls < 50 && row < STRESS_ROWS; polls++) {
			int64_t size = log_size(me->r, FORMAT_CSV, base);
			int64_t n = log_read(me->r, FORMAT_CSV, base, off, buf, 65536);
			char expect[200];
			size_t at = 0;

			if (n == -ESTALE)
				break;
			if (n < 0 || (size < 0 && size != -ESTALE)) {
				me->error = (int)(n < 0 ? n : size);
				break;
			}
			while (at < (size_t)n) {
				size_t len = row_csv(row, expect);

				if (len > (size_t)n - at)
					break; /* a whole row the next time */
				if (memcmp(buf + at, expect, len) != 0) {
					me->failed = true;
					break;
				}
				at += len;
				row++;
			}
			off += at;
			me->read += at;
			if (n == 0)
				sched_yield();
		}
		next = row > next ? row : next;
	}
	free(buf);
	return NULL;
}

static void *jump(void *arg)
{
	struct reader *me = arg;
	struct text t = TEXT_INIT;

	for (uint64_t i = 0; log_end(me->r) < STRESS_ROWS; i++) {
		uint64_t epoch, base = log_epoch(me->r, &epoch);
		enum result_format f = i % 4;
		int64_t size = log_size(me->r, f, base), n;
		char buf[1000];

		if (size < 0 && size != -ESTALE)
			me->error = (int)size;
		n = log_read(
		        me->r, f, base, size > 0 ? mix(i) % (uint64_t)size : 0, buf, sizeof buf);
		if (n < 0 && n != -ESTALE)
			me->error = (int)n;
		text_clear(&t);
		n = result_record(me->r, NULL, log_first(me->r) + i % 50, -1, &t);
		if (n < 0 && n != -ESTALE && n != -ENOENT)
			me->error = (int)n;
		result_bytes(me->r);
		me->epochs = epoch;
	}
	text_release(&t);
	return NULL;
}

static void stress(void **state)
{
	struct weir_mem mem = {0};
	struct result *r = result_new(schema, true, 100000, &mem);
	struct reader readers[3] = {{.r = r}, {.r = r}, {.r = r}};
	pthread_t t[3];
	uint64_t rows = 0;

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, i < 2 ? follow : jump, &readers[i]);
	while (rows < STRESS_ROWS) {
		uint32_t n = rnd(60) + 1;
		struct weir_batch *b;

		if (n > STRESS_ROWS - rows)
			n = (uint32_t)(STRESS_ROWS - rows);
		b = make_batch(pool, rows, n, false);
		assert_int_equal(result_add(r, b), 0);
		weir_batch_unref(b);
		rows += n;
		if (rows % 7 == 0)
			sched_yield();
	}
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(readers[i].error, 0);
		assert_false(readers[i].failed);
	}
	assert_true(readers[0].read > 0);
	result_unref(r);
	assert_int_equal(mem.used, 0);
}

/* Readers at the end of a log, where blocks are sealed and measured while one is rendered: a reader
 * that finds no more in its block goes on with the next. Formats by turns, so that pieces that are
 * behind are rendered again. */
static void *poll_end(void *arg)
{
	struct reader *me = arg;
	enum result_format f = me->seed % 2 ? FORMAT_CSV : FORMAT_TSV;
	char *buf = malloc(70000);

	while (!me->error && log_end(me->r) < END_ROWS) {
		uint64_t epoch, base = log_epoch(me->r, &epoch);
		int64_t off = log_size(me->r, f, base), n = 0;

		me->epochs++;
		for (int polls = 0; off >= 0 && n >= 0 && polls < 200; polls++) {
			n = log_read(me->r, f, base, (uint64_t)off, buf, 65536);
			off += n > 0 ? n : 0;
		}
		n = off < 0 ? off : n;
		if (n < 0 && n != -ESTALE)
			me->error = (int)n;
	}
	free(buf);
	return NULL;
}

static void at_the_end_once(void)
{
	struct weir_mem mem = {0};
	struct result *r = result_new(schema, true, 20000, &mem);
	struct reader readers[4];
	pthread_t t[4];

	for (uint64_t i = 0; i < 4; i++) {
		readers[i] = (struct reader){.r = r, .seed = i};
		pthread_create(&t[i], NULL, poll_end, &readers[i]);
	}
	for (uint64_t rows = 0; rows < END_ROWS; rows += 10) {
		struct weir_batch *b = make_batch(pool, rows, 10, false);

		assert_int_equal(result_add(r, b), 0);
		weir_batch_unref(b);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(readers[i].error, 0);
	result_unref(r);
	assert_int_equal(mem.used, 0);
}

static void at_the_end(void **state)
{
	for (int i = 0; i < 200; i++)
		at_the_end_once();
}

/* At its query's memory limit a log gives up its oldest rows. */
static void limit(void **state)
{
	struct weir_mem mem = {.limit = 400000};
	struct result *r = result_new(schema, true, 64 << 20, &mem);
	uint64_t rows = 0;

	for (int i = 0; i < 100; i++) {
		struct weir_batch *b = make_batch(pool, rows, 900, false);

		assert_int_equal(result_add(r, b), 0);
		weir_batch_unref(b);
		rows += 900;
	}
	assert_int_equal(log_end(r), rows);
	assert_true(log_first(r) > 0);
	assert_true(rows - log_first(r) > 2000);
	assert_true(mem.used <= mem.limit);
	result_unref(r);
	assert_int_equal(mem.used, 0);
}

static int setup(void **state)
{
	return one_schema(weir_schema_new("t", fields, sizeof fields / sizeof *fields));
}

static int teardown(void **state)
{
	free(model);
	free(start);
	return one_schema_end(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(records),
	        cmocka_unit_test(against_model),
	        cmocka_unit_test(retention),
	        cmocka_unit_test(limit),
	        cmocka_unit_test(stress),
	        cmocka_unit_test(at_the_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
