/* SPDX-License-Identifier: MIT */
/* describe.h: the texts that do not change during a mount: README, types/, modules/; and metrics.
 */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "fs/fs.h"

/* README: how to use this mount, with its own names. */
void describe_mount(struct fs *fs, struct text *to);

/* metrics: OpenMetrics text. */
void describe_metrics(struct fs *fs, struct text *to);

/* types/<schema>; names by index, NULL past the end. */
const char *describe_type_name(uint32_t i);
int describe_type(uint32_t i, struct text *to);

/* modules/<module>: the modules, then the sources. */
const char *describe_operator_name(uint32_t i);
int describe_operator(uint32_t i, struct text *to);

#endif
