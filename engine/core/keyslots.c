/* SPDX-License-Identifier: MIT */
/* keyslots.c: see keyslots.h.
 *
 * A place in the slots are the first bits of a hash, so that what lay side by side before lies side
 * by side again, with space between: a stretch of the old slots fills a stretch of the new ones. So
 * keys are put in by their old place, which asks the memory for one hash each, and not for a slot
 * from anywhere; and several threads have a part of the slots each. A key that a search had pushed
 * out of its part, or would push, is put in last, by one thread.
 */
#include "engine/core/keyslots.h"

#include <errno.h>

#include "engine/core/aid.h"
#include "engine/core/grow.h"
#include "engine/core/mem.h"

#define GROUP KEYPART_GROUP
#define AHEAD 16 /* slots that are prefetched where keys are put in by number */
#define PARTS 16 /* of the slots */
#define RUN                                                                                        \
	512u /* slots at once: their keys' hashes are prefetched before the first is looked at */

struct slots {
	struct keypart *p; /* with new slots, empty */
	uint32_t *old;     /* of a part that has been done: first the keys that it left */
	unsigned old_bits;
	uint32_t left[PARTS];
};

static void put(struct keypart *p, uint32_t number, uint32_t at)
{
	uint32_t mask = keypart_slots(p) - 1;

	while (p->slot[at])
		at = (at + 1) & mask;
	p->slot[at] = p->hash[number - 1] << p->bits | number;
}

static void put_all(struct keypart *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		if (i + AHEAD < p->n)
			__builtin_prefetch(&p->slot[keypart_home(p, p->hash[i + AHEAD])], 1);
		put(p, i + 1, keypart_home(p, p->hash[i]));
	}
}

/* The numbers in a run of slots: the first of each group, then the second of each …, since two of a
 * group are likely to want the same slot, and the second would wait for the first. */
static uint32_t numbers(const struct slots *s, uint32_t from, uint32_t *ret)
{
	const uint32_t mask = (1u << s->old_bits) - 1, *hash = s->p->hash;
	uint32_t n = 0;

	for (uint32_t k = 0; k < GROUP; k++)
		for (uint32_t i = from + k; i < from + RUN; i += GROUP) {
			uint32_t number = s->old[i] & mask;

			ret[n] = number;
			n += number != 0;
			__builtin_prefetch(hash + number - (number != 0));
		}
	return n;
}

/* The first free slot of a group, or behind its third: without a branch as a rule. */
static uint32_t skip_some(const uint32_t *slot, uint32_t at)
{
	at += slot[at] != 0;
	at += slot[at] != 0;
	return at + (slot[at] != 0);
}

static void put_part(void *arg, uint32_t part)
{
	struct slots *s = arg;
	struct keypart *p = s->p;
	const unsigned bits = p->bits, more = bits - s->old_bits;
	const uint32_t size = (1u << s->old_bits) / PARTS, from = part * size;
	const uint32_t begin = from << more, end = begin + (size << more);
	uint32_t number[2][RUN + 1], n[2] = {0}, turn = 0, *slot = p->slot, *left = s->old + from;

	for (uint32_t i = 0; i <= size; i += RUN, turn ^= 1) {
		n[turn] = i < size ? numbers(s, from + i, number[turn]) : 0;
		for (uint32_t k = 0; k < n[turn ^ 1]; k++) {
			uint32_t v = number[turn ^ 1][k], hash = p->hash[v - 1];
			uint32_t at = keypart_home(p, hash);

			if (at - begin < end - begin) {
				at = skip_some(slot, at);
				while (at < end && slot[at])
					at++;
			}
			if (__builtin_expect(at - begin < end - begin, 1))
				slot[at] = hash << bits | v;
			else
				*left++ = v;
		}
	}
	s->left[part] = (uint32_t)(left - (s->old + from));
}

static void put_rest(const struct slots *s)
{
	struct keypart *p = s->p;

	for (uint32_t i = 0; i < PARTS; i++) {
		const uint32_t *left = s->old + ((size_t)i << s->old_bits) / PARTS;

		for (uint32_t k = 0; k < s->left[i]; k++)
			put(p, left[k], keypart_home(p, p->hash[left[k] - 1]));
	}
}

static void resize(struct keypart *p, uint32_t *slot, size_t size, unsigned bits)
{
	p->slot = slot;
	p->slot_size = size;
	p->bits = bits;
	p->in_group = bits < KEYSLOTS_GROUPS ? 0 : GROUP - 1;
}

/* The same array, larger: for few keys, or where there is no memory for two. */
static int make_in_place(struct keypart *p, struct weir_mem *m, unsigned bits)
{
	size_t size = p->slot_size;
	uint32_t *slot = grow(m, p->slot, &size, sizeof *slot << bits);

	if (!slot)
		return -ENOMEM;
	if (p->bits)
		memset(slot, 0, sizeof *slot << p->bits);
	resize(p, slot, size, bits);
	put_all(p);
	return 0;
}

int keyslots_make(struct keypart *p, struct weir_mem *m, unsigned bits)
{
	struct slots s = {.p = p, .old = p->slot, .old_bits = p->bits};
	size_t size = 0, old_size = p->slot_size;
	uint32_t *slot;

	if (bits > KEYSLOTS_MAX)
		return -ENOMEM;
	if (p->bits < KEYSLOTS_GROUPS)
		return make_in_place(p, m, bits);
	slot = grow(m, NULL, &size, sizeof *slot << bits);
	if (!slot)
		return make_in_place(p, m, bits);
	resize(p, slot, size, bits);
	aid_share(m, PARTS, put_part, &s);
	put_rest(&s);
	grow_free(m, s.old, old_size);
	return 0;
}
