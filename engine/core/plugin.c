/* SPDX-License-Identifier: MIT */
/* plugin.c: see plugin.h. */
#include "engine/core/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/node.h"
#include "engine/core/registry.h"
#include "engine/core/stacks.h"

#define NAME_LEN_MAX 64
#define OPTIONS_MAX 32 /* as options.c takes */

static struct plugin plugins[PLUGINS_MAX];
static size_t nplugins;

const struct plugin *plugin_at(size_t i)
{
	return i < nplugins ? &plugins[i] : NULL;
}

const struct plugin *plugin_of(const struct weir_module *m)
{
	for (size_t i = 0; i < nplugins; i++)
		if (plugins[i].module == m)
			return &plugins[i];
	return NULL;
}

const char *plugin_hint(const char *name, char *buf, size_t size)
{
	buf[0] = 0;
	for (size_t i = 0; i < nplugins; i++)
		if (!plugins[i].module && strcmp(plugins[i].name, name) == 0)
			snprintf(buf, size, " (its plug-in was not loaded: %s)", plugins[i].why);
	return buf;
}

/* ---- whose it is ---- */

/* What is wrong with one part of a path; NULL: nothing. `above`: it only leads there. */
static const char *unsafe(const struct stat *st, bool above)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs to another user";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) && !(above && (st->st_mode & S_ISVTX)))
		return "can be written by others than its owner";
	return NULL;
}

/* Looks at a path without links, from its end up to the root. 0, or -errno with words in `why`. */
static int check_path(const char *path, char *why, size_t size)
{
	char part[PATH_MAX];
	bool above = false;
	struct stat st;

	snprintf(part, sizeof part, "%s", path);
	for (;;) {
		const char *bad;
		char *slash;

		if (stat(part, &st) < 0) {
			snprintf(why, size, "%s", strerror(errno));
			return -errno;
		}
		bad = unsafe(&st, above);
		if (bad) {
			snprintf(why, size, "%.200s %s", above ? part : "it", bad);
			return -EPERM;
		}
		slash = strrchr(part, '/');
		if (!slash || !part[1])
			return 0;
		slash[slash == part] = 0;
		above = true;
	}
}

/* ---- what it says it is ---- */

static size_t option_size(enum weir_option_type type)
{
	static const uint8_t size[] = {
	        [WEIR_OPT_FLAG] = sizeof(bool),
	        [WEIR_OPT_U64] = 8,
	        [WEIR_OPT_F64] = 8,
	        [WEIR_OPT_SIZE] = 8,
	        [WEIR_OPT_DURATION] = 8,
	        [WEIR_OPT_NAME] = sizeof(char *),
	        [WEIR_OPT_STRING] = sizeof(char *),
	        [WEIR_OPT_FILE] = sizeof(char *),
	        [WEIR_OPT_FILES] = sizeof(struct weir_words),
	        [WEIR_OPT_CHOICE] = 4,
	        [WEIR_OPT_FIELD] = 4,
	        [WEIR_OPT_FIELDS] = sizeof(struct weir_fields),
	        [WEIR_OPT_EXPR] = sizeof(void *),
	        [WEIR_OPT_ARGS] = sizeof(struct weir_args),
	        [WEIR_OPT_BLOCK] = sizeof(struct weir_blocks),
	};

	return (size_t)type < sizeof size ? size[type] : 0;
}

static bool options_fit(const struct weir_module *m)
{
	const struct weir_option *o = m->options;
	size_t n = 0;

	for (; o && o->type != WEIR_OPT_END; o++) {
		size_t size = option_size(o->type);

		if (++n > OPTIONS_MAX || !o->name || !size || o->offset > m->config_size ||
		        m->config_size - o->offset < size)
			return false;
	}
	return true;
}

static bool counters_fit(const struct weir_module *m)
{
	size_t n = 0;

	while (m->counters && m->counters[n])
		if (++n > NODE_COUNTERS)
			return false;
	return true;
}

/* What is wrong with a descriptor; NULL: nothing. */
static const char *check(const struct weir_module *m, const char *name)
{
	const uint32_t order = m->flags & (WEIR_PARALLEL | WEIR_KEYED);

	if (!m->name || strcmp(m->name, name) != 0)
		return "its module has another name than its file";
	if (!m->summary || !m->doc || !m->example)
		return "its module has no summary, doc or example";
	if (!options_fit(m))
		return "its options do not fit its config_size";
	if (!counters_fit(m))
		return "it has too many counters";
	if (!m->run == !m->process)
		return "its module has neither process nor run, or both";
	if (m->run && (m->open || m->flush || m->begin || m->part || m->end || m->look ||
	                      m->close || m->state_size || m->stack > STACK_MAX))
		return "its module has a loop and callbacks, or too large a stack";
	if (!m->look != !m->again || (m->look && !(m->flags & WEIR_BLOCKING)))
		return "its module has one of look and again, or does not block";
	if (order == (WEIR_PARALLEL | WEIR_KEYED) || (m->run && order == WEIR_PARALLEL))
		return "its module's order class makes no sense";
	if (order == WEIR_KEYED &&
	        (m->keys_offset > m->config_size ||
	                m->config_size - m->keys_offset < sizeof(struct weir_fields)))
		return "its keys_offset is outside its config";
	return NULL;
}

/* ---- loading ---- */

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > NAME_LEN_MAX || (s[0] >= '0' && s[0] <= '9'))
		return false;
	for (; *s; s++)
		if (!(*s == '_' || (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
		            (*s >= 'A' && *s <= 'Z')))
			return false;
	return true;
}

/* What the linker says, without the path that it begins with. */
static void linker_says(char *why, size_t size, const char *path)
{
	const char *text = dlerror();
	size_t n = strlen(path);

	if (!text)
		text = "it cannot be loaded";
	if (strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0)
		text += n + 2;
	snprintf(why, size, "%s", text);
}

/* The module of the file, or NULL with words in `why`. */
static const struct weir_module *load(const char *path, const char *name, char *why, size_t size)
{
	char symbol[NAME_LEN_MAX + 16];
	const struct weir_module *m;
	const char *bad;
	void *so;

	/* all symbols now: a loop's stack has no room for the linker */
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!so) {
		linker_says(why, size, path);
		return NULL;
	}
	snprintf(symbol, sizeof symbol, "weir_module_%s", name);
	m = dlsym(so, symbol);
	if (!m)
		snprintf(why, size, "it has no symbol '%s'", symbol);
	else if (m->abi != WEIR_ABI)
		snprintf(why, size, "it is made for version %u of the interface, this is %u",
		        m->abi, WEIR_ABI);
	else if ((bad = check(m, name)))
		snprintf(why, size, "%s", bad);
	else if (registry_add(m) < 0)
		snprintf(why, size, "the name '%s' is taken", name);
	else
		return m;
	dlclose(so);
	return NULL;
}

static void try(struct plugin *p)
{
	char why[300] = "", *real = realpath(p->path, NULL);
	struct stat st;

	if (!real || stat(real, &st) < 0)
		snprintf(why, sizeof why, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		snprintf(why, sizeof why, "it is no file");
	else if (!is_name(p->name))
		snprintf(why, sizeof why, "its name is no module's name");
	else if (check_path(real, why, sizeof why) == 0)
		p->module = load(real, p->name, why, sizeof why);
	free(real);
	if (!p->module)
		p->why = strdup(why);
}

static int is_object(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 3 && strcmp(d->d_name + n - 3, ".so") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int add(const char *dir, const char *file)
{
	struct plugin *p = &plugins[nplugins];

	if (asprintf(&p->path, "%s/%s", dir, file) < 0)
		return -ENOMEM;
	p->name = strndup(file, strlen(file) - 3);
	if (!p->name) {
		free(p->path);
		return -ENOMEM;
	}
	nplugins++;
	try(p);
	return p->module || p->why ? 0 : -ENOMEM;
}

int plugins_load(const char *dir, struct weir_err *err)
{
	char *real = realpath(dir, NULL), why[300], text[400];
	struct dirent **files = NULL;
	int n, r;

	if (!real)
		return weir_fail_no(
		        err, errno, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, dir, strerror(errno));
	r = check_path(real, why, sizeof why);
	if (r < 0) {
		snprintf(text, sizeof text, "plug-ins from '%s': %s", dir, why);
		free(real);
		return weir_fail_no(err, -r, WEIR_E_NOT_PERMITTED, WEIR_NOPOS, 0, text);
	}
	n = scandir(real, &files, is_object, by_name);
	if (n < 0)
		r = weir_fail_no(
		        err, errno, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (r == 0 && nplugins == PLUGINS_MAX)
			r = weir_fail(err, WEIR_E_OUT_OF_RANGE, WEIR_NOPOS, 0, "number of plug-ins",
			        "at most 256");
		if (r == 0 && add(real, files[i]->d_name) < 0)
			r = weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, "");
		free(files[i]);
	}
	free(files);
	free(real);
	return r;
}
