/* SPDX-License-Identifier: MIT */
/* keytab.c: the table of keys against a search tree over plainly serialised keys. */
#include <math.h>
#include <search.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/core/keyfollow.h"
#include "engine/core/keytab.h"
#include "engine/core/mem.h"
#include "engine/core/pool.h"
#include "engine/core/ready.h"
#include "engine/core/sanitizers.h"
#include "tests/unit/drawn_batch.h"

enum { SRC, DST, PORT, PROTO, RATIO, NAME, NET, MAC, WIDE24, TIME, NFIELDS };

static const struct weir_field fields[NFIELDS] = {
        [SRC] = {.name = "src", .kind = WEIR_IP},
        [DST] = {.name = "dst", .kind = WEIR_IP},
        [PORT] = {.name = "port", .kind = WEIR_U64, .bits = 16},
        [PROTO] = {.name = "proto", .kind = WEIR_U64, .bits = 8},
        [RATIO] = {.name = "ratio", .kind = WEIR_F64},
        [NAME] = {.name = "name", .kind = WEIR_STR},
        [NET] = {.name = "net", .kind = WEIR_SUBNET},
        [MAC] = {.name = "mac", .kind = WEIR_MAC},
        [WIDE24] = {.name = "label", .kind = WEIR_U64, .bits = 20},
        [TIME] = {.name = "time", .kind = WEIR_TIME, .flags = WEIR_FIELD_ALWAYS},
};

/* How values are drawn: `range` different ones a field, this many of 100 missing, IPv6. */
struct draw {
	uint32_t range, missing, v6;
};

static void draw_ip(struct weir_ip *ip, const struct draw *d, bool net)
{
	uint32_t v = rnd(d->range);

	*ip = (struct weir_ip){.family = 4, .prefix = net ? (uint8_t)(24 + v % 8) : 32};
	ip->b[0] = 10;
	memcpy(ip->b + 1, &v, 3);
	if (rnd(100) < d->v6) {
		/* half of them IPv4-mapped: the same address is another value */
		ip->family = 6;
		ip->prefix += 96;
		memcpy(ip->b + 12, ip->b, 4);
		memset(ip->b, 0, 12);
		if (v & 1)
			ip->b[0] = 0x20;
		else
			ip->b[10] = ip->b[11] = 0xff;
	}
}

static void draw_value(struct weir_batch *b, uint32_t f, uint32_t row, const void *arg)
{
	const struct draw *d = arg;
	static const double odd[] = {0.0, -0.0, NAN, -NAN, INFINITY, 1.5};
	struct weir_col *c = &b->cols[f];
	uint32_t v = rnd(d->range);
	struct weir_str *s;

	switch (f) {
	case SRC:
	case DST:
	case NET:
		draw_ip((struct weir_ip *)c->data + row, d, f == NET);
		break;
	case RATIO:
		((double *)c->data)[row] = v < 6 ? odd[v] : (double)v;
		break;
	case NAME:
		s = (struct weir_str *)c->data + row;
		s->len = v % 100;
		s->p = weir_batch_alloc(b, s->len + 1);
		memset((void *)s->p, 'a' + (int)(v % 7), s->len);
		break;
	case PROTO:
		((uint64_t *)c->data)[row] = v & 0xff;
		break;
	case MAC:
		((uint64_t *)c->data)[row] = (uint64_t)v << 28 | v;
		break;
	case WIDE24:
		((uint64_t *)c->data)[row] = (v * 77) & 0xfffff;
		break;
	case TIME:
		((int64_t *)c->data)[row] = (int64_t)v - 5;
		break;
	default:
		((uint64_t *)c->data)[row] = v & 0xffff;
	}
}

static struct weir_batch *draw_batch(
        struct weir_pool *pool, const struct weir_schema *s, const struct draw *d)
{
	return drawn_batch(pool, s, d->missing, draw_value, d);
}

struct plain {
	uint32_t id;
	size_t len;
	uint8_t bytes[];
};

static int compare(const void *a, const void *b)
{
	const struct plain *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->bytes, y->bytes, x->len);
}

/* NULL: a field is missing and rows without it are dropped. */
static struct plain *plain_key(
        struct weir_batch *b, const uint32_t *index, uint32_t n, uint32_t row, bool nulls)
{
	struct plain *p = calloc(1, sizeof *p + n * 140);

	for (uint32_t i = 0; i < n; i++) {
		struct weir_value v;

		assert_int_equal(weir_batch_value(b, index[i], row, &v), 0);
		p->bytes[p->len++] = v.kind != WEIR_NONE;
		if (v.kind == WEIR_NONE) {
			if (!nulls) {
				free(p);
				return NULL;
			}
		} else if (weir_storage_of(v.kind) == WEIR_ADDR) {
			memcpy(p->bytes + p->len, &v.d.ip, 20);
			p->len += 20;
		} else if (v.kind == WEIR_STR) {
			p->bytes[p->len++] = (uint8_t)v.d.s.len;
			memcpy(p->bytes + p->len, v.d.s.p, v.d.s.len);
			p->len += v.d.s.len;
		} else {
			if (v.kind == WEIR_F64 && isnan(v.d.f))
				v.d.u = 1;
			else if (v.kind == WEIR_F64 && v.d.f == 0)
				v.d.u = 0;
			memcpy(p->bytes + p->len, &v.d.u, 8);
			p->len += 8;
		}
	}
	return p;
}

static void check_batch(struct keytab *t, struct weir_batch *b, const uint32_t *index, uint32_t n,
        bool nulls, void **tree, uint32_t *count, uint64_t **sums)
{
	static struct keytab_rows r;
	uint32_t k = 0, fresh = 0;

	assert_int_equal(keytab_map(t, b, &r), 0);
	assert_int_equal(r.before, *count);
	assert_int_equal(r.n + r.missing, weir_batch_count(b));
	for (uint32_t i = 0; i < weir_batch_count(b); i++) {
		uint32_t row = weir_batch_row(b, i);
		struct plain *p = plain_key(b, index, n, row, nulls), *old;

		if (!p)
			continue;
		assert_int_equal(r.row[k], row);
		old = *(struct plain **)tsearch(p, tree, compare);
		if (old == p) {
			p->id = (*count)++;
			*sums = realloc(*sums, *count * sizeof **sums);
			(*sums)[p->id] = 0;
		} else {
			free(p);
		}
		assert_int_equal(r.id[k], old->id);
		if (old == p) {
			assert_int_equal(r.fresh[fresh], k);
			assert_int_equal(old->id, r.before + fresh++);
		}
		(*sums)[old->id] += row;
		*(uint64_t *)r.state[k] += row;
		k++;
	}
	assert_int_equal(r.n, k);
	assert_int_equal(r.nfresh, fresh);
	assert_int_equal(t->n, *count);
}

/* Reads all keys back into batches and looks them up in the tree. */
static void check_load(struct keytab *t, struct weir_pool *pool, const struct weir_schema *s,
        const uint32_t *index, uint32_t n, void **tree, const uint64_t *sums)
{
	for (uint32_t first = 0; first < t->n; first += WEIR_BATCH_ROWS) {
		uint32_t m = t->n - first < WEIR_BATCH_ROWS ? t->n - first : WEIR_BATCH_ROWS;
		struct weir_batch *b = pool_batch(pool, s, m);

		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(keytab_load(t, i, first, m, b, index[i]), 0);
		for (uint32_t k = 0; k < m; k++) {
			struct plain *p = plain_key(b, index, n, k, true);
			void *found = tfind(p, tree, compare);

			assert_non_null(found);
			assert_int_equal((*(struct plain **)found)->id, first + k);
			assert_true(*(uint64_t *)keytab_state(t, first + k) == sums[first + k]);
			free(p);
		}
		weir_batch_unref(b);
	}
}

static void run(
        const uint32_t *index, uint32_t n, unsigned flags, const struct draw *d, uint32_t batches)
{
	struct weir_mem mem = {0};
	struct weir_pool *pool = pool_new(&mem);
	struct weir_schema *s = weir_schema_new("test", fields, NFIELDS);
	uint64_t *sums = NULL;
	void *tree = NULL;
	uint32_t count = 0;
	struct keypack pack;
	struct keytab t;
	bool reselected;

	assert_int_equal(keytab_init(&t, &mem, s, index, n, flags, 8), 0);
	assert_int_equal(keypack_init(&pack, &mem, s, index, n, flags), 0);
	for (uint32_t i = 0; i < batches; i++) {
		struct draw calm = *d;
		struct weir_batch *b;

		/* IPv6 comes late, and first, and in between */
		if (i % 7 < 2)
			calm.v6 = i & 8 ? 100 : 0;
		b = draw_batch(pool, s, &calm);
		if (!t.pack.wide && rnd(2)) { /* by another thread, as it were */
			assert_int_equal(ready_make(b, &pack), 0);
			reselected = rnd(4) == 0;
			if (reselected)
				weir_batch_select(b, b->sel, weir_batch_count(b) / 2);
			check_batch(&t, b, index, n, flags & KEYPACK_NULLS, &tree, &count, &sums);
			assert_int_equal(b->ready->taken, !reselected || !b->ready->nsel);
			check_batch(&t, b, index, n, flags & KEYPACK_NULLS, &tree, &count, &sums);
		}
		check_batch(&t, b, index, n, flags & KEYPACK_NULLS, &tree, &count, &sums);
		weir_batch_unref(b);
	}
	check_load(&t, pool, s, index, n, &tree, sums);
	keytab_release(&t);
	keypack_release(&pack);
	tdestroy(tree, free);
	free(sums);
	pool_unref(pool);
	weir_schema_unref(s);
	assert_int_equal(mem.used, 0);
}

static void test_models(void **unused)
{
	static const struct {
		uint32_t n, index[NFIELDS];
	} keys[] = {
	        {1, {SRC}},
	        {1, {PORT}},
	        {1, {RATIO}},
	        {1, {NAME}},
	        {2, {PORT, NET}},
	        {2, {SRC, DST}},
	        {3, {MAC, WIDE24, TIME}},
	        {5, {SRC, DST, PORT, PROTO, WIDE24}},
	        {6, {SRC, DST, PORT, PROTO, RATIO, TIME}},
	        {3, {NAME, SRC, NAME}},
	        {8, {SRC, DST, NET, SRC, DST, NET, SRC, DST}},
	        {9, {SRC, DST, NET, SRC, DST, NET, SRC, DST, NET}},
	        {10, {SRC, DST, PORT, PROTO, RATIO, NAME, NET, MAC, WIDE24, TIME}},
	};
	static const struct draw draws[] = {
	        {1000, 0, 0}, {20, 30, 0}, {300, 5, 20}, {60000, 1, 50}, {4, 20, 90}, {50, 0, 100}};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		for (size_t j = 0; j < sizeof draws / sizeof *draws; j++)
			for (unsigned flags = 0; flags < 2; flags++)
				run(keys[i].index, keys[i].n, flags ? KEYPACK_NULLS : 0, &draws[j],
				        12);
}

/* The plain tree's nodes are what takes long: minutes, with a sanitizer's allocator. */
#if defined(WITH_ASAN) || defined(WITH_TSAN)
#define GROWN 60
#else
#define GROWN 300
#endif

static void test_growth(void **unused)
{
	static const uint32_t five[] = {SRC, DST, PORT, PROTO, TIME};
	static const struct draw d = {1u << 24, 2, 3};

	run(five, 5, KEYPACK_NULLS, &d, GROWN);
}

/* A table that follows another with the same fields, in another order, gives the ids that it would
 * give by itself: after it has seen batches without ids too, and with another table's, from batch
 * number `leave` on. The first `missed` it never sees: then there are ids that it can't follow. */
static void follow(
        const uint32_t *index, uint32_t n, const struct draw *d, uint32_t leave, uint32_t missed)
{
	static struct keytab_rows rows;
	struct weir_mem mem = {0};
	struct weir_pool *pool = pool_new(&mem);
	struct weir_schema *s = weir_schema_new("test", fields, NFIELDS);
	struct keytab first, other, t;
	uint32_t count = 0, reversed[NFIELDS];
	uint64_t *sums = NULL;
	void *tree = NULL;

	for (uint32_t i = 0; i < n; i++)
		reversed[i] = index[n - 1 - i];
	assert_int_equal(keytab_init(&first, &mem, s, index, n, 0, 0), 0);
	assert_int_equal(keytab_init(&other, &mem, s, index, n, 0, 8), 0);
	assert_int_equal(keytab_init(&t, &mem, s, reversed, n, 0, 8), 0);
	for (uint32_t i = 0; i < 24; i++) {
		struct draw calm = *d;
		struct weir_batch *b, *out;
		struct keytab *from = i >= leave && i % 3 == 1 ? &other : &first;

		if (i % 7 < 2)
			calm.v6 = i & 8 ? 100 : 0;
		b = draw_batch(pool, s, &calm);
		out = pool_view(pool, b, s, batch_identity);
		assert_int_equal(keytab_map(from, b, &rows), 0);
		weir_batch_select(out, rows.row, rows.n);
		if (i < leave || i % 3)
			assert_int_equal(keyfollow_pass(from, &rows, out), 0);
		if (i >= missed)
			check_batch(&t, out, reversed, n, false, &tree, &count, &sums);
		assert_true(!t.n || missed || (t.follows != 0) == (i < leave));
		assert_true(!t.follows || !t.keys.slot);
		weir_batch_unref(out);
		weir_batch_unref(b);
	}
	check_load(&t, pool, s, reversed, n, &tree, sums);
	keytab_release(&t);
	keytab_release(&other);
	keytab_release(&first);
	tdestroy(tree, free);
	free(sums);
	pool_unref(pool);
	weir_schema_unref(s);
	assert_int_equal(mem.used, 0);
}

static void test_follow(void **unused)
{
	static const struct {
		uint32_t n, index[NFIELDS];
	} keys[] = {{1, {PORT}}, {1, {SRC}}, {3, {SRC, PORT, DST}}, {3, {RATIO, MAC, NET}}};
	static const struct draw draws[] = {
	        {1000, 0, 0}, {300, 5, 20}, {60000, 1, 50}, {4, 20, 90}, {50, 0, 100}};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		for (size_t j = 0; j < sizeof draws / sizeof *draws; j++)
			for (uint32_t leave = 0; leave <= 24; leave += 3)
				follow(keys[i].index, keys[i].n, &draws[j], leave, leave == 21);
}

/* All keys of t, as plain keys by id. */
static struct plain **load_all(struct keytab *t, struct weir_pool *pool,
        const struct weir_schema *s, const uint32_t *index, uint32_t n)
{
	struct plain **all = calloc(t->n + 1, sizeof(struct plain *));

	for (uint32_t first = 0; first < t->n; first += WEIR_BATCH_ROWS) {
		uint32_t m = t->n - first < WEIR_BATCH_ROWS ? t->n - first : WEIR_BATCH_ROWS;
		struct weir_batch *b = pool_batch(pool, s, m);

		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(keytab_load(t, i, first, m, b, index[i]), 0);
		for (uint32_t k = 0; k < m; k++)
			all[first + k] = plain_key(b, index, n, k, true);
		weir_batch_unref(b);
	}
	return all;
}

/* The batch that met the limit goes in once there is room: its keys are there once, and each reads
 * back as what its row holds. */
static void check_again(struct keytab *t, struct weir_batch *b, struct weir_pool *pool,
        const struct weir_schema *s, const uint32_t *index, uint32_t n)
{
	static struct keytab_rows rows;
	struct plain **all;
	void *tree = NULL;

	t->mem->limit = 0;
	assert_int_equal(keytab_map(t, b, &rows), 0);
	assert_int_equal(rows.n, weir_batch_count(b));
	all = load_all(t, pool, s, index, n);
	for (uint32_t i = 0; i < t->n; i++)
		assert_ptr_equal(*(struct plain **)tsearch(all[i], &tree, compare), all[i]);
	for (uint32_t k = 0; k < rows.n; k++) {
		struct plain *p = plain_key(b, index, n, rows.row[k], true);

		assert_int_equal(compare(p, all[rows.id[k]]), 0);
		free(p);
	}
	tdestroy(tree, free);
	free(all);
}

/* At the limit -ENOMEM comes, nothing is lost from the account, and what was there stays. */
static void test_limit(void **unused)
{
	static const uint32_t index[] = {SRC, NAME}, only[] = {SRC, DST};
	static const struct draw mixed = {1u << 24, 0, 10}, v4 = {1u << 24};
	uint32_t round = 0;

	for (size_t limit = 1000; limit < 3000000; limit += limit / 3) {
		for (int text = 0; text < 2; text++) {
			struct weir_mem mem = {0};
			struct weir_pool *pool = pool_new(NULL);
			struct weir_schema *s = weir_schema_new("test", fields, NFIELDS);
			static struct keytab_rows rows;
			struct keytab t;
			int r;

			round++;
			mem.limit = limit;
			r = keytab_init(&t, &mem, s, text ? index : only, 2, 0, 16);
			for (int i = 0; i < 300 && r == 0; i++) {
				/* the first IPv6 addresses late, too */
				bool late = (uint32_t)i < round % 8;
				struct weir_batch *b = draw_batch(pool, s, late ? &v4 : &mixed);

				r = keytab_map(&t, b, &rows);
				if (r < 0) {
					assert_int_equal(r, -ENOMEM);
					assert_true(mem.used <= limit);
					check_again(&t, b, pool, s, text ? index : only, 2);
				}
				weir_batch_unref(b);
			}
			assert_int_equal(r, -ENOMEM);
			for (uint32_t i = 0; i < t.n; i++)
				keytab_state(&t, i)[0] = 1;
			keytab_release(&t);
			assert_int_equal(mem.used, 0);
			pool_unref(pool);
			weir_schema_unref(s);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_models),
	        cmocka_unit_test(test_growth),
	        cmocka_unit_test(test_follow),
	        cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
