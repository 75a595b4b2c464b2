/* SPDX-License-Identifier: MIT */
/* batch.c: batches, views, and the pool that recycles their memory.
 *
 * A batch's first chunk holds the struct itself and its column heads; what comes later is bumped
 * from further chunks. Two sizes of chunk are recycled; larger ones go back to malloc.
 */
#include "engine/core/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine/core/fiber.h"

#define SMALL 8192
#define LARGE (128u << 10)
#define KEEP 64 /* chunks of a size that an idle pool keeps */

struct chunk {
	struct chunk *next;
	size_t size, used; /* with this head */
};

struct weir_pool {
	pthread_mutex_t lock; /* protects the free lists */
	struct chunk *free[2];
	unsigned nfree[2];
	uint32_t refs; /* atomic: the owner and every batch */
	struct weir_mem *mem;
};

struct weir_pool *pool_new(struct weir_mem *mem)
{
	struct weir_pool *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->refs = 1;
	p->mem = mem;
	return p;
}

struct weir_pool *pool_ref(struct weir_pool *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

void pool_trim(struct weir_pool *p)
{
	pthread_mutex_lock(&p->lock);
	for (int k = 0; k < 2; k++) {
		while (p->free[k]) {
			struct chunk *c = p->free[k];

			p->free[k] = c->next;
			weir_free(p->mem, c, c->size);
		}
		p->nfree[k] = 0;
	}
	pthread_mutex_unlock(&p->lock);
}

void pool_unref(struct weir_pool *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	pool_trim(p);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static struct chunk *take(struct weir_pool *p, size_t need)
{
	int k = need <= SMALL ? 0 : 1;
	size_t size = k == 0 ? SMALL : need <= LARGE ? LARGE : need;
	struct chunk *c = NULL;

	if (size <= LARGE) {
		pthread_mutex_lock(&p->lock);
		c = p->free[k];
		if (c) {
			p->free[k] = c->next;
			p->nfree[k]--;
		}
		pthread_mutex_unlock(&p->lock);
	}
	if (!c)
		c = weir_alloc(p->mem, size);
	if (!c)
		return NULL;
	c->size = size;
	c->used = (sizeof *c + 63) & ~(size_t)63;
	c->next = NULL;
	return c;
}

static void give(struct weir_pool *p, struct chunk *c)
{
	int k = c->size == SMALL ? 0 : 1;

	if (c->size <= LARGE) {
		pthread_mutex_lock(&p->lock);
		if (p->nfree[k] < KEEP) {
			c->next = p->free[k];
			p->free[k] = c;
			p->nfree[k]++;
			c = NULL;
		}
		pthread_mutex_unlock(&p->lock);
	}
	if (c)
		weir_free(p->mem, c, c->size);
}

static void *bump(struct chunk *c, size_t size)
{
	size = (size + 63) & ~(size_t)63;
	if (c->size - c->used < size)
		return NULL;
	c->used += size;
	return (char *)c + c->used - size;
}

static struct weir_batch *make(struct weir_pool *p, const struct weir_schema *schema)
{
	size_t head = sizeof(struct weir_batch) + schema->nfields * sizeof(struct weir_col);
	struct chunk *c = take(p, head + 256);
	struct weir_batch *b;

	if (!c)
		return NULL;
	b = bump(c, head);
	memset(b, 0, head);
	b->schema = schema;
	b->cols = (struct weir_col *)(b + 1);
	b->refs = 1;
	b->pool = p;
	b->mem = c;
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return b;
}

struct weir_batch *pool_batch(struct weir_pool *p, const struct weir_schema *schema, uint32_t n)
{
	struct weir_batch *b = make(p, schema);

	if (b)
		b->n = b->nsel = (uint16_t)n;
	return b;
}

struct weir_batch *pool_view_shared(struct weir_pool *p, struct weir_batch *parent,
        const struct weir_schema *schema, const int32_t *map)
{
	struct weir_batch *b = make(p, schema);

	if (!b)
		return NULL;
	b->parent = weir_batch_ref(parent);
	b->map = map;
	b->n = parent->n;
	b->sel = parent->sel;
	b->nsel = parent->nsel;
	b->token = parent->token;
	return b;
}

struct weir_batch *pool_view(struct weir_pool *p, struct weir_batch *parent,
        const struct weir_schema *schema, const int32_t *map)
{
	struct weir_batch *b = pool_view_shared(p, parent, schema, map);

	if (!b)
		return NULL;
	for (uint32_t f = 0; f < schema->nfields; f++)
		if (map[f] >= 0)
			b->cols[f] = parent->cols[map[f]];
	return b;
}

struct weir_batch *weir_batch_ref(struct weir_batch *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void weir_batch_unref(struct weir_batch *b)
{
	while (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		struct weir_batch *parent = b->parent;
		struct weir_pool *p = b->pool;
		struct chunk *c = b->mem;

		if (b->ops && b->ops->release)
			b->ops->release(b);
		while (c) {
			struct chunk *next = c->next;

			give(p, c);
			c = next;
		}
		pool_unref(p);
		b = parent;
	}
}

void *weir_batch_alloc(struct weir_batch *b, size_t size)
{
	struct chunk *c = b->mem;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	p = bump(c, size);
	if (p)
		return p;
	c = take(b->pool, size + 128);
	if (!c)
		return NULL;
	/* the fuller of the two stays behind */
	p = bump(c, size);
	if (c->size - c->used > ((struct chunk *)b->mem)->size - ((struct chunk *)b->mem)->used) {
		c->next = b->mem;
		b->mem = c;
	} else {
		c->next = ((struct chunk *)b->mem)->next;
		((struct chunk *)b->mem)->next = c;
	}
	return p;
}

/* A column that no row has a value in: of a built batch that left it out. */
static int fill_absent(struct weir_batch *b, uint32_t field)
{
	struct weir_col *c = weir_batch_own(b, field);

	return c && weir_batch_own_valid(b, c) ? 0 : -ENOMEM;
}

struct filling {
	struct weir_batch *b;
	uint32_t field;
};

static int fill_on_host(void *arg)
{
	struct filling *c = arg;

	return weir_batch_fill(c->b, c->field);
}

int32_t batch_identity[WEIR_FIELDS_MAX];

__attribute__((constructor)) static void make_identity(void)
{
	for (int32_t i = 0; i < WEIR_FIELDS_MAX; i++)
		batch_identity[i] = i;
}

void batch_share(struct weir_batch *b)
{
	for (; b; b = b->parent)
		__atomic_store_n(&b->shared, true, __ATOMIC_RELAXED);
}

static struct weir_batch *root(struct weir_batch *b)
{
	while (b->parent)
		b = b->parent;
	return b;
}

static int fill(struct weir_batch *b, uint32_t field)
{
	if (b->cols[field].data)
		return 0;
	if (b->map && b->map[field] >= 0) {
		int r = fill(b->parent, (uint32_t)b->map[field]);

		if (r == 0)
			b->cols[field] = b->parent->cols[b->map[field]];
		return r;
	}
	if (b->ops && b->ops->fill)
		return b->ops->fill(b, field);
	return fill_absent(b, field);
}

/* With the lock of b's root where a thread may meet others; several roots share a lock. */
int weir_batch_fill(struct weir_batch *b, uint32_t field)
{
	static pthread_mutex_t locks[64] = {
	        [0 ... 63] = PTHREAD_MUTEX_INITIALIZER,
	};
	struct fiber *f = fiber_here();
	struct weir_batch *s = b;
	pthread_mutex_t *lock;
	int r;

	if (b->cols[field].data)
		return 0;
	if (f) /* decoding needs more stack than a module's loop has */
		return fiber_call(f, fill_on_host, &(struct filling){b, field});
	while (s && !batch_is_shared(s))
		s = s->parent;
	if (!s)
		return fill(b, field);
	lock = &locks[((uintptr_t)root(s) >> 13) % 64];
	pthread_mutex_lock(lock);
	r = fill(b, field);
	pthread_mutex_unlock(lock);
	return r;
}

struct weir_col *weir_batch_own(struct weir_batch *b, uint32_t field)
{
	struct weir_col *c = &b->cols[field];

	c->kind = b->schema->fields[field].kind;
	c->valid = NULL;
	c->flags = 0;
	c->data = weir_batch_alloc(b, (b->n ? b->n : 1) * weir_kind_size(c->kind));
	return c->data ? c : NULL;
}

uint64_t *weir_batch_own_valid(struct weir_batch *b, struct weir_col *c)
{
	size_t size = (b->n + 63u) / 64 * 8;

	c->valid = weir_batch_alloc(b, size ? size : 8);
	return c->valid ? memset(c->valid, 0, size) : NULL;
}

uint16_t *weir_batch_sel(struct weir_batch *b, uint32_t n)
{
	return weir_batch_alloc(b, (n ? n : 1) * sizeof(uint16_t));
}

int weir_batch_value(struct weir_batch *b, uint32_t field, uint32_t row, struct weir_value *ret)
{
	const struct weir_col *c = weir_batch_col(b, field);

	if (!c)
		return -ENOMEM;
	*ret = (struct weir_value){.kind = WEIR_NONE};
	if (!weir_col_has(c, row))
		return 0;
	ret->kind = c->kind;
	switch (weir_storage_of(c->kind)) {
	case WEIR_WORD:
		ret->d.u = weir_col_u64(c)[row];
		break;
	case WEIR_ADDR:
		ret->d.ip = weir_col_ip(c)[row];
		break;
	case WEIR_VAR:
		ret->d.s = weir_col_str(c)[row];
		break;
	}
	return 0;
}
