/* SPDX-License-Identifier: MIT */
/* uniq.c: the first record of each tuple. Narrows the batch's selection; keeps packed keys only,
 * or, with -m or -e, a filter of them. */
#include "engine/core/option_rows.h"
#include "engine/core/spill.h"
#include "engine/sketch/notes.h"
#include "engine/sketch/seen.h"

enum { MISSING, UNKEPT };

struct config {
	struct weir_fields fields;
	struct seen_config sketch;
	struct notes notes;
};

struct state {
	struct keytab tab;
	struct seen *seen; /* in place of tab */
};

static int uniq_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	int r = seen_bind(&c->sketch, b, err);

	if (r < 0 || !seen_wanted(&c->sketch))
		return r;
	return notes_bind(b, &c->notes, WEIR_F64,
	        "probability that a new tuple is taken for a known one", err);
}

static int uniq_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int rc;

	if (seen_wanted(&c->sketch)) {
		s->seen = weir_calloc(n->mem, sizeof *s->seen);
		return s->seen ? seen_open(s->seen, &c->sketch, n, c->fields) : -ENOMEM;
	}
	rc = keytab_init(&s->tab, n->mem, n->in, c->fields.index, c->fields.n, 0, 0);
	s->tab.news = true;
	return rc;
}

static int process_sketch(struct weir_node *n, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct weir_batch *out = weir_view(n, b);
	uint16_t *rows = out ? weir_batch_sel(out, weir_batch_count(b)) : NULL;
	union weir_datum error, memory;
	int m = rows ? seen_rows(s->seen, &c->sketch, b, rows, &n->counters[MISSING],
	                       &n->counters[UNKEPT])
	             : -ENOMEM;

	if (m <= 0) {
		weir_batch_unref(out);
		return m == -EOVERFLOW
		               ? weir_node_fail(n, EOVERFLOW, "more tuples than -e can keep apart")
		               : m;
	}
	weir_batch_select(out, rows, (uint32_t)m);
	error.f = weir_node_needs(n, c->notes.error) ? seen_error(s->seen, &c->sketch) : 0;
	memory.u = seen_memory(s->seen);
	if (notes_fill(n, out, c->notes.error, error) < 0 ||
	        notes_fill(n, out, c->notes.memory, memory) < 0) {
		weir_batch_unref(out);
		return -ENOMEM;
	}
	return weir_emit(n, 0, out);
}

static int uniq_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct keytab_rows r;
	struct weir_batch *out;
	uint16_t *rows;
	int rc;

	if (seen_wanted(&c->sketch))
		return process_sketch(n, b);
	rc = spill_map(n, &s->tab, b, &r);
	if (rc < 0)
		return rc;
	n->counters[MISSING] += r.missing;
	if (!r.nfresh)
		return 0;
	out = weir_view(n, b);
	rows = out ? weir_batch_sel(out, r.nfresh) : NULL;
	if (!rows) {
		weir_batch_unref(out);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < r.nfresh; i++)
		rows[i] = r.row[r.fresh[i]];
	weir_batch_select(out, rows, r.nfresh);
	return weir_emit(n, 0, out);
}

static void uniq_close(struct weir_node *n)
{
	struct state *s = n->state;

	keytab_release(&s->tab);
	if (s->seen)
		seen_release(s->seen);
	weir_free(n->mem, s->seen, sizeof *s->seen);
}

static const char *const counters[] = {"missing", "unkept", NULL};

static const struct weir_option options[] = {
        OPTION_FIELDS(
                offsetof(struct config, fields), WEIR_OPT_REQUIRED, "the fields of the tuple"),
        NOTES_MEMORY_OPTION(offsetof(struct config, sketch.memory), BLOOM_MIN,
                "keep the tuples in a Bloom filter of this size; with -e no more than this"),
        {.type = WEIR_OPT_F64,
                .name = "error",
                .letter = 'e',
                .offset = offsetof(struct config, sketch.error),
                .min = CUCKOO_ERROR_MIN,
                .max = 0.5,
                .arg = "P",
                .doc = "keep the tuples in a cuckoo filter that takes a new tuple for a known one "
                       "with at most this probability"},
        NOTES_SEED_OPTION(offsetof(struct config, sketch.seed)),
        WEIR_OPTIONS_END,
};

WEIR_MODULE(uniq) = {
        .abi = WEIR_ABI,
        .flags = WEIR_KEYED | WEIR_VIEWS | WEIR_SPILLS,
        .name = "uniq",
        .summary = "the first record of each tuple of fields",
        .doc = "Passes a record if no earlier one had the same values in all of the fields, as "
               "soon "
               "as it comes. It keeps every tuple that it has seen: about 30 bytes for each where "
               "the "
               "fields take up to 16 bytes.\n\n"
               "With -m or -e it keeps less and may take a new tuple for a known one, whose record "
               "is "
               "then dropped; never the other way round. -m SIZE: a blocked Bloom filter of that "
               "size, "
               "whatever comes; its error grows, to 1.3 % at 10 bits for each tuple, 0.13 % at "
               "16. "
               "-e P: a cuckoo filter that doubles as it fills, 4.7 to 9.4 bytes a tuple, and "
               "keeps the "
               "error at P or below. Both: the largest such filter that fits; when it is full, new "
               "tuples pass each time that they come and are counted as 'unkept'.\n\n"
               "Such a record gets the annotations 'error', the probability just then that a new "
               "tuple "
               "is taken for a known one (which also bounds the share of tuples lost so far), and "
               "'memory', the filter's bytes, shown where it is printed by name. --seed makes "
               "answers "
               "the same in every run.\n\n"
               "A record that lacks one of the fields is dropped and counted as 'missing'.",
        .example = "packets | uniq srcip dstip | print ts srcip dstip",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .keys_offset = offsetof(struct config, fields),
        .counters = counters,
        .bind = uniq_bind,
        .open = uniq_open,
        .process = uniq_process,
        .close = uniq_close,
};
