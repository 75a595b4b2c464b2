/* SPDX-License-Identifier: MIT */
/* served.h: a reader's batches made from compact forms (engine/proto/compact.h) that others hold:
 * the column cache, a pass that several queries share. */
#ifndef SERVED_H
#define SERVED_H

#include "engine/core/reader.h"
#include "engine/proto/compact.h"

struct served {
	const struct compact *form;
	uint32_t flows; /* the numbers in form->flow are below … */
	const void *of; /* … and mean the same in all batches with the same `of` */
	void *holder;   /* of the form, as long as the batch lives: let_go(holder) at its end */
	void (*let_go)(void *holder);
};

/* Takes over the holder; NULL: out of memory, and the holder was let go. */
struct weir_batch *served_batch(struct weir_reader *pub, const struct served *s);

#endif
