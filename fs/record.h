/* SPDX-License-Identifier: MIT */
/* record.h: records/<n/1000>/<n>: one row of the result as a file, its annotations as extended
 * attributes. Made from the inode number alone; nothing is kept for a record. */
#ifndef RECORD_H
#define RECORD_H

#include "fs/version.h"

/* What a records directory, a chunk or a record stands on. */
struct record {
	struct look look;
	struct result *result;   /* borrowed from look or version */
	struct snapshot *snap;   /* reference; NULL for a log */
	struct version *version; /* reference or NULL */
	uint64_t run, number;    /* all bits */
	uint64_t first, end;     /* rows that are there */
	struct node node;        /* with row and version parted */
};

/* `n` is a records directory, a chunk or a record. 0 or -ESTALE. */
int record_find(struct fs *fs, const struct node *n, struct record *ret);
void record_release(struct fs *fs, struct record *r);
uint32_t record_generation(const struct fs *fs, const struct record *r);

/* "field: value" lines. */
int record_lines(const struct record *r, uint64_t row, struct text *to);
/* How long those are of rows [row, row + n); of how many, at least one. */
int record_sizes(const struct record *r, uint64_t row, uint32_t n, uint64_t *to);
int64_t record_time(const struct record *r);

/* The number of a chunk or record under *r's directory as a node. */
void record_node(const struct record *r, enum node_kind kind, uint64_t row, struct node *ret);

#endif
