/* SPDX-License-Identifier: MIT */
/* distribute.c: each record to one of several groups of stages, in turn or by the hash of fields.
 *
 * The hash has no secret: which records meet must not differ from run to run.
 */
#include <weir/module.h>

#include "engine/core/option_rows.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define OUTPUTS_MAX 250

struct config {
	struct weir_fields fields;
	uint64_t copies;
	const char *name;
	struct weir_blocks blocks;
	uint32_t n;  /* outputs */
	int32_t out; /* field with the output's number, -1: none */
};

struct state {
	uint32_t next;
};

static int distribute_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	struct weir_field f = {.name = c->name,
	        .kind = WEIR_U64,
	        .flags = WEIR_FIELD_ALWAYS,
	        .doc = "number of the output"};
	int r = weir_bind_pass(b, err);

	if (r < 0)
		return r;
	c->out = -1;
	c->n = c->blocks.n;
	if (c->copies && c->blocks.n > 1)
		return weir_fail(
		        err, WEIR_E_OPTION_CONFLICT, b->pos, b->len, "-n", "several ( … )");
	if (c->copies) {
		c->n = (uint32_t)c->copies;
		weir_bind_copies(b, c->n);
	}
	weir_bind_blocks_only(b);
	if (c->fields.n)
		weir_bind_flags(b, WEIR_PARALLEL);
	if (!c->name)
		return 0;
	r = weir_bind_add(b, &f, err);
	c->out = r;
	return r < 0 ? r : 0;
}

/* The hash of the row's fields; false where one is not there. */
static bool hash(const struct config *c, const struct weir_batch *b, uint32_t row, uint64_t *ret)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < c->fields.n; i++) {
		const struct weir_col *col = &b->cols[c->fields.index[i]];
		const struct weir_str *s;

		if (!weir_col_has(col, row))
			return false;
		switch (weir_storage_of(col->kind)) {
		case WEIR_WORD:
			h = XXH3_64bits_withSeed(&weir_col_u64(col)[row], 8, h);
			break;
		case WEIR_ADDR:
			h = XXH3_64bits_withSeed(&weir_col_ip(col)[row], sizeof(struct weir_ip), h);
			break;
		case WEIR_VAR:
			s = &weir_col_str(col)[row];
			h = XXH3_64bits_withSeed(s->p, s->len, h);
		}
	}
	*ret = h;
	return true;
}

/* Writes each selected row's output, n where it has none; counts[o + 1] is that of output o. */
static int choose(struct weir_node *n, struct weir_batch *b, uint16_t *to, uint32_t *counts)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	for (uint32_t i = 0; i < c->fields.n; i++)
		if (!weir_batch_col(b, c->fields.index[i]))
			return -ENOMEM;
	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		uint64_t h;

		to[k] = (uint16_t)s->next;
		if (c->fields.n) {
			bool has = hash(c, b, weir_batch_row(b, k), &h);

			n->counters[0] += !has;
			to[k] = has ? (uint16_t)(h % c->n) : (uint16_t)c->n;
		} else {
			s->next = (s->next + 1) % c->n;
		}
		counts[to[k] + 1]++;
	}
	return 0;
}

static int emit(struct weir_node *n, struct weir_batch *b, uint32_t output, const uint16_t *rows,
        uint32_t k)
{
	const struct config *c = n->config;
	struct weir_batch *v = weir_view(n, b);
	uint16_t *sel = v ? weir_batch_sel(v, k) : NULL;
	struct weir_col *col = sel && c->out >= 0 ? weir_batch_own(v, (uint32_t)c->out) : NULL;

	if (!sel || (c->out >= 0 && !col)) {
		weir_batch_unref(v);
		return -ENOMEM;
	}
	memcpy(sel, rows, k * sizeof *sel);
	weir_batch_select(v, sel, k);
	for (uint32_t i = 0; col && i < k; i++)
		((uint64_t *)col->data)[sel[i]] = output + 1;
	return weir_emit(n, c->blocks.first + output, v);
}

static int distribute_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	uint16_t to[WEIR_BATCH_ROWS], rows[WEIR_BATCH_ROWS];
	uint32_t at[OUTPUTS_MAX + 2] = {0};
	int r = choose(n, b, to, at);

	for (uint32_t o = 0; o <= c->n; o++)
		at[o + 1] += at[o];
	for (uint32_t k = 0; k < weir_batch_count(b) && r == 0; k++)
		rows[at[to[k]]++] = (uint16_t)weir_batch_row(b, k);
	for (uint32_t o = 0, from = 0; o < c->n && r >= 0; from = at[o++])
		if (at[o] > from)
			r = emit(n, b, o, rows + from, at[o] - from);
	return r;
}

static const struct weir_option options[] = {
        OPTION_FIELDS(offsetof(struct config, fields), 0, "by their hash; without any in turn"),
        {.type = WEIR_OPT_U64,
                .name = "copies",
                .letter = 'n',
                .offset = offsetof(struct config, copies),
                .min = 1,
                .max = OUTPUTS_MAX,
                .arg = "N",
                .doc = "so many times the stages, which are given once"},
        OPTION_FIELD_NAME(
                offsetof(struct config, name), NULL, "adds the number of the output, from 1"),
        {.type = WEIR_OPT_BLOCK,
                .name = "( stages )",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, blocks),
                .max = OUTPUTS_MAX,
                .arg = "( STAGES )…",
                .doc = "the outputs"},
        WEIR_OPTIONS_END,
};

static const char *const counters[] = {"missing", NULL};

WEIR_MODULE(distribute) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL,
        .name = "distribute",
        .summary = "each record to one of several outputs",
        .doc = "Gives each record to one of the groups of stages: to the first, the second, and so "
               "on in turn, or, with fields, always to the same for the same values. What they "
               "leave is one stream again, as that of '( a + b )', where all get every record.\n\n"
               "'distribute -n 4 srcip ( … )' has four instances of the same stages.\n\n"
               "A record that lacks a field is dropped and counted as 'missing'.",
        .example = "packets | distribute -n 4 -f part srcip dstip ( group part count() )",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = distribute_bind,
        .process = distribute_process,
};
