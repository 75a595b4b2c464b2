/* SPDX-License-Identifier: MIT */
/* union.h: batches kept in order, and the nodes that wait for the end of a batch. */
#ifndef UNION_H
#define UNION_H

#include "engine/core/node.h"

struct hold {
	struct weir_batch **batch;
	size_t n, cap;
};

int hold_keep(struct weir_node *n, struct hold *h, struct weir_batch *b); /* takes a reference */
int hold_emit(struct weir_node *n, const struct hold *h);
void hold_drop(struct weir_node *n, struct hold *h);

/* The branches have all had the batch that was pushed last: what they left of it is united. */
int union_settle(struct weir_node *n);
/* The same for what the instances of a scope left. */
int collect_settle(struct weir_node *n);

#endif
