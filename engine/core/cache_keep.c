/* SPDX-License-Identifier: MIT */
/* cache_keep.c: the thread that reads traces for the cache.
 *
 * It comes into being with the first trace that a query has read to its end, works off one after
 * the other, and gives way to the queries. A job holds its run: what it opens stands in the run's
 * plan.
 */
#include "engine/core/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/core/run.h"

#define JOBS_MAX 64
#define NICE 10
#define LEAST 20 /* bytes that no packet takes fewer of */

struct job {
	struct run *run;
	const struct plan_node *node;
	bool large; /* too large: that is all there is to be kept */
};

struct cache_keeper {
	struct cache *cache;
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t more;
	pthread_t thread;
	bool started, stop; /* stop: atomic, too */
	uint32_t at, n;
	struct job job[JOBS_MAX];
};

static bool is_stopped(const struct cache_keeper *k)
{
	return __atomic_load_n(&k->stop, __ATOMIC_RELAXED);
}

/* All of an open reader's batches: 0 or -errno. */
static int keep_all(const struct cache_keeper *k, struct reader *r, struct cached *d)
{
	struct weir_err err = WEIR_ERR_INIT;
	struct weir_batch *b;
	int e;

	while ((e = r->source->read(&r->pub, &b, &err)) == 1 || e == -EAGAIN) {
		if (e == -EAGAIN) { /* of files: much that has no record, and there is more */
			if (is_stopped(k))
				return -EINTR;
			continue;
		}
		e = cached_add(d, b, r->pub.bytes_done, r->pub.bytes_total);
		weir_batch_unref(b);
		if (e == 0 && is_stopped(k))
			e = -EINTR;
		if (e < 0)
			return e;
	}
	d->done = r->pub.bytes_done;
	return e == -EINVAL ? -EIO : e;
}

static void keep(const struct cache_keeper *k, const struct job *j)
{
	struct rights all = {.all = true};
	struct weir_err err = WEIR_ERR_INIT;
	struct reader *r = NULL;
	struct cached *d;

	if (reader_open(j->node->source, j->node->config, &all, j->run->e, NULL, NULL, &r, &err) <
	        0)
		return;
	d = cached_begin(k->cache, r);
	if (d) {
		r->faults = &d->faults;
		cached_end(d, j->large ? -ENOSPC : keep_all(k, r, d));
	}
	r->faults = NULL;
	reader_close(r);
}

static void *work(void *arg)
{
	struct cache_keeper *k = arg;

	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	pthread_mutex_lock(&k->lock);
	for (;;) {
		struct job j;

		while (!k->n && !k->stop)
			pthread_cond_wait(&k->more, &k->lock);
		if (k->stop)
			break;
		j = k->job[k->at];
		k->at = (k->at + 1) % JOBS_MAX;
		k->n--;
		pthread_mutex_unlock(&k->lock);
		keep(k, &j);
		run_unref(j.run);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

/* Without a thread or a place for it, it is not kept this time. */
void cache_want(struct cache *c, struct run *run, const struct plan_node *n, uint64_t packets)
{
	struct cache_keeper *k = cache_keeper(c);

	pthread_mutex_lock(&k->lock);
	if (!k->started && !k->stop)
		k->started = pthread_create(&k->thread, NULL, work, k) == 0;
	if (k->started && k->n < JOBS_MAX) {
		k->job[(k->at + k->n++) % JOBS_MAX] =
		        (struct job){run_ref(run), n, packets > cache_limit(c) / LEAST};
		pthread_cond_signal(&k->more);
	}
	pthread_mutex_unlock(&k->lock);
}

struct cache_keeper *cache_keeper_new(struct cache *c)
{
	struct cache_keeper *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->cache = c;
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->more, NULL);
	return k;
}

void cache_keeper_free(struct cache_keeper *k)
{
	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	__atomic_store_n(&k->stop, true, __ATOMIC_RELAXED);
	pthread_cond_signal(&k->more);
	pthread_mutex_unlock(&k->lock);
	if (k->started)
		pthread_join(k->thread, NULL);
	for (; k->n; k->n--, k->at = (k->at + 1) % JOBS_MAX)
		run_unref(k->job[k->at].run);
	pthread_cond_destroy(&k->more);
	pthread_mutex_destroy(&k->lock);
	free(k);
}
