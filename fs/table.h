/* SPDX-License-Identifier: MIT */
/* table.h: files whose every version is an inode of its own: texts (status, plan …) and the
 * results of blocking queries. */
#ifndef TABLE_H
#define TABLE_H

#include "fs/version.h"

/* The current version of a text; *ret is a reference. 0 or -errno. */
int table_text(struct fs *fs, const struct node *n, struct version **ret);
/* The version behind a node in versions/: a reference, NULL where it is no longer kept. */
struct snapshot *table_kept(const struct node *n, const struct look *l);
/* Its name there, and back: -1 where that is no time as we write it. */
#define TABLE_TIME_MAX 40
void table_time_name(int64_t time, char to[TABLE_TIME_MAX]);
int64_t table_time_ms(const char *name);
/* The current version of a table's out.* or records; an empty one before the first. */
int table_result(struct fs *fs, const struct node *n, const struct look *l, struct version **ret);
/* A version by number that is not known here (any more): where it can be had again. */
int table_revive(struct fs *fs, const struct node *n, struct version **ret);
/* Whether somebody waits for less by asking now: the text of the current version is rendered. */
bool table_is_small(const struct look *l);

uint32_t table_generation(const struct fs *fs, uint64_t run, uint64_t version);

#endif
