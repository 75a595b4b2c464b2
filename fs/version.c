/* SPDX-License-Identifier: MIT */
/* version.c: see version.h. One lock; every operation under it is short. */
#include "fs/version.h"
#include <stdlib.h>

#define BUCKETS 4096

struct versions {
	pthread_mutex_t lock;
	struct version *bucket[BUCKETS];
	struct version *oldest, *newest; /* all, by insertion */
	uint64_t bytes, count;
	uint64_t dropped; /* bytes of text that have gone since versions_dropped() */
};

static struct version **bucket_of(struct versions *vs, uint64_t ino)
{
	return &vs->bucket[(ino * 0x9e3779b97f4a7c15ull) >> 52];
}

struct versions *versions_new(void)
{
	struct versions *vs = calloc(1, sizeof *vs);

	if (vs)
		pthread_mutex_init(&vs->lock, NULL);
	return vs;
}

static void version_free(struct version *v)
{
	free(v->text);
	if (v->snap)
		snapshot_unref(v->snap);
	if (v->result)
		result_unref(v->result);
	if (v->query)
		query_unref(v->query);
	free(v);
}

void versions_free(struct versions *vs)
{
	struct version *v, *next;

	if (!vs)
		return;
	for (v = vs->oldest; v; v = next) {
		next = v->newer;
		version_free(v);
	}
	pthread_mutex_destroy(&vs->lock);
	free(vs);
}

struct version *version_new(const struct node *n)
{
	struct version *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->node = *n;
	v->ino = node_ino(n);
	v->refs = 1;
	return v;
}

/* Takes v out of the index; the lock is held. The caller frees it. */
static void unlist(struct versions *vs, struct version *v)
{
	struct version **at = bucket_of(vs, v->ino);

	while (*at != v)
		at = &(*at)->next;
	*at = v->next;
	if (v->older)
		v->older->newer = v->newer;
	else
		vs->oldest = v->newer;
	if (v->newer)
		v->newer->older = v->older;
	else
		vs->newest = v->older;
	vs->bytes -= v->len;
	vs->dropped += v->len;
	vs->count--;
	v->listed = false;
}

static struct version *find(struct versions *vs, uint64_t ino)
{
	struct version *v = *bucket_of(vs, ino);

	while (v && v->ino != ino)
		v = v->next;
	return v;
}

/* Nobody has it, and the store has it for its minute, or until the query needs the memory. */
static bool is_spare(const struct version *v)
{
	return v->followed && !v->refs && !v->nlookup;
}

/* Takes v out if it is spare: the caller frees it then. */
static bool unlist_spare(struct versions *vs, struct version *v)
{
	if (!v->listed || !is_spare(v))
		return false;
	unlist(vs, v);
	return true;
}

static void free_all(struct version *dead)
{
	struct version *next;

	for (; dead; dead = next) {
		next = dead->next;
		version_free(dead);
	}
}

/* What is over the cap in bytes goes, the oldest first. Adds to *dead what nobody has open. */
static void fit(struct versions *vs, struct version **dead)
{
	struct version *v, *next;

	for (v = vs->oldest; v && vs->bytes > VERSIONS_BYTES; v = next) {
		next = v->newer;
		if (v->refs || !v->len)
			continue;
		unlist(vs, v);
		v->next = *dead;
		*dead = v;
	}
}

/* Of a table that is at v, or further: marks what has been followed. Adds to *dead what is spare.
 */
static void follow(struct versions *vs, struct version *v, struct version **dead)
{
	uint64_t number = v->snap ? snapshot_number(v->snap) : 0;
	struct version *o, *next;

	for (o = number ? vs->oldest : NULL; o; o = next) {
		next = o->newer;
		if (!o->snap || o->node.serial != v->node.serial || o->run != v->run)
			continue;
		o->followed |= snapshot_number(o->snap) < number;
		v->followed |= snapshot_number(o->snap) > number;
		if (unlist_spare(vs, o)) {
			o->next = *dead;
			*dead = o;
		}
	}
}

struct version *version_insert(struct versions *vs, struct version *v)
{
	struct version **at = bucket_of(vs, v->ino), *old, *dead = NULL;

	pthread_mutex_lock(&vs->lock);
	old = find(vs, v->ino);
	if (old && old->generation == v->generation) {
		old->refs++;
		pthread_mutex_unlock(&vs->lock);
		version_free(v);
		return old;
	}
	if (old) { /* the number has come round */
		unlist(vs, old);
		if (!old->refs) {
			old->next = NULL;
			dead = old;
		}
	}
	follow(vs, v, &dead);
	v->used = fs_monotonic();
	v->next = *at;
	*at = v;
	v->older = vs->newest;
	v->newer = NULL;
	if (vs->newest)
		vs->newest->newer = v;
	else
		vs->oldest = v;
	vs->newest = v;
	vs->bytes += v->len;
	vs->count++;
	v->listed = true;
	fit(vs, &dead);
	pthread_mutex_unlock(&vs->lock);
	free_all(dead);
	return v;
}

struct version *version_get(struct versions *vs, uint64_t ino)
{
	struct version *v;

	pthread_mutex_lock(&vs->lock);
	v = find(vs, ino);
	if (v)
		v->refs++;
	pthread_mutex_unlock(&vs->lock);
	return v;
}

struct version *version_ref(struct versions *vs, struct version *v)
{
	pthread_mutex_lock(&vs->lock);
	v->refs++;
	pthread_mutex_unlock(&vs->lock);
	return v;
}

void version_put(struct versions *vs, struct version *v)
{
	bool dead;

	if (!v)
		return;
	pthread_mutex_lock(&vs->lock);
	v->used = fs_monotonic();
	dead = --v->refs == 0 && (!v->listed || unlist_spare(vs, v));
	pthread_mutex_unlock(&vs->lock);
	if (dead)
		version_free(v);
}

void version_looked_up(struct versions *vs, struct version *v)
{
	pthread_mutex_lock(&vs->lock);
	v->nlookup++;
	pthread_mutex_unlock(&vs->lock);
}

void version_forget(struct versions *vs, uint64_t ino, uint64_t n)
{
	struct version *v;
	bool dead;

	pthread_mutex_lock(&vs->lock);
	v = find(vs, ino);
	if (v)
		v->nlookup -= n < v->nlookup ? n : v->nlookup;
	dead = v && unlist_spare(vs, v);
	pthread_mutex_unlock(&vs->lock);
	if (dead)
		version_free(v);
}

uint64_t versions_count(struct versions *vs)
{
	uint64_t n;

	pthread_mutex_lock(&vs->lock);
	n = vs->count;
	pthread_mutex_unlock(&vs->lock);
	return n;
}

uint64_t versions_bytes(struct versions *vs)
{
	uint64_t n;

	pthread_mutex_lock(&vs->lock);
	n = vs->bytes;
	pthread_mutex_unlock(&vs->lock);
	return n;
}

uint64_t versions_dropped(struct versions *vs)
{
	uint64_t n;

	pthread_mutex_lock(&vs->lock);
	n = vs->dropped;
	vs->dropped = 0;
	pthread_mutex_unlock(&vs->lock);
	return n;
}

#define STALE_MAX 64

void versions_prune(struct versions *vs, const struct serials *listed,
        void (*stale)(void *arg, const struct node *n), void *arg)
{
	struct version *v, *next, *dead = NULL;
	struct node nodes[STALE_MAX];
	int64_t now = fs_monotonic();
	unsigned n = 0;

	pthread_mutex_lock(&vs->lock);
	for (v = vs->oldest; v; v = next) {
		bool full = vs->bytes > VERSIONS_BYTES;

		next = v->newer;
		if (v->refs ||
		        (!full && now - v->used < VERSION_KEEP && !serials_lack(listed, &v->node)))
			continue;
		if (v->nlookup && n < STALE_MAX)
			nodes[n++] = v->node;
		if (v->nlookup && !full)
			continue;
		unlist(vs, v);
		v->next = dead;
		dead = v;
	}
	pthread_mutex_unlock(&vs->lock);
	free_all(dead);
	for (unsigned i = 0; stale && i < n; i++)
		stale(arg, &nodes[i]);
}
