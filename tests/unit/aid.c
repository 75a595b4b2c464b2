/* SPDX-License-Identifier: MIT */
/* aid.c: work that idle workers take parts of, and a table that grows with their help. */
#include "engine/core/aid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/core/crew.h"
#include "engine/core/keypart.h"
#include "engine/core/mem.h"
#include "engine/core/sanitizers.h"

#define WORKERS 3
#define PARTS 200
#define BITS 19                 /* of the slots of a table that is shared out when it grows */
#define FULL (13u << BITS >> 4) /* keys that it takes */
#if defined(WITH_ASAN) || defined(WITH_TSAN)
#define ROUNDS 200
#else
#define ROUNDS 2000
#endif

struct team {
	struct weir_mem mem, below;
	struct crew crew;
	struct aid aid;
};

static void team_begin(struct team *t)
{
	memset(t, 0, sizeof *t);
	t->below.parent = &t->mem;
	assert_int_equal(crew_init(&t->crew, WORKERS, 2 * WORKERS), 0);
	assert_int_equal(aid_init(&t->aid, &t->mem, &t->crew), 0);
}

/* Works off what calls there are left. */
static void team_end(struct team *t)
{
	while (hand_help(&t->crew.hand[0]))
		;
	crew_release(&t->crew);
	aid_release(&t->aid, &t->mem);
	assert_null(t->mem.aid);
	assert_int_equal(t->mem.used, 0);
}

struct parts {
	uint32_t done[PARTS];
	pthread_t first;
	bool by_others, wait; /* by_others: atomic; wait: until it is set */
};

static void part(void *arg, uint32_t i)
{
	struct parts *p = arg;

	p->done[i]++;
	if (!pthread_equal(pthread_self(), p->first))
		__atomic_store_n(&p->by_others, true, __ATOMIC_RELAXED);
	while (p->wait && i == 0 && !__atomic_load_n(&p->by_others, __ATOMIC_RELAXED))
		;
}

static void share(struct weir_mem *m, uint32_t n, bool wait, bool *ret_by_others)
{
	struct parts p = {.first = pthread_self(), .wait = wait};

	aid_share(m, n, part, &p);
	for (uint32_t i = 0; i < PARTS; i++)
		assert_int_equal(p.done[i], i < n);
	*ret_by_others = p.by_others;
}

static void each_part_once(void **state)
{
	struct weir_mem none = {0};
	struct team t;
	bool others;

	team_begin(&t);
	share(&none, PARTS, false, &others); /* nobody is there */
	assert_false(others);
	share(NULL, 3, false, &others);
	share(&t.below, PARTS, false, &others); /* they have not been started */
	assert_false(others);
	crew_start(&t.crew);
	share(&t.below, 0, false, &others);
	share(&t.below, 1, false, &others);
	share(&t.below, PARTS, true, &others); /* asleep or not, they come */
	assert_true(others);
	for (int i = 0; i < ROUNDS; i++)
		share(&t.below, (uint32_t)i % 7 * 3, false, &others);
	team_end(&t);
}

/* Two who share work at once: the second does its own alone. */
static void inner(void *arg, uint32_t i)
{
	((uint32_t *)arg)[i]++;
}

struct outer {
	struct aid *aid;
	struct weir_mem *mem;
	uint32_t done[2][4];
};

static void outer(void *arg, uint32_t i)
{
	struct outer *o = arg;

	if (i == 0) /* the second part has not been given out, so this is still shared */
		aid_share(o->mem, 4, inner, o->done[0]);
	else
		aid_share(o->mem, 4, inner, o->done[1]);
}

static void one_at_a_time(void **state)
{
	struct outer o = {0};
	struct team t;

	team_begin(&t);
	o.aid = &t.aid;
	o.mem = &t.mem;
	aid_share(&t.mem, 2, outer, &o);
	for (uint32_t i = 0; i < 4; i++)
		assert_true(o.done[0][i] == 1 && o.done[1][i] == 1);
	team_end(&t);
}

/* Key i and its hash: those of a table of 1 << BITS slots that want the last group of a sixteenth
 * of the slots, as many as fill several, or any. */
static uint32_t hash_of(uint32_t i, bool crowded, uint8_t *key)
{
	uint64_t w[2] = {i, 7};
	uint32_t h = (uint32_t)((i + 1) * 0x9e3779b97f4a7c15u >> 32);

	memcpy(key, w, sizeof w);
	if (!crowded || i % 50)
		return h;
	return ((i / 50 % 16 + 1) << 28) - 1 - (h & 0x1ffff);
}

static void add(struct keypart *p, struct weir_mem *m, uint32_t first, uint32_t n, bool crowded)
{
	uint8_t keys[KEYPART_BLOCK * 16], *rec[KEYPART_BLOCK];
	uint32_t hash[KEYPART_BLOCK], num[KEYPART_BLOCK];
	struct keypart_block blk = {.n = n, .num = num, .rec = rec};

	for (uint32_t i = 0; i < n; i++)
		hash[i] = hash_of(first + i, crowded, keys + 16 * i);
	assert_int_equal(keypart_reserve(p, m, n), 0);
	keypart_hashed(p, hash, &blk);
	keypart_find(p, &blk);
	keypart_insert(p, keys, &blk);
	assert_int_equal(blk.nfresh, n);
}

/* Grown once by parts, every key is where a search for it comes by, and once. */
static void grown(struct weir_mem *m, bool crowded)
{
	uint32_t taken = 0;
	struct keypart p;
	uint8_t key[16];

	keypart_init(&p, 16, 0);
	for (uint32_t i = 0; i <= FULL; i += KEYPART_BLOCK)
		add(&p, m, i, KEYPART_BLOCK, crowded);
	assert_int_equal(p.bits, BITS + 2);
	for (uint32_t i = 0; i < p.n; i++) {
		uint32_t h = hash_of(i, crowded, key);

		assert_int_equal(keypart_look(&p, key, h), i);
	}
	for (uint32_t i = 0; i < keypart_slots(&p); i++)
		taken += p.slot[i] != 0;
	assert_int_equal(taken, p.n);
	keypart_release(&p, m);
}

static void table_grows_alone(void **state)
{
	struct weir_mem mem = {0};

	grown(&mem, false);
	grown(&mem, true);
	assert_int_equal(mem.used, 0);
}

static void table_grows_with_help(void **state)
{
	struct team t;

	team_begin(&t);
	crew_start(&t.crew);
	for (int i = 0; i < 5; i++) {
		grown(&t.below, false);
		grown(&t.below, true);
	}
	team_end(&t);
}

/* Where there is no memory for old and new slots at once, it grows in place. */
static void table_grows_in_place(void **state)
{
	struct weir_mem mem = {0};
	struct keypart p;
	uint32_t i = 0;
	uint8_t key[16];

	keypart_init(&p, 16, 0);
	for (; i + KEYPART_BLOCK <= FULL; i += KEYPART_BLOCK)
		add(&p, &mem, i, KEYPART_BLOCK, true);
	assert_int_equal(p.bits, BITS);
	mem.limit = mem.used + 4 * p.slot_size - 1;
	add(&p, &mem, i, KEYPART_BLOCK, true);
	assert_int_equal(p.bits, BITS + 2);
	assert_true(mem.denied > 0);
	for (uint32_t k = 0; k < p.n; k++) {
		uint32_t h = hash_of(k, true, key);

		assert_int_equal(keypart_look(&p, key, h), k);
	}
	keypart_release(&p, &mem);
	assert_int_equal(mem.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_part_once),
	        cmocka_unit_test(one_at_a_time),
	        cmocka_unit_test(table_grows_alone),
	        cmocka_unit_test(table_grows_with_help),
	        cmocka_unit_test(table_grows_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
