/* SPDX-License-Identifier: MIT */
/* sample.c: some of the records: every Nth, each with a probability, or whole flows by hash.
 *
 * All three are deterministic: the Nth are counted, the coin is splitmix64 (Steele, Lea, Flood,
 * OOPSLA 2014) from a seed, and a flow is in where the hash of its fields is below a threshold.
 */
#include <weir/module.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { MISSING };

struct config {
	uint64_t every;
	double probability;
	uint64_t seed;
	struct weir_fields by;
	uint64_t below; /* a random number up to this is in */
};

struct state {
	uint64_t count; /* records since the last that was in */
	uint64_t coin;
};

static int sample_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;

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
	return 0;
}

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Mixes column `c` into the hashes of the selected rows; a row without a value gets `in` 0. */
static void hash_column(
        const struct weir_batch *b, const struct weir_col *c, uint64_t *hash, uint8_t *in)
{
	uint32_t k = weir_batch_count(b);

	for (uint32_t i = 0; i < k; i++) {
		uint32_t row = weir_batch_row(b, i);

		if (!weir_col_has(c, row)) {
			in[i] = 0;
			continue;
		}
		switch (weir_storage_of(c->kind)) {
		case WEIR_WORD:
			hash[i] = XXH3_64bits_withSeed(&weir_col_u64(c)[row], 8, hash[i]);
			break;
		case WEIR_ADDR:
			hash[i] = XXH3_64bits_withSeed(
			        &weir_col_ip(c)[row], sizeof(struct weir_ip), hash[i]);
			break;
		case WEIR_VAR:
			hash[i] = XXH3_64bits_withSeed(
			        weir_col_str(c)[row].p, weir_col_str(c)[row].len, hash[i]);
		}
	}
}

/* Writes the rows of sampled flows to sel; their number, or -ENOMEM. */
static int by_hash(struct weir_node *n, struct weir_batch *b, uint16_t *sel)
{
	const struct config *c = n->config;
	uint64_t hash[WEIR_BATCH_ROWS];
	uint8_t in[WEIR_BATCH_ROWS];
	uint32_t k = weir_batch_count(b), m = 0;

	for (uint32_t i = 0; i < k; i++)
		hash[i] = c->seed;
	memset(in, 1, k);
	for (uint32_t f = 0; f < c->by.n; f++) {
		const struct weir_col *col = weir_batch_col(b, c->by.index[f]);

		if (!col)
			return -ENOMEM;
		hash_column(b, col, hash, in);
	}
	for (uint32_t i = 0; i < k; i++) {
		n->counters[MISSING] += !in[i];
		sel[m] = (uint16_t)weir_batch_row(b, i);
		m += in[i] && hash[i] <= c->below;
	}
	return (int)m;
}

static int sample_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct weir_batch *v = weir_view(n, b);
	uint16_t *sel = v ? weir_batch_sel(v, weir_batch_count(b) + 1) : NULL;
	int m = 0;

	if (!sel) {
		weir_batch_unref(v);
		return -ENOMEM;
	}
	if (c->by.n) {
		m = by_hash(n, b, sel);
	} else {
		for (uint32_t i = 0; i < weir_batch_count(b); i++) {
			bool in = c->every ? ++s->count == c->every
			                   : splitmix64(&s->coin) <= c->below;

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
};
