/* SPDX-License-Identifier: MIT */
/* cmd_check.c: `weir check`: parses and binds a query, runs nothing. */
#include "engine/core/query.h"
#include "engine/lang/ast.h"
#include "fs/cmd.h"
#include <getopt.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct cmd_option options[] = {
        {'f', "file", "FILE", "read the query from a file (-: standard input)"},
        {'v', "verbose", NULL, "print the plan"},
        CMD_OPTION_MODULES,
        {0},
};

/* Without a source a query is checked as it would run over a trace: an empty one. */
static int add_empty(struct engine *e, struct weir_err *err)
{
	static const uint8_t header[24] = {
	        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, [18] = 4, [20] = 1}; /* pcap, Ethernet */
	char path[32];
	int fd = memfd_create("trace", MFD_CLOEXEC), r = 0;

	if (fd < 0 || write(fd, header, sizeof header) < 0)
		return weir_fail(err, WEIR_E_SYSTEM, WEIR_NOPOS, 0, "memfd", strerror(errno));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	r = engine_add_source(e, "trace", path, err);
	close(fd);
	return r;
}

static int check(const char *spec, size_t len, char **sources, bool verbose)
{
	struct weir_err err = WEIR_ERR_INIT;
	struct text plan = TEXT_INIT;
	struct engine *e = engine_new(&(struct engine_options){0});
	int r = 0;

	if (!e) {
		fputs("weir: out of memory\n", stderr);
		return CMD_FAILED;
	}
	if (!*sources && add_empty(e, &err) < 0)
		r = cmd_error(&err, NULL, 0);
	for (; *sources && r == 0; sources++)
		if (cmd_add_source(e, *sources, &err) < 0)
			r = cmd_error(&err, NULL, 0);
	if (r == 0 && query_check(e, spec, len, NULL, verbose ? &plan : NULL, &err) < 0)
		r = cmd_error(&err, spec, len);
	if (r == 0 && plan.len && fwrite(plan.p, 1, plan.len, stdout) != plan.len)
		r = CMD_FAILED;
	text_release(&plan);
	engine_free(e);
	return r;
}

static int run(int argc, char **argv)
{
	struct text spec = TEXT_INIT;
	const char *file = NULL;
	bool verbose = false;
	int o, r;

	while ((o = cmd_next(&cmd_check, argc, argv)) != -1) {
		if (o < 0)
			return o == -2 ? 0 : CMD_USAGE;
		if (o == 'f')
			file = optarg;
		else if (o == 'v')
			verbose = true;
		else if (cmd_load_plugins(optarg))
			return CMD_FAILED;
	}
	r = cmd_read_spec(&cmd_check, file, argc, argv, &spec);
	if (r == 0)
		r = check(spec.p ? spec.p : "", spec.len, argv + optind, verbose);
	text_release(&spec);
	return r;
}

const struct cmd cmd_check = {
        .name = "check",
        .usage = "QUERY [SOURCE…]",
        .summary = "Check a query without running it.",
        .options = options,
        .run = run,
};
