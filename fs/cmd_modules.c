/* SPDX-License-Identifier: MIT */
/* cmd_modules.c: `weir modules`: what stages there are, from their descriptors. */
#include "engine/core/registry.h"
#include "fs/cmd.h"
#include "fs/doc.h"
#include <getopt.h>

static const struct cmd_option options[] = {
        {'m', "man", NULL, "print weir-modules(7)"},
        CMD_OPTION_MODULES,
        {0},
};

static const char *next_name(void *arg, size_t i)
{
	const struct weir_module *m = registry_module_at(i);

	return m ? m->name : NULL;
}

static int print(struct text *t)
{
	int r = 0;

	if (t->failed) {
		fputs("weir: out of memory\n", stderr);
		r = CMD_FAILED;
	} else if (fwrite(t->p, 1, t->len, stdout) != t->len || fflush(stdout) != 0) {
		perror("weir: write");
		r = CMD_FAILED;
	}
	text_release(t);
	return r;
}

static int run(int argc, char **argv)
{
	struct text t = TEXT_INIT;
	int o;

	while ((o = cmd_next(&cmd_modules, argc, argv)) != -1) {
		if (o < 0)
			return o == -2 ? 0 : CMD_USAGE;
		if (o == 'M') {
			if (cmd_load_plugins(optarg))
				return CMD_FAILED;
			continue;
		}
		doc_man(&t);
		return print(&t);
	}
	if (optind == argc)
		doc_list(&t);
	for (int i = optind; i < argc; i++) {
		char near[100];

		if (i > optind)
			text_puts(&t, "\n");
		if (doc_named(argv[i], &t) == 0)
			continue;
		print(&t);
		fprintf(stderr, "weir: unknown module '%s'%s\n", argv[i],
		        weir_did_you_mean(
		                argv[i], strlen(argv[i]), next_name, NULL, near, sizeof near));
		return CMD_FAILED;
	}
	return print(&t);
}

const struct cmd cmd_modules = {
        .name = "modules",
        .usage = "[NAME…]",
        .summary = "List the modules and sources, or show the help of some.",
        .options = options,
        .run = run,
};
