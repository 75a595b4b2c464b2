/* SPDX-License-Identifier: MIT */
/* xattr.h: a record's annotations as user.<name>; nothing else has extended attributes. */
#ifndef XATTR_H
#define XATTR_H

#include "fs/record.h"

#define XATTR_NAMES_MAX 65536u

/* The value; -ENOTSUP for any other name space (with -ENODATA `ls -l` asks three times as much),
 * -ENODATA where the record has no such annotation. */
int xattr_get(struct fs *fs, const struct node *n, const char *name, struct text *to);
/* Names, each with its 0; at most XATTR_NAMES_MAX bytes of them. */
int xattr_list(struct fs *fs, const struct node *n, struct text *to);

#endif
