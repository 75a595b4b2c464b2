/* SPDX-License-Identifier: MIT */
/* keymap.h: something remembered for each value of some fields: the previous record, a session.
 *
 * Made for modules whose entries come and go or hold more than a sum; big aggregations have their
 * own tables. A key is the packed values of the fields; text longer than 64 bytes counts by its
 * 128-bit hash. Entries do not move. All memory is the query's.
 */
#ifndef KEYMAP_H
#define KEYMAP_H

#include <weir/module.h>

struct keymap_entry {
	struct keymap_entry *next;
	uint64_t hash;
	uint32_t key_len;
	uint32_t size; /* of the whole entry */
	               /* value, then key */
};

struct keymap {
	struct weir_mem *mem;
	struct keymap_entry **buckets;
	size_t nbuckets, n;
	uint32_t value_size; /* a multiple of 8 */
	struct weir_fields by;
	uint8_t *key; /* of the row at hand */
	size_t key_size;
};

static inline void *keymap_value(struct keymap_entry *e)
{
	return e + 1;
}

/* Entries hold `value_size` zeroed bytes for each value of the fields `by` (borrowed). A zeroed
 * map may be released without. 0 or -ENOMEM. */
int keymap_init(struct keymap *m, struct weir_mem *mem, struct weir_fields by, size_t value_size);
void keymap_release(struct keymap *m);

/* The entry for each of the `n` rows of b, made where it is not there; NULL where the record lacks
 * a field, which are counted. 0 or -ENOMEM. */
int keymap_rows(struct keymap *m, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        struct keymap_entry **ret, uint64_t *missing);

/* Takes one entry out and frees it. */
void keymap_remove(struct keymap *m, struct keymap_entry *e);

#endif
