/* SPDX-License-Identifier: MIT */
/* loop.h: the callbacks that a module with a loop has, made of its loop. */
#ifndef LOOP_H
#define LOOP_H

#include "engine/core/arena.h"
#include <weir/loop.h>

/* A copy of the descriptor whose open, process, flush and close run the loop; in the arena. NULL:
 * out of memory. */
const struct weir_module *loop_module(struct arena *a, const struct weir_module *m);

#endif
