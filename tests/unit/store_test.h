/* SPDX-License-Identifier: MIT */
/* store_test.h: batches made by hand, for the tests of engine/store. */
#ifndef STORE_TEST_H
#define STORE_TEST_H

#include "engine/core/mem.h"
#include "engine/store/render.h"
#include "engine/store/result.h"
#include "tests/unit/one_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static inline struct weir_ip ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct weir_ip){.family = 4, .prefix = 32, .b = {a, b, c, d}};
}

static inline struct weir_str str(const char *s)
{
	return (struct weir_str){.p = (const uint8_t *)s, .len = strlen(s)};
}

/* Every kind of column; rows lacking a value have a zero in has[]. */
static inline void col_any(struct weir_batch *b, uint32_t f, const void *v, const char *has)
{
	struct weir_col *c = weir_batch_own(b, f);

	memcpy(c->data, v, b->n * weir_kind_size(c->kind));
	if (!has)
		return;
	weir_batch_own_valid(b, c);
	for (uint32_t i = 0; i < b->n; i++)
		if (has[i] == '1')
			weir_valid_set(c->valid, i);
}

static inline void col_words(struct weir_batch *b, uint32_t f, const uint64_t *v, const char *has)
{
	col_any(b, f, v, has);
}

#endif
