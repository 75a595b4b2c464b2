/* SPDX-License-Identifier: MIT */
/* cache_files.c: see cache_files.h. */
#include "engine/core/cache_files.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SETTLED_S 2 /* a file that was changed later than that ago may change again unseen */

void cache_files_add(struct cache_files *f, const char *path, const struct stat *st)
{
	struct cache_file *to;

	if (f->unsure)
		return;
	f->unsure = true;
	if (!S_ISREG(st->st_mode) || f->n == CACHE_FILES_MAX)
		return;
	if (!(f->n & (f->n - 1))) {
		to = realloc(f->file, (f->n ? 2 * f->n : 1) * sizeof *to);
		if (!to)
			return;
		f->file = to;
	}
	to = &f->file[f->n];
	*to = (struct cache_file){.path = strdup(path),
	        .dev = st->st_dev,
	        .ino = st->st_ino,
	        .size = st->st_size,
	        .mtime = st->st_mtim,
	        .ctime = st->st_ctim};
	if (!to->path)
		return;
	f->n++;
	f->unsure = false;
}

void cache_files_release(struct cache_files *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		free(f->file[i].path);
	free(f->file);
	*f = (struct cache_files){0};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_file(const struct cache_file *a, const struct cache_file *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime);
}

bool cache_files_same_paths(const struct cache_files *a, const struct cache_files *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (strcmp(a->file[i].path, b->file[i].path) != 0)
			return false;
	return true;
}

bool cache_files_same(const struct cache_files *a, const struct cache_files *b)
{
	if (!cache_files_same_paths(a, b))
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!same_file(&a->file[i], &b->file[i]))
			return false;
	return true;
}

bool cache_files_unchanged(const struct cache_files *f)
{
	for (uint32_t i = 0; i < f->n; i++) {
		const struct cache_file *was = &f->file[i];
		struct stat st;

		if (stat(was->path, &st) < 0 ||
		        !same_file(was, &(struct cache_file){.dev = st.st_dev,
		                                .ino = st.st_ino,
		                                .size = st.st_size,
		                                .mtime = st.st_mtim,
		                                .ctime = st.st_ctim}))
			return false;
	}
	return true;
}

bool cache_files_settled(const struct cache_files *f)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	for (uint32_t i = 0; i < f->n; i++)
		if (f->file[i].mtime.tv_sec > now.tv_sec - SETTLED_S - 1)
			return false;
	return true;
}
