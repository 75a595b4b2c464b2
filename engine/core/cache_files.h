/* SPDX-License-Identifier: MIT */
/* cache_files.h: the files that a trace is, and whether they are still what they were. */
#ifndef CACHE_FILES_H
#define CACHE_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define CACHE_FILES_MAX 1024

struct cache_files {
	uint32_t n;
	bool unsure; /* they are too many, or one is no regular file */
	struct cache_file {
		char *path;
		dev_t dev;
		ino_t ino;
		off_t size;
		struct timespec mtime, ctime;
	} * file;
};

/* A file has been opened. */
void cache_files_add(struct cache_files *f, const char *path, const struct stat *st);
void cache_files_release(struct cache_files *f);

static inline bool cache_files_known(const struct cache_files *f)
{
	return f->n && !f->unsure;
}

/* The same names; the same names and the same files, unchanged. */
bool cache_files_same_paths(const struct cache_files *a, const struct cache_files *b);
bool cache_files_same(const struct cache_files *a, const struct cache_files *b);
/* Whether they are now what they were. */
bool cache_files_unchanged(const struct cache_files *f);
/* None was changed lately. */
bool cache_files_settled(const struct cache_files *f);

#endif
