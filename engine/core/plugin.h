/* SPDX-License-Identifier: MIT */
/* plugin.h: modules from shared objects.
 *
 * A plug-in is a file NAME.so that exports weir_module_NAME (WEIR_MODULE() in weir/module.h). It
 * runs in the process with all its rights, so it is loaded only where nobody but root and the
 * process's own user can have written it: the file, its directory and all directories above belong
 * to one of them and nobody else may write there (a sticky directory such as /tmp may stand above).
 * What is wrong with one file is remembered under its name, and the others are loaded.
 *
 * All are loaded before anything runs, and stay until the end.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <weir/module.h>

#define PLUGINS_MAX 256

struct plugin {
	char *name; /* the file's, without ".so" */
	char *path;
	const struct weir_module *module; /* NULL: it was refused, because: */
	char *why;
};

/* Loads every *.so of the directory. 0, also where some files are refused, or -errno and *err: the
 * directory cannot be read or is not safe. */
int plugins_load(const char *dir, struct weir_err *err);

/* In the order in which they were tried; NULL after the last. */
const struct plugin *plugin_at(size_t i);

/* The plug-in that a module came from, NULL: it is built in. */
const struct plugin *plugin_of(const struct weir_module *m);

/* " (its plug-in was not loaded: …)" where a plug-in of that name was refused, else "". Written
 * into buf, which is returned. */
const char *plugin_hint(const char *name, char *buf, size_t size);

#endif
