/* SPDX-License-Identifier: MIT */
/* keymemo.h: ids of keys by the numbers that a source gives its records.
 *
 * A source that has read its records before can say which are equal in all key fields
 * (weir_batch_ops.numbers). Then the first record of each number is looked up in the table, and the
 * others are known: one load from a small array instead of a hash, a slot and a key.
 *
 * The array takes 4 bytes a number, or one where only new keys are asked for (keytab.news), and
 * grows where a source finds its numbers as it goes. It is made once the table has grown to a size
 * beside which that is little, and if it is a small part of the query's memory; and given up where
 * most records are of numbers not seen before, as behind `uniq`.
 */
#ifndef KEYMEMO_H
#define KEYMEMO_H

#include <weir/module.h>

struct keytab;
struct keytab_rows;

struct keymemo {
	const void *of; /* whose numbers they are; NULL: nobody's yet */
	/* By number: uint32_t, id + 1; 0: not known; KEYMEMO_NONE: such records lack a field. With
	 * keytab.news uint8_t, 0 or KEYMEMO_SEEN or KEYMEMO_LACKS. */
	void *array;
	uint32_t most;            /* numbers below this have a place in it */
	struct keytab_rows *rest; /* rows that had to be looked up; NULL with keytab.news */
	uint32_t asked, missed;   /* rows since it was last judged; those not known */
	uint32_t known;           /* keys that were there before the array: each is missed once */
	bool off;                 /* given up */
};

#define KEYMEMO_NONE UINT32_MAX
#define KEYMEMO_SEEN 1
#define KEYMEMO_LACKS 2

void keymemo_release(struct keytab *t);

/* As keytab_map(), where the batch has numbers: 0 or -errno; 1: it has not, or they are not used.
 */
int keymemo_map(struct keytab *t, struct weir_batch *b, struct keytab_rows *ret);

#endif
