/* SPDX-License-Identifier: MIT */
/* mem.h: an account of memory with a limit, one for each query.
 *
 * `used` is what is allocated now; an allocation that would pass `limit` fails. Counted with
 * relaxed atomics: any thread may allocate and free.
 */
#ifndef MEM_H
#define MEM_H

#include <weir/module.h>

struct aid;
struct tails;

struct weir_mem {
	struct weir_mem *parent; /* counted there too; NULL: none */
	uint32_t refs;           /* atomic; 0: part of something else, not counted */
	size_t used, peak;
	size_t limit;        /* 0: none */
	struct tails *tails; /* of arrays that are counted here or below; NULL: none */
	struct aid *aid;     /* who takes part in long work on them; NULL: nobody */
	uint32_t denied;     /* allocations refused at the limit */
};

/* An account on its own, for what may outlive a query's run (results, snapshots); one reference. */
struct weir_mem *mem_new(size_t limit); /* NULL: out of memory */
/* Do nothing for NULL and for an account that is part of something else. */
struct weir_mem *mem_ref(struct weir_mem *m);
void mem_unref(struct weir_mem *m);

/* Counts `size` bytes that were got elsewhere (mapped pages): false at the limit. NULL counts
 * nothing. mem_give() takes them back. */
bool mem_take(struct weir_mem *m, size_t size);
void mem_give(struct weir_mem *m, size_t size);

#endif
