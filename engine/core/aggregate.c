/* SPDX-License-Identifier: MIT */
/* aggregate.c: which figures there are, of what, and where they stand in the state of a group. */
#include "engine/core/aggregate_state.h"

#include "engine/core/grow.h"

static const char *const names[AGG_OPS] = {
        "count", "sum", "min", "max", "mean", "stddev", "distinct", "percentile", "first", "last"};

int aggregate_by_name(const char *name)
{
	for (int i = 0; i < AGG_OPS; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

const char *aggregate_name(enum aggregate_op op)
{
	return op < AGG_OPS ? names[op] : NULL;
}

bool aggregate_check(struct aggregate *a)
{
	bool number = weir_kind_is_number(a->kind) || a->kind == WEIR_DURATION;

	switch (a->op) {
	case AGG_COUNT:
	case AGG_DISTINCT:
		a->result = WEIR_U64;
		return true;
	case AGG_SUM:
		a->result = a->kind == WEIR_BOOL ? WEIR_U64 : a->kind;
		return number || a->kind == WEIR_BOOL;
	case AGG_MEAN:
	case AGG_STDDEV:
		a->result = a->kind == WEIR_DURATION ? WEIR_DURATION : WEIR_F64;
		return number || a->kind == WEIR_BOOL;
	case AGG_PERCENTILE:
		a->result = a->kind;
		return number || a->kind == WEIR_TIME;
	default:
		a->result = a->kind;
		return true;
	}
}

static uint32_t bytes_of(const struct aggregate *a)
{
	if (a->weighted)
		return sizeof(struct weighted);
	switch (a->op) {
	case AGG_MEAN:
		return 16; /* sum and number, in either form */
	case AGG_STDDEV:
		return aggregate_is_whole(a) ? sizeof(struct moments) : sizeof(struct welford);
	case AGG_PERCENTILE:
		return a->sketch ? 8 : 0;
	default:
		return a->op != AGG_COUNT && a->op != AGG_DISTINCT &&
		                       weir_storage_of(a->kind) == WEIR_ADDR
		               ? 24
		               : 8;
	}
}

uint32_t aggregate_layout(struct aggregate *a, uint32_t n)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		a[i].at = at;
		at += bytes_of(&a[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		if (aggregate_has_seen(&a[i]))
			a[i].seen = at++;
	return (at + 7) & ~7u;
}

int aggregate_open(const struct aggregate *a, struct aggregate_run *run, struct weir_mem *mem,
        const struct weir_schema *in)
{
	*run = (struct aggregate_run){.mem = mem, .needed = true};
	heap_init(&run->heap, mem);
	if (a->op != AGG_DISTINCT)
		return 0;
	if (a->sketch) {
		run->keys = weir_calloc(mem, sizeof *run->keys);
		return run->keys ? sketch_keys_init(run->keys, mem, in, a->fields, a->seed)
		                 : -ENOMEM;
	}
	return keytab_new(mem, in, a->fields.index, a->fields.n, KEYPACK_PREFIX, 0, &run->tuples);
}

void aggregate_close(struct aggregate_run *run)
{
	keytab_free(run->mem, run->tuples);
	if (run->keys) {
		sketch_keys_release(run->keys);
		weir_free(run->mem, run->keys, sizeof *run->keys);
	}
	heap_release(&run->heap);
	aggregate_end(run);
	grow_free(run->mem, run->group, run->group_size);
	grow_free(run->mem, run->value, run->value_size);
	run->group = NULL;
	run->value = NULL;
}

bool aggregate_is_plain(const struct aggregate *a)
{
	return !a->weighted && ((a->op == AGG_COUNT && a->kind == WEIR_NONE) ||
	                               (a->op == AGG_SUM && a->kind == WEIR_U64));
}

bool aggregate_is_pair(const struct aggregate *a)
{
	const struct aggregate *count = a->op == AGG_COUNT ? a : a + 1,
	                       *sum = a->op == AGG_COUNT ? a + 1 : a;

	return !a->weighted && count->op == AGG_COUNT && count->kind == WEIR_NONE &&
	       sum->op == AGG_SUM && sum->kind == WEIR_U64 && sum->field >= 0 &&
	       !aggregate_has_seen(sum);
}
