/* SPDX-License-Identifier: MIT */
/* lend.h: a batch whose columns are made from something that is gone afterwards.
 *
 * It is handed on with its columns lazy, as most are never asked for. Whoever keeps it finds those
 * that anybody reads filled; the others have no values from then on.
 */
#ifndef LEND_H
#define LEND_H

#include "engine/core/node.h"

/* Hands b (consumed) on with ops and priv, which need last no longer than the call. `needs`: fields
 * that anybody reads. Takes the result of emit: 0, WEIR_DONE or -errno. */
int lend(struct weir_batch *b, const struct weir_batch_ops *ops, void *priv, const uint64_t *needs,
        int (*emit)(void *arg, struct weir_batch *b), void *arg);

/* The same for a batch of a node's, on channel 0. */
int lend_emit(
        struct weir_node *n, struct weir_batch *b, const struct weir_batch_ops *ops, void *priv);

#endif
