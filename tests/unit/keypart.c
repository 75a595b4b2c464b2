/* SPDX-License-Identifier: MIT */
/* keypart.c: a table of keys under what a network can send: very many of them, and keys that were
 * chosen to collide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/core/keypart.h"
#include "engine/core/mem.h"
#include "engine/core/sanitizers.h"

#if defined(WITH_ASAN) || defined(WITH_TSAN)
#define MANY 1000000u
#else
#define MANY 10000000u
#endif
#define SIZE 16
#define BITS 12 /* of the hash that the chosen keys share */
#define CHOSEN 2000

/* Key i of all: a different one for each i. */
static void key_of(uint64_t i, uint8_t *to)
{
	uint64_t w[2] = {i * 0x9e3779b97f4a7c15u, i};

	memcpy(to, w, SIZE);
}

/* Both ways to search find the same. */
static void find(const struct keypart *p, struct keypart_block *blk)
{
	uint32_t num[KEYPART_BLOCK];
	uint8_t *rec[KEYPART_BLOCK];
	struct keypart_block other = *blk;

	other.num = num;
	other.rec = rec;
	keypart_find_portable(p, &other);
	keypart_find(p, blk);
	assert_memory_equal(blk->at, other.at, blk->n * sizeof *blk->at);
	assert_memory_equal(blk->num, num, blk->n * sizeof *num);
	assert_memory_equal(blk->rec, rec, blk->n * sizeof *rec);
}

/* Looks up keys [from, from + n), which lie in `keys`; *steps: full groups passed on the way. */
static void look_up(struct keypart *p, struct weir_mem *m, const uint8_t *keys, uint32_t n,
        uint32_t *num, uint64_t *steps)
{
	uint8_t *rec[KEYPART_BLOCK];
	struct keypart_block blk = {.n = n, .num = num, .rec = rec};

	assert_int_equal(keypart_reserve(p, m, n), 0);
	keypart_hash(p, keys, &blk);
	find(p, &blk);
	for (uint32_t k = 0; k < n; k++)
		*steps += ((blk.at[k] - keypart_home(p, blk.hash[k])) & (keypart_slots(p) - 1)) /
		          KEYPART_GROUP;
	keypart_insert(p, keys, &blk);
}

static void all(struct keypart *p, struct weir_mem *m)
{
	uint8_t keys[KEYPART_BLOCK * SIZE];
	uint32_t num[KEYPART_BLOCK];
	uint64_t steps = 0;

	for (uint32_t first = 0; first < MANY; first += KEYPART_BLOCK) {
		uint32_t n = MANY - first < KEYPART_BLOCK ? MANY - first : KEYPART_BLOCK;

		for (uint32_t k = 0; k < n; k++)
			key_of(first + k, keys + k * SIZE);
		look_up(p, m, keys, n, num, &steps);
		for (uint32_t k = 0; k < n; k++)
			assert_int_equal(num[k], first + k);
	}
	assert_int_equal(p->n, MANY);
	/* at the highest load, 6 keys for 8 slots, more than 8 keys want the same group with a
	 * probability of 15 % (Poisson); half of that load is the lowest */
	assert_true(steps < MANY / 4);
}

static void very_many(void **state)
{
	struct weir_mem m = {0};
	struct keypart p;

	keypart_init(&p, SIZE, 8);
	all(&p, &m);
	all(&p, &m);
	assert_true(m.used <= 64ull * MANY + (32u << 20));
	keypart_release(&p, &m);
	assert_int_equal(m.used, 0);
}

static void limited(void **state)
{
	struct weir_mem m = {.limit = 1 << 20};
	uint8_t key[SIZE] = {0};
	uint32_t num;
	uint64_t steps = 0, i = 0;
	struct keypart p;

	keypart_init(&p, SIZE, 8);
	for (; keypart_reserve(&p, &m, 1) == 0; i++) {
		key_of(i, key);
		look_up(&p, &m, key, 1, &num, &steps);
	}
	assert_true(i > 1000 && p.n == i && m.denied);
	for (uint64_t k = 0; k < i; k++) { /* what there is stays */
		key_of(k, key);
		assert_int_equal(keypart_look(&p, key, keyhash(keyhash_secret(), key, SIZE)), k);
	}
	keypart_release(&p, &m);
}

/* Keys that collide under a secret that somebody has guessed, and the process has not. */
static void chosen_to_collide(void **state)
{
	const struct keyhash_secret guess = {.word = {1, 2, 3, 4}};
	uint8_t *keys = malloc((size_t)CHOSEN * SIZE);
	uint32_t num[KEYPART_BLOCK], found = 0;
	struct weir_mem m = {0};
	uint64_t steps = 0;
	struct keypart p;

	for (uint64_t i = 0; found < CHOSEN; i++) {
		key_of(i, keys + (size_t)found * SIZE);
		found += keyhash(&guess, keys + (size_t)found * SIZE, SIZE) >> (32 - BITS) == 7;
	}
	keypart_init(&p, SIZE, 0);
	for (uint32_t first = 0; first < CHOSEN; first += KEYPART_BLOCK) {
		uint32_t n = CHOSEN - first < KEYPART_BLOCK ? CHOSEN - first : KEYPART_BLOCK;

		look_up(&p, &m, keys + (size_t)first * SIZE, n, num, &steps);
	}
	assert_int_equal(p.n, CHOSEN);
	/* all in one run of groups would be CHOSEN^2 / 16 */
	assert_true(steps < CHOSEN / 4);
	keypart_release(&p, &m);
	free(keys);
}

static uint64_t drawn_by_a_process(void)
{
	uint64_t ret = 0;
	int fd[2];
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		const struct keyhash_secret *s = keyhash_secret();

		_exit(write(fd[1], s->word, 8) != 8);
	}
	assert_true(pid > 0);
	assert_int_equal(read(fd[0], &ret, 8), 8);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fd[0]);
	close(fd[1]);
	return ret;
}

/* First of all: nobody here has drawn a secret, which children would share. */
static void secrets_differ(void **state)
{
	assert_int_not_equal(drawn_by_a_process(), drawn_by_a_process());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(secrets_differ),
	        cmocka_unit_test(very_many),
	        cmocka_unit_test(limited),
	        cmocka_unit_test(chosen_to_collide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
