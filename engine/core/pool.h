/* SPDX-License-Identifier: MIT */
/* pool.h: recycled memory of batches.
 *
 * A batch takes chunks from its pool and gives them back when its last reference goes; the
 * chunks are handed out last in, first out, so that the next batch writes to warm cache lines.
 * A pool lives until its owner and all batches are gone. Any thread may take and give.
 */
#ifndef POOL_H
#define POOL_H

#include <weir/module.h>

/* mem: chunks are counted there; it must outlive the pool. NULL: not counted. */
struct weir_pool *pool_new(struct weir_mem *mem);
struct weir_pool *pool_ref(struct weir_pool *p);
void pool_unref(struct weir_pool *p); /* NULL is fine */

/* Gives back what the pool keeps for batches to come. */
void pool_trim(struct weir_pool *p);

/* An empty batch of `schema`, n rows, no column filled; NULL: out of memory. */
struct weir_batch *pool_batch(struct weir_pool *p, const struct weir_schema *schema, uint32_t n);

/* A view of `parent` with another schema; map[f] is the parent's field or -1. The map is
 * borrowed: it must live as long as the batch. Takes a reference to parent. */
struct weir_batch *pool_view(struct weir_pool *p, struct weir_batch *parent,
        const struct weir_schema *schema, const int32_t *map);

/* The same of a parent that others may have, too, see batch_share(): its columns are looked at when
 * they are asked for. */
struct weir_batch *pool_view_shared(struct weir_pool *p, struct weir_batch *parent,
        const struct weir_schema *schema, const int32_t *map);

/* The map of a view that has its parent's fields: 0, 1, 2 … WEIR_FIELDS_MAX - 1. */
extern int32_t batch_identity[];

/* From here on several threads may have a view of b each. Columns that b lacks still are then
 * filled under a lock; b itself, and what is beneath it, nobody must use but through the views. A
 * source's `pack` may be called by several threads, and must not change the batch then. */
void batch_share(struct weir_batch *b);

/* Copies a text into b's own memory, and points *s there. 0 or -ENOMEM. */
static inline int batch_keep_text(struct weir_batch *b, struct weir_str *s)
{
	uint8_t *p = weir_batch_alloc(b, s->len);

	if (!p)
		return -ENOMEM;
	if (s->len)
		memcpy(p, s->p, s->len);
	s->p = p;
	return 0;
}

static inline bool batch_is_shared(const struct weir_batch *b)
{
	return __atomic_load_n(&b->shared, __ATOMIC_RELAXED);
}

#endif
