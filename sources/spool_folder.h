/* SPDX-License-Identifier: MIT */
/* spool_folder.h: what happens in a spool folder: which of its files are there to be read.
 *
 * Events say what to look at; whatever they say, a look decides. So a scan, which looks at
 * everything, stands in for events that were lost, or cannot be had.
 */
#ifndef SPOOL_FOLDER_H
#define SPOOL_FOLDER_H

#include "sources/grown.h"
#include "sources/spool_files.h"
#include "sources/watch.h"

#define SPOOL_PREFIX "spool:"

struct spool_counts { /* atomic */
	uint64_t waiting, taken, vanished, replaced, shrunk, unreadable, beyond, overflows;
};

struct spool_folder {
	struct weir_reader *reader;
	char *path, *pattern; /* absolute; of names, "*" for all */
	int dir;
	struct block_pool *peek; /* for the first packet only */
	struct spool_files files;
	struct watch watch;
	int wd;
	uint32_t scans;
	bool scan;       /* all is to be looked at again … */
	int64_t due;     /* … at that time, CLOCK_MONOTONIC ns; 0: at once, or never */
	bool gone;       /* the folder itself is */
	uint32_t barren; /* files looked at in a row that begin with much that has no packet */
	bool beyond;     /* there are files that there was no room for */
	bool closed;     /* the look is for a file that was closed */
	int error;       /* of a look from within an event */
	struct spool_counts counts;
};

int64_t spool_now(void);

static inline void spool_folder_count(uint64_t *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

/* `spec`: with or without the prefix. 0, or -errno and *err; spool_folder_close() is due in any
 * case. No file is looked at yet. */
int spool_folder_open_at(struct spool_folder *s, struct weir_reader *r, const char *spec,
        uint32_t max, struct weir_err *err);
void spool_folder_close(struct spool_folder *s);

/* These look at files, and give 0 or -ENOMEM: at all; at one; at what has been heard of. */
int spool_folder_scan(struct spool_folder *s);
int spool_folder_look(struct spool_folder *s, const char *name);
int spool_folder_hear(struct spool_folder *s);

/* When to hear next, although nothing happens: CLOCK_MONOTONIC ns, 0: then not. */
int64_t spool_folder_due(const struct spool_folder *s);

/* Behind the first scan: faults for files of the state that are gone, and were read in part. */
void spool_folder_missing(struct spool_folder *s);

/* A file was taken from those that wait. */
void spool_folder_taken_out(struct spool_folder *s);
/* Opens it: a descriptor, or -errno; what is wrong has been said then. */
int spool_folder_open(struct spool_folder *s, struct spool_file *f, struct weir_err *err);

void spool_folder_fault(
        struct spool_folder *s, const struct spool_file *f, uint64_t offset, const char *text);
/* The same for one whose fault ends it, however long it is now. */
void spool_folder_broken(
        struct spool_folder *s, struct spool_file *f, uint64_t offset, const char *text);
/* It is no capture. */
void spool_folder_refuse(struct spool_folder *s, struct spool_file *f, const char *why);
/* Something else is in its place, and what had not been read of it is lost. */
void spool_folder_lost(struct spool_folder *s, struct spool_file *f);

void spool_folder_stats(const struct spool_folder *s,
        void (*line)(void *arg, const char *key, uint64_t value), void *arg);

#endif
