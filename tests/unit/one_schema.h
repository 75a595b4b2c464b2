/* SPDX-License-Identifier: MIT */
/* one_schema.h: the one schema and the one pool that a test makes its batches of. */
#ifndef ONE_SCHEMA_H
#define ONE_SCHEMA_H

#include "engine/core/pool.h"

static struct weir_schema *schema;
static struct weir_pool *pool;

/* Takes the schema. What a group's set-up returns. */
static inline int one_schema(struct weir_schema *s)
{
	schema = s;
	pool = pool_new(NULL);
	return schema && pool ? 0 : -1;
}

/* A group's tear-down. */
static inline int one_schema_end(void **state)
{
	weir_schema_unref(schema);
	pool_unref(pool);
	return 0;
}

#endif
