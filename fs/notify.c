/* SPDX-License-Identifier: MIT */
/* notify.c: see notify.h. */
#include "fs/notify.h"
#include "engine/core/now.h"
#include "fs/fuse.h"
#include "fs/state.h"
#include "fs/version.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 64
#define PRUNE (5 * NSEC)
#define TRIM (32u << 20) /* bytes of text that went: worth to be given back */
#define TELL_WAIT NSEC

struct notify {
	struct fs *fs;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t told_some;
	struct node waiting[WAITING_MAX]; /* protected by lock; more than that are dropped: */
	unsigned n;                       /* time-outs are short where it matters */
	uint64_t asked, told;             /* how many were in `waiting`, and are done */
	bool changed;                     /* queries came or went since memory was given back */
	bool ending;
};

/* What a look-up does not give any more: the kernel may forget it. */
static void stale(void *arg, const struct node *n)
{
	struct fs *fs = arg;
	struct node dir;

	if (!node_rows[n->kind].name || entry_parent(fs, n, &dir) < 0)
		return;
	fuse.lowlevel_notify_inval_entry(fs->session, node_ino(&dir), node_rows[n->kind].name,
	        strlen(node_rows[n->kind].name));
}

static bool serials(struct fs *fs, bool removed, struct serials *ret)
{
	int64_t n = query_serials(fs->engine, removed, &ret->serial, &ret->next);

	ret->n = n < 0 ? 0 : (size_t)n;
	return n >= 0;
}

static void prune(struct fs *fs)
{
	struct serials known;

	if (serials(fs, false, &known))
		versions_prune(fs->versions, &known, stale, fs);
	free(known.serial);
	if (serials(fs, true, &known))
		states_prune(fs->states, &known);
	free(known.serial);
}

/* What is old goes, whether or not there is something to tell meanwhile. */
static void clean(struct notify *n, bool changed)
{
	prune(n->fs);
	/* each thread leaves what it has freed to its arena, which keeps it: a query's, or one that
	 * renders */
	if (versions_dropped(n->fs->versions) >= TRIM || changed)
		malloc_trim(0);
}

/* A folder of queries lists others now; of a query, the records are others. */
static void tell(struct fs *fs, const struct node *n)
{
	if (n->kind == NODE_RECORDS)
		stale(fs, n);
	else
		fuse.lowlevel_notify_inval_inode(fs->session, node_ino(n), -1, 0);
}

static void told(struct notify *n, unsigned count)
{
	pthread_mutex_lock(&n->lock);
	n->told += count;
	pthread_cond_broadcast(&n->told_some);
	pthread_mutex_unlock(&n->lock);
}

static void *run(void *arg)
{
	struct notify *n = arg;
	int64_t at = fs_monotonic() + PRUNE;
	struct node todo[WAITING_MAX];
	unsigned count;
	bool changed, due;

	pthread_mutex_lock(&n->lock);
	while (!n->ending) {
		struct timespec until = {at / NSEC, at % NSEC};

		if (!n->n)
			pthread_cond_timedwait(&n->wake, &n->lock, &until);
		if (n->ending)
			break;
		count = n->n;
		memcpy(todo, n->waiting, count * sizeof *todo);
		n->n = 0;
		due = fs_monotonic() >= at;
		changed = n->changed;
		n->changed &= !due;
		pthread_mutex_unlock(&n->lock);
		for (unsigned i = 0; i < count; i++)
			tell(n->fs, &todo[i]);
		told(n, count);
		if (due) {
			clean(n, changed);
			at = fs_monotonic() + PRUNE;
		}
		pthread_mutex_lock(&n->lock);
	}
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

struct notify *notify_new(struct fs *fs)
{
	struct notify *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->fs = fs;
	pthread_mutex_init(&n->lock, NULL);
	now_cond_init(&n->wake);
	now_cond_init(&n->told_some);
	if (pthread_create(&n->thread, NULL, run, n) != 0) {
		free(n);
		return NULL;
	}
	return n;
}

/* The lock is held. Which one it is of those that were asked for; 0: it is dropped. */
static uint64_t ask(struct notify *n, enum node_kind kind, uint32_t serial)
{
	if (n->n == WAITING_MAX)
		return 0;
	n->waiting[n->n++] = (struct node){.kind = kind, .serial = serial};
	pthread_cond_signal(&n->wake);
	return ++n->asked;
}

void notify_queries(struct notify *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->changed = true;
	ask(n, NODE_QUERIES, 0);
	ask(n, NODE_STREAMS, 0);
	pthread_mutex_unlock(&n->lock);
}

void notify_run(struct notify *n, uint32_t serial)
{
	int64_t end = fs_monotonic() + TELL_WAIT;
	struct timespec until = {end / NSEC, end % NSEC};
	uint64_t mine;
	int r = 0;

	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	mine = ask(n, NODE_RECORDS, serial);
	while (n->told < mine && r == 0)
		r = pthread_cond_timedwait(&n->told_some, &n->lock, &until);
	pthread_mutex_unlock(&n->lock);
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->ending = true;
	pthread_cond_signal(&n->wake);
	pthread_mutex_unlock(&n->lock);
	pthread_join(n->thread, NULL);
	pthread_cond_destroy(&n->wake);
	pthread_cond_destroy(&n->told_some);
	pthread_mutex_destroy(&n->lock);
	free(n);
}
