/* SPDX-License-Identifier: MIT */
/* scheduler.c: the two schedulers of one thread. (The third is flow.c, within whose stretches
 * batches run depth-first.)
 */
#include "engine/core/node.h"

#include <stdlib.h>

/* ---- depth-first: a batch runs to the end of the graph before the next ---- */

static int depth_deliver(struct node *to, uint32_t input, struct weir_batch *b)
{
	int r = node_process(to, input, b);

	weir_batch_unref(b);
	return r;
}

static int depth_drain(struct graph *g)
{
	return 0;
}

const struct scheduler scheduler_depth = {"depth", depth_deliver, depth_drain};
const struct scheduler scheduler_workers = {"workers", depth_deliver, depth_drain};

/* ---- breadth-first: a queue before every node, worked off in topological order ---- */

#define QUEUE_MAX 64

struct queued {
	struct queued *next;
	struct weir_batch *batch;
	uint32_t input;
};

/* The oldest of a node's queue, taken out. */
static struct queued *take(struct node *n)
{
	struct queued *q = n->queue->next;

	if (q == n->queue)
		n->queue = NULL;
	else
		n->queue->next = q->next;
	n->queue_len--;
	return q;
}

void node_drop_queue(struct node *n)
{
	while (n->queue) {
		struct queued *q = take(n);

		weir_batch_unref(q->batch);
		free(q);
	}
}

static int work(struct node *n)
{
	struct queued *q = take(n);
	int r = node_process(n, q->input, q->batch);

	weir_batch_unref(q->batch);
	free(q);
	return r;
}

static int breadth_deliver(struct node *to, uint32_t input, struct weir_batch *b)
{
	struct queued *q = malloc(sizeof *q);
	int r = 0;

	if (!q) {
		weir_batch_unref(b);
		return -ENOMEM;
	}
	*q = (struct queued){q, b, input};
	if (to->queue) {
		q->next = to->queue->next;
		to->queue->next = q;
	}
	to->queue = q;
	to->queue_len++;
	/* full: make room by running the consumer first; its own queue is bounded alike */
	while (r == 0 && to->queue_len > QUEUE_MAX)
		r = work(to);
	return r;
}

static int breadth_drain(struct graph *g)
{
	bool any = true;
	int r = 0;

	while (any && r == 0) {
		any = false;
		for (uint32_t i = 0; i < g->n && r == 0; i++)
			while (g->node[i].queue && r == 0) {
				any = true;
				r = work(&g->node[i]);
			}
	}
	return r;
}

const struct scheduler scheduler_breadth = {"breadth", breadth_deliver, breadth_drain};
