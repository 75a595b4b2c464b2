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

struct notify {
	struct fs *fs;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct node waiting[WAITING_MAX]; /* protected by lock; more than that are dropped: */
	unsigned n;                       /* time-outs are short where it matters */
	bool changed;                     /* queries came or went since memory was given back */
	bool ending;
};

/* A version that no look-up gives any more: the kernel may forget it. */
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
	/* each query's thread leaves what it has freed to its arena, which keeps it */
	if (changed)
		malloc_trim(0);
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
			fuse.lowlevel_notify_inval_inode(n->fs->session, node_ino(&todo[i]), -1, 0);
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
	if (pthread_create(&n->thread, NULL, run, n) != 0) {
		free(n);
		return NULL;
	}
	return n;
}

static void notify_dir(struct notify *n, enum node_kind kind)
{
	if (n->n == WAITING_MAX)
		return;
	n->waiting[n->n++] = (struct node){.kind = kind};
	pthread_cond_signal(&n->wake);
}

void notify_queries(struct notify *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->changed = true;
	notify_dir(n, NODE_QUERIES);
	notify_dir(n, NODE_STREAMS);
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
	pthread_mutex_destroy(&n->lock);
	free(n);
}
