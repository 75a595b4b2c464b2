/* SPDX-License-Identifier: MIT */
/* top.c: records of tuples that come more often than the average one.
 *
 * With -m the tuples are not kept: Space-Saving counts the frequent ones, HyperLogLog++ says how
 * many there are. Counts are never too low and the number of tuples is raised by four times its
 * standard error, so a record that the exact answer has is passed but for a probability of 3 in
 * 100,000 that the number of tuples is off by more. */
#include "engine/core/keytab.h"
#include "engine/core/option_rows.h"
#include "engine/sketch/heavy.h"
#include "engine/sketch/hll.h"
#include "engine/sketch/keys.h"
#include "engine/sketch/notes.h"

#define MEMORY_MIN 16384 /* bytes, of both sketches */
#define PRECISION(memory) ((memory) < ((uint64_t)1 << 20) ? 12u : 14u)
#define SURE 4 /* standard errors */

struct config {
	struct weir_fields fields;
	double factor;
	uint64_t memory, seed;
	const char *name;
	uint32_t count; /* output field */
	struct notes notes;
};

struct sketch {
	struct sketch_keys keys;
	struct heavy heavy;
	struct heap heap; /* of hll */
	struct heap_cell *hll;
	double tuples; /* at most so many */
};

struct state {
	struct keytab tab;
	uint64_t records;      /* that had all fields */
	struct sketch *sketch; /* in place of tab */
};

static int top_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field f = {.name = c->name,
	        .kind = WEIR_U64,
	        .flags = WEIR_FIELD_ALWAYS,
	        .doc = "how often the tuple came so far, at most"};
	int r;

	if (!c->memory && c->name)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, b->pos, b->len, "top", "-m for -f");
	if (!c->memory)
		return notes_seed(b, c->seed, "-m for --seed", err);
	if (!c->name)
		f.name = "count";
	r = weir_bind_add(b, &f, err);
	if (r < 0)
		return r;
	c->count = (uint32_t)r;
	return notes_bind(b, &c->notes, WEIR_U64, "the count is too high by at most this", err);
}

static int open_sketch(struct sketch *s, const struct config *c, struct weir_node *n)
{
	/* the registers and their counts */
	uint64_t hll = ((uint64_t)1 << PRECISION(c->memory)) + 512;
	int r = sketch_keys_init(&s->keys, n->mem, n->in, c->fields, c->seed);

	heap_init(&s->heap, n->mem);
	return r < 0 ? r : heavy_init(&s->heavy, n->mem, c->memory - hll);
}

static int top_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	if (c->memory) {
		s->sketch = weir_calloc(n->mem, sizeof *s->sketch);
		return s->sketch ? open_sketch(s->sketch, c, n) : -ENOMEM;
	}
	return keytab_init(
	        &s->tab, n->mem, n->in, c->fields.index, c->fields.n, 0, sizeof(uint64_t));
}

/* Counts the rows and keeps in rows[], count[] and error[] those that pass. Their number or
 * -ENOMEM. */
static int pass_sketch(struct weir_node *n, const uint64_t *hash, uint32_t m, uint16_t *rows,
        uint64_t *count, uint64_t *error)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct sketch *k = s->sketch;
	unsigned p = PRECISION(c->memory);
	uint16_t fresh[WEIR_BATCH_ROWS];
	uint32_t nfresh = heavy_add(&k->heavy, hash, m, count, error, fresh), next = 0, kept = 0;

	for (uint32_t i = 0; i < m; i++) {
		if (next < nfresh && fresh[next] == i) {
			int r = hll_add(&k->hll, &k->heap, p, hash[i]);

			if (r < 0)
				return r;
			if (r)
				k->tuples =
				        hll_estimate(k->hll, p) * (1 + SURE * hll_error(k->hll, p));
			next++;
		}
		s->records++;
		rows[kept] = rows[i];
		count[kept] = count[i];
		error[kept] = error[i];
		kept += (double)count[i] * k->tuples > c->factor * (double)s->records;
	}
	return (int)kept;
}

static int fill(struct weir_node *n, struct weir_batch *out, uint32_t field, const uint64_t *v)
{
	struct weir_col *c;

	if (!weir_node_needs(n, field))
		return 0;
	c = weir_batch_own(out, field);
	for (uint32_t k = 0; c && k < weir_batch_count(out); k++)
		((uint64_t *)c->data)[weir_batch_row(out, k)] = v[k];
	return c ? 0 : -ENOMEM;
}

static int process_sketch(struct weir_node *n, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint64_t hash[WEIR_BATCH_ROWS], count[WEIR_BATCH_ROWS], error[WEIR_BATCH_ROWS];
	struct weir_batch *out = weir_view(n, b);
	uint16_t *rows = out ? weir_batch_sel(out, weir_batch_count(b)) : NULL;
	int m = rows ? sketch_keys_hash(&s->sketch->keys, b, rows, hash) : -ENOMEM;

	if (m >= 0)
		n->counters[0] += weir_batch_count(b) - (uint32_t)m;
	if (m > 0) {
		m = pass_sketch(n, hash, (uint32_t)m, rows, count, error);
	}
	if (m > 0) {
		union weir_datum memory = {.u = s->sketch->heavy.size + s->sketch->hll->len};

		weir_batch_select(out, rows, (uint32_t)m);
		if (fill(n, out, c->count, count) == 0 &&
		        fill(n, out, c->notes.error, error) == 0 &&
		        notes_fill(n, out, c->notes.memory, memory) == 0)
			return weir_emit(n, 0, out);
		m = -ENOMEM;
	}
	weir_batch_unref(out);
	return m;
}

static int top_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct keytab_rows r;
	struct weir_batch *out;
	uint32_t kept = 0, fresh = 0;
	uint16_t *rows;
	int rc;

	if (c->memory)
		return process_sketch(n, b);
	rc = keytab_map(&s->tab, b, &r);
	if (rc < 0)
		return rc;
	n->counters[0] += r.missing;
	out = weir_view(n, b);
	rows = out ? weir_batch_sel(out, r.n) : NULL;
	if (!rows) {
		weir_batch_unref(out);
		return -ENOMEM;
	}
	for (uint32_t k = 0; k < r.n; k++) {
		uint64_t count = ++*(uint64_t *)r.state[k];

		fresh += fresh < r.nfresh && r.fresh[fresh] == k;
		s->records++;
		rows[kept] = r.row[k];
		kept += (double)count * (r.before + fresh) > c->factor * (double)s->records;
	}
	weir_batch_select(out, rows, kept);
	return weir_emit(n, 0, out);
}

static void top_close(struct weir_node *n)
{
	struct state *s = n->state;

	keytab_release(&s->tab);
	if (!s->sketch)
		return;
	sketch_keys_release(&s->sketch->keys);
	heavy_release(&s->sketch->heavy);
	heap_release(&s->sketch->heap);
	weir_free(n->mem, s->sketch, sizeof *s->sketch);
}

static const char *const counters[] = {"missing", NULL};

static const struct weir_option options[] = {
        OPTION_FIELDS(
                offsetof(struct config, fields), WEIR_OPT_REQUIRED, "the fields of the tuple"),
        {.type = WEIR_OPT_F64,
                .name = "factor",
                .letter = 'x',
                .offset = offsetof(struct config, factor),
                .min = 0,
                .max = 1e12,
                .preset = "2",
                .arg = "N",
                .doc = "how many times the average a tuple must have come"},
        NOTES_MEMORY_OPTION(offsetof(struct config, memory), MEMORY_MIN,
                "keep counters of this size instead of all tuples"),
        OPTION_FIELD_NAME(offsetof(struct config, name), NULL,
                "with -m: name of the count as an annotation; count if not given"),
        NOTES_SEED_OPTION(offsetof(struct config, seed)),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(top) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL,
        .name = "top",
        .summary = "records of tuples that come more often than the average",
        .doc = "Passes a record if its tuple has come, itself included, more than N times as often "
               "as the average tuple so far (records so far by tuples so far). For the largest N "
               "of "
               "something use 'sort -r FIELD | head N'.\n\n"
               "With -m SIZE it counts in that much memory, whatever comes (Space-Saving, a "
               "counter for "
               "16 bytes, and HyperLogLog++), and misses none: every record that passes without -m "
               "passes, "
               "but for a probability of 3 in 100,000 that the number of tuples is underestimated "
               "by "
               "four standard errors. Others may pass: each record has the annotations 'count' and "
               "'error', and its tuple came at most 'count' and at least 'count - error' times, so "
               "'where count - error > X' leaves only what is surely frequent. A tuple without a "
               "counter "
               "came on average at most N / k times, of N records and k counters: -x should be "
               "large "
               "enough for N times the average to be above that, or SIZE. 'memory', the bytes, is "
               "shown "
               "where it is printed by name, and --seed makes answers the same in every run.\n\n"
               "A record that lacks one of the fields is dropped and counted as 'missing'.",
        .example = "packets | top srcip -x 5 | print ts srcip dstip",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = top_bind,
        .open = top_open,
        .process = top_process,
        .close = top_close,
};
