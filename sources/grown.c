/* SPDX-License-Identifier: MIT */
/* grown.c: see grown.h. */
#include "sources/grown.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

/* Goes on at the first packet that is wanted, where the headers have been read. Other files than
 * plain pcap are walked through: pcapng for its interfaces. */
static int skip(struct grown *g)
{
	struct input *in = &g->trace.in;

	if (g->from <= input_offset(in) || !g->trace.walk || g->trace.ended ||
	        g->trace.format != TRACE_PCAP || in->from.codec)
		return 0;
	return input_seek(in, g->from);
}

int grown_open(
        struct grown *g, int fd, uint64_t from, struct block_pool *pool, struct weir_mem *mem)
{
	struct stat st;
	int r;

	*g = (struct grown){.from = from, .open = true};
	r = file_id_of(fd, &g->id);
	if (r < 0 || fstat(fd, &st) < 0) {
		r = r < 0 ? r : -errno;
		input_init(&g->trace.in, fd, pool);
		return r;
	}
	r = trace_open(&g->trace, fd, pool, mem, TRACE_GROWING);
	if (r < 0)
		return r;
	if (from + g->trace.in.from.start > (uint64_t)st.st_size && !g->trace.in.from.codec)
		return -ESTALE;
	return skip(g);
}

void grown_close(struct grown *g)
{
	if (g->open)
		trace_release(&g->trace);
	g->open = false;
}

void grown_end(struct grown *g)
{
	g->trace.in.from.growing = false;
}

uint64_t grown_offset(const struct grown *g)
{
	uint64_t at = input_offset(&g->trace.in);

	return at > g->from ? at : g->from;
}

/* Whether it is the file that was opened, and not shorter than what was read of it. More of its
 * first bytes may be there now. */
static bool is_same(struct grown *g)
{
	const struct unpack *u = &g->trace.in.from;
	struct stat st;

	if (fstat(u->fd, &st) < 0 || (uint64_t)st.st_size < u->start + u->done)
		return false;
	if (u->done == g->checked)
		return true;
	if (!file_id_is(&g->id, u->fd))
		return false;
	if (g->id.len < FILE_ID_HEAD && file_id_of(u->fd, &g->id) < 0)
		return false;
	g->checked = u->done;
	return true;
}

/* Leaves out the packets before g->from; the number of the others. */
static int pass_over(struct grown *g, struct weir_packet *to, int n)
{
	const struct input *in = &g->trace.in;
	int k = 0;

	while (k < n && input_offset(in) - (uint64_t)(in->at - to[k].data) <= g->from)
		k++;
	memmove(to, to + k, (size_t)(n - k) * sizeof *to);
	return n - k;
}

int grown_next(struct grown *g, struct weir_packet *to, unsigned max, struct block **ret_block)
{
	uint64_t first = input_offset(&g->trace.in);
	int n;

	do {
		bool begun = g->trace.walk != NULL;

		n = trace_next(&g->trace, to, max, ret_block);
		if (!is_same(g))
			return -ESTALE;
		if (n > 0 && !begun && skip(g) < 0)
			return -ESTALE;
		if (n <= 0 || input_offset(&g->trace.in) > g->from)
			return n <= 0 || !g->from ? n : pass_over(g, to, n);
	} while (input_offset(&g->trace.in) - first < TRACE_BARREN);
	g->trace.in.from.busy = true;
	return -EAGAIN;
}

int grown_is_written(int fd)
{
	/* a writer that comes in between would get us a signal: one that nobody minds */
	if (fcntl(fd, F_SETSIG, SIGURG) < 0)
		return -errno;
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN ? 1 : -errno;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return 0;
}
