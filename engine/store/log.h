/* SPDX-License-Identifier: MIT */
/* log.h: a log's blocks, for log.c and log_text.c. All with the lock held unless said. */
#ifndef LOG_H
#define LOG_H

#include "engine/store/store.h"

/* Block `seq`, or the tail, and how many of its rows were there when it was taken. */
struct held {
	uint64_t seq;
	struct block *block; /* one of the two */
	struct tail *tail;
	uint32_t rows;
};

struct block *log_block(struct result *r, uint64_t seq);
uint64_t log_tail_seq(const struct result *r);
uint64_t log_row_at(struct result *r, uint64_t seq); /* its first row */
/* The kept block (or the tail) with that row; the row must not lie before the first. */
uint64_t log_seq_of_row(struct result *r, uint64_t row);
void log_hold(struct result *r, uint64_t seq, struct held *h);
void log_let_go(struct result *r, struct held *h);
/* Rows [from, to) as w's batch; without the lock. */
int log_view(struct worker *w, const struct held *h, uint32_t from, uint32_t to, int field);

/* The block that begins with row `row`, and the epoch of that base where there is one. -ESTALE,
 * or -EINVAL: the row is not the first of a block. */
int log_base(struct result *r, uint64_t row, uint64_t *ret_seq, struct epoch **ret);

void piece_put(struct result *r, struct piece *p);

#endif
