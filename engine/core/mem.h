/* SPDX-License-Identifier: MIT */
/* mem.h: an account of memory with a limit, one for each query.
 *
 * `used` is what is allocated now; an allocation that would pass `limit` fails. Counted with
 * relaxed atomics: any thread may allocate and free.
 */
#ifndef MEM_H
#define MEM_H

#include <weir/module.h>

struct weir_mem {
	size_t used, peak;
	size_t limit;    /* 0: none */
	uint32_t denied; /* allocations refused at the limit */
};

#endif
