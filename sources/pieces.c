/* SPDX-License-Identifier: MIT */
/* pieces.c: see pieces.h. */
#include "sources/pieces.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct pieces {
	int fd;
	uint64_t base;
	uint64_t taken; /* of who takes */
	uint32_t ahead, workers;
	struct block_pool **pool; /* by worker */
	struct piece *piece;      /* by number modulo `ahead` */
};

void pieces_free(struct pieces *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; p->piece && i < p->ahead; i++)
		block_unref(p->piece[i].block);
	for (uint32_t i = 0; p->pool && i < p->workers; i++)
		block_pool_unref(p->pool[i]);
	if (p->fd >= 0)
		close(p->fd);
	free(p->piece);
	free(p->pool);
	free(p);
}

struct pieces *pieces_new(
        int fd, uint64_t base, uint32_t ahead, uint32_t workers, struct weir_mem *mem)
{
	struct pieces *p = calloc(1, sizeof *p);
	bool whole;

	if (!p)
		return NULL;
	*p = (struct pieces){.base = base, .ahead = ahead, .workers = workers};
	p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	p->pool = calloc(workers, sizeof *p->pool);
	p->piece = calloc(ahead, sizeof *p->piece);
	whole = p->fd >= 0 && p->pool && p->piece;
	for (uint32_t i = 0; whole && i < workers; i++) {
		p->pool[i] = block_pool_new(PIECE_HEAD + PIECE, mem);
		whole = p->pool[i] != NULL;
	}
	if (whole)
		return p;
	pieces_free(p);
	return NULL;
}

/* As many bytes as there are, up to a whole piece. */
static void fill(const struct pieces *p, struct piece *to, uint64_t number)
{
	uint8_t *data = to->block->data + PIECE_HEAD;
	uint64_t offset = p->base + number * PIECE;

	while (to->n < PIECE) {
		ssize_t n = pread(p->fd, data + to->n, PIECE - to->n, (off_t)(offset + to->n));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			to->error = -errno;
		if (n <= 0)
			break;
		to->n += (size_t)n;
	}
}

bool pieces_fetch(struct pieces *p, uint64_t number, uint32_t worker)
{
	struct piece *to = &p->piece[number % p->ahead];
	bool whole;

	to->n = 0;
	to->error = 0;
	to->block = block_new(p->pool[worker], PIECE_HEAD + PIECE);
	if (to->block)
		fill(p, to, number);
	else
		to->error = -ENOMEM;
	whole = to->n == PIECE;
	__atomic_store_n(&to->ready, true, __ATOMIC_RELEASE);
	return whole;
}

bool pieces_take(struct pieces *p, struct piece *ret)
{
	struct piece *next = &p->piece[p->taken % p->ahead];

	if (!__atomic_load_n(&next->ready, __ATOMIC_ACQUIRE))
		return false;
	*ret = *next;
	*next = (struct piece){.ready = false};
	p->taken++;
	return true;
}

uint64_t pieces_taken(const struct pieces *p)
{
	return p->taken;
}
