/* SPDX-License-Identifier: MIT */
/* node_calls.c: what a module may ask of its node (include/weir/module.h), but to emit and bodies.
 */
#include "engine/core/node.h"

#include <fcntl.h>

#include "engine/core/engine.h"
#include "engine/core/firsts.h"
#include "engine/core/spill.h"

struct weir_batch *weir_view(struct weir_node *n, struct weir_batch *parent)
{
	return pool_view(node_of(n)->graph->pool, parent, n->out, node_of(n)->plan->origin);
}

struct weir_batch *weir_narrow(struct weir_node *n, struct weir_batch *b)
{
	return pool_view(node_of(n)->graph->pool, b, n->out, batch_identity);
}

struct weir_batch *weir_build(struct weir_node *n, uint32_t rows)
{
	return pool_batch(node_of(n)->graph->pool, n->out, rows);
}

bool weir_node_needs(const struct weir_node *n, uint32_t field)
{
	return bit_get(((const struct node *)n)->plan->needs, field);
}

int weir_node_origin(const struct weir_node *n, uint32_t field)
{
	return ((const struct node *)n)->plan->origin[field];
}

int64_t weir_node_clock(const struct weir_node *n)
{
	const struct live_clock *c = ((const struct node *)n)->graph->run->clock;

	return c ? __atomic_load_n(&c->now, __ATOMIC_RELAXED) : 0;
}

int weir_node_fresh(struct weir_node *n, const struct weir_batch *b, const uint16_t *row,
        const uint16_t *fresh, uint32_t nfresh)
{
	struct firsts *f = node_of(n)->graph->firsts;

	if (node_of(n)->spill)
		return spill_fresh(node_of(n), row, fresh, nfresh);
	return f ? firsts_add(f, b->token, row, fresh, nfresh) : 0;
}

int weir_node_fail(struct weir_node *n, int no, const char *text)
{
	struct run_context *run = node_of(n)->graph->run;

	run->failed = node_of(n)->plan->name;
	return weir_fail_no(
	        &run->err, no, WEIR_E_SYSTEM, WEIR_NOPOS, 0, node_of(n)->plan->name, text);
}

int weir_node_create_file(struct weir_node *n, const char *path, struct weir_err *err)
{
	struct run_context *run = node_of(n)->graph->run;
	int fd = rights_open(&run->rights, path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0666);

	if (fd < 0) {
		run->failed = node_of(n)->plan->name;
		return weir_fail_no(err ? err : &run->err, -fd, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0,
		        path, strerror(-fd));
	}
	fcntl(fd, F_SETFL, 0);
	return fd;
}
