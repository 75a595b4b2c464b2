/* SPDX-License-Identifier: MIT */
/* handle.h: what is behind open files and must be freed at the end, where the kernel has not given
 * it back: when a mount ends by a signal, no release comes for the files that are open then.
 *
 * A handle is part of the struct that it stands for. It is listed from the open to the release,
 * which takes it out before it frees that struct; handles_free() finds only those for which none
 * has come, and runs once none can come any more.
 */
#ifndef HANDLE_H
#define HANDLE_H

struct handle {
	struct handle *next, **at;      /* protected by the lock of the handles */
	void (*drop)(struct handle *h); /* frees what it is part of; there is nobody to answer */
};

struct handles *handles_new(void);
/* Drops those that are listed. No request comes any more; the engine is there still. */
void handles_free(struct handles *hs);

void handle_add(struct handles *hs, struct handle *h, void (*drop)(struct handle *h));
void handle_remove(struct handles *hs, struct handle *h);

#endif
