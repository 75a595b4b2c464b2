/* SPDX-License-Identifier: MIT */
/* keymemo.c: see keymemo.h. */
#include "engine/core/keymemo.h"

#include <string.h>

#include "engine/core/keytab.h"
#include "engine/core/mem.h"

#define BYTES 64     /* for each key: the array then takes less than twice what the table does */
#define PART 64      /* of the query's memory at most goes to the array */
#define JUDGED 65536 /* rows between two judgements, at least */
#define AHEAD 16     /* rows */
#define MOST (64u << 20) /* bytes of an array where memory has no limit */

/* Bytes of n numbers. */
static size_t bytes(const struct keytab *t, uint32_t n)
{
	return (size_t)n * (t->news ? sizeof(uint8_t) : sizeof(uint32_t));
}

static void drop(struct keytab *t)
{
	struct keymemo *m = &t->memo;

	weir_free(t->mem, m->array, bytes(t, m->most));
	weir_free(t->mem, m->rest, sizeof *m->rest);
	*m = (struct keymemo){.off = true};
}

void keymemo_release(struct keytab *t)
{
	drop(t);
	t->memo.off = false;
}

/* Whether it still pays. */
static void judge(struct keytab *t, uint32_t asked, uint32_t missed)
{
	struct keymemo *m = &t->memo;

	m->asked += asked;
	m->missed += missed;
	if (m->asked < JUDGED + 2 * m->known)
		return;
	if (m->missed > m->asked / 4 * 3)
		drop(t);
	else
		m->asked = m->missed = 0;
}

static bool is_small(const struct weir_mem *mem, size_t size)
{
	size_t limit = 0;

	for (; mem && !limit; mem = mem->parent)
		limit = __atomic_load_n(&mem->limit, __ATOMIC_RELAXED);
	return size <= (limit ? limit / PART : MOST);
}

/* Numbers below `most` have a place. */
static bool make_room(struct keytab *t, uint32_t most)
{
	struct keymemo *m = &t->memo;
	uint32_t room = m->most + m->most / 2;
	uint8_t *array;

	if (most <= m->most)
		return true;
	if (room < most)
		room = most;
	if (!is_small(t->mem, bytes(t, room)))
		return false;
	array = weir_realloc(t->mem, m->array, bytes(t, m->most), bytes(t, room));
	if (!array)
		return false;
	memset(array + bytes(t, m->most), 0, bytes(t, room) - bytes(t, m->most));
	m->array = array;
	m->most = room;
	return true;
}

/* The numbers of the rows of b's root; NULL: there are none, or they are not worth it. */
static const uint32_t *numbers_of(struct keytab *t, struct weir_batch *b)
{
	struct weir_pack_field at[WEIR_PACK_FIELDS];
	struct keymemo *m = &t->memo;
	struct weir_batch *from;
	const uint32_t *number;
	const void *of;
	uint32_t most;

	if (m->off || t->frozen || !t->pack.source.n)
		return NULL;
	from = keypack_source(&t->pack, b, at);
	if (!from || !from->ops->numbers)
		return NULL;
	number = from->ops->numbers(from, at, t->pack.n, &most, &of);
	if (!number || (m->of && m->of != of))
		return NULL;
	if (m->array) {
		if (make_room(t, most))
			return number;
		drop(t);
		return NULL;
	}
	if (bytes(t, most) / BYTES > t->keys.n || !is_small(t->mem, bytes(t, most)))
		return NULL;
	if (!m->rest && !t->news)
		m->rest = weir_alloc(t->mem, sizeof *m->rest);
	if (!m->rest && !t->news)
		return NULL;
	m->array = weir_calloc(t->mem, bytes(t, most));
	m->most = m->array ? most : 0;
	m->of = of;
	m->known = t->keys.n;
	return m->array ? number : NULL;
}

/* What is known of ret->row[0..n); of the rest the places. Returns their number; *ret_none: some
 * are known to have no key. */
static uint32_t recall(const struct keymemo *m, const uint32_t *number, struct keytab_rows *ret,
        uint32_t n, uint16_t *place, uint16_t *row, bool *ret_none)
{
	uint32_t rest = 0, none = 0;
	const uint32_t *id = m->array;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t known = id[number[ret->row[k]]];

		if (k + AHEAD < n)
			__builtin_prefetch(&id[number[ret->row[k + AHEAD]]]);
		ret->id[k] = known - 1;
		place[rest] = (uint16_t)k;
		row[rest] = ret->row[k];
		rest += known == 0;
		none |= known == KEYMEMO_NONE;
	}
	*ret_none = none;
	return rest;
}

#define NO_ID (KEYMEMO_NONE - 1) /* in ret->id */

/* Looks the rest up, and remembers it. */
static int look_up(struct keytab *t, struct weir_batch *b, const uint32_t *number,
        struct keytab_rows *ret, const uint16_t *place, const uint16_t *row, uint32_t n)
{
	uint32_t *id = t->memo.array, j = 0;
	struct keytab_rows *rest = t->memo.rest;
	int r = keytab_map_rows(t, b, row, n, NULL, rest);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		bool there = j < rest->n && rest->row[j] == row[i];

		ret->id[place[i]] = there ? rest->id[j] : NO_ID;
		id[number[row[i]]] = ret->id[place[i]] + 1;
		j += there;
	}
	/* `rest` is in order of rows, as the places are; with all there, they have the same index
	 */
	for (uint32_t i = 0, at = 0; i < rest->nfresh; i++) {
		while (row[at] != rest->row[rest->fresh[i]])
			at++;
		ret->fresh[ret->nfresh++] = place[at];
	}
	return 0;
}

/* Takes rows without a key out. */
static uint32_t close_up(struct keytab_rows *ret, uint32_t n)
{
	uint32_t left = 0, f = 0;

	for (uint32_t k = 0; k < n; k++) {
		if (ret->id[k] == NO_ID)
			continue;
		if (f < ret->nfresh && ret->fresh[f] == k)
			ret->fresh[f++] = (uint16_t)left;
		ret->row[left] = ret->row[k];
		ret->id[left++] = ret->id[k];
	}
	return left;
}

/* The rows of row[0..n) that are not known, at the same place; *ret_lacking: how many of the others
 * lack a field. */
static uint32_t unknown(const uint8_t *known, const uint32_t *number, uint16_t *row, uint32_t n,
        uint32_t *ret_lacking)
{
	uint32_t rest = 0, lacking = 0;

	for (uint32_t k = 0; k < n; k++) {
		uint8_t v = known[number[row[k]]];

		if (k + AHEAD < n)
			__builtin_prefetch(&known[number[row[k + AHEAD]]]);
		row[rest] = row[k];
		rest += v == 0;
		lacking += v / KEYMEMO_LACKS;
	}
	*ret_lacking = lacking;
	return rest;
}

static int map_news(
        struct keytab *t, struct weir_batch *b, const uint32_t *number, struct keytab_rows *ret)
{
	uint8_t *known = t->memo.array;
	uint16_t row[WEIR_BATCH_ROWS + 1];
	uint32_t n = keypack_rows(b, row), lacking, rest;
	int r;

	rest = unknown(known, number, row, n, &lacking);
	r = keytab_map_rows(t, b, row, rest, NULL, ret);
	if (r < 0)
		return r;
	ret->missing += lacking;
	for (uint32_t k = 0; k < rest; k++)
		known[number[row[k]]] = KEYMEMO_LACKS;
	for (uint32_t k = 0; k < ret->n; k++)
		known[number[ret->row[k]]] = KEYMEMO_SEEN;
	judge(t, n, rest);
	return 0;
}

int keymemo_map(struct keytab *t, struct weir_batch *b, struct keytab_rows *ret)
{
	const uint32_t *number = numbers_of(t, b);
	uint16_t place[WEIR_BATCH_ROWS + 1], row[WEIR_BATCH_ROWS + 1];
	uint32_t n, rest;
	bool none;

	if (!number)
		return 1;
	if (t->news)
		return map_news(t, b, number, ret);
	n = keypack_rows(b, ret->row);
	ret->before = t->n;
	ret->nfresh = ret->nmissed = ret->missing = 0;
	rest = recall(&t->memo, number, ret, n, place, row, &none);
	if (rest) {
		int r = look_up(t, b, number, ret, place, row, rest);

		if (r < 0)
			return r;
		none |= t->memo.rest->missing;
	}
	ret->n = none ? close_up(ret, n) : n;
	ret->missing = n - ret->n;
	for (uint32_t k = 0; t->payload && k < ret->n; k++) {
		ret->state[k] =
		        t->keys.rec + (size_t)ret->id[k] * t->keys.stride + t->keys.key_size;
		__builtin_prefetch(ret->state[k], 1);
	}
	judge(t, n, rest);
	return 0;
}
