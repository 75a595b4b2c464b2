/* SPDX-License-Identifier: MIT */
/* mount_options.h: the command line of a mount. */
#ifndef MOUNT_OPTIONS_H
#define MOUNT_OPTIONS_H

#include "engine/core/query.h"
#include <stdio.h>

#define MODULES_MAX 16 /* directories of plug-ins */

struct mount_options {
	struct engine_options engine;
	struct source_option source[SOURCE_OPTIONS_MAX]; /* of `engine`, owned */
	char **sources;                                  /* as given: SOURCE or name=SOURCE */
	int nsources;
	const char *mountpoint;
	char *user;                 /* to go on as, or NULL */
	char *plugins[MODULES_MAX]; /* directories */
	int nplugins;
	struct text kernel; /* options for libfuse, separated by commas */
	bool foreground, debug, allow_other, help, version;
};

/* Parses all of argv behind the program's name. 0, or says on stderr what is wrong: -EINVAL. */
int mount_options_parse(int argc, char **argv, struct mount_options *ret);
void mount_options_release(struct mount_options *o);
void mount_help(FILE *to);

#endif
