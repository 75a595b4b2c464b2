/* SPDX-License-Identifier: MIT */
/* fold.h: what lanes have of keys that any of them may get, added up.
 *
 * A stretch whose keys can be added up of parts (WEIR_ADDS) is not split by key: where there are
 * more workers than one lane keeps busy, each puts the tokens that it has into its own lane, whose
 * tables stay in its caches, and nothing is dealt. At marks the lanes are folded into one instance,
 * the *whole*, which answers: keys are handed over in the order of the tokens that they first came
 * with, so the whole has them in the order of one lane. Then the lanes begin anew, and keys that
 * they see for the first time come behind those that the whole has: a refresh costs what has come
 * since the last one.
 *
 * The lanes are folded between marks, too, when they have many keys: small tables are fast, and no
 * key stands in several of them for long.
 *
 * Only while nothing is in flight, by the thread that calls the flow.
 */
#ifndef FOLD_H
#define FOLD_H

#include "engine/core/flow.h"

/* A lane has worked off a token. */
void fold_count(struct lane *l);

/* Its keys are gone: it begins to number them anew. */
void fold_clear(struct lane *l);

/* Whether it is time to fold stages of the flow; while memory is short, earlier. */
bool fold_is_due(const struct flow *f, bool is_short);

/* Folds a stage (stage.folds); after a failure what is left goes with the next fold. `end`: the
 * lanes are closed and get nothing more. 0 or -errno. */
int fold_stage(struct stage *st, bool end);

#endif
