/* SPDX-License-Identifier: MIT */
/* cmd_types.c: `weir types`: the fields of the schemas that are known without a source. */
#include "fs/cmd.h"
#include "fs/doc.h"
#include <getopt.h>

static const struct cmd_option options[] = {{0}};

static int run(int argc, char **argv)
{
	struct weir_schema *s;
	struct text t = TEXT_INIT;
	bool found = optind == argc;
	int o, r = 0;

	while ((o = cmd_next(&cmd_types, argc, argv)) != -1)
		return o == -2 ? 0 : CMD_USAGE;
	if (argc - optind > 1)
		return cmd_usage(&cmd_types, "one name at most");
	found = optind == argc;
	for (size_t i = 0; (s = doc_schema_at(i)); i++) {
		if (optind == argc) {
			text_printf(&t, "%s\n", s->name);
		} else if (strcmp(s->name, argv[optind]) == 0) {
			doc_schema(s, &t);
			found = true;
		}
		weir_schema_unref(s);
	}
	if (!found) {
		fprintf(stderr, "weir: unknown type '%s'\n", argv[optind]);
		r = CMD_FAILED;
	} else if (t.failed || fwrite(t.p, 1, t.len, stdout) != t.len || fflush(stdout) != 0) {
		perror("weir: write");
		r = CMD_FAILED;
	}
	text_release(&t);
	return r;
}

const struct cmd cmd_types = {
        .name = "types",
        .usage = "[NAME]",
        .summary = "List the record types, or show the fields of one.",
        .options = options,
        .run = run,
};
