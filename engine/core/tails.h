/* SPDX-License-Identifier: MIT */
/* tails.h: memory that arrays have been given and not touched yet, zeroed by who is idle.
 *
 * The kernel zeroes a page when it is touched first. For a table that grows that is the thread of
 * its lane, which the others wait for as a rule: they may ask for the next pages in its place
 * (MADV_POPULATE_WRITE, Linux 5.14; before, nothing comes of it).
 *
 * An array of a query is found by its account of memory: grow.h tells the tails of the nearest
 * account that has any. Pages that are asked for have been counted there (grow.h), but an array
 * that grows no further may never use them: up to a quarter of it.
 */
#ifndef TAILS_H
#define TAILS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAILS_MAX 16 /* arrays; others are touched by who uses them */

struct weir_mem;

struct tails {
	pthread_mutex_t lock; /* held while pages are asked for: they are not unmapped then */
	uint32_t n;           /* atomic */
	bool off;             /* the kernel does not know how, or had no page: none are asked for */
	struct tail {
		char *base;
		size_t at, end; /* bytes from base that nobody has asked for */
	} tail[TAILS_MAX];
};

void tails_init(struct tails *t, struct weir_mem *m); /* m->tails is t then */
void tails_release(struct tails *t, struct weir_mem *m);
/* Forgets all of them: nothing more will be added to the arrays. */
void tails_forget(struct tails *t);

/* Asks for one more huge page; false: there is nothing to do. */
bool tails_step(struct tails *t);

/* For grow.c; nothing happens where the account has no tails. An array must have left before it is
 * moved or unmapped. */
void tails_put(struct weir_mem *m, void *base, size_t from, size_t to);
void tails_drop(struct weir_mem *m, const void *base);

#endif
