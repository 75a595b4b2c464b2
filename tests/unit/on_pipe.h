/* SPDX-License-Identifier: MIT */
/* on_pipe.h: an engine whose source `net` is a pipe, standard input, that the test writes packets
 * to.
 *
 * Packet i, from 0, is i bytes long on the wire, so that every query can tell what it missed.
 */
#ifndef ON_PIPE_H
#define ON_PIPE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/core/engine.h"

#define DEADLINE 30 /* s */

struct in {
	struct engine *e;
	int fd; /* the writing end; -1: closed */
	uint32_t n;
};

static inline void put(struct in *in, const void *p, size_t size)
{
	for (const char *at = p; size;) {
		ssize_t n = write(in->fd, at, size);

		assert_true(n > 0);
		at += n;
		size -= (size_t)n;
	}
}

static inline void begin(struct in *in)
{
	static const uint32_t head[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	int p[2];

	*in = (struct in){0};
	assert_int_equal(pipe(p), 0);
	assert_int_equal(dup2(p[0], STDIN_FILENO), STDIN_FILENO);
	close(p[0]);
	in->fd = p[1];
	in->e = engine_new(&(struct engine_options){.memory = 32u << 20});
	put(in, head, sizeof head);
	assert_int_equal(engine_add_source(in->e, "net", "-", NULL), 0);
}

static inline void packets(struct in *in, uint32_t n)
{
	struct {
		uint32_t rec[4];
		uint8_t p[64];
	} x[512] = {0};

	while (n) {
		uint32_t k = n < 512 ? n : 512;

		for (uint32_t i = 0; i < k; i++, in->n++) {
			uint32_t rec[4] = {1600000000 + in->n / 1000, in->n % 1000, 64, in->n};

			memcpy(x[i].rec, rec, sizeof rec);
		}
		put(in, x, k * sizeof *x);
		n -= k;
	}
}

static inline void end_input(struct in *in)
{
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
}

#endif
