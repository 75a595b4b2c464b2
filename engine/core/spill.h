/* SPDX-License-Identifier: MIT */
/* spill.h: tables by key and sorted tables that go on, on disk, beyond the memory of the query
 * (`set spill DIR SIZE`).
 *
 * A state (a module's, with its table by key) is *frozen* once it has taken its share of the
 * memory: it takes no more keys. A record whose key is there counts as ever; any other goes to one
 * of SPILL_PARTS files, its *part*, by the hash of its key. When the answer is due, each part goes
 * through a state of its own, which may be frozen in its turn and then has parts by other bits of
 * the hash. What a part's state leaves goes to disk, in order; at last all that is merged (a
 * grace hash join's way: Kitsuregawa and others, 1983; with a first part in memory: DeWitt and
 * others, 1984).
 *
 * Each record has a *place*: the number of its batch, and its row. It is kept with the record, so
 * that rows come out in the order of the records that they stand for: those of uniq and count are
 * records, those of group and last have the place of their key's first. The first state's answer
 * needs no place: its keys appeared before all that were missed.
 *
 * uniq goes on emitting (nothing, its keys being known); count, whose rows would come before others
 * that are earlier, does not once it is frozen, and keeps its rows for the merge. Both emit what is
 * left at marks. At WEIR_REFRESH that is for good: later only records behind those places leave,
 * though the parts are read from their starts.
 *
 * sort: see runs.h.
 */
#ifndef SPILL_H
#define SPILL_H

#include "engine/core/keytab.h"
#include "engine/core/mem.h"
#include "engine/core/spill_file.h"
#include "engine/core/split.h"

#define SPILL_PARTS 64
#define SPILL_PARTS_BITS 6
#define SPILL_LEVELS 10 /* of parts of parts: as many as the hash has bits for */

struct spill {
	struct weir_mem mem;         /* of the node's first state */
	struct weir_mem part_mem;    /* of a part's */
	size_t share;                /* bytes that a state takes, about, before it is frozen */
	struct spill_layout in, out; /* of what the parts have; of rows */
	uint32_t *fields;            /* of both layouts */
	size_t fields_size;          /* bytes */
	struct split split;          /* into parts */
	struct spill_file *part[SPILL_PARTS]; /* what the first state missed; NULL: nothing */
	/* of the state at work */
	struct spill_file **parts;  /* where what it misses goes */
	struct spill_file *rows;    /* where its rows go */
	uint32_t level;             /* 0: the first */
	bool keeps;                 /* its rows go there, not on */
	bool ends;                  /* the parts are read for the last time */
	const uint64_t *place;      /* of the batch at hand, by row; NULL: `batch` and the row */
	uint64_t batch;             /* number of the first state's next, in units of rows */
	uint64_t gone;              /* rows of places below were emitted */
	uint64_t *first;            /* by key of a part's state that answers: its place */
	size_t first_size;          /* bytes */
	uint32_t nfirst, nanswered; /* answered: rows that it has emitted */
};

/* For graph.c: around a node's open and close, and in its flush. 0 or -errno. */
int spill_open(struct node *n);
void spill_close(struct node *n);
int spill_flush(struct node *n, enum weir_mark mark);

/* For graph.c: whether what the node emits is to go to spill_keep() (which takes it): a state's
 * rows that are not due yet. 0 or -errno. */
static inline bool spill_keeps(const struct node *n)
{
	return n->spill && n->spill->keeps;
}
int spill_keep(struct node *n, struct weir_batch *b);

/* For weir_node_fresh(). 0 or -ENOMEM. */
int spill_fresh(struct node *n, const uint16_t *row, const uint16_t *fresh, uint32_t nfresh);

/* keytab_map() for modules that are WEIR_SPILLS, once for each batch: freezes the table when it is
 * time to, and keeps what it misses on disk. 0 or -errno. */
int spill_map(struct weir_node *n, struct keytab *t, struct weir_batch *b, struct keytab_rows *ret);

/* Whether the state has taken its share, `more` bytes included that it needs to answer. */
bool spill_is_full(const struct weir_node *n, size_t more);

/* For modules without keys: appends rows[0..count) of an input batch to a file, made with the
 * first; calls `each` for all that is in it, in batches of their own without a selection. 0 or
 * -errno. */
int spill_append(struct weir_node *n, struct spill_file **to, struct weir_batch *b,
        const uint16_t *rows, uint32_t count);
int spill_each(struct weir_node *n, struct spill_file *f,
        int (*each)(struct weir_node *n, struct weir_batch *b));

#endif
