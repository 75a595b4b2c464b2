/* SPDX-License-Identifier: MIT */
/* keypart.h: an open-addressed table of packed keys, which keytab.h is made of.
 *
 * Slots of 8 bytes (32 bits of the hash, 32 of the key's number); the keys themselves lie densely
 * in order of their numbers, each followed by its state, zero at first. A look-up is done for a
 * block of keys in three steps, so that what each waits for has been prefetched by the one before:
 * hash; find the first slot with this hash, or an empty one; compare and insert, in order. Only the
 * last decides, so that equal keys within a block, and equal hashes of different keys, come right.
 *
 * A slot's place is its hash's high bits: growing is one pass through the slots in order, in place,
 * and never looks at a key.
 */
#ifndef KEYPART_H
#define KEYPART_H

#include <weir/pack.h>

#include "engine/core/keyhash.h"

#define KEYPART_BLOCK WEIR_PACK_ROWS

struct weir_mem;

struct keypart {
	uint32_t key_size, stride; /* bytes; a record is the key and its state */
	uint32_t n;                /* keys; their numbers are 0 … n - 1 */
	unsigned shift;            /* 32 - log2(slots) */
	uint32_t far;              /* no slot stands farther behind its home (its hash's place) */
	uint32_t families;         /* bits of the hash that its user sets */
	uint64_t *slot;            /* hash << 32 | number + 1; 0: empty */
	size_t slot_size;
	uint8_t *rec;
	size_t rec_size;
};

/* The look-up of n <= KEYPART_BLOCK keys that lie one behind the other. */
struct keypart_block {
	uint32_t n;
	uint32_t *num; /* [n]: number + 1, 0: none so far; in the end the number */
	uint8_t **rec; /* [n]: the record of that number; in the end its state */
	uint32_t hash[KEYPART_BLOCK];
	uint32_t at[KEYPART_BLOCK]; /* the slot where the search stopped */
	uint32_t nfresh;            /* keys that were new, by place */
	uint8_t fresh[KEYPART_BLOCK];
};

void keypart_init(struct keypart *p, uint32_t key_size, uint32_t state_size);
void keypart_release(struct keypart *p, struct weir_mem *m);

/* Room for n more keys. 0 or -ENOMEM. */
int keypart_reserve(struct keypart *p, struct weir_mem *m, uint32_t n);
/* Bytes that this may take for n more keys: where it grows, it doubles. */
size_t keypart_growth(const struct keypart *p, uint32_t n);

/* The first step: blk->hash of blk->n keys. The bits p->families are 0. */
void keypart_hash(const struct keypart *p, const uint8_t *keys, struct keypart_block *blk);
/* The second: num and rec are of the first key with that hash. */
void keypart_find(const struct keypart *p, struct keypart_block *blk);
/* The third: of the key itself. There is room for new ones. */
void keypart_insert(struct keypart *p, const uint8_t *keys, struct keypart_block *blk);

static inline uint32_t keypart_slots(const struct keypart *p)
{
	return p->shift == 32 ? 0 : (uint32_t)(1ull << (32 - p->shift));
}

/* Gives the empty slot i to a key whose record has been written behind the last. */
static inline void keypart_take(struct keypart *p, uint32_t i, uint32_t hash)
{
	uint32_t far = (i - (hash >> p->shift)) & (keypart_slots(p) - 1);

	p->slot[i] = (uint64_t)hash << 32 | ++p->n;
	if (far > p->far)
		p->far = far;
}

static inline uint8_t *keypart_rec(const struct keypart *p, uint32_t num)
{
	return p->rec + (size_t)num * p->stride;
}

#define KEYPART_NONE UINT32_MAX /* no table has so many */

/* The number of one key, or KEYPART_NONE. */
uint32_t keypart_look(const struct keypart *p, const uint8_t *key, uint32_t hash);

#endif
