/* SPDX-License-Identifier: MIT */
/* tail.c: the last N records, in a ring of rows. Only fields that somebody reads are kept, packed
 * by row, so that no batch (and no block of a trace beneath it) is held. */
#include "engine/core/coltab.h"

struct config {
	uint64_t n;
};

struct state {
	struct coltab rows;
	uint64_t seen;
};

static int tail_open(struct weir_node *n, struct weir_err *err)
{
	struct state *s = n->state;

	return coltab_open(&s->rows, n, NULL, 0);
}

static int tail_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint16_t rows[WEIR_BATCH_ROWS];
	uint32_t ids[WEIR_BATCH_ROWS], k = weir_batch_count(b), from = 0, m = 0;

	if (k > c->n) {
		from = k - (uint32_t)c->n;
		s->seen += from;
	}
	for (uint32_t i = from; i < k; i++, m++) {
		rows[m] = (uint16_t)weir_batch_row(b, i);
		ids[m] = (uint32_t)(s->seen++ % c->n);
	}
	return coltab_put(&s->rows, b, rows, ids, m);
}

static int tail_flush(struct weir_node *n, enum weir_mark mark)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint32_t ids[WEIR_BATCH_ROWS], k = 0;
	uint64_t from = s->seen > c->n ? s->seen - c->n : 0;
	int r = 0;

	for (uint64_t i = from; i < s->seen && r == 0; i++) {
		ids[k++] = (uint32_t)(i % c->n);
		if (k == WEIR_BATCH_ROWS || i + 1 == s->seen) {
			r = coltab_emit(&s->rows, n, ids, k);
			k = 0;
		}
	}
	return r < 0 ? r : 0;
}

static void tail_close(struct weir_node *n)
{
	struct state *s = n->state;

	coltab_release(&s->rows);
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_U64,
                .name = "N",
                .flags = WEIR_OPT_POSITIONAL,
                .offset = offsetof(struct config, n),
                .min = 1,
                .max = 1u << 30,
                .preset = "10",
                .arg = "N",
                .doc = "how many records to keep"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(tail) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_BLOCKING,
        .name = "tail",
        .summary = "the last N records",
        .doc = "Keeps the last N records: a table that follows the stream.",
        .example = "packets | print ts srcip dstip len | tail 5",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .open = tail_open,
        .process = tail_process,
        .flush = tail_flush,
        .close = tail_close,
};
