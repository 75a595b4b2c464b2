/* SPDX-License-Identifier: MIT */
/* sketch_keys.c: hashes of tuples against the table of exact keys: equal where the keys are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/core/keytab.h"
#include "engine/core/mem.h"
#include "engine/core/pool.h"
#include "engine/sketch/keys.h"
#include "tests/unit/drawn_batch.h"

enum { SRC, DST, PORT, FLAG, RATIO, NAME, NET, MAC, TIME, NFIELDS };

static const struct weir_field fields[NFIELDS] = {
        [SRC] = {.name = "src", .kind = WEIR_IP},
        [DST] = {.name = "dst", .kind = WEIR_IP},
        [PORT] = {.name = "port", .kind = WEIR_U64, .bits = 16},
        [FLAG] = {.name = "flag", .kind = WEIR_BOOL},
        [RATIO] = {.name = "ratio", .kind = WEIR_F64},
        [NAME] = {.name = "name", .kind = WEIR_STR},
        [NET] = {.name = "net", .kind = WEIR_SUBNET},
        [MAC] = {.name = "mac", .kind = WEIR_MAC},
        [TIME] = {.name = "time", .kind = WEIR_TIME, .flags = WEIR_FIELD_ALWAYS},
};

/* Few values, so that tuples meet again; an IPv6 address often holds an IPv4 one's octets. */
static void draw(struct weir_batch *b, uint32_t f, uint32_t row, const void *arg)
{
	static const double odd[] = {0.0, -0.0, NAN, -NAN, 1.5};
	static const char *const names[] = {"", "a", "b", "ab", "a much longer name of a service"};
	void *data = b->cols[f].data;
	uint32_t v = rnd(5);
	struct weir_ip *ip = (struct weir_ip *)data + row;

	switch (f) {
	case SRC:
	case DST:
	case NET:
		*ip = (struct weir_ip){
		        .family = 4, .prefix = f == NET ? (uint8_t)(24 + rnd(2)) : 32};
		ip->b[3] = (uint8_t)v;
		if (rnd(4) == 0) {
			ip->family = 6;
			ip->prefix += 96;
			ip->b[rnd(2) ? 15 : 7] = (uint8_t)v;
		}
		break;
	case RATIO:
		((double *)data)[row] = odd[v];
		break;
	case NAME:
		((struct weir_str *)data)[row] =
		        (struct weir_str){(const uint8_t *)names[v], strlen(names[v])};
		break;
	case MAC:
		((uint64_t *)data)[row] = (uint64_t)v << 44 | v;
		break;
	case FLAG:
		((uint64_t *)data)[row] = v & 1;
		break;
	default:
		((uint64_t *)data)[row] = v * 13107;
	}
}

struct known {
	uint64_t hash;
	uint32_t id;
};

static int by_hash(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash)
	                          : (x->id > y->id) - (x->id < y->id);
}

static void equal_keys(void **unused)
{
	static struct known known[40 * WEIR_BATCH_ROWS];
	static struct keytab_rows r;
	struct weir_mem mem = {0};

	for (int round = 0; round < 60; round++) {
		struct weir_schema *s = weir_schema_new("test", fields, NFIELDS);
		struct weir_pool *pool = pool_new(NULL);
		uint32_t index[NFIELDS], n = 0, m = 0;
		struct sketch_keys k, same, other;
		struct keytab t;

		for (uint32_t f = 0; f < NFIELDS; f++)
			if (rnd(round % 3 + 1) == 0)
				index[n++] = f;
		if (!n)
			index[n++] = (uint32_t)round % NFIELDS;
		assert_int_equal(keytab_init(&t, &mem, s, index, n, 0, 0), 0);
		assert_int_equal(
		        sketch_keys_init(&k, &mem, s, (struct weir_fields){n, index}, 9), 0);
		assert_int_equal(
		        sketch_keys_init(&same, &mem, s, (struct weir_fields){n, index}, 9), 0);
		assert_int_equal(
		        sketch_keys_init(&other, &mem, s, (struct weir_fields){n, index}, 0), 0);
		for (int i = 0; i < 6; i++) {
			struct weir_batch *b = drawn_batch(pool, s, 12, draw, NULL);
			uint16_t rows[WEIR_BATCH_ROWS], at[WEIR_BATCH_ROWS];
			uint64_t hash[WEIR_BATCH_ROWS], again[WEIR_BATCH_ROWS];

			assert_int_equal(keytab_map(&t, b, &r), 0);
			assert_int_equal(sketch_keys_hash(&k, b, rows, hash), r.n);
			assert_memory_equal(rows, r.row, r.n * sizeof *rows);
			for (uint32_t j = 0; j < r.n; j++)
				known[m++] = (struct known){hash[j], r.id[j]};
			/* the same seed, the same hashes; row by row too; another seed others */
			assert_int_equal(sketch_keys_hash(&same, b, rows, again), r.n);
			assert_memory_equal(again, hash, r.n * sizeof *hash);
			assert_int_equal(sketch_keys_hash_rows(&k, b, rows, r.n, at, again), r.n);
			assert_memory_equal(again, hash, r.n * sizeof *hash);
			assert_int_equal(sketch_keys_hash(&other, b, rows, again), r.n);
			for (uint32_t j = 0; j < r.n; j++)
				assert_true(again[j] != hash[j]);
			for (uint32_t j = 0; j < weir_batch_count(b); j++)
				rows[j] = (uint16_t)weir_batch_row(b, j);
			assert_int_equal(
			        sketch_keys_hash_rows(&k, b, rows, weir_batch_count(b), at, again),
			        r.n);
			for (uint32_t j = 0; j < r.n; j++)
				assert_true(again[j] == hash[j] && rows[at[j]] == r.row[j]);
			weir_batch_unref(b);
		}
		qsort(known, m, sizeof *known, by_hash);
		n = m > 0;
		for (uint32_t j = 1; j < m; j++)
			n += known[j].hash != known[j - 1].hash;
		assert_int_equal(n, t.n);
		for (uint32_t j = 1; j < m; j++)
			assert_true((known[j].hash == known[j - 1].hash) ==
			            (known[j].id == known[j - 1].id));
		sketch_keys_release(&k);
		sketch_keys_release(&same);
		sketch_keys_release(&other);
		keytab_release(&t);
		assert_int_equal(mem.used, 0);
		pool_unref(pool);
		weir_schema_unref(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(equal_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
