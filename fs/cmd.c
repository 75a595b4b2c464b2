/* SPDX-License-Identifier: MIT */
/* cmd.c: what the commands share: options from tables, help, sources, errors. */
#include "fs/cmd.h"
#include "engine/core/plugin.h"
#include "engine/core/query.h"
#include "engine/lang/ast.h"
#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPTIONS_MAX = 32 };

const struct cmd *const cmd_all[] = {&cmd_run, &cmd_check, &cmd_modules, &cmd_types, NULL};

const struct cmd *cmd_find(const char *name)
{
	for (size_t i = 0; cmd_all[i]; i++)
		if (strcmp(cmd_all[i]->name, name) == 0)
			return cmd_all[i];
	return NULL;
}

void cmd_help_options(const struct cmd_option *o, FILE *to)
{
	for (; o->name; o++) {
		char left[64], letter[4] = "   ";

		if (o->letter < 256)
			snprintf(letter, sizeof letter, "-%c,", o->letter);
		snprintf(left, sizeof left, "%s --%s%s%s", letter, o->name, o->arg ? " " : "",
		        o->arg ? o->arg : "");
		fprintf(to, "  %-26s %s\n", left, o->doc);
	}
}

void cmd_help(const struct cmd *c, FILE *to)
{
	fprintf(to, "usage: weir %s [OPTION…] %s\n%s\n\n", c->name, c->usage, c->summary);
	cmd_help_options(c->options, to);
	fprintf(to, "  %-26s %s\n", "-h, --help", "show this help");
}

int cmd_usage(const struct cmd *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("weir: ", stderr);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nusage: weir %s [OPTION…] %s (see weir %s --help)\n", c->name, c->usage,
	        c->name);
	return CMD_USAGE;
}

int cmd_next(const struct cmd *c, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 2] = {{"help", no_argument, NULL, 'h'}};
	char shorts[2 * OPTIONS_MAX + 4] = ":h";
	size_t n = 1, s = 2;
	int o, at;

	for (const struct cmd_option *p = c->options; p->name && n <= OPTIONS_MAX; p++, n++) {
		longs[n].name = p->name;
		longs[n].has_arg = p->arg ? required_argument : no_argument;
		longs[n].val = p->letter;
		if (p->letter >= 256)
			continue;
		shorts[s++] = (char)p->letter;
		if (p->arg)
			shorts[s++] = ':';
	}
	at = optind ? optind : 1;
	o = getopt_long(argc, argv, shorts, longs, NULL);
	if (o == 'h') {
		cmd_help(c, stdout);
		return -2;
	}
	if (o == ':' || o == '?') {
		const char *word = argv[optind - 1 >= at ? optind - 1 : at];

		if (o == ':')
			cmd_usage(c, "option '%s' needs a value", word);
		else if (optopt && optopt < 256)
			cmd_usage(c, "unknown option '-%c'", optopt);
		else
			cmd_usage(c, "unknown option '%s'", word);
		return -3;
	}
	return o;
}

const char *cmd_source_name(const char *arg, char name[65])
{
	size_t n = 0;

	while (isalnum((unsigned char)arg[n]) || (arg[n] && strchr("_-.", arg[n])))
		n++;
	name[0] = 0;
	if (!n || n > 64 || arg[n] != '=' || access(arg, F_OK) == 0)
		return arg;
	memcpy(name, arg, n);
	name[n] = 0;
	return arg + n + 1;
}

int cmd_add_source(struct engine *e, const char *arg, struct weir_err *err)
{
	char name[65];
	const char *path = cmd_source_name(arg, name);

	return engine_add_source(e, name[0] ? name : NULL, path, err);
}

int cmd_load_plugins(const char *dir)
{
	struct weir_err err = WEIR_ERR_INIT;
	const struct plugin *p;
	size_t i = 0;
	int r;

	while (plugin_at(i))
		i++;
	r = plugins_load(dir, &err);
	for (; (p = plugin_at(i)); i++)
		if (!p->module)
			fprintf(stderr, "weir: plug-in '%s' was not loaded: %s\n", p->path, p->why);
	return r < 0 ? cmd_error(&err, NULL, 0) : 0;
}

int cmd_error(const struct weir_err *err, const char *spec, size_t len)
{
	struct text t = TEXT_INIT;

	if (spec && err->pos != WEIR_NOPOS)
		lang_explain(&t, "weir", spec, len, err);
	else
		text_printf(&t, "weir: %s\n", err->text);
	if (t.p && !t.failed)
		fwrite(t.p, 1, t.len, stderr);
	text_release(&t);
	return CMD_FAILED;
}

/* Reads a whole file ("-": standard input), at most one byte more than `max`. 0 or -errno. */
static int read_file(const char *path, size_t max, struct text *to)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	while (to->len <= max) {
		size_t room = max + 1 - to->len < 65536 ? max + 1 - to->len : 65536;
		char *p = text_reserve(to, room);
		ssize_t n = p ? read(fd, p, room) : 0;

		if (!p)
			r = -ENOMEM;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0)
			r = -errno;
		if (r < 0 || n == 0)
			break;
		text_grown(to, (size_t)n);
	}
	close(fd);
	return r;
}

int cmd_read_spec(const struct cmd *c, const char *file, int argc, char **argv, struct text *to)
{
	int r;

	if (!file && optind == argc)
		return cmd_usage(c, "no query");
	if (!file) {
		text_puts(to, argv[optind++]);
		return 0;
	}
	r = read_file(file, SPEC_MAX, to);
	if (r < 0)
		fprintf(stderr, "weir: %s: %s\n", file, strerror(-r));
	return r < 0 ? CMD_FAILED : 0;
}
