/* SPDX-License-Identifier: MIT */
/* panes.h: windows that overlap and share their panes: what a scope's bodies need for it.
 *
 * A pane is a body that gets the records of a piece of time once; a window is panes added up. That
 * goes where the first thing in the body that keeps anything is a table whose keys can be added up
 * of parts (WEIR_ADDS), and only what changes nothing of a record but its fields stands before it:
 * what follows starts anew with the table anyhow. And nothing in front of the table may read what
 * differs from window to window (the stamp).
 */
#ifndef PANES_H
#define PANES_H

#include <weir/module.h>

/* In bind: bodies overlap, and are made of panes of so many nanoseconds. */
void panes_bind(struct weir_bind *b, int64_t pane);

/* Whether the bodies of the scope can be added up of panes: where the plan says so. */
bool panes_shared(const struct weir_node *n);

/* Adds what `from` has had to `to`, as if its records had come now. 0 or -errno. */
int body_absorb(struct weir_body *to, const struct weir_body *from);

/* Gives the body its stamp (a scope with one of them), which no record of it has. */
void body_stamp(struct weir_body *body, struct weir_value v);

#endif
