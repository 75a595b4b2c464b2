/* SPDX-License-Identifier: MIT */
/* aggregate.c: updating and reading figures of groups, one loop for each operation. */
#include "engine/core/aggregate.h"

#include <math.h>

#include "engine/core/grow.h"
#include "engine/core/keyhash.h"
#include "engine/core/order.h"

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
	switch (a->op) {
	case AGG_MEAN:
		return 16; /* sum, number */
	case AGG_STDDEV:
		return 24; /* number, mean, sum of squared differences from it */
	case AGG_PERCENTILE:
		return a->sketch ? 8 : 0;
	default:
		return a->op != AGG_COUNT && a->op != AGG_DISTINCT &&
		                       weir_storage_of(a->kind) == WEIR_ADDR
		               ? 24
		               : 8;
	}
}

/* Whether a byte of the state says that there is a figure. */
static bool has_seen(const struct aggregate *a)
{
	switch (a->op) {
	case AGG_SUM:
		return !a->always;
	case AGG_MIN:
	case AGG_MAX:
		return !a->always || weir_storage_of(a->kind) != WEIR_WORD;
	default:
		return a->op == AGG_FIRST || a->op == AGG_LAST;
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
		if (has_seen(&a[i]))
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

/* Whether two numbers' sum leaves the range; then *to is its end. */
static inline bool add_u64(uint64_t *to, uint64_t v)
{
	if (!__builtin_add_overflow(*to, v, to))
		return false;
	*to = UINT64_MAX;
	return true;
}

static inline bool add_i64(int64_t *to, int64_t v)
{
	int64_t old = *to;

	if (!__builtin_add_overflow(old, v, to))
		return false;
	*to = old < 0 ? INT64_MIN : INT64_MAX;
	return true;
}

static inline double as_double(enum weir_kind kind, uint64_t v)
{
	union weir_datum d = {.u = v};

	return kind == WEIR_F64                        ? d.f
	       : kind == WEIR_U64 || kind == WEIR_BOOL ? (double)d.u
	                                               : (double)d.i;
}

/* For each row that has the value: `st` is its group's place, `v` the value as a word. */
#define EACH(body)                                                                                 \
	for (uint32_t k = 0; k < r->n; k++) {                                                      \
		uint32_t row = r->row[k];                                                          \
		uint8_t *st = r->state[k] + a->at;                                                 \
		uint64_t v;                                                                        \
		if (valid && !(valid[row >> 6] >> (row & 63) & 1))                                 \
			continue;                                                                  \
		v = word[row];                                                                     \
		body;                                                                              \
	}

static void update_seen(
        const struct aggregate *a, const struct weir_col *c, const struct aggregate_rows *r)
{
	uint8_t seen = 0;

	if (!has_seen(a) || !r->n)
		return;
	if (!r->one) {
		for (uint32_t k = 0; k < r->n; k++)
			r->state[k][a->seen] |= weir_col_has(c, r->row[k]);
		return;
	}
	for (uint32_t k = 0; k < r->n && !seen; k++)
		seen = weir_col_has(c, r->row[k]);
	r->state[0][a->seen] |= seen;
}

/* A sum over all rows, in a register; saturates as add_u64() does. */
static void sum_one(
        uint64_t *to, const struct weir_col *c, const struct aggregate_rows *r, uint64_t *overflows)
{
	const uint64_t *word = c->data;
	unsigned __int128 sum = *to;
	uint32_t n = r->n;

	if (r->dense && !c->valid) {
		word += r->row[0];
		for (uint32_t k = 0; k < n; k++)
			sum += word[k];
	} else {
		for (uint32_t k = 0; k < n; k++)
			sum += weir_col_has(c, r->row[k]) ? word[r->row[k]] : 0;
	}
	if (sum > UINT64_MAX)
		++*overflows;
	*to = sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

static void update_sum(const struct aggregate *a, const struct weir_col *c,
        const struct aggregate_rows *r, uint64_t *overflows)
{
	const uint64_t *word = c->data, *valid = c->valid;
	uint64_t over = 0;

	if (a->kind == WEIR_F64)
		EACH(*(double *)st += as_double(WEIR_F64, v))
	else if (a->kind == WEIR_I64 || a->kind == WEIR_DURATION)
		EACH(over += add_i64((int64_t *)st, (int64_t)v))
	else if (r->one && r->n)
		sum_one((uint64_t *)(r->state[0] + a->at), c, r, &over);
	else
		EACH(over += add_u64((uint64_t *)st, v))
	*overflows += over;
	update_seen(a, c, r);
}

struct welford {
	uint64_t n;
	double mean, m2;
};

static inline void welford_add(struct welford *w, double v)
{
	double d = v - w->mean;

	w->mean += d / (double)++w->n;
	w->m2 += d * (v - w->mean);
}

struct mean {
	double sum;
	uint64_t n;
};

static inline void mean_add(struct mean *m, double v)
{
	m->sum += v;
	m->n++;
}

/* Smaller is better; for max the order is turned. */
static void update_extreme(
        const struct aggregate *a, const struct weir_col *c, const struct aggregate_rows *r)
{
	const uint64_t *word = c->data, *valid = c->valid;
	uint64_t flip = a->op == AGG_MAX ? UINT64_MAX : 0;
	/* the state holds the turned value's complement, so that zero is worse than any */
	EACH({
		uint64_t x = ~(order_word(a->kind, v) ^ flip);
		if (x > *(uint64_t *)st)
			*(uint64_t *)st = x;
	})
	update_seen(a, c, r);
}

static inline uint64_t extreme_value(const struct aggregate *a, uint64_t state)
{
	const uint64_t sign = 1ull << 63;
	uint64_t v = ~state ^ (a->op == AGG_MAX ? UINT64_MAX : 0);

	if (a->kind == WEIR_I64 || a->kind == WEIR_TIME || a->kind == WEIR_DURATION)
		return v ^ sign;
	if (a->kind == WEIR_F64)
		return v & sign ? v ^ sign : ~v;
	return v;
}

static inline struct heap_cell *get_cell(const uint8_t *at)
{
	struct heap_cell *c;

	memcpy(&c, at, sizeof c);
	return c;
}

/* The value kept in a group's state, of any kind. */
static union weir_datum kept(const struct aggregate *a, const uint8_t *st)
{
	union weir_datum d;
	struct heap_cell *c;

	memset(&d, 0, sizeof d);
	switch (weir_storage_of(a->kind)) {
	case WEIR_WORD:
		memcpy(&d.u, st, 8);
		break;
	case WEIR_ADDR:
		memcpy(&d.ip, st, sizeof d.ip);
		break;
	case WEIR_VAR:
		c = get_cell(st);
		if (c)
			d.s = (struct weir_str){c->bytes, c->len};
		break;
	}
	return d;
}

static int keep(const struct aggregate *a, struct aggregate_run *run, uint8_t *st,
        const struct weir_col *c, uint32_t row)
{
	const struct weir_str *s;
	struct heap_cell *cell;

	switch (weir_storage_of(a->kind)) {
	case WEIR_WORD:
		memcpy(st, &weir_col_u64(c)[row], 8);
		return 0;
	case WEIR_ADDR:
		memcpy(st, &weir_col_ip(c)[row], sizeof(struct weir_ip));
		return 0;
	case WEIR_VAR:
		break;
	}
	s = &weir_col_str(c)[row];
	cell = heap_put(&run->heap, get_cell(st), s->p, s->len);
	if (!cell)
		return -ENOMEM;
	memcpy(st, &cell, sizeof cell);
	return 0;
}

/* first, last; min and max of what is no number. */
static int update_kept(const struct aggregate *a, struct aggregate_run *run,
        const struct weir_col *c, const struct aggregate_rows *r)
{
	uint32_t seen = a->seen - a->at;

	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t row = r->row[k];
		uint8_t *st = r->state[k] + a->at;

		if (!weir_col_has(c, row) || (a->op == AGG_FIRST && st[seen]))
			continue;
		if ((a->op == AGG_MIN || a->op == AGG_MAX) && st[seen]) {
			union weir_datum old = kept(a, st), new;
			int order;

			memset(&new, 0, sizeof new);
			if (weir_storage_of(a->kind) == WEIR_ADDR)
				new.ip = weir_col_ip(c)[row];
			else
				new.s = weir_col_str(c)[row];
			order = weir_kind_compare(a->kind, &new, &old);
			if (a->op == AGG_MIN ? order >= 0 : order <= 0)
				continue;
		}
		if (keep(a, run, st, c, row) < 0)
			return -ENOMEM;
		st[seen] = 1;
	}
	return 0;
}

static int update_distinct(const struct aggregate *a, struct aggregate_run *run,
        struct weir_batch *b, const struct aggregate_rows *r)
{
	struct keytab_rows in;
	uint32_t k = 0;
	int rc = keytab_map_rows(run->tuples, b, r->row, r->n, r->id, &in);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < in.nfresh; i++) {
		while (r->row[k] != in.row[in.fresh[i]])
			k++;
		++*(uint64_t *)(r->state[k] + a->at);
	}
	return 0;
}

static int update_values(
        struct aggregate_run *run, const struct weir_col *c, const struct aggregate_rows *r)
{
	uint32_t *group = grow(run->mem, run->group, &run->group_size, (run->n + r->n + 1) * 4);
	uint64_t *value;

	if (!group)
		return -ENOMEM;
	run->group = group;
	value = grow(run->mem, run->value, &run->value_size, (run->n + r->n + 1) * 8);
	if (!value)
		return -ENOMEM;
	run->value = value;
	for (uint32_t k = 0; k < r->n; k++)
		if (weir_col_has(c, r->row[k])) {
			group[run->n] = r->id[k];
			value[run->n++] = order_word(c->kind, weir_col_u64(c)[r->row[k]]);
		}
	return 0;
}

int aggregate_update(const struct aggregate *a, struct aggregate_run *run, struct weir_batch *b,
        const struct aggregate_rows *r, uint64_t *overflows)
{
	static uint64_t none[WEIR_BATCH_ROWS]; /* values of count(), which reads none */
	struct weir_col col = {.data = none};
	const struct weir_col *c = &col;
	const uint64_t *word, *valid;
	bool is_word = weir_storage_of(a->kind) == WEIR_WORD;

	if (a->op == AGG_DISTINCT)
		return a->sketch ? aggregate_sketch_update(a, run, b, r, NULL)
		                 : update_distinct(a, run, b, r);
	if (a->kind == WEIR_NONE && r->one) {
		*(uint64_t *)(r->state[0] + a->at) += r->n;
		return 0;
	}
	if (a->kind == WEIR_NONE) {
		for (uint32_t k = 0; k < r->n; k++)
			++*(uint64_t *)(r->state[k] + a->at);
		return 0;
	}
	if (a->field >= 0)
		c = weir_batch_col(b, (uint32_t)a->field);
	else if (weir_expr_eval(a->expr, b, &col) < 0)
		return -ENOMEM;
	if (!c)
		return -ENOMEM;
	word = is_word ? c->data : none;
	valid = c->valid;
	switch (a->op) {
	case AGG_COUNT:
		for (uint32_t k = 0; k < r->n; k++)
			*(uint64_t *)(r->state[k] + a->at) += weir_col_has(c, r->row[k]);
		break;
	case AGG_SUM:
		update_sum(a, c, r, overflows);
		break;
	case AGG_MEAN:
		EACH(mean_add((struct mean *)st, as_double(a->kind, v)))
		break;
	case AGG_STDDEV:
		EACH(welford_add((struct welford *)st, as_double(a->kind, v)))
		break;
	case AGG_PERCENTILE:
		return a->sketch ? aggregate_sketch_update(a, run, b, r, c)
		                 : update_values(run, c, r);
	case AGG_MIN:
	case AGG_MAX:
		if (!is_word)
			return update_kept(a, run, c, r);
		update_extreme(a, c, r);
		break;
	default:
		return update_kept(a, run, c, r);
	}
	return 0;
}

bool aggregate_is_plain(const struct aggregate *a)
{
	return (a->op == AGG_COUNT && a->kind == WEIR_NONE) ||
	       (a->op == AGG_SUM && a->kind == WEIR_U64);
}

bool aggregate_adds(const struct aggregate *a)
{
	switch (a->op) {
	case AGG_COUNT:
		return true;
	case AGG_SUM:
		return a->kind == WEIR_BOOL || (a->kind == WEIR_U64 && a->narrow);
	case AGG_MIN:
	case AGG_MAX:
		return weir_storage_of(a->kind) == WEIR_WORD;
	default:
		return false;
	}
}

void aggregate_add(const struct aggregate *a, uint8_t *const *to, uint8_t *const *from, uint32_t n)
{
	bool extreme = a->op == AGG_MIN || a->op == AGG_MAX;

	for (uint32_t k = 0; k < n; k++) {
		uint64_t *sum = (uint64_t *)(to[k] + a->at);
		uint64_t v = *(const uint64_t *)(from[k] + a->at);

		if (!extreme)
			*sum += v;
		else if (v > *sum) /* see update_extreme() */
			*sum = v;
	}
	if (has_seen(a))
		for (uint32_t k = 0; k < n; k++)
			to[k][a->seen] |= from[k][a->seen];
}

bool aggregate_is_pair(const struct aggregate *a)
{
	const struct aggregate *count = a->op == AGG_COUNT ? a : a + 1,
	                       *sum = a->op == AGG_COUNT ? a + 1 : a;

	return count->op == AGG_COUNT && count->kind == WEIR_NONE && sum->op == AGG_SUM &&
	       sum->kind == WEIR_U64 && sum->field >= 0 && !has_seen(sum);
}

/* One pass over the states, whose cache lines are what it costs. */
int aggregate_update_pair(const struct aggregate *a, struct weir_batch *b,
        const struct aggregate_rows *r, uint64_t *overflows)
{
	const struct aggregate *count = a->op == AGG_COUNT ? a : a + 1,
	                       *sum = a->op == AGG_COUNT ? a + 1 : a;
	const struct weir_col *c = weir_batch_col(b, (uint32_t)sum->field);
	uint32_t count_at = count->at, sum_at = sum->at;
	const uint64_t *word;
	uint64_t over = 0;

	if (!c)
		return -ENOMEM;
	word = c->data;
	if (c->valid) {
		for (uint32_t k = 0; k < r->n; k++)
			++*(uint64_t *)(r->state[k] + count_at);
		update_sum(sum, c, r, overflows);
		return 0;
	}
	for (uint32_t k = 0; k < r->n; k++) {
		uint8_t *st = r->state[k];

		++*(uint64_t *)(st + count_at);
		over += add_u64((uint64_t *)(st + sum_at), word[r->row[k]]);
	}
	*overflows += over;
	return 0;
}

/* Percentiles: sorts the values by group (counting), so that each group's stand together. */
int aggregate_begin(const struct aggregate *a, struct aggregate_run *run, uint32_t n)
{
	if (a->op != AGG_PERCENTILE || a->sketch)
		return 0;
	run->start = grow(run->mem, NULL, &run->start_size, ((size_t)n + 2) * sizeof *run->start);
	run->sorted = run->start ? grow(run->mem, NULL, &run->sorted_size, (run->n + 1) * 8) : NULL;
	if (!run->sorted)
		return -ENOMEM;
	for (uint64_t i = 0; i < run->n; i++)
		run->start[run->group[i] + 2]++;
	for (uint32_t g = 0; g < n; g++)
		run->start[g + 1] += run->start[g];
	for (uint64_t i = 0; i < run->n; i++)
		run->sorted[run->start[run->group[i] + 1]++] = run->value[i];
	return 0;
}

void aggregate_end(struct aggregate_run *run)
{
	grow_free(run->mem, run->start, run->start_size);
	grow_free(run->mem, run->sorted, run->sorted_size);
	run->start = run->sorted = NULL;
	run->start_size = run->sorted_size = 0;
}

/* The k-th smallest of v[0..n), by Hoare's partition; v is reordered. Equal values are swapped, so
 * that no order of arrival that a sender may choose (sorted, all equal) makes it quadratic; the
 * pivot is the middle of three that a seeded xorshift picks. */
static uint64_t select_nth(uint64_t *v, uint64_t n, uint64_t k)
{
	uint64_t lo = 0, hi = n - 1, x = (n ^ keyhash_secret()->word[0]) | 1;

	while (lo < hi) {
		uint64_t p[3], i = lo, j = hi, pivot;

		for (int q = 0; q < 3; q++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			p[q] = v[lo + x % (hi - lo + 1)];
		}
		pivot = p[0] < p[1] ? (p[1] < p[2]          ? p[1]
		                              : p[0] < p[2] ? p[2]
		                                            : p[0])
		                    : (p[0] < p[2]          ? p[0]
		                              : p[1] < p[2] ? p[2]
		                                            : p[1]);
		for (;;) {
			uint64_t t;

			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i >= j)
				break;
			t = v[i];
			v[i++] = v[j];
			v[j--] = t;
		}
		if (k > j)
			lo = j + 1;
		else if (j < hi)
			hi = j;
		else if (k == hi) /* the pivot is the largest and stands last */
			break;
		else
			hi--;
	}
	return v[k];
}

static void load_percentile(const struct aggregate *a, struct aggregate_run *run, uint32_t group,
        uint64_t *to, uint8_t *has)
{
	/* after aggregate_begin() start[g] is the beginning of group g */
	uint64_t from = run->start[group], n = run->start[group + 1] - from, rank;

	*has = n > 0;
	if (!n)
		return;
	rank = (uint64_t)ceil(a->percent / 100 * (double)n);
	rank = rank < 1 ? 1 : rank > n ? n : rank;
	*to = select_nth(run->sorted + from, n, rank - 1);
	*to = extreme_value(&(struct aggregate){.op = AGG_MIN, .kind = a->kind}, ~*to);
}

static void put_double(const struct aggregate *a, double v, void *to)
{
	if (a->result == WEIR_DURATION)
		*(int64_t *)to = llround(v);
	else
		*(double *)to = v;
}

static int load_text(struct weir_batch *b, const struct aggregate *a, uint8_t *const *state,
        uint32_t n, struct weir_str *to)
{
	size_t total = 0;
	uint8_t *p;

	for (uint32_t k = 0; k < n; k++) {
		to[k] = kept(a, state[k] + a->at).s;
		total += to[k].len;
	}
	p = weir_batch_alloc(b, total + 1);
	if (!p)
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++) {
		if (to[k].len)
			memcpy(p, to[k].p, to[k].len);
		to[k].p = p;
		p += to[k].len;
	}
	return 0;
}

int aggregate_load(const struct aggregate *a, struct aggregate_run *run, uint32_t first,
        uint8_t *const *state, uint32_t n, struct weir_batch *b)
{
	const bool seen = has_seen(a);
	struct weir_col *c = weir_batch_own(b, a->out);
	uint8_t has[WEIR_BATCH_ROWS];
	uint32_t missing = 0;
	uint64_t *to;

	if (!c)
		return -ENOMEM;
	to = c->data;
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *st = state[k] + a->at;
		const struct welford *w = (const struct welford *)st;
		const struct mean *m = (const struct mean *)st;

		has[k] = seen ? state[k][a->seen] : 1;
		if (a->sketch) {
			union weir_datum v;

			has[k] = aggregate_sketch_value(a, state[k], &v);
			to[k] = v.u;
			missing += !has[k];
			continue;
		}
		switch (a->op) {
		case AGG_COUNT:
		case AGG_SUM:
		case AGG_DISTINCT:
			memcpy(&to[k], st, 8);
			break;
		case AGG_MEAN:
			has[k] = m->n > 0;
			put_double(a, has[k] ? m->sum / (double)m->n : 0, &to[k]);
			break;
		case AGG_STDDEV:
			has[k] = w->n > 1;
			put_double(a, has[k] ? sqrt(w->m2 / (double)(w->n - 1)) : 0, &to[k]);
			break;
		case AGG_PERCENTILE:
			load_percentile(a, run, first + k, &to[k], &has[k]);
			break;
		default:
			if (weir_storage_of(a->kind) == WEIR_ADDR)
				memcpy((struct weir_ip *)c->data + k, st, sizeof(struct weir_ip));
			else if (weir_storage_of(a->kind) == WEIR_WORD)
				to[k] = a->op == AGG_MIN || a->op == AGG_MAX
				                ? extreme_value(a, *(const uint64_t *)st)
				                : *(const uint64_t *)st;
		}
		missing += !has[k];
	}
	if (weir_storage_of(a->result) == WEIR_VAR && load_text(b, a, state, n, c->data) < 0)
		return -ENOMEM;
	if (!missing)
		return 0;
	if (!weir_batch_own_valid(b, c))
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++)
		if (has[k])
			weir_valid_set(c->valid, k);
	return 0;
}
