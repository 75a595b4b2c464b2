/* SPDX-License-Identifier: MIT */
/* mount_options.c: see mount_options.h. One table gives the parser and --help. */
#include "fs/mount_options.h"
#include "engine/core/options.h"
#include "engine/core/registry.h"
#include "engine/core/settings.h"
#include "fs/cmd.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_DEFAULT (256u << 20)

enum action {
	SPEED,
	MEMORY,
	RETAIN,
	QUERIES,
	THREADS,
	TOKENS,
	REFRESH,
	CACHE,
	HISTORY,
	MODULES,
	ALLOW_OTHER,
	USER,
	KERNEL,
	IGNORED
};

struct row {
	const char *name, *arg;
	enum action action;
	const char *doc; /* NULL: taken, not shown */
};

static const struct row rows[] = {
        {"speed", "N", SPEED,
                "replay in the trace's own time, N times as fast; max: as fast as can be"},
        {"memory", "SIZE", MEMORY, "memory limit of each query (512MB)"},
        {"cache", "SIZE", CACHE,
                "memory for the headers of traces that were read, 0: none (256MB)"},
        {"retain", "SIZE", RETAIN, "rows kept of each result (64MB)"},
        {"history", "SIZE", HISTORY,
                "past that a live source keeps for 'set history' (64MB, while a query wants it)"},
        {"queries", "N", QUERIES, "queries at once (1024)"},
        {"threads", "N", THREADS, "most threads that work for a query (1)"},
        {"tokens", "N", TOKENS, "most batches in flight between a query's threads (4 N + 4)"},
        {"refresh", "TIME", REFRESH, "how often a table is renewed while it is read (1s)"},
        {"modules", "DIR", MODULES, "load the plug-ins (*.so) of a directory"},
        {"allow_other", NULL, ALLOW_OTHER, "let other users in (the default for root)"},
        {"user", "NAME", USER, "once all is open and mounted, go on as this user"},
        {"ro", NULL, KERNEL, "read only: no queries"},
        /* what mount(8), fstab and libfuse know */
        {"fsname", "NAME", KERNEL, NULL},
        {"subtype", "NAME", KERNEL, NULL},
        {"max_read", "N", KERNEL, NULL},
        {"auto_unmount", NULL, KERNEL, NULL},
        {"rw", NULL, KERNEL, NULL},
        {"suid", NULL, KERNEL, NULL},
        {"nosuid", NULL, KERNEL, NULL},
        {"dev", NULL, KERNEL, NULL},
        {"nodev", NULL, KERNEL, NULL},
        {"exec", NULL, KERNEL, NULL},
        {"noexec", NULL, KERNEL, NULL},
        {"sync", NULL, KERNEL, NULL},
        {"async", NULL, KERNEL, NULL},
        {"dirsync", NULL, KERNEL, NULL},
        {"atime", NULL, KERNEL, NULL},
        {"noatime", NULL, KERNEL, NULL},
        {"diratime", NULL, IGNORED, NULL},
        {"nodiratime", NULL, IGNORED, NULL},
        {"relatime", NULL, IGNORED, NULL},
        {"norelatime", NULL, IGNORED, NULL},
        {"strictatime", NULL, IGNORED, NULL},
        {"nostrictatime", NULL, IGNORED, NULL},
        {"lazytime", NULL, IGNORED, NULL},
        {"nolazytime", NULL, IGNORED, NULL},
        {"default_permissions", NULL, IGNORED, NULL},
        {"nonempty", NULL, IGNORED, NULL},
        {"defaults", NULL, IGNORED, NULL},
        {"auto", NULL, IGNORED, NULL},
        {"noauto", NULL, IGNORED, NULL},
        {"nouser", NULL, IGNORED, NULL},
        {"users", NULL, IGNORED, NULL},
        {"owner", NULL, IGNORED, NULL},
        {"group", NULL, IGNORED, NULL},
        {"nofail", NULL, IGNORED, NULL},
        {"_netdev", NULL, IGNORED, NULL},
        {NULL, NULL, IGNORED, NULL},
};

static const struct cmd_option letters[] = {
        {'o', NULL, "OPT[,OPT…]", "mount options, see below"},
        {'f', "foreground", NULL, "stay in the foreground"},
        {'d', "debug", NULL, "stay in the foreground and show every request"},
        {'h', "help", NULL, "show this help"},
        {'V', "version", NULL, "show the version"},
        {0},
};

static bool is_own(const char *name)
{
	for (const struct row *r = rows; r->name; r++)
		if (strcmp(r->name, name) == 0)
			return true;
	return false;
}

/* The options of sources, each name once, as its first source has it. */
static void help_sources(FILE *to)
{
	const struct weir_source *s;
	char left[64];

	for (size_t i = 0; (s = registry_source_at(i)); i++)
		for (const struct weir_option *o = s->options; o && o->type != WEIR_OPT_END; o++) {
			if ((o->flags & WEIR_OPT_POSITIONAL) || is_own(o->name) ||
			        source_option_row(o->name) != o)
				continue;
			snprintf(left, sizeof left, "-o %s%s%s", o->name,
			        o->type == WEIR_OPT_FLAG ? "" : "=",
			        o->type == WEIR_OPT_FLAG ? "" : o->arg);
			fprintf(to, "  %-22s %s: %s\n", left, s->name, o->doc);
		}
}

void mount_help(FILE *to)
{
	char left[64];

	fputs("usage: weir [name=]SOURCE… MOUNTPOINT [-f] [-o OPTION,…]\n", to);
	for (size_t i = 0; cmd_all[i]; i++)
		fprintf(to, "       weir %s [OPTION…] %s\n", cmd_all[i]->name, cmd_all[i]->usage);
	fputs("\nMount traces as files: write a query to MOUNTPOINT/queries/new, read its "
	      "answer.\n\n",
	        to);
	for (const struct cmd_option *o = letters; o->doc; o++) {
		snprintf(left, sizeof left, "-%c%s%s%s%s", o->letter, o->name ? ", --" : "",
		        o->name ? o->name : "", o->arg ? " " : "", o->arg ? o->arg : "");
		fprintf(to, "  %-22s %s\n", left, o->doc);
	}
	for (const struct row *r = rows; r->name; r++) {
		if (!r->doc)
			continue;
		snprintf(left, sizeof left, "-o %s%s%s", r->name, r->arg ? "=" : "",
		        r->arg ? r->arg : "");
		fprintf(to, "  %-22s %s\n", left, r->doc);
	}
	help_sources(to);
}

static int complain(const char *what, const char *word)
{
	fprintf(stderr, "weir: %s '%s'\n", what, word);
	return -EINVAL;
}

/* The value as a row of an option table has it: that of the setting of the same name where there is
 * one. */
static int number(const struct row *row, const char *value, union weir_datum *ret)
{
	static const struct weir_option own[] = {
	        {WEIR_OPT_F64, "speed", .min = 1e-9, .max = 1e9},
	        {WEIR_OPT_SIZE, "cache", .min = 0, .max = 1e13},
	        {WEIR_OPT_SIZE, "history", .min = 0, .max = 1e12},
	        {WEIR_OPT_U64, "queries", .min = 1, .max = UINT_MAX},
	        WEIR_OPTIONS_END,
	};
	const struct weir_option *o = options_find(own, row->name);
	struct weir_option one[] = {
	        o ? *o : *options_find(settings_rows, row->name), WEIR_OPTIONS_END};
	struct option_scope none = {.name = "weir"};
	struct weir_err err = WEIR_ERR_INIT;
	int r;

	one->offset = 0;
	one->flags = WEIR_OPT_POSITIONAL; /* by its name in messages */
	r = options_set(one, row->name, value, WEIR_NOPOS, &none, ret, &err);
	if (r < 0)
		cmd_error(&err, NULL, 0);
	return r;
}

static void to_kernel(struct mount_options *o, const char *word)
{
	if (o->kernel.len)
		text_puts(&o->kernel, ",");
	text_puts(&o->kernel, word);
}

/* An option of the sources; they check the value. */
static int to_sources(struct mount_options *o, const char *name, const char *value)
{
	struct source_option *to = &o->source[o->engine.nsource];

	if (o->engine.nsource == SOURCE_OPTIONS_MAX)
		return complain("too many options of sources:", name);
	to->name = strdup(name);
	to->value = value ? strdup(value) : NULL;
	o->engine.nsource++;
	return to->name && (to->value || !value) ? 0 : -ENOMEM;
}

static int source_option(struct mount_options *o, const char *word, size_t len, const char *value)
{
	const struct weir_option *row;
	char name[64];

	snprintf(name, sizeof name, "%.*s", (int)len, word);
	row = len < sizeof name ? source_option_row(name) : NULL;
	if (!row)
		return complain("unknown mount option", word);
	if (row->type == WEIR_OPT_FLAG && value)
		return complain("option takes no value:", word);
	if (row->type != WEIR_OPT_FLAG && !value)
		return complain("option needs a value:", word);
	return to_sources(o, name, value);
}

static int apply(
        struct mount_options *o, const struct row *row, const char *word, const char *value)
{
	union weir_datum d = {0};

	if (row->arg && row->action != KERNEL && row->action != MODULES && row->action != USER &&
	        (row->action != SPEED || strcmp(value, "max") != 0)) {
		int r = number(row, value, &d);

		if (r < 0)
			return r;
	}
	switch (row->action) {
	case SPEED:
		return strcmp(value, "max") == 0 ? 0 : to_sources(o, row->name, value);
	case MEMORY:
		o->engine.memory = d.u;
		break;
	case CACHE:
		o->engine.cache = d.u;
		break;
	case HISTORY:
		o->engine.history = d.u;
		break;
	case RETAIN:
		o->engine.retain = d.u;
		break;
	case QUERIES:
		o->engine.max_queries = (uint32_t)d.u;
		break;
	case THREADS:
		o->engine.threads = (uint32_t)d.u;
		break;
	case TOKENS:
		o->engine.tokens = (uint32_t)d.u;
		break;
	case REFRESH:
		o->engine.refresh = d.i;
		break;
	case MODULES:
		if (o->nplugins == MODULES_MAX)
			return complain("too many directories of plug-ins:", value);
		o->plugins[o->nplugins] = strdup(value);
		if (!o->plugins[o->nplugins])
			return -ENOMEM;
		o->nplugins++;
		break;
	case USER:
		o->user = strdup(value);
		return o->user ? 0 : -ENOMEM;
	case ALLOW_OTHER:
		o->allow_other = true;
		break;
	case KERNEL:
		to_kernel(o, word);
		break;
	case IGNORED:
		break;
	}
	return 0;
}

/* One of `-o a,b=c,…`; a backslash keeps a comma. */
static int option(struct mount_options *o, const char *word)
{
	const char *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : strlen(word);

	if (!*word || strncmp(word, "x-", 2) == 0 || strncmp(word, "comment=", 8) == 0 ||
	        strncmp(word, "context=", 8) == 0)
		return 0;
	for (const struct row *r = rows; r->name; r++) {
		if (strlen(r->name) != len || strncmp(r->name, word, len) != 0)
			continue;
		if (r->action == USER && !eq) /* who may mount it, in fstab */
			return 0;
		if (r->arg && !eq)
			return complain("option needs a value:", word);
		if (!r->arg && eq)
			return complain("option takes no value:", word);
		return apply(o, r, word, eq ? eq + 1 : NULL);
	}
	return source_option(o, word, len, eq ? eq + 1 : NULL);
}

static int options(struct mount_options *o, const char *words)
{
	char word[1024];
	size_t n = 0;
	int r = 0;

	for (const char *p = words; r == 0; p++) {
		if (*p == ',' || !*p) {
			word[n] = 0;
			r = option(o, word);
			n = 0;
			if (!*p)
				break;
			continue;
		}
		if (n + 2 >= sizeof word)
			return complain("option is too long:", words);
		if (*p == '\\' && p[1])
			word[n++] = *p++;
		word[n++] = *p;
	}
	return r;
}

static int letter(struct mount_options *o, int c)
{
	switch (c) {
	case 'f':
		o->foreground = true;
		return 0;
	case 'd':
		o->debug = o->foreground = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case 'V':
		o->version = true;
		return 0;
	case 'v':
	case 'n':
	case 's':
		return 0; /* mount(8) passes them to its helpers */
	default:
		return -EINVAL;
	}
}

static int word(struct mount_options *o, int argc, char **argv, int *at)
{
	const char *a = argv[*at];

	if (strncmp(a, "--", 2) == 0) {
		for (const struct cmd_option *l = letters; l->doc; l++)
			if (l->name && strcmp(l->name, a + 2) == 0)
				return letter(o, l->letter);
		return complain("unknown option", a);
	}
	if (a[1] == 'o' || a[1] == 't') {
		const char *value = a[2] ? a + 2 : *at + 1 < argc ? argv[++*at] : NULL;

		if (!value)
			return complain("option needs a value:", a);
		return a[1] == 'o' ? options(o, value) : 0;
	}
	for (const char *p = a + 1; *p; p++)
		if (letter(o, *p) < 0)
			return complain("unknown option", a);
	return 0;
}

int mount_options_parse(int argc, char **argv, struct mount_options *ret)
{
	bool plain = false;
	int r = 0;

	memset(ret, 0, sizeof *ret);
	ret->engine.cache = CACHE_DEFAULT;
	ret->engine.join = true;
	ret->engine.source = ret->source;
	ret->sources = calloc((size_t)argc + 1, sizeof *ret->sources);
	if (!ret->sources)
		return -ENOMEM;
	for (int i = 1; i < argc && r == 0; i++) {
		if (!plain && strcmp(argv[i], "--") == 0)
			plain = true;
		else if (!plain && argv[i][0] == '-' && argv[i][1])
			r = word(ret, argc, argv, &i);
		else
			ret->sources[ret->nsources++] = argv[i];
	}
	if (r < 0 || ret->help || ret->version)
		return r;
	if (ret->nsources < 2) {
		fputs("weir: a source and a mount point are needed (see weir --help)\n", stderr);
		return -EINVAL;
	}
	ret->mountpoint = ret->sources[--ret->nsources];
	return 0;
}

void mount_options_release(struct mount_options *o)
{
	for (int i = 0; i < o->nplugins; i++)
		free(o->plugins[i]);
	for (uint32_t i = 0; i < o->engine.nsource; i++) {
		free((char *)o->source[i].name);
		free((char *)o->source[i].value);
	}
	free(o->sources);
	free(o->user);
	text_release(&o->kernel);
}
