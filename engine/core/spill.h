/* SPDX-License-Identifier: MIT */
/* spill.h: tables by key and sorted tables that go on, on disk, beyond the memory of the query
 * (`set spill DIR SIZE`).
 *
 * A table by key is frozen once it has taken its share of the memory: it takes no more keys. A
 * record whose key is there counts as ever; any other goes to a file. When the answer is due, the
 * module's state answers first, then the records of the file go, in order, through a new state, a
 * *wave*, which is frozen in its turn, so that its misses fill the next file, and so on until
 * nothing is missed.
 *
 * So rows come in the order of first appearance without being merged: all keys of a state appeared
 * before the first record that it missed, and so before all keys of the states behind it. And a key
 * is in one state only: nothing has to be added up. A table that needs k times the room of a wave
 * reads its misses about k / 2 times; tables of traffic mostly less, since the keys of many records
 * come early.
 *
 * uniq emits in waves what it would have emitted at once, at marks only, in the same order. At
 * WEIR_REFRESH it emits for good, and keeps on disk the records that it let through: later ones
 * with their keys must be known.
 *
 * sort: see runs.h.
 */
#ifndef SPILL_H
#define SPILL_H

#include "engine/core/keytab.h"
#include "engine/core/mem.h"
#include "engine/core/spill_file.h"

struct spill {
	struct weir_mem mem;  /* of the node's first state */
	struct weir_mem wave; /* of a wave's */
	size_t share;         /* bytes that a state takes, about, before it is frozen */
	uint32_t *fields;     /* of the input, that the module or somebody behind it reads */
	size_t fields_size;   /* bytes */
	uint32_t nfields;
	struct spill_file *missed; /* records that the first state had no place for */
	struct spill_file *next;   /* the same of the wave at work */
	struct spill_file *known;  /* uniq: the first records of tuples that waves let through */
	bool in_wave, keeps;       /* keeps: this wave's are to be known later */
	uint8_t mark;              /* of the records at hand; 1: they are known */
};

/* For graph.c: around a node's open and close, and in its flush. 0 or -errno. */
int spill_open(struct node *n);
void spill_close(struct node *n);
int spill_flush(struct node *n, enum weir_mark mark);

/* keytab_map() for modules that are WEIR_SPILLS: freezes the table when it is time to, and keeps
 * what it misses on disk. 0 or -errno. */
int spill_map(struct weir_node *n, struct keytab *t, struct weir_batch *b, struct keytab_rows *ret);

/* Whether the records at hand were let through before. */
bool spill_is_known(const struct weir_node *n);

/* To be told which rows of b were let through. 0 or -errno. */
int spill_passed(struct weir_node *n, struct weir_batch *b, const uint16_t *rows, uint32_t count);

/* Whether the state has taken its share, `more` bytes included that it needs to answer. */
bool spill_is_full(const struct weir_node *n, size_t more);

#endif
