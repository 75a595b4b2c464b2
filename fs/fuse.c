/* SPDX-License-Identifier: MIT */
/* fuse.c: see fuse.h. */
#include "fs/fuse.h"
#include <weir/late.h>

struct fuse_functions fuse;

int fuse_load(const char **why)
{
	static const char *const names[] = {
#define X(name) "fuse_" #name,
	        FUSE_FUNCTIONS(X)
#undef X
	                NULL};
	static struct weir_late library = {FUSE_SONAME, names, (void **)&fuse, 0, ""};

	*why = library.missing;
	return weir_late_load(&library);
}
