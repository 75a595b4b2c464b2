/* SPDX-License-Identifier: MIT */
/* joint_chunk.c: the forms of a joint pass, a piece of memory for some batches in a row.
 *
 * Chunks are of one size and used again, last in, first out: the next forms are written to pages
 * that are there.
 */
#include "engine/core/joint_parts.h"

#include <stdlib.h>

#include "engine/core/served.h"

static size_t head(void)
{
	return (sizeof(struct chunk) + 63) & ~(size_t)63;
}

struct chunk *chunk_new(struct joints *js, struct joint *j)
{
	struct chunk *c;

	pthread_mutex_lock(&js->chunk_lock);
	c = js->free;
	if (c)
		js->free = c->next;
	pthread_mutex_unlock(&js->chunk_lock);
	if (!c)
		c = weir_alloc(js->mem, CHUNK_SIZE);
	if (!c)
		return NULL;
	c->refs = 1;
	c->n = 0;
	c->used = head();
	c->all = js;
	c->pass = j;
	c->next = NULL;
	return c;
}

struct chunk *chunk_ref(struct chunk *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void chunk_unref(struct chunk *c)
{
	struct joints *js;

	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	js = c->all;
	pthread_mutex_lock(&js->chunk_lock);
	if (js->npasses) {
		c->next = js->free;
		js->free = c;
		c = NULL;
	}
	pthread_mutex_unlock(&js->chunk_lock);
	weir_free(js->mem, c, CHUNK_SIZE);
}

void chunks_keep(struct joints *js, bool keep)
{
	struct chunk *c = NULL;

	pthread_mutex_lock(&js->chunk_lock);
	if (keep) {
		js->npasses++;
	} else if (--js->npasses == 0) {
		c = js->free;
		js->free = NULL;
	}
	pthread_mutex_unlock(&js->chunk_lock);
	while (c) {
		struct chunk *next = c->next;

		weir_free(js->mem, c, CHUNK_SIZE);
		c = next;
	}
}

/* ---- forms ---- */

static void *place(void *arg, size_t size)
{
	struct chunk *c = arg;

	size = (size + 15) & ~(size_t)15;
	if (CHUNK_SIZE - c->used < size)
		return NULL;
	c->used += size;
	return (char *)c + c->used - size;
}

int chunk_add(struct chunk *c, struct joint *j, struct weir_batch *b, uint64_t done)
{
	struct chunk_batch *to = &c->batch[c->n];
	size_t used = c->used;
	/* the number of a flow stands behind its form: it must not be given up for want of room */
	size_t numbers = j->numbers.off ? 0 : b->n * sizeof *to->form.flow + 16;
	int r = c->n == CHUNK_BATCHES ? -ENOSPC : compact_make(b, place, c, &to->form);

	if (r == -ENOMEM || (r == 0 && CHUNK_SIZE - c->used < numbers)) {
		c->used = used;
		r = -ENOSPC;
	}
	if (r < 0)
		return r;
	to->form.flow = flow_numbers(&j->numbers, b, place, c);
	to->flows = flow_numbers_most(&j->numbers);
	j->packets += b->n;
	to->end = j->packets;
	to->done = done;
	c->n++;
	return 0;
}

/* ---- batches of members ---- */

static void let_go(void *holder)
{
	chunk_unref(holder);
}

int batch_cut(struct weir_batch *b, uint32_t n)
{
	uint16_t *rows = weir_batch_sel(b, b->n);

	if (!rows)
		return -ENOMEM;
	for (uint32_t k = n; k < b->n; k++)
		rows[k - n] = (uint16_t)k;
	weir_batch_select(b, rows, b->n - n);
	return 0;
}

struct weir_batch *chunk_serve(
        struct chunk *c, const struct chunk_batch *from, struct weir_reader *to, uint64_t had)
{
	uint64_t begin = from->end - from->form.n;
	struct weir_batch *b = served_batch(to, &(struct served){.form = &from->form,
	                                                .flows = from->flows,
	                                                .of = c->pass,
	                                                .holder = chunk_ref(c),
	                                                .let_go = let_go});

	if (b && begin < had && batch_cut(b, (uint32_t)(had - begin)) < 0) {
		weir_batch_unref(b);
		return NULL;
	}
	return b;
}
