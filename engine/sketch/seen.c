/* SPDX-License-Identifier: MIT */
/* seen.c: the choice between the two filters. */
#include "engine/sketch/seen.h"

#include "engine/sketch/notes.h"

int seen_bind(const struct seen_config *c, struct weir_bind *b, struct weir_err *err)
{
	if (!seen_wanted(c))
		return notes_seed(b, c->seed, "-m or -e for --seed", err);
	if (c->memory && c->error > 0 && c->memory < cuckoo_min(c->error))
		return weir_fail(err, WEIR_E_OUT_OF_RANGE, b->pos, b->len, "'-m' for this '-e'",
		        c->error < CUCKOO_FINE ? "at least 2MB" : "at least 64KB");
	weir_bind_flags(b, WEIR_SERIAL); /* one filter for all keys */
	return 0;
}

int seen_open(
        struct seen *s, const struct seen_config *c, struct weir_node *n, struct weir_fields fields)
{
	int r = sketch_keys_init(&s->keys, n->mem, n->in, fields, c->seed);

	if (r < 0)
		return r;
	return c->error > 0 ? cuckoo_init(&s->cuckoo, n->mem, c->error, c->memory)
	                    : bloom_init(&s->bloom, n->mem, c->memory);
}

void seen_release(struct seen *s)
{
	sketch_keys_release(&s->keys);
	bloom_release(&s->bloom);
	cuckoo_release(&s->cuckoo);
}

int seen_rows(struct seen *s, const struct seen_config *c, struct weir_batch *b, uint16_t *rows,
        uint64_t *missing, uint64_t *unkept)
{
	uint64_t hash[WEIR_BATCH_ROWS];
	uint16_t fresh[WEIR_BATCH_ROWS];
	int n = sketch_keys_hash(&s->keys, b, rows, hash), m;

	if (n < 0)
		return n;
	*missing += weir_batch_count(b) - (uint32_t)n;
	if (c->error > 0)
		m = cuckoo_add(&s->cuckoo, hash, (uint32_t)n, fresh, unkept);
	else
		m = (int)bloom_add(&s->bloom, hash, (uint32_t)n, fresh);
	for (int i = 0; i < m; i++)
		rows[i] = rows[fresh[i]]; /* fresh[i] >= i */
	return m;
}

double seen_error(struct seen *s, const struct seen_config *c)
{
	if (c->error > 0)
		return cuckoo_error(&s->cuckoo);
	if (s->bloom.n >= s->error_to) {
		s->error_to = s->bloom.n + s->bloom.n / 256 + 16;
		s->error = bloom_error(&s->bloom, s->error_to);
	}
	return s->error;
}

uint64_t seen_memory(const struct seen *s)
{
	return s->bloom.size + s->cuckoo.size;
}
