/* SPDX-License-Identifier: MIT */
/* late.h: shared libraries that are loaded when they are first needed.
 *
 * Every library that a program is linked with costs each of its starts 60 us and 100 KB, and what
 * that one draws in as much again, whether a query needs it or not. A file that uses one lists the
 * functions and calls them through a table:
 *
 *	#define FUNCTIONS(X) X(inflateInit2_) X(inflate) X(inflateEnd)
 *	WEIR_LATE(zlib, "libz.so.1", FUNCTIONS)
 *
 *	if (weir_late_load(&zlib_library) < 0)
 *		return fail(zlib_library.missing);
 *	zlib.inflate(z, Z_NO_FLUSH);
 */
#ifndef WEIR_LATE_H
#define WEIR_LATE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_late {
	const char *name;          /* as for dlopen(3) */
	const char *const *wanted; /* functions, NULL behind the last */
	void **table;              /* their addresses, in that order */
	int state;
	char missing[160]; /* why it cannot be used, once a load has failed */
};

/* Loads the library unless it was tried before, and fills the table. May be called by any thread;
 * whoever calls a function of the table has called this, or has something from somebody who did.
 * 0, or -ENOENT: the library or one of the functions is not there, see `missing`. */
int weir_late_load(struct weir_late *l);

#define WEIR_LATE_POINTER(function) __typeof__(function) *function;
#define WEIR_LATE_NAME(function) #function,
/* `var`: the table, a variable of the file; var##_library: what to load. */
#define WEIR_LATE(var, library, FUNCTIONS)                                                         \
	static struct {                                                                            \
		FUNCTIONS(WEIR_LATE_POINTER)                                                       \
	} var;                                                                                     \
	static const char *const var##_names[] = {FUNCTIONS(WEIR_LATE_NAME) NULL};                 \
	static struct weir_late var##_library = {library, var##_names, (void **)&var, 0, ""};

#ifdef __cplusplus
}
#endif
#endif
