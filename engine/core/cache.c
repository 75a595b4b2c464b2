/* SPDX-License-Identifier: MIT */
/* cache.c: which traces are kept, and what of them.
 *
 * The forms of a trace lie one behind the other in slabs that double in size up to SLAB_MOST, huge
 * pages where there are any; the last is cut to what it holds when the pass has ended.
 */
#include "engine/core/cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/core/run.h"

#define SLAB_LEAST (128u << 10) /* more than any form takes */
#define SLAB_MOST (4u << 20)
#define HUGE (2u << 20)
#define TRACES_MAX 256
#define EARLY 16 /* from this part of a trace on its size in the cache is foretold */

struct slab {
	struct slab *before;
	size_t size, used; /* with this head */
};

struct cache {
	pthread_mutex_t lock; /* protects the list, and what struct cached says */
	struct cached *traces;
	uint32_t n;
	uint64_t clock, dropped;
	struct weir_mem *mem;
	struct cache_keeper *keeper;
	bool (*pressed)(void);
};

struct cache_keeper *cache_keeper(struct cache *c)
{
	return c->keeper;
}

size_t cache_limit(const struct cache *c)
{
	return c->mem->limit;
}

static bool is_cacheable(const struct reader *r)
{
	return r->pub.steady && cache_files_known(&r->files);
}

/* ---- memory ---- */

/* Less than a sixteenth of the machine's memory is left. */
static bool memory_is_short(void)
{
	unsigned long long total = 0, left = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		return false;
	while (!left && fgets(line, sizeof line, f)) {
		sscanf(line, "MemTotal: %llu", &total);
		sscanf(line, "MemAvailable: %llu", &left);
	}
	fclose(f);
	return left && left < total / 16;
}

static void slabs_free(struct cached *d)
{
	while (d->slab) {
		struct slab *s = d->slab;

		d->slab = s->before;
		mem_give(d->cache->mem, s->size);
		munmap(s, s->size);
	}
}

struct cached *cached_ref(struct cached *d)
{
	__atomic_add_fetch(&d->refs, 1, __ATOMIC_RELAXED);
	return d;
}

void cached_unref(struct cached *d)
{
	if (!d || __atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL))
		return;
	slabs_free(d);
	mem_give(d->cache->mem, d->room * sizeof *d->batch);
	free(d->batch);
	faults_release(&d->faults);
	cache_files_release(&d->files);
	free(d);
}

/* Takes it out of the list, with the lock; the list's reference is the caller's then. */
static void unlist(struct cached *d)
{
	struct cached **p;

	for (p = &d->cache->traces; *p != d; p = &(*p)->next)
		;
	*p = d->next;
	d->listed = false;
	d->cache->n--;
}

/* Drops the trace that was not used for longest; false: there is none that could go. */
static bool drop_oldest(struct cache *c)
{
	struct cached *old = NULL;

	pthread_mutex_lock(&c->lock);
	for (struct cached *d = c->traces; d; d = d->next)
		if (d->state == CACHED_WHOLE && (!old || d->used < old->used))
			old = d;
	if (old) {
		unlist(old);
		c->dropped++;
	}
	pthread_mutex_unlock(&c->lock);
	cached_unref(old);
	return old;
}

static bool take(struct cache *c, size_t size)
{
	bool ok;

	while (!(ok = mem_take(c->mem, size)) && drop_oldest(c))
		;
	return ok;
}

/* Aligned to huge pages, so that clearing and looking up memory costs little. */
static void *map(size_t size)
{
	size_t more = size >= HUGE ? HUGE : 0;
	char *p =
	        mmap(NULL, size + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head;

	if (p == MAP_FAILED || !more)
		return p == MAP_FAILED ? NULL : p;
	head = -(uintptr_t)p & (HUGE - 1);
	if (head)
		munmap(p, head);
	if (head < more)
		munmap(p + head + size, more - head);
	(void)madvise(p + head, size, MADV_HUGEPAGE);
	return p + head;
}

static int more_slabs(struct cached *d)
{
	size_t size = d->slab ? 2 * d->slab->size : SLAB_LEAST;
	struct slab *s;

	size = size < SLAB_MOST ? size : SLAB_MOST;
	if (size == SLAB_MOST && d->cache->pressed())
		return -EAGAIN;
	if (!take(d->cache, size))
		return -ENOSPC;
	s = map(size);
	if (!s) {
		mem_give(d->cache->mem, size);
		return -EAGAIN;
	}
	*s = (struct slab){.before = d->slab, .size = size, .used = 64};
	d->slab = s;
	d->size += size;
	return 0;
}

/* What the last slab has left goes back. */
static void trim(struct cached *d)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size, over;

	if (!d->slab)
		return;
	size = (d->slab->used + page - 1) & ~(page - 1);
	over = d->slab->size - size;
	if (over) {
		munmap((char *)d->slab + size, over);
		d->slab->size = size;
		d->size -= over;
		mem_give(d->cache->mem, over);
	}
}

/* ---- what a pass keeps ---- */

struct placing {
	struct cached *d;
	int e;
};

static void *place(void *arg, size_t size)
{
	struct placing *p = arg;
	struct cached *d = p->d;

	size = (size + 15) & ~(size_t)15;
	if (!d->slab || d->slab->size - d->slab->used < size)
		p->e = more_slabs(d);
	if (p->e < 0)
		return NULL;
	d->slab->used += size;
	return (char *)d->slab + d->slab->used - size;
}

static int reserve(struct cached *d)
{
	uint32_t room = d->room ? 2 * d->room : 64;
	size_t more = (room - d->room) * sizeof *d->batch;
	void *p;

	if (!take(d->cache, more))
		return -ENOSPC;
	p = realloc(d->batch, room * sizeof *d->batch);
	if (!p) {
		mem_give(d->cache->mem, more);
		return -EAGAIN;
	}
	d->batch = p;
	d->room = room;
	d->size += more;
	return 0;
}

/* Whether it will be too large, by what the part behind it took: others need not go for it then. */
static bool will_not_fit(const struct cached *d, uint64_t done, uint64_t total)
{
	size_t limit = d->cache->mem->limit;

	return total && done >= total / EARLY &&
	       (double)d->size * ((double)total / (double)done) > (double)limit + SLAB_MOST;
}

static int add(struct cached *d, struct weir_batch *b, uint64_t done, uint64_t total)
{
	struct placing p = {.d = d};
	int r;

	if (d->n == d->room) {
		r = will_not_fit(d, done, total) ? -ENOSPC : reserve(d);
		if (r < 0)
			return r;
	}
	r = compact_make(b, place, &p, &d->batch[d->n].form);
	if (r < 0)
		return p.e < 0 ? p.e : r;
	d->batch[d->n].form.flow = flow_numbers(&d->numbers, b, place, &p);
	d->batch[d->n++].done = done;
	d->packets += b->n;
	return 0;
}

int cached_add(struct cached *d, struct weir_batch *b, uint64_t done, uint64_t total)
{
	int r = add(d, b, done, total);

	return r == -ENOSPC && flow_numbers_drop(&d->numbers) ? add(d, b, done, total) : r;
}

/* All flows are numbered, or none. */
static void end_numbers(struct cached *d)
{
	uint32_t most = flow_numbers_most(&d->numbers);

	d->flows = most <= d->packets / FLOW_LEAST ? most : 0;
	for (uint32_t i = 0; !d->flows && i < d->n; i++)
		d->batch[i].form.flow = NULL;
	flow_numbers_drop(&d->numbers);
}

void cached_end(struct cached *d, int e)
{
	struct cache *c = d->cache;
	bool listed = false;

	end_numbers(d);
	if (e == 0)
		trim(d);
	if (e == 0 && !cache_files_unchanged(&d->files))
		e = -EAGAIN;
	if (e == -ENOSPC || e == -EINVAL) { /* it would be the same next time */
		slabs_free(d);
		mem_give(c->mem, d->room * sizeof *d->batch);
		free(d->batch);
		d->batch = NULL;
		d->room = d->n = 0;
		d->size = 0;
	}
	pthread_mutex_lock(&c->lock);
	if (d->listed && e == 0) {
		d->state = CACHED_WHOLE;
		d->used = ++c->clock;
	} else if (d->listed && (e == -ENOSPC || e == -EINVAL)) {
		d->state = CACHED_REFUSED;
	} else if (d->listed) {
		listed = true;
		unlist(d);
	}
	pthread_mutex_unlock(&c->lock);
	if (listed)
		cached_unref(d);
	cached_unref(d);
}

/* ---- the cache ---- */

struct cache *cache_new(size_t limit)
{
	struct cache *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->mem = mem_new(limit);
	if (!c->mem) {
		free(c);
		return NULL;
	}
	c->keeper = cache_keeper_new(c);
	if (!c->keeper) {
		mem_unref(c->mem);
		free(c);
		return NULL;
	}
	c->pressed = memory_is_short;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void cache_stop(struct cache *c)
{
	if (!c)
		return;
	cache_keeper_free(c->keeper);
	c->keeper = NULL;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	cache_stop(c);
	while (c->traces) {
		struct cached *d = c->traces;

		unlist(d);
		cached_unref(d);
	}
	pthread_mutex_destroy(&c->lock);
	mem_unref(c->mem);
	free(c);
}

void cache_set_pressed(struct cache *c, bool (*pressed)(void))
{
	c->pressed = pressed;
}

/* The trace of these files, with the lock. What was kept of it before it changed is given to
 * *stale.
 */
static struct cached *find(struct cache *c, const struct reader *r, struct cached **stale)
{
	for (struct cached *d = c->traces; d; d = d->next) {
		if (d->source != r->source || !cache_files_same_paths(&d->files, &r->files))
			continue;
		if (cache_files_same(&d->files, &r->files))
			return d;
		unlist(d);
		*stale = d;
		return NULL;
	}
	return NULL;
}

/* Something has to go: the oldest one that nothing was kept of. With the lock. */
static struct cached *make_room(struct cache *c)
{
	struct cached *old = NULL;

	if (c->n < TRACES_MAX)
		return NULL;
	for (struct cached *d = c->traces; d; d = d->next)
		if (d->state != CACHED_BEING)
			old = d;
	if (old)
		unlist(old);
	return old;
}

struct cached *cached_begin(struct cache *c, struct reader *r)
{
	struct cached *d = calloc(1, sizeof *d), *stale = NULL, *old = NULL;
	bool known = true, short_now = c->pressed();

	if (!d)
		return NULL;
	faults_init(&d->faults);
	d->refs = 2; /* the list's, the caller's */
	d->cache = c;
	d->numbers.mem = c->mem;
	d->source = r->source;
	pthread_mutex_lock(&c->lock);
	if (is_cacheable(r) && cache_files_settled(&r->files) && !short_now)
		known = find(c, r, &stale) != NULL;
	if (!known)
		old = make_room(c);
	known |= c->n == TRACES_MAX;
	if (!known) {
		d->files = r->files;
		r->files = (struct cache_files){0};
		d->listed = true;
		d->next = c->traces;
		c->traces = d;
		c->n++;
	}
	pthread_mutex_unlock(&c->lock);
	cached_unref(stale);
	cached_unref(old);
	if (known) {
		d->refs = 1;
		cached_unref(d);
	}
	return known ? NULL : d;
}

bool cache_attach(struct run *run, struct reader *r, const struct plan_node *n, bool may_serve)
{
	struct cache *c = run->e->cache;
	struct cached *d, *stale = NULL;
	bool serve = false;

	if (!c || !is_cacheable(r))
		return false;
	if (c->pressed())
		while (drop_oldest(c))
			;
	may_serve = may_serve && compact_covers(r->pub.schema, n->needs);
	pthread_mutex_lock(&c->lock);
	d = find(c, r, &stale);
	serve = d && d->state == CACHED_WHOLE && may_serve;
	if (serve) {
		d->used = ++c->clock;
		d->hits++;
		cached_ref(d);
	}
	pthread_mutex_unlock(&c->lock);
	cached_unref(stale);
	if (!d && cache_files_settled(&r->files))
		(void)cache_pass_watch(r, run, n); /* for want of memory it is not */
	if (serve && cache_pass_serve(r, d) < 0) {
		cached_unref(d);
		serve = false;
	}
	return serve;
}

/* ---- texts ---- */

void cache_trace_text(struct cache *c, const struct reader *r, struct text *to)
{
	struct cached *d, *stale = NULL;

	if (!c) {
		text_puts(to, "cache: off\n");
		return;
	}
	if (!is_cacheable(r)) {
		text_puts(to, "cache: not for this source\n");
		return;
	}
	pthread_mutex_lock(&c->lock);
	d = find(c, r, &stale);
	if (!d)
		text_puts(to, "cache: empty\n");
	else if (d->state == CACHED_BEING)
		text_puts(to, "cache: being filled\n");
	else if (d->state == CACHED_REFUSED)
		text_puts(to, "cache: too small for this trace\n");
	else
		text_printf(to,
		        "cache: filled\ncache packets: %llu\ncache flows: %u\n"
		        "cache bytes: %zu\ncache hits: %llu\n",
		        (unsigned long long)d->packets, d->flows, d->size,
		        (unsigned long long)d->hits);
	pthread_mutex_unlock(&c->lock);
	cached_unref(stale);
}

void cache_text(struct cache *c, struct text *to)
{
	uint64_t hits = 0;
	unsigned whole = 0;

	if (!c) {
		text_puts(to, "cache_limit: 0\n");
		return;
	}
	pthread_mutex_lock(&c->lock);
	for (const struct cached *d = c->traces; d; d = d->next) {
		whole += d->state == CACHED_WHOLE;
		hits += d->hits;
	}
	text_printf(to,
	        "cache_limit: %zu\ncache_bytes: %zu\ncache_traces: %u\ncache_hits: %llu\n"
	        "cache_dropped: %llu\n",
	        c->mem->limit, __atomic_load_n(&c->mem->used, __ATOMIC_RELAXED), whole,
	        (unsigned long long)hits, (unsigned long long)c->dropped);
	pthread_mutex_unlock(&c->lock);
}
