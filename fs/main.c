/* SPDX-License-Identifier: MIT */
/* main.c: `weir COMMAND …`, or `weir SOURCE… MOUNTPOINT`. A source that is called like a command
 * is written ./run. */
#include "fs/cmd.h"
#include "fs/mount.h"
#include <stdio.h>

int main(int argc, char **argv)
{
	const struct cmd *c = argc > 1 ? cmd_find(argv[1]) : NULL;
	struct mount_options o;
	int r = 0;

	if (c)
		return c->run(argc - 1, argv + 1);
	if (argc < 2) {
		mount_help(stderr);
		return CMD_USAGE;
	}
	if (mount_options_parse(argc, argv, &o) < 0)
		r = CMD_USAGE;
	else if (o.help)
		mount_help(stdout);
	else if (o.version)
		puts("weir " WEIR_VERSION);
	else
		r = mount_serve(&o);
	mount_options_release(&o);
	return r;
}
