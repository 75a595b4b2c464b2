/* SPDX-License-Identifier: MIT */
/* cmd.h: the commands that run without a mount: run, check, modules, types.
 *
 * A command is one file with one descriptor at its bottom; the table of options gives the parser,
 * `--help` and the completion. Commands print, and return an exit status: 0, CMD_FAILED or
 * CMD_USAGE. Only they and main do.
 */
#ifndef CMD_H
#define CMD_H

#include <stdio.h>
#include <weir/error.h>

enum { CMD_FAILED = 1, CMD_USAGE = 2 };

/* The last row has no name. */
struct cmd_option {
	int letter;       /* -x, and what cmd_next() returns; above 255: no letter */
	const char *name; /* --name */
	const char *arg;  /* what the value is called; NULL: none */
	const char *doc;  /* lower case, no full stop */
};

struct cmd {
	const char *name;
	const char *usage;   /* what follows the name and the options */
	const char *summary; /* one line */
	const struct cmd_option *options;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

extern const struct cmd cmd_run, cmd_check, cmd_modules, cmd_types;
extern const struct cmd *const cmd_all[]; /* ends with NULL */

/* NULL where there is none of that name. */
const struct cmd *cmd_find(const char *name);

/* The next option's letter, its value in optarg; operands stay in order from optind on. -1: no
 * more. -2: --help was asked for and printed; -3: something is wrong, and said: return CMD_USAGE.
 */
int cmd_next(const struct cmd *c, int argc, char **argv);

/* "usage: weir NAME …", then a row for each option. */
void cmd_help(const struct cmd *c, FILE *to);
void cmd_help_options(const struct cmd_option *o, FILE *to);

/* Says on stderr what is wrong with the arguments; CMD_USAGE. */
int cmd_usage(const struct cmd *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct engine;
struct text;

/* What the command line calls a source is SOURCE or name=SOURCE, where no file has that very name:
 * the name, or "", and where SOURCE begins. */
const char *cmd_source_name(const char *arg, char name[65]);

/* Adds such a source. 0 or -errno and *err. */
int cmd_add_source(struct engine *e, const char *arg, struct weir_err *err);

/* Loads the plug-ins of a directory, and says on stderr which were refused. 0, or where the
 * directory itself is at fault CMD_FAILED, said too. */
int cmd_load_plugins(const char *dir);
#define CMD_OPTION_MODULES                                                                         \
	{                                                                                          \
		'M', "modules", "DIR", "load the plug-ins (*.so) of a directory"                   \
	}

/* Shows `err` on stderr, with the line of the spec and a caret where it has a place; spec may be
 * NULL. CMD_FAILED. */
int cmd_error(const struct weir_err *err, const char *spec, size_t len);

/* Reads the spec: from `file` ("-": standard input), or, where that is NULL, from the next operand.
 * 0, or an exit status where something is wrong, and said. */
int cmd_read_spec(const struct cmd *c, const char *file, int argc, char **argv, struct text *to);

#endif
