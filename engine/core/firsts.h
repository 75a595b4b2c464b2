/* SPDX-License-Identifier: MIT */
/* firsts.h: where the keys of one lane first appeared.
 *
 * A lane numbers its keys in the order in which they come, so the places of their first records
 * ascend: it is enough to keep the row of each (two bytes a key) and, for each batch that had new
 * ones, its token. What lanes answer is put into the order of one lane by these.
 */
#ifndef FIRSTS_H
#define FIRSTS_H

#include <weir/module.h>

/* Keys from `first` on, up to the next run's, were new in the batch `token`. */
struct firsts_run {
	uint64_t token;
	uint32_t first;
};

struct firsts {
	struct weir_mem *mem;
	uint16_t *row; /* by key, ascending within a run */
	struct firsts_run *run;
	size_t row_size, run_size; /* bytes */
	uint32_t n, nruns;
};

/* Adds keys whose first records are rows row[fresh[0 .. nfresh)] of the batch. A zeroed struct with
 * `mem` is empty. 0 or -ENOMEM. */
int firsts_add(struct firsts *f, uint64_t token, const uint16_t *row, const uint16_t *fresh,
        uint32_t nfresh);
void firsts_clear(struct firsts *f); /* empty, with the same memory */
void firsts_release(struct firsts *f);

#endif
