/* SPDX-License-Identifier: MIT */
/* handle.c: see handle.h. */
#include "fs/handle.h"
#include <pthread.h>
#include <stdlib.h>

struct handles {
	pthread_mutex_t lock;
	struct handle *first;
};

struct handles *handles_new(void)
{
	struct handles *hs = calloc(1, sizeof *hs);

	if (hs)
		pthread_mutex_init(&hs->lock, NULL);
	return hs;
}

void handles_free(struct handles *hs)
{
	struct handle *h;

	if (!hs)
		return;
	while ((h = hs->first) != NULL) {
		handle_remove(hs, h);
		h->drop(h);
	}
	pthread_mutex_destroy(&hs->lock);
	free(hs);
}

void handle_add(struct handles *hs, struct handle *h, void (*drop)(struct handle *h))
{
	h->drop = drop;
	pthread_mutex_lock(&hs->lock);
	h->next = hs->first;
	h->at = &hs->first;
	if (h->next)
		h->next->at = &h->next;
	hs->first = h;
	pthread_mutex_unlock(&hs->lock);
}

void handle_remove(struct handles *hs, struct handle *h)
{
	pthread_mutex_lock(&hs->lock);
	*h->at = h->next;
	if (h->next)
		h->next->at = h->at;
	pthread_mutex_unlock(&hs->lock);
}
