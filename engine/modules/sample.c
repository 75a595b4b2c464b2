/* SPDX-License-Identifier: MIT */
/* sample.c: some of the records: every Nth, each with a probability, whole flows by hash, or a
 * fixed number of all.
 *
 * All are deterministic: the Nth are counted, coins and places come from a seed, and a flow is in
 * where the hash of its fields is below a threshold, so that samples of parts unite to that of the
 * whole.
 */
#include <stdlib.h>

#include "engine/core/coltab.h"
#include "engine/core/grow.h"
#include "engine/sketch/keys.h"
#include "engine/sketch/notes.h"
#include "engine/sketch/random.h"
#include "engine/sketch/reservoir.h"

enum { MISSING };

struct config {
	uint64_t every;
	double probability;
	uint64_t seed;
	struct weir_fields by;
	uint64_t below;     /* a random number up to this is in */
	uint64_t reservoir; /* records to keep, 0: none */
	uint32_t weight;    /* output field, with a reservoir */
};

struct state {
	uint64_t count; /* records since the last that was in */
	uint64_t coin;
	struct sketch_keys *keys; /* by */
	struct pool *pool;        /* with a reservoir */
};

/* The records of a reservoir. */
struct pool {
	struct reservoir reservoir;
	struct coltab rows; /* by place in the reservoir */
	uint64_t *when;     /* place -> number of its record */
	size_t when_size;
};

static int bind_reservoir(struct weir_bind *b, struct config *c, struct weir_err *err)
{
	static const struct weir_field weight = {.name = "weight",
	        .kind = WEIR_F64,
	        .flags = WEIR_FIELD_ALWAYS,
	        .doc = "how many records each stands for"};
	const char *with = c->every ? "N" : c->probability > 0 ? "-p" : c->by.n ? "--by" : NULL;
	int r;

	if (with)
		return weir_fail(err, WEIR_E_OPTION_CONFLICT, b->pos, b->len, "-k", with);
	r = weir_bind_add(b, &weight, err);
	c->weight = (uint32_t)r;
	weir_bind_flags(b, WEIR_SERIAL | WEIR_BLOCKING);
	return r < 0 ? r : 0;
}

static int sample_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;

	if (c->reservoir)
		return bind_reservoir(b, c, err);
	if (!c->every && c->probability == 0)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, b->pos, b->len, "sample",
		        "a number N or a probability");
	if (c->every && c->probability > 0)
		return weir_fail(err, WEIR_E_OPTION_CONFLICT, b->pos, b->len, "-p", "N");
	if (c->every)
		c->below = UINT64_MAX / c->every;
	else if (c->probability >= 1)
		c->below = UINT64_MAX;
	else
		c->below = (uint64_t)(c->probability * 0x1p64);
	return 0;
}

static int sample_open(struct weir_node *n, struct weir_err *err)
{
	struct state *s = n->state;
	const struct config *c = n->config;

	s->coin = c->seed;
	if (c->reservoir) {
		s->pool = weir_calloc(n->mem, sizeof *s->pool);
		if (!s->pool)
			return -ENOMEM;
		reservoir_init(&s->pool->reservoir, (uint32_t)c->reservoir, c->seed);
		return coltab_open(&s->pool->rows, n, NULL, 0);
	}
	if (!c->by.n)
		return 0;
	s->keys = weir_calloc(n->mem, sizeof *s->keys);
	/* a seed of 0 is one like the others here */
	return s->keys ? sketch_keys_init(
	                         s->keys, n->mem, n->in, c->by, c->seed ? c->seed : UINT64_MAX)
	               : -ENOMEM;
}

/* Writes the rows of sampled flows to sel; their number, or -ENOMEM. */
static int by_hash(struct weir_node *n, struct weir_batch *b, uint16_t *sel)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint64_t hash[WEIR_BATCH_ROWS];
	int k = sketch_keys_hash(s->keys, b, sel, hash), m = 0;

	if (k < 0)
		return k;
	n->counters[MISSING] += weir_batch_count(b) - (uint32_t)k;
	for (int i = 0; i < k; i++) {
		sel[m] = sel[i];
		m += hash[i] <= c->below;
	}
	return m;
}

/* ---- reservoir ---- */

static int put_reservoir(struct weir_node *n, struct weir_batch *b)
{
	struct state *s = n->state;
	uint32_t count = weir_batch_count(b), ids[WEIR_BATCH_ROWS], m;
	uint16_t which[WEIR_BATCH_ROWS];
	uint64_t before = s->pool->reservoir.n, *when;

	m = reservoir_add(&s->pool->reservoir, count, which, ids);
	when = grow(n->mem, s->pool->when, &s->pool->when_size,
	        reservoir_used(&s->pool->reservoir) * sizeof *when);
	if (!when)
		return -ENOMEM;
	s->pool->when = when;
	for (uint32_t i = 0; i < m; i++) {
		when[ids[i]] = before + which[i];
		which[i] = (uint16_t)weir_batch_row(b, which[i]);
	}
	return coltab_put(&s->pool->rows, b, which, ids, m);
}

static int by_arrival(const void *a, const void *b, void *arg)
{
	const uint64_t *when = arg, x = when[*(const uint32_t *)a], y = when[*(const uint32_t *)b];

	return (x > y) - (x < y);
}

static int emit_reservoir(struct weir_node *n, const uint32_t *ids, uint32_t used)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	union weir_datum weight = {.f = (double)s->pool->reservoir.n / used};

	for (uint32_t first = 0; first < used; first += WEIR_BATCH_ROWS) {
		uint32_t m = used - first < WEIR_BATCH_ROWS ? used - first : WEIR_BATCH_ROWS;
		struct weir_batch *b = coltab_build(&s->pool->rows, n, ids + first, 0, m);
		int r = b ? notes_fill(n, b, c->weight, weight) : -ENOMEM;

		if (r < 0) {
			weir_batch_unref(b);
			return r;
		}
		r = weir_emit(n, 0, b);
		if (r < 0)
			return r;
	}
	return 0;
}

static int sample_flush(struct weir_node *n, enum weir_mark mark)
{
	struct state *s = n->state;
	uint32_t used = s->pool ? reservoir_used(&s->pool->reservoir) : 0, *ids;
	size_t size = used * sizeof *ids;
	int r;

	if (!used)
		return 0;
	ids = weir_alloc(n->mem, size);
	if (!ids)
		return -ENOMEM;
	for (uint32_t i = 0; i < used; i++)
		ids[i] = i;
	qsort_r(ids, used, sizeof *ids, by_arrival, s->pool->when);
	r = emit_reservoir(n, ids, used);
	weir_free(n->mem, ids, size);
	return r;
}

static void sample_close(struct weir_node *n)
{
	struct state *s = n->state;

	if (s->keys)
		sketch_keys_release(s->keys);
	weir_free(n->mem, s->keys, sizeof *s->keys);
	if (!s->pool)
		return;
	coltab_release(&s->pool->rows);
	grow_free(n->mem, s->pool->when, s->pool->when_size);
	weir_free(n->mem, s->pool, sizeof *s->pool);
}

static int sample_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct weir_batch *v = c->reservoir ? NULL : weir_view(n, b);
	uint16_t *sel = v ? weir_batch_sel(v, weir_batch_count(b) + 1) : NULL;
	int m = 0;

	if (c->reservoir)
		return put_reservoir(n, b);
	if (!sel) {
		weir_batch_unref(v);
		return -ENOMEM;
	}
	if (c->by.n) {
		m = by_hash(n, b, sel);
	} else {
		for (uint32_t i = 0; i < weir_batch_count(b); i++) {
			bool in = c->every ? ++s->count == c->every
			                   : random_next(&s->coin) <= c->below;

			sel[m] = (uint16_t)weir_batch_row(b, i);
			m += in;
			if (in)
				s->count = 0;
		}
	}
	if (m <= 0) {
		weir_batch_unref(v);
		return m;
	}
	weir_batch_select(v, sel, (uint32_t)m);
	return weir_emit(n, 0, v);
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_U64,
                .name = "N",
                .flags = WEIR_OPT_POSITIONAL,
                .offset = offsetof(struct config, every),
                .min = 1,
                .max = 1e18,
                .arg = "N",
                .doc = "take every Nth record; with --by one flow in N"},
        {.type = WEIR_OPT_F64,
                .name = "probability",
                .letter = 'p',
                .offset = offsetof(struct config, probability),
                .min = 0,
                .max = 1,
                .arg = "P",
                .doc = "take each record (with --by each flow) with this probability"},
        {.type = WEIR_OPT_U64,
                .name = "seed",
                .letter = 's',
                .offset = offsetof(struct config, seed),
                .preset = "1",
                .arg = "SEED",
                .doc = "where the random numbers and the hash begin"},
        {.type = WEIR_OPT_FIELDS,
                .name = "by",
                .letter = 'b',
                .offset = offsetof(struct config, by),
                .arg = "FIELD,…",
                .doc = "take all or none of the records that agree in these fields"},
        {.type = WEIR_OPT_U64,
                .name = "reservoir",
                .letter = 'k',
                .offset = offsetof(struct config, reservoir),
                .min = 1,
                .max = 1e8,
                .arg = "K",
                .doc = "keep K of all records, each set of K equally likely"},
        WEIR_OPTIONS_END,
};

static const char *const counters[] = {"missing", NULL};

WEIR_MODULE(sample) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL,
        .name = "sample",
        .summary = "some of the records",
        .doc = "Passes on every Nth record, or each with a probability, or, with --by, whole "
               "flows: "
               "those whose fields hash below a threshold, so that a sampled flow is complete.\n\n"
               "With -k it is a table of K of all records so far, each set of K of them equally "
               "likely, in "
               "the order in which they came; the annotation 'weight' says how many records each "
               "stands "
               "for. It keeps K records' fields that are read.\n\n"
               "The same seed takes the same records of the same input. A record that lacks a "
               "field "
               "of --by is dropped and counted as 'missing'.",
        .example = "packets | sample 10 --by srcip,dstip | group srcip dstip count()",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = sample_bind,
        .open = sample_open,
        .process = sample_process,
        .flush = sample_flush,
        .close = sample_close,
};
