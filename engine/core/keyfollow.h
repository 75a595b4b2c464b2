/* SPDX-License-Identifier: MIT */
/* keyfollow.h: ids of keys that one module has looked up, taken over by the next.
 *
 * `count K | last K` have the same keys, and what is new to the one is new to the other: so the ids
 * of the second's table are those of the first's. The first leaves them with its batch. The second
 * follows as long as it sees nothing but such batches, from the first key on: it keeps keys and
 * states, and neither hashes nor slots. With the first batch of another kind (of another branch, or
 * of several lanes) it makes the index that it lacks, and gives ids of its own from then on.
 */
#ifndef KEYFOLLOW_H
#define KEYFOLLOW_H

#include <weir/module.h>

struct keytab;
struct keytab_rows;

/* In open: whether all that node n emits goes to one that has the same keys as n (those at
 * keys_offset of both), so that passing ids on may pay. */
bool keyfollow_wanted(const struct weir_node *n);

/* Leaves the ids of r with `out`, whose rows are r's. 0 or -ENOMEM. */
int keyfollow_pass(struct keytab *t, const struct keytab_rows *r, struct weir_batch *out);

/* As keytab_map(): 0 or -errno; 1: there are no ids that t could follow. */
int keyfollow_map(struct keytab *t, struct weir_batch *b, struct keytab_rows *ret);

#endif
