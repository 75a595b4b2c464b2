/* SPDX-License-Identifier: MIT */
/* group.c: figures for each value of some fields; see engine/core/aggregate.h for the figures.
 *
 * The state of a group (its aggregates' bytes) lies beside its key in the table, so that a record
 * costs one look-up, whatever number of figures there is, and the key's fields are read back from
 * the packed key. Without fields there is one group, which is there from the beginning.
 */
#include <ctype.h>
#include <stdio.h>

#include "engine/core/aggregate.h"
#include "engine/core/grow.h"
#include "engine/core/lend.h"
#include "engine/core/spill.h"
#include "engine/expr/bind.h"
#include "engine/sketch/hll.h"
#include "engine/sketch/notes.h"
#include "engine/sketch/quantile.h"

#define AGGREGATES_MAX 64
#define PRECISION 14
#define SLICE 256 /* rows whose states stay in the first cache from figure to figure */

struct config {
	struct weir_args args;
	struct weir_fields keys;
	struct aggregate *agg;
	uint32_t nagg, size; /* size: of a group's state */
	uint32_t slice;      /* rows to update all figures with in turn */
	bool distinct;       /* estimated */
	bool grows;          /* WEIR_GROWS: something is kept of each record */
	uint64_t precision, seed;
	double error;    /* of percentiles, 0: exact */
	uint32_t nnotes; /* figures that are estimated: their errors follow the figures … */
	uint32_t *noted; /* … side by side with these numbers of figures, and then the bytes */
};

struct state {
	struct keytab tab;
	struct aggregate_run *run; /* nagg */
	uint8_t *whole;            /* without keys: the state of the one group */
	bool pair;    /* the figures are a count and a sum, which have a loop of their own */
	bool plain;   /* the figures of one group take one state for all rows */
	uint32_t *id; /* absorbing, where something grows: by group of the other, the one here */
	size_t id_size;
};

/* ---- bind ---- */

static const char *next_name(void *arg, size_t i)
{
	return i < AGG_OPS ? aggregate_name((enum aggregate_op)i) : NULL;
}

static int unknown(struct weir_bind *b, const struct weir_arg *a, struct weir_err *err)
{
	char hint[128];

	if (a->call)
		return weir_fail(err, WEIR_E_UNKNOWN_FUNCTION, a->pos, a->len, a->call,
		        weir_did_you_mean(
		                a->call, strlen(a->call), next_name, NULL, hint, sizeof hint));
	if (a->word)
		return expr_unknown_field(b->in, a->word, a->pos, a->len, err);
	return weir_fail(err, WEIR_E_UNEXPECTED, a->pos, a->len, a->text ? a->text : "",
	        "a field or a figure such as sum(len)");
}

/* "sum_len", "percentile_len_95": the call's name and what it is about, as letters and digits. */
static const char *default_name(
        struct weir_bind *b, const struct aggregate *agg, const struct weir_arg *a)
{
	char buf[64];
	size_t n = (size_t)snprintf(buf, sizeof buf, "%s", aggregate_name(agg->op));
	char *copy;

	for (uint32_t i = 0; i < a->nargs; i++) {
		const char *t = a->args[i].field >= 0 ? b->in->fields[a->args[i].field].name
		                                      : a->args[i].text;
		size_t len = a->args[i].field >= 0 ? strlen(t) : t ? a->args[i].len : 0;

		if (len && n + 1 < sizeof buf && buf[n - 1] != '_')
			buf[n++] = '_';
		for (size_t k = 0; k < len && t[k] && n + 1 < sizeof buf; k++)
			if (isalnum((unsigned char)t[k]))
				buf[n++] = t[k];
			else if (buf[n - 1] != '_')
				buf[n++] = '_';
	}
	while (buf[n - 1] == '_')
		n--;
	copy = weir_bind_alloc(b, n + 1);
	if (copy)
		memcpy(copy, buf, n);
	return copy;
}

static int wrong_args(const struct weir_arg *a, const char *needs, struct weir_err *err)
{
	return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a->pos, a->len, a->call, needs);
}

static int bind_percent(struct aggregate *agg, const struct weir_arg *a, struct weir_err *err)
{
	struct weir_value v;

	if (a->nargs != 2 || !a->args[1].expr || !weir_expr_constant(a->args[1].expr, &v) ||
	        !weir_kind_is_number(v.kind))
		return wrong_args(a, "a value and a number such as 95", err);
	agg->percent = v.kind == WEIR_F64   ? v.d.f
	               : v.kind == WEIR_I64 ? (double)v.d.i
	                                    : (double)v.d.u;
	if (!(agg->percent >= 0 && agg->percent <= 100))
		return weir_fail(err, WEIR_E_OUT_OF_RANGE, a->args[1].pos, a->args[1].len,
		        "the percentile", "0 to 100");
	return 0;
}

static int bind_distinct(
        struct weir_bind *b, struct aggregate *agg, const struct weir_arg *a, struct weir_err *err)
{
	uint32_t *index = weir_bind_alloc(b, (a->nargs + 1) * sizeof *index);

	if (!index)
		return -ENOMEM;
	if (!a->nargs)
		return wrong_args(a, "at least one field", err);
	for (uint32_t i = 0; i < a->nargs; i++) {
		if (a->args[i].field < 0)
			return a->args[i].expr ? wrong_args(a, "fields", err)
			                       : unknown(b, &a->args[i], err);
		index[i] = (uint32_t)a->args[i].field;
	}
	agg->fields = (struct weir_fields){a->nargs, index};
	return 0;
}

static int bind_value(
        struct weir_bind *b, struct aggregate *agg, const struct weir_arg *a, struct weir_err *err)
{
	const struct weir_arg *v = a->args;

	if (agg->op == AGG_COUNT && !a->nargs)
		return 0;
	if (!a->nargs)
		return wrong_args(a, "a field", err);
	if (agg->op != AGG_PERCENTILE && a->nargs > 1)
		return weir_fail(err, WEIR_E_TOO_MANY_ARGUMENTS, a->args[1].pos, a->args[1].len,
		        a->call, "one field");
	if (!v->expr)
		return unknown(b, v, err);
	agg->field = v->field;
	agg->expr = v->expr;
	agg->kind = v->field >= 0 ? b->in->fields[v->field].kind : weir_expr_kind(v->expr);
	return agg->op == AGG_PERCENTILE ? bind_percent(agg, a, err) : 0;
}

static int bind_aggregate(struct weir_bind *b, struct aggregate *agg, const struct weir_arg *a,
        const char **ret_name, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field f = {.flags = WEIR_FIELD_DEFAULT};
	const struct weir_field *of = NULL;
	int op = aggregate_by_name(a->call), r;
	bool fits;

	if (op < 0)
		return unknown(b, a, err);
	*agg = (struct aggregate){.op = (enum aggregate_op)op, .field = -1};
	r = op == AGG_DISTINCT ? bind_distinct(b, agg, a, err) : bind_value(b, agg, a, err);
	if (r < 0)
		return r;
	if (!aggregate_check(agg))
		return weir_fail(err, WEIR_E_KIND_MISMATCH, a->args[0].pos, a->args[0].len, a->call,
		        "a number", a->args[0].text ? a->args[0].text : "it",
		        weir_kind_article(agg->kind));
	if (agg->field >= 0)
		of = &b->in->fields[agg->field];
	f.name = a->as ? a->as : default_name(b, agg, a);
	if (!f.name)
		return -ENOMEM;
	f.kind = agg->result;
	if (of && op != AGG_COUNT) {
		f.unit = of->unit;
		f.digits = of->digits;
	}
	if (of && (op == AGG_MIN || op == AGG_MAX || op == AGG_FIRST || op == AGG_LAST ||
	                  op == AGG_PERCENTILE)) {
		f.bits = of->bits;
		f.names = of->names;
	}
	agg->narrow = of && of->bits && of->bits <= 32;
	agg->always = c->keys.n && of && (of->flags & WEIR_FIELD_ALWAYS);
	/* a sum or a mean of floating-point numbers may not fit one */
	fits = op != AGG_STDDEV && !(agg->kind == WEIR_F64 && (op == AGG_SUM || op == AGG_MEAN));
	if (op == AGG_COUNT || op == AGG_DISTINCT || (agg->always && fits))
		f.flags |= WEIR_FIELD_ALWAYS;
	r = weir_bind_add(b, &f, err);
	if (r < 0)
		return r;
	agg->out = (uint32_t)r;
	*ret_name = f.name;
	return 0;
}

/* Records that stand for several: counts and sums are scaled back. */
static void choose_weighted(struct weir_bind *b)
{
	struct config *c = b->config;
	int32_t weight = -1, flow = weir_schema_find(b->in, "flowid", 6);

	for (uint32_t f = 0; f < b->in->nfields; f++)
		if (b->in->fields[f].flags & WEIR_FIELD_WEIGHT)
			weight = (int32_t)f;
	if (weight < 0 || flow < 0)
		return;
	for (uint32_t i = 0; i < c->nagg; i++) {
		struct aggregate *a = &c->agg[i];

		if ((a->op != AGG_COUNT && a->op != AGG_SUM) || a->field == weight)
			continue;
		a->weighted = true;
		a->weight = weight;
		a->flow = flow;
		weir_bind_use(b, (uint32_t)weight);
		weir_bind_use(b, (uint32_t)flow);
	}
}

/* Which figures are estimated. */
static int choose_sketches(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	bool distinct = false, percentile = false;

	for (uint32_t i = 0; i < c->nagg; i++) {
		struct aggregate *a = &c->agg[i];

		a->seed = c->seed;
		if (a->op == AGG_DISTINCT && c->distinct)
			a->sketch = c->precision ? (unsigned)c->precision : PRECISION;
		if (a->op == AGG_PERCENTILE && c->error > 0 && a->kind != WEIR_TIME)
			a->sketch = quantile_bits(c->error) + 1;
		distinct |= a->op == AGG_DISTINCT;
		percentile |= a->op == AGG_PERCENTILE;
	}
	if (c->precision && !c->distinct)
		return weir_fail(
		        err, WEIR_E_MISSING_ARGUMENT, b->pos, b->len, "group", "--distinct for -p");
	if (c->distinct && !distinct)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, b->pos, b->len, "group",
		        "distinct(…) for --distinct");
	if (c->error > 0 && !percentile)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, b->pos, b->len, "group",
		        "percentile(…) for -e");
	return c->distinct ? 0 : notes_seed(b, c->seed, "--distinct for --seed", err);
}

static int bind_note(struct weir_bind *b, const char *of, const char *doc, struct weir_err *err)
{
	char name[96];
	struct weir_field f = {.name = name,
	        .kind = WEIR_F64,
	        .flags = WEIR_FIELD_DEFAULT | WEIR_FIELD_ALWAYS,
	        .doc = doc};

	snprintf(name, sizeof name, "%.80s_error", of);
	f.name = weir_bind_alloc(b, strlen(name) + 1);
	if (!f.name)
		return -ENOMEM;
	memcpy((char *)(uintptr_t)f.name, name, strlen(name));
	return weir_bind_add(b, &f, err);
}

/* Adds the errors of estimated figures, which are called `names`, and their bytes. */
static int bind_notes(struct weir_bind *b, const char *const *names, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field memory = {.name = "memory",
	        .kind = WEIR_U64,
	        .flags = WEIR_FIELD_ALWAYS | WEIR_FIELD_HIDDEN,
	        .unit = "bytes",
	        .doc = "bytes of the estimated figures"};
	int r = 0;

	c->noted = weir_bind_alloc(b, (c->nagg + 1) * sizeof *c->noted);
	if (!c->noted)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->nagg && r >= 0; i++) {
		if (!c->agg[i].sketch && !c->agg[i].weighted)
			continue;
		c->noted[c->nnotes++] = i;
		r = bind_note(b, names[i],
		        c->agg[i].op != AGG_PERCENTILE ? "relative standard error"
		                                       : "largest relative error",
		        err);
	}
	return r < 0 || !c->nnotes ? r : weir_bind_add(b, &memory, err);
}

/* Whether groups can be added up of parts. */
static bool adds(const struct weir_bind *b)
{
	const struct config *c = b->config;

	if (keypack_is_wide(b->in, c->keys.index, c->keys.n))
		return false;
	for (uint32_t i = 0; i < c->nagg; i++)
		if (!aggregate_adds(&c->agg[i], b->in))
			return false;
	return true;
}

static int group_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	uint32_t *index = weir_bind_alloc(b, (c->args.n + 1) * sizeof *index);
	const char **names;
	int r = weir_bind_new(b, "group", err);

	c->agg = weir_bind_alloc(b, (c->args.n + 1) * sizeof *c->agg);
	names = weir_bind_alloc(b, (c->args.n + 1) * sizeof *names);
	if (!index || !c->agg || !names)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->args.n && r >= 0; i++) {
		const struct weir_arg *a = &c->args.arg[i];

		if (a->call)
			continue;
		if (a->field < 0)
			return unknown(b, a, err);
		index[c->keys.n++] = (uint32_t)a->field;
		r = weir_bind_keep(b, (uint32_t)a->field, a->as, err);
	}
	c->keys.index = index;
	for (uint32_t i = 0; i < c->args.n && r >= 0; i++) {
		if (!c->args.arg[i].call)
			continue;
		if (c->nagg == AGGREGATES_MAX)
			return weir_fail(err, WEIR_E_TOO_MANY_ARGUMENTS, c->args.arg[i].pos,
			        c->args.arg[i].len, "group", "at most 64 figures");
		r = bind_aggregate(b, &c->agg[c->nagg], &c->args.arg[i], &names[c->nagg], err);
		c->nagg++;
	}
	if (r >= 0)
		r = choose_sketches(b, err);
	if (r >= 0) {
		choose_weighted(b);
		r = bind_notes(b, names, err);
	}
	c->size = aggregate_layout(c->agg, c->nagg);
	c->slice = c->keys.n ? SLICE : WEIR_BATCH_ROWS;
	for (uint32_t i = 0; i < c->nagg; i++)
		if (c->agg[i].expr && c->agg[i].field < 0)
			c->slice = WEIR_BATCH_ROWS; /* evaluated once a batch */
	for (uint32_t i = 0; i < c->nagg; i++)
		c->grows |= aggregate_grows(&c->agg[i]);
	if (r >= 0 && adds(b))
		weir_bind_flags(b, b->module->flags | WEIR_ADDS | (c->grows ? WEIR_GROWS : 0));
	return r < 0 ? r : 0;
}

/* ---- run ---- */

static inline uint32_t first_note(const struct config *c)
{
	return c->keys.n + c->nagg;
}

static int group_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int r;

	r = keytab_init(&s->tab, n->mem, n->in, c->keys.index, c->keys.n, KEYPACK_NULLS, c->size);
	if (r < 0)
		return r;
	s->run = weir_calloc(n->mem, c->nagg * sizeof *s->run);
	s->whole = weir_calloc(n->mem, c->size + 8);
	if (!s->run || !s->whole)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->nagg && r == 0; i++) {
		r = aggregate_open(&c->agg[i], &s->run[i], n->mem, n->in);
		s->run[i].needed = weir_node_needs(n, c->agg[i].out);
	}
	for (uint32_t i = 0; i < c->nnotes; i++)
		s->run[c->noted[i]].needed |= weir_node_needs(n, first_note(c) + i) ||
		                              weir_node_needs(n, first_note(c) + c->nnotes);
	s->pair = c->keys.n && c->nagg == 2 && aggregate_is_pair(c->agg) && s->run[0].needed &&
	          s->run[1].needed;
	s->plain = true;
	for (uint32_t i = 0; i < c->nagg; i++)
		s->plain &= aggregate_is_plain(&c->agg[i]);
	return r;
}

/* Without keys: all rows are of the one group. */
static void whole(const struct state *s, struct weir_batch *b, struct keytab_rows *to)
{
	uint32_t n;

	to->n = keypack_rows(b, to->row);
	n = s->plain && to->n ? 1 : to->n;
	for (uint32_t k = 0; k < n; k++) {
		to->id[k] = 0;
		to->state[k] = s->whole;
	}
}

static int group_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct keytab_rows all;
	int r = 0;

	if (c->keys.n)
		r = spill_map(n, &s->tab, b, &all);
	else
		whole(s, b, &all);
	if (r >= 0 && c->keys.n)
		r = weir_node_fresh(n, b, all.row, all.fresh, all.nfresh);
	if (r < 0)
		return r;
	for (uint32_t first = 0; first < all.n; first += c->slice) {
		uint32_t left = all.n - first;
		struct aggregate_rows rows = {left < c->slice ? left : c->slice, all.row + first,
		        all.id + first, all.state + first, !c->keys.n, all.n == b->n};

		if (s->pair) {
			r = aggregate_update_pair(c->agg, b, &rows, &n->counters[0]);
			if (r < 0)
				return r;
			continue;
		}
		for (uint32_t i = 0; i < c->nagg; i++) {
			if (!s->run[i].needed)
				continue;
			r = aggregate_update(&c->agg[i], &s->run[i], b, &rows, &n->counters[0]);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* A batch of the answer, whose columns are made when somebody asks: a `sort … | head` behind looks
 * at one of them for most rows. Who keeps the batch longer than weir_emit() gets all of them. */
struct part {
	struct weir_node *n;
	uint32_t first, m;
};

/* The error of a figure, or the bytes of all. */
static int load_note(
        const struct config *c, uint32_t i, uint8_t *const *state, uint32_t m, struct weir_batch *b)
{
	struct weir_col *col = weir_batch_own(b, first_note(c) + i);

	for (uint32_t k = 0; col && k < m; k++) {
		uint64_t bytes = 0;

		if (i < c->nnotes) {
			((double *)col->data)[k] = aggregate_error(&c->agg[c->noted[i]], state[k]);
			continue;
		}
		for (uint32_t j = 0; j < c->nnotes; j++)
			bytes += aggregate_memory(&c->agg[c->noted[j]], state[k]);
		((uint64_t *)col->data)[k] = bytes;
	}
	return col ? 0 : -ENOMEM;
}

static int part_fill(struct weir_batch *b, uint32_t field)
{
	const struct part *p = b->priv;
	const struct config *c = p->n->config;
	struct state *s = p->n->state;
	uint8_t *state[WEIR_BATCH_ROWS] = {s->whole};
	struct weir_col *none;

	if (field < c->keys.n)
		return keytab_load(&s->tab, field, p->first, p->m, b, field);
	if (c->keys.n)
		keytab_states(&s->tab, p->first, p->m, state);
	if (field >= first_note(c) && weir_node_needs(p->n, field))
		return load_note(c, field - first_note(c), state, p->m, b);
	if (field < first_note(c) && s->run[field - c->keys.n].needed) {
		return aggregate_load(&c->agg[field - c->keys.n], &s->run[field - c->keys.n],
		        p->first, state, p->m, b);
	}
	none = weir_batch_own(b, field);
	return none && weir_batch_own_valid(b, none) ? 0 : -ENOMEM;
}

static const struct weir_batch_ops part_ops = {.fill = part_fill};

static int group_part(struct weir_node *n, uint32_t first, uint32_t m)
{
	struct part p = {n, first, m};
	struct weir_batch *b = weir_build(n, m);

	return b ? lend_emit(n, b, &part_ops, &p) : -ENOMEM;
}

/* Groups [first, first + m) of the other, m <= WEIR_PACK_ROWS, and what their states have. */
static int absorb_groups(struct weir_node *n, const struct state *other, uint32_t first, uint32_t m)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint8_t *state[WEIR_PACK_ROWS];
	struct keytab_rows rows;
	int r = 0;

	if (keytab_absorb(&s->tab, &other->tab, first, m, NULL, &rows) < 0)
		return -ENOMEM;
	if (c->grows)
		memcpy(s->id + first, rows.id, m * sizeof *s->id);
	keytab_states(&other->tab, first, m, state);
	for (uint32_t i = 0; i < c->nagg && r == 0; i++)
		if (s->run[i].needed)
			r = aggregate_add(&c->agg[i], &s->run[i], rows.state, state, m);
	return r;
}

static int group_absorb(struct weir_node *n, const struct weir_node *from, uint32_t first,
        uint32_t keys, uint32_t *ret_keys)
{
	const struct config *c = n->config;
	const struct state *other = from->state;
	struct state *s = n->state;
	uint32_t all = c->keys.n ? other->tab.n : 1;
	int r = 0;

	if (c->grows) { /* where the groups of the other stand here */
		uint32_t *id = grow(n->mem, s->id, &s->id_size, ((size_t)all + 1) * sizeof *id);

		if (!id)
			return -ENOMEM;
		s->id = id;
	}
	for (uint32_t i = 0; !c->keys.n && i < c->nagg && r == 0; i++)
		if (s->run[i].needed)
			r = aggregate_add(&c->agg[i], &s->run[i], &s->whole, &other->whole, 1);
	*ret_keys = c->keys.n ? 0 : keys;
	while (*ret_keys < keys && r == 0) {
		uint32_t left = keys - *ret_keys;
		uint32_t m = left < WEIR_PACK_ROWS ? left : WEIR_PACK_ROWS;

		r = absorb_groups(n, other, first + *ret_keys, m);
		if (r == 0)
			*ret_keys += m;
	}
	if (r < 0 || !c->grows || first + keys < all)
		return r;
	for (uint32_t i = 0; i < c->nagg && r == 0; i++)
		if (s->run[i].needed)
			r = aggregate_add_kept(&c->agg[i], &s->run[i], &other->run[i], s->id,
			        c->keys.n ? &s->tab : NULL, s->whole);
	return r;
}

static void group_forget(struct weir_node *n)
{
	struct state *s = n->state;

	keytab_clear(&s->tab);
}

static int group_begin(struct weir_node *n, enum weir_mark mark, uint32_t *ret_rows)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int r = 0;

	*ret_rows = c->keys.n ? s->tab.n : 1;
	for (uint32_t i = 0; i < c->nagg && r == 0; i++)
		if (s->run[i].needed)
			r = aggregate_begin(&c->agg[i], &s->run[i], *ret_rows);
	return r;
}

static void group_end(struct weir_node *n)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	for (uint32_t i = 0; i < c->nagg; i++)
		aggregate_end(&s->run[i]);
}

static void group_close(struct weir_node *n)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	for (uint32_t i = 0; s->run && i < c->nagg; i++)
		aggregate_close(&s->run[i]);
	weir_free(n->mem, s->run, c->nagg * sizeof *s->run);
	weir_free(n->mem, s->whole, c->size + 8);
	grow_free(n->mem, s->id, s->id_size);
	keytab_release(&s->tab);
}

static const char *const counters[] = {"overflow", NULL};

static const struct weir_option options[] = {
        {.type = WEIR_OPT_ARGS,
                .name = "fields and figures",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, args),
                .arg = "FIELD… FIGURE(…) [as NAME]…",
                .doc = "the fields to group by, and what to work out for each group"},
        {.type = WEIR_OPT_FLAG,
                .name = "distinct",
                .letter = 'd',
                .offset = offsetof(struct config, distinct),
                .doc = "estimate distinct(…) instead of keeping all tuples"},
        {.type = WEIR_OPT_U64,
                .name = "precision",
                .letter = 'p',
                .offset = offsetof(struct config, precision),
                .min = HLL_P_MIN,
                .max = HLL_P_MAX,
                .arg = "P",
                .doc = "with --distinct: of at most 2^P bytes a group; 14 if not given"},
        {.type = WEIR_OPT_F64,
                .name = "error",
                .letter = 'e',
                .offset = offsetof(struct config, error),
                .min = QUANTILE_ERROR_MIN,
                .max = QUANTILE_ERROR_MAX,
                .arg = "E",
                .doc = "estimate percentile(…) with this relative error instead of keeping all "
                       "values"},
        NOTES_SEED_OPTION(offsetof(struct config, seed)),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(group) = {
        .abi = WEIR_ABI,
        .flags = WEIR_KEYED | WEIR_BLOCKING | WEIR_SPILLS | WEIR_NULLS,
        .name = "group",
        .summary = "counts, sums and other figures by the values of fields",
        .doc = "A table with a row for each combination of values of the fields, in order of first "
               "appearance: the fields, then the figures. A field that a record lacks is a value "
               "of "
               "its own, shown as nothing. Without fields there is one row for all records.\n\n"
               "Of a sample (set shed sample, see weir-query(7)) count and sum are scaled back, "
               "and "
               "have their relative standard error beside them, n_error of n.\n\n"
               "Figures: count() of records; count(F) of records that have F; sum(F) mean(F) "
               "stddev(F) of numbers, durations and booleans (true is 1); min(F) max(F) first(F) "
               "last(F) of any kind; percentile(F, P) with P from 0 to 100, of numbers, times and "
               "durations; distinct(F…), the number of different combinations of values. F may be "
               "an "
               "expression, except in distinct. Records without F do not count; a figure over none "
               "has "
               "no value.\n\n"
               "'as NAME' names a figure, or a field; else it is called like sum_len, "
               "percentile_len_95.\n\n"
               "Sums of whole numbers are exact; one that would leave 64 bits stays at the end of "
               "the "
               "range and is counted as 'overflow'. One of floating-point numbers that does not "
               "fit, and a mean or stddev that does not, has no value. stddev is that of a sample "
               "(n - 1). mean and "
               "stddev of numbers of at most 32 "
               "bits are made of such sums. percentile "
               "is "
               "exact (nearest rank) and keeps all values: 12 bytes a record.\n\n"
               "With --distinct figures distinct(…) are estimates by HyperLogLog++: of 48 bytes "
               "for a "
               "few tuples, where they are almost exact, to 16.7 KB a group for P = 14 and a "
               "relative "
               "standard error of 0.0081; half as much for P + 2. With -e figures percentile(…) of "
               "numbers and durations are estimates by DDSketch: off by at most E of the value of "
               "that "
               "rank, always, in 16 to 32 bytes for each bucket in use, of which E = 0.01 has 64 "
               "for "
               "each power of two. Behind the figures stands the error of each such figure, called "
               "like distinct_srcip_error; 'memory', the bytes of the group's estimates, is shown "
               "where it is printed by name. --seed makes estimates the same in every run.",
        .example = "packets | group srcip count() sum(len) as bytes | sort -r bytes | head 10",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .keys_offset = offsetof(struct config, keys),
        .counters = counters,
        .bind = group_bind,
        .open = group_open,
        .process = group_process,
        .begin = group_begin,
        .part = group_part,
        .end = group_end,
        .absorb = group_absorb,
        .forget = group_forget,
        .close = group_close,
};
