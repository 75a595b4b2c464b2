/* SPDX-License-Identifier: MIT */
/* keytab_text.h: keys with text, which are as long as they happen to be: a record begins with a
 * pointer to a cell of the table's heap. */
#ifndef KEYTAB_TEXT_H
#define KEYTAB_TEXT_H

#include "engine/core/keytab.h"

static inline struct heap_cell *keytab_cell(const uint8_t *rec)
{
	struct heap_cell *c;

	memcpy(&c, rec, sizeof c);
	return c;
}

/* Puts the octets of text behind the fixed parts of n keys: at[k] .. at[k + 1] of t->text. 0 or
 * -ENOMEM. */
int keytab_text_pack(
        struct keytab *t, struct weir_batch *b, const uint16_t *rows, uint32_t n, size_t *at);

/* As all three steps of a look-up. -ENOMEM: not all have been looked up. */
int keytab_text_map(struct keytab *t, const size_t *at, struct keypart_block *blk);

/* The number of one, or KEYPART_NONE. */
uint32_t keytab_text_look(const struct keytab *t, const uint8_t *key, size_t len);

/* Gives a large buffer back. */
void keytab_text_trim(struct keytab *t);

#endif
