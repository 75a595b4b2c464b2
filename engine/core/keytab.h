/* SPDX-License-Identifier: MIT */
/* keytab.h: from the key of each record of a batch to a dense id 0, 1, 2 … in order of first
 * appearance, with room for a state beside each key.
 *
 * A hit touches two cache lines in all, and the table stays under twice its content (keypart.h). A
 * batch is looked up in blocks. Nothing depends on the seed but time: it is drawn at process start,
 * so that nobody can send keys that collide.
 *
 * An IPv6 address is in a key as its number in a dictionary, a second table of the kind (see
 * keypack.h); the key's families stand in the lowest bits of its hash, so that a slot tells them
 * apart, and by number in an array that is there once there was an IPv6 address.
 */
#ifndef KEYTAB_H
#define KEYTAB_H

#include "engine/core/heap.h"
#include "engine/core/keymemo.h"
#include "engine/core/keypack.h"
#include "engine/core/keypart.h"

struct keytab {
	struct weir_mem *mem;
	struct keypack pack;
	struct keypart keys, ip6; /* a key's number is its id */
	uint32_t n;               /* ids given */
	uint32_t payload;
	bool frozen;      /* takes no more keys: records of others are keytab_rows.missed */
	bool apart;       /* never follows another */
	bool news;        /* set by its user, who asks for keys that are new and for nothing else */
	uint64_t serial;  /* of its ids, where they are passed on; 0: not yet */
	uint64_t follows; /* its ids are those of that table, and it has no index; 0: its own */
	uint8_t *families; /* by id; NULL: all zero */
	size_t families_size;
	struct heap heap; /* wide keys */
	struct keymemo memo;
	uint8_t *packed; /* of the block at hand; padding is zero */
	size_t packed_size;
	uint8_t *text;
	size_t text_size;
};

/* The records of a batch that have a key. */
struct keytab_rows {
	uint32_t n, missing;     /* missing: selected rows that were dropped for want of a field */
	uint32_t before, nfresh; /* ids given before this batch, and in it */
	uint16_t row[WEIR_BATCH_ROWS];
	uint32_t id[WEIR_BATCH_ROWS];
	/* aligned to 8; valid until the next keytab_map(); not set where there is no payload */
	uint8_t *state[WEIR_BATCH_ROWS];
	/* places in the arrays above of the first record of each new key, in order; the i-th key's
	 * id is before + i */
	uint16_t fresh[WEIR_BATCH_ROWS];
	/* rows whose keys a frozen table lacks, in order; in none of the arrays above */
	uint32_t nmissed;
	uint16_t missed[WEIR_BATCH_ROWS];
};

/* Keys are `n` fields of schema s, see KEYPACK_*. After a failure too, keytab_release(). */
int keytab_init(struct keytab *t, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n, unsigned flags, uint32_t payload);
void keytab_release(struct keytab *t);

/* The same for one that is there only if needed: an instance for each key of a split should be
 * small. 0 and *ret, or -ENOMEM; then too, keytab_free() and *ret. NULL is fine. */
int keytab_new(struct weir_mem *mem, const struct weir_schema *s, const uint32_t *fields,
        uint32_t n, unsigned flags, uint32_t payload, struct keytab **ret);
void keytab_free(struct weir_mem *mem, struct keytab *t);

/* Looks up the selected rows of b, or rows[0..n), adding keys that are new. Rows that lack a key
 * field are left out (with KEYPACK_NULLS none is), and with `news` perhaps others whose keys are
 * known. prefix: with KEYPACK_PREFIX, a number for each
 * of rows[]. -ENOMEM: some keys may have been added, which are there like the others. */
int keytab_map(struct keytab *t, struct weir_batch *b, struct keytab_rows *ret);
int keytab_map_rows(struct keytab *t, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        const uint32_t *prefix, struct keytab_rows *ret);

/* Looks up keys [first, first + n) of another table with the same fields, n <= WEIR_PACK_ROWS, not
 * wide, adding those that are new; only id, state and fresh of *ret are set. With KEYPACK_PREFIX
 * prefix[p] is put in place of prefix p. 0 or -ENOMEM: none is there by half. */
int keytab_absorb(struct keytab *t, const struct keytab *from, uint32_t first, uint32_t n,
        const uint32_t *prefix, struct keytab_rows *ret);

/* The prefix of an id's key. */
uint32_t keytab_prefix(const struct keytab *t, uint32_t id);

/* For keyfollow.h. Adds the keys of rows[0..n) of b, which are new, to a table without an index (an
 * empty one, or filled this way); not wide. 0 or -errno: none was added. */
int keytab_append(struct keytab *t, struct weir_batch *b, uint16_t *rows, uint32_t n);
/* Makes the index. 0 or -ENOMEM. */
int keytab_index(struct keytab *t);

/* Forgets all keys; the memory stays. Not for wide keys. */
void keytab_clear(struct keytab *t);

/* Bytes that a table may take at once when it maps a batch: where it grows, it may take four times
 * as much. */
size_t keytab_growth(const struct keytab *t);

/* The state of an id. */
uint8_t *keytab_state(const struct keytab *t, uint32_t id);

/* Fills rows 0..n of the built batch's column `out` with key field i of ids first … */
int keytab_load(const struct keytab *t, uint32_t i, uint32_t first, uint32_t n,
        struct weir_batch *b, uint32_t out);

/* The states of ids first … first + n - 1. */
void keytab_states(const struct keytab *t, uint32_t first, uint32_t n, uint8_t **ret);

#endif
