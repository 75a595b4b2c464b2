/* SPDX-License-Identifier: MIT */
/* keytab_text.c: keys with text. */
#include "engine/core/keytab_text.h"

#include "engine/core/grow.h"

#define KEPT ((size_t)1 << 20)

int keytab_text_pack(
        struct keytab *t, struct weir_batch *b, const uint16_t *rows, uint32_t n, size_t *at)
{
	const struct keypack *p = &t->pack;
	const uint8_t *fixed = t->packed;
	uint32_t size = p->size, len;
	uint8_t *text, *to;

	at[0] = 0;
	for (uint32_t k = 0; k < n; k++) {
		at[k + 1] = at[k] + size;
		for (uint32_t i = 0; i < p->n; i++)
			if (weir_storage_of(p->f[i].kind) == WEIR_VAR) {
				memcpy(&len, fixed + (size_t)k * size + p->f[i].at, 4);
				at[k + 1] += len;
			}
	}
	text = grow(t->mem, t->text, &t->text_size, at[n]);
	if (!text)
		return -ENOMEM;
	t->text = text;
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *from = fixed + (size_t)k * size;

		to = text + at[k];
		memcpy(to, from, size);
		to += size;
		for (uint32_t i = 0; i < p->n; i++) {
			if (weir_storage_of(p->f[i].kind) != WEIR_VAR)
				continue;
			memcpy(&len, from + p->f[i].at, 4);
			if (len)
				memcpy(to, weir_col_str(&b->cols[p->f[i].field])[rows[k]].p, len);
			to += len;
		}
	}
	return 0;
}

/* The number + 1 of a key, or 0; *ret_at: where its search ended. */
static uint32_t search(
        const struct keypart *p, const uint8_t *key, size_t len, uint32_t hash, uint32_t *ret_at)
{
	uint32_t mask = keypart_slots(p) - 1, i = keypart_home(p, hash), v, number = 0;

	for (; (v = p->slot[i]); i = (i + 1) & mask) {
		const struct heap_cell *c;

		number = keypart_number(p, v, hash);
		if (!number)
			continue;
		c = keytab_cell(keypart_rec(p, number - 1));
		if (c->len == len && memcmp(c->bytes, key, len) == 0)
			break;
	}
	*ret_at = i;
	return v ? number : 0;
}

int keytab_text_map(struct keytab *t, const size_t *from, struct keypart_block *blk)
{
	const struct keyhash_secret *secret = keyhash_secret();
	struct keypart *p = &t->keys;
	uint32_t n = blk->n, *hash = blk->hash;

	blk->nfresh = 0;
	for (uint32_t k = 0; k < n; k++) {
		hash[k] = keyhash_bytes(secret, t->text + from[k], from[k + 1] - from[k]);
		__builtin_prefetch(&p->slot[keypart_home(p, hash[k])]);
	}
	keypart_find(p, blk);
	for (uint32_t k = 0; k < n; k++)
		if (blk->num[k])
			__builtin_prefetch(keytab_cell(blk->rec[k]));
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *key = t->text + from[k];
		size_t len = from[k + 1] - from[k];
		uint32_t i, number = search(p, key, len, hash[k], &i);

		if (!number) {
			struct heap_cell *c = heap_put(&t->heap, NULL, key, len);

			if (!c)
				return -ENOMEM;
			memcpy(keypart_rec(p, p->n), &c, sizeof c);
			keypart_take(p, i, hash[k]);
			number = p->n;
			blk->fresh[blk->nfresh++] = (uint8_t)k;
		}
		blk->num[k] = number - 1;
		blk->rec[k] = keypart_rec(p, number - 1) + p->key_size;
	}
	return 0;
}

uint32_t keytab_text_look(const struct keytab *t, const uint8_t *key, size_t len)
{
	uint32_t at, number;

	if (!t->keys.n)
		return KEYPART_NONE;
	number = search(&t->keys, key, len, keyhash_bytes(keyhash_secret(), key, len), &at);
	return number ? number - 1 : KEYPART_NONE;
}

void keytab_text_trim(struct keytab *t)
{
	if (t->text_size <= KEPT)
		return;
	grow_free(t->mem, t->text, t->text_size);
	t->text = NULL;
	t->text_size = 0;
}
