/* SPDX-License-Identifier: MIT */
/* spill_disk.c: see spill_disk.h. */
#include "engine/core/spill_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include "engine/core/grow.h"

int spill_stream_open(
        struct spill_stream *s, struct run_context *run, const struct spill_stream *beside)
{
	struct spill_disk *d = beside ? beside->disk : NULL;

	*s = (struct spill_stream){.mem = run->mem};
	if (!d) {
		d = weir_calloc(run->mem, sizeof *d);
		if (!d)
			return -ENOMEM;
		d->fd = rights_open(
		        &run->rights, run->plan->set.spill, O_TMPFILE | O_EXCL | O_RDWR, 0600);
		if (d->fd < 0) {
			int r = d->fd;

			weir_free(run->mem, d, sizeof *d);
			return r;
		}
		__atomic_add_fetch(&run->spill_files, 1, __ATOMIC_RELAXED);
	}
	d->streams++;
	s->disk = d;
	return 0;
}

void spill_stream_close(struct spill_stream *s)
{
	struct spill_disk *d = s->disk;

	if (d && --d->streams == 0) {
		close(d->fd);
		weir_free(s->mem, d, sizeof *d);
		d = NULL;
	}
	/* where that cannot be done, the space comes back with the file's end */
	for (uint32_t i = 0; d && i < s->n; i++)
		if (fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		            (off_t)(s->extent[i] * SPILL_EXTENT), (off_t)SPILL_EXTENT) < 0)
			break;
	grow_free(s->mem, s->extent, s->extent_size);
	*s = (struct spill_stream){0};
}

/* Where byte `at` stands in the file; *n: at most so many of those behind it do, too. */
static off_t find(const struct spill_stream *s, uint64_t at, size_t *n)
{
	uint64_t within = at % SPILL_EXTENT;

	if (*n > SPILL_EXTENT - within)
		*n = SPILL_EXTENT - within;
	return (off_t)(s->extent[at / SPILL_EXTENT] * SPILL_EXTENT + within);
}

static int extend(struct spill_stream *s, uint64_t end)
{
	uint32_t *extent;

	while ((uint64_t)s->n * SPILL_EXTENT < end) {
		if (s->disk->extents == UINT32_MAX)
			return -EFBIG;
		extent = grow(
		        s->mem, s->extent, &s->extent_size, ((size_t)s->n + 1) * sizeof *extent);
		if (!extent)
			return -ENOMEM;
		s->extent = extent;
		extent[s->n++] = s->disk->extents++;
	}
	return 0;
}

int spill_stream_write(struct spill_stream *s, const uint8_t *buf, size_t n, uint64_t at)
{
	int r = extend(s, at + n);

	while (n && r == 0) {
		size_t most = n;
		off_t place = find(s, at, &most);
		ssize_t m = pwrite(s->disk->fd, buf, most, place);

		if (m < 0 && errno == EINTR)
			continue;
		if (m <= 0)
			return m < 0 && errno != ENOMEM ? -errno : -ENOSPC;
		buf += m;
		n -= (size_t)m;
		at += (uint64_t)m;
	}
	return r;
}

ssize_t spill_stream_read(const struct spill_stream *s, uint8_t *buf, size_t n, uint64_t at)
{
	off_t place = find(s, at, &n);
	ssize_t m;

	do {
		m = pread(s->disk->fd, buf, n, place);
	} while (m < 0 && errno == EINTR);
	return m < 0 ? -errno : m == 0 ? -EIO : m;
}
