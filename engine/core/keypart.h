/* SPDX-License-Identifier: MIT */
/* keypart.h: an open-addressed table of packed keys, which keytab.h is made of.
 *
 * A slot is 4 bytes: as many bits as the table has slots for the key's number, and in the others as
 * many of the key's hash, from below; its place are the hash's bits from above, or the next that is
 * free. So what is random about a look-up stays in the caches four times as long as the keys do.
 * These lie densely in order of their numbers, each followed by its state, zero at first; their
 * hashes do too, so that growing reads no key.
 *
 * In a table that the caches do not hold anyhow, what costs is the look itself: whether a slot is
 * empty, another key's or the right one is a branch that no processor can guess where half of the
 * keys are new. There a search begins with a *group* of eight slots, half a cache line, which are
 * compared at once, and slots may be fuller. In a small one it begins with the one slot.
 *
 * A look-up is done for a block of keys in three steps, so that what each waits for has been
 * prefetched by the one before: hash; find the first slot with this hash, or an empty one; compare
 * and insert, in order. Only the last decides, so that equal keys within a block, and different
 * keys whose slots look alike, come right.
 */
#ifndef KEYPART_H
#define KEYPART_H

#include <weir/pack.h>

#include "engine/core/keyhash.h"

#define KEYPART_BLOCK WEIR_PACK_ROWS
#define KEYPART_GROUP 8u /* slots */

struct weir_mem;

struct keypart {
	uint32_t key_size, stride; /* bytes; a record is the key and its state */
	uint32_t n;                /* keys; their numbers are 0 … n - 1 */
	unsigned bits;             /* log2(slots); 0: none yet, or not indexed */
	uint32_t in_group;         /* bits of a slot's index within its group; 0: no groups */
	uint32_t families;         /* bits of the hash that its user sets, at most 4, the lowest */
	uint32_t *slot;            /* hash << bits | number + 1; 0: empty */
	uint32_t *hash;            /* by number */
	uint8_t *rec;
	size_t slot_size, hash_size, rec_size;
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

/* Forgets all keys; the memory stays. */
void keypart_clear(struct keypart *p);

/* Room for n more keys. 0 or -ENOMEM. */
int keypart_reserve(struct keypart *p, struct weir_mem *m, uint32_t n);
/* The same for records alone. A table that is filled this way has neither hashes nor slots, and
 * nothing but keypart_rec() works, until it is indexed. */
int keypart_reserve_records(struct keypart *p, struct weir_mem *m, uint32_t n);
/* Room for their hashes, to be written to p->hash; then slots for them. 0 or -ENOMEM. */
int keypart_reserve_hashes(struct keypart *p, struct weir_mem *m);
int keypart_index(struct keypart *p, struct weir_mem *m);
/* Bytes that this may take for n more keys: where it grows, it may take four times as
 * much. */
size_t keypart_growth(const struct keypart *p, uint32_t n);

/* The first step: blk->hash of blk->n keys. The bits p->families are 0. */
void keypart_hash(const struct keypart *p, const uint8_t *keys, struct keypart_block *blk);
/* The same where they are known. */
void keypart_hashed(const struct keypart *p, const uint32_t *hash, struct keypart_block *blk);
/* The second: num and rec are of the first key with that hash. */
void keypart_find(const struct keypart *p, struct keypart_block *blk);
void keypart_find_portable(const struct keypart *p, struct keypart_block *blk); /* the same */
/* The third: of the key itself. There is room for new ones. */
void keypart_insert(struct keypart *p, const uint8_t *keys, struct keypart_block *blk);

static inline uint32_t keypart_slots(const struct keypart *p)
{
	return p->bits ? 1u << p->bits : 0;
}

/* The slot where the search for a hash begins. */
static inline uint32_t keypart_home(const struct keypart *p, uint32_t hash)
{
	return hash >> (32 - p->bits) & ~p->in_group;
}

/* The number + 1 in slot v if it may be a key with this hash, else 0. */
static inline uint32_t keypart_number(const struct keypart *p, uint32_t v, uint32_t hash)
{
	uint32_t number = v ^ hash << p->bits;

	return number >> p->bits ? 0 : number;
}

/* Gives the empty slot i to a key whose record has been written behind the last. */
static inline void keypart_take(struct keypart *p, uint32_t i, uint32_t hash)
{
	p->hash[p->n] = hash;
	p->slot[i] = hash << p->bits | ++p->n;
}

static inline uint8_t *keypart_rec(const struct keypart *p, uint32_t num)
{
	return p->rec + (size_t)num * p->stride;
}

#define KEYPART_NONE UINT32_MAX /* no table has so many */

/* The number of one key, or KEYPART_NONE. */
uint32_t keypart_look(const struct keypart *p, const uint8_t *key, uint32_t hash);

#endif
