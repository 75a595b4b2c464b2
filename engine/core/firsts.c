/* SPDX-License-Identifier: MIT */
/* firsts.c: see firsts.h. */
#include "engine/core/firsts.h"

#include "engine/core/grow.h"

int firsts_add(struct firsts *f, uint64_t token, const uint16_t *row, const uint16_t *fresh,
        uint32_t nfresh)
{
	struct firsts_run *run;
	uint16_t *rows;

	if (!nfresh)
		return 0;
	rows = grow(f->mem, f->row, &f->row_size, ((size_t)f->n + nfresh) * sizeof *rows);
	if (!rows)
		return -ENOMEM;
	f->row = rows;
	run = grow(f->mem, f->run, &f->run_size, ((size_t)f->nruns + 1) * sizeof *run);
	if (!run)
		return -ENOMEM;
	f->run = run;
	if (!f->nruns || run[f->nruns - 1].token != token)
		run[f->nruns++] = (struct firsts_run){token, f->n};
	for (uint32_t i = 0; i < nfresh; i++)
		rows[f->n + i] = row[fresh[i]];
	f->n += nfresh;
	return 0;
}

void firsts_clear(struct firsts *f)
{
	f->n = f->nruns = 0;
}

void firsts_release(struct firsts *f)
{
	grow_free(f->mem, f->row, f->row_size);
	grow_free(f->mem, f->run, f->run_size);
	*f = (struct firsts){.mem = f->mem};
}
