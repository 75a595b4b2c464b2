/* SPDX-License-Identifier: MIT */
/* trace.h: the body of the fuzz targets of the capture file reader.
 *
 * The first byte says how: bit 0 without the head, so that compressed and foreign files are tried
 * too; bit 1 with blocks of 64 bytes, so that records cross their ends; the rest is the file.
 */
#include "sources/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the file begins with; the target defines it. */
#ifndef FUZZ_HEAD
#define FUZZ_HEAD ""
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(const uint8_t *data, size_t size)
{
	static int fd = -1;
	int own;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0)
		abort();
	if (!(data[0] & 1) &&
	        pwrite(fd, FUZZ_HEAD, sizeof FUZZ_HEAD - 1, 0) != sizeof FUZZ_HEAD - 1)
		abort();
	if (pwrite(fd, data + 1, size - 1, data[0] & 1 ? 0 : sizeof FUZZ_HEAD - 1) !=
	        (ssize_t)size - 1)
		abort();
	lseek(fd, 0, SEEK_SET);
	own = dup(fd);
	if (own < 0)
		abort();
	return own;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct block_pool *pool;
	struct weir_packet pk[64];
	struct block *block;
	struct trace t;
	int n;

	if (size < 1)
		return 0;
	pool = block_pool_new(data[0] & 2 ? 64 : 65536, NULL);
	if (!pool)
		abort();
	if (trace_open(&t, file_of(data, size), pool, NULL, 0) == 0)
		while ((n = trace_next(&t, pk, 64, &block)) > 0 ||
		        (n == -EAGAIN && trace_is_busy(&t)))
			for (int i = 0; i < n; i++) {
				const uint8_t *end = pk[i].data + pk[i].caplen;

				if (pk[i].data < block->data || end > block->data + block->size)
					abort();
				if (pk[i].caplen) { /* the sanitizer looks on */
					*(volatile const uint8_t *)pk[i].data;
					*(volatile const uint8_t *)(end - 1);
				}
			}
	trace_release(&t);
	block_pool_unref(pool);
	return 0;
}
