/* SPDX-License-Identifier: MIT */
/* keyslots.h: more slots for a table of keys (keypart.h). */
#ifndef KEYSLOTS_H
#define KEYSLOTS_H

#include "engine/core/keypart.h"

#define KEYSLOTS_MAX 28    /* bits: the families of a key stand in the hash bits that are left */
#define KEYSLOTS_GROUPS 18 /* bits from which on they are searched by groups: a megabyte */

/* Makes 1 << bits slots, more than there are, and puts all keys in again. Idle workers of the query
 * take part where there are many (aid.h). 0, or -ENOMEM, and all is as before. */
int keyslots_make(struct keypart *p, struct weir_mem *m, unsigned bits);

#endif
