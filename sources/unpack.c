/* SPDX-License-Identifier: MIT */
/* unpack.c: which compression a file has, and reading through it. */
#include "sources/unpack.h"

#include "sources/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/late.h>

#define IN_SIZE (128u << 10)
#define HEAD 64 /* bytes looked at to tell the compression */
#define PADDING_MAX (1u << 20)
#define BARREN (4u << 20) /* bytes of input for one call, beside twice those asked for */

const char *packing_name(enum packing p)
{
	static const char *const name[] = {"none", "gzip", "zstd", "lz4", "xz"};

	return name[p];
}

void unpack_init(struct unpack *u, int fd)
{
	struct stat st;

	*u = (struct unpack){.fd = fd, .fresh = true};
	u->live = fstat(fd, &st) < 0 || !S_ISREG(st.st_mode);
	if (!u->live) {
		off_t at = lseek(fd, 0, SEEK_CUR);

		u->start = at > 0 ? (uint64_t)at : 0;
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
}

void unpack_release(struct unpack *u)
{
	if (u->state)
		u->codec->stop(u->state);
	free(u->in);
	if (u->fd >= 0)
		close(u->fd);
	*u = (struct unpack){.fd = -1};
}

static int fail(struct unpack *u, int error, const char *why)
{
	u->error = error;
	u->why = why;
	return error;
}

/* One read(2). */
static ssize_t read_file(struct unpack *u, void *to, size_t size)
{
	ssize_t n;

	do {
		struct pollfd p = {.fd = u->fd, .events = POLLIN};

		if (u->live && poll(&p, 1, 0) == 0)
			return -EAGAIN;
		n = read(u->fd, to, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) { /* it only looks like a file: another mount's stream */
		u->live = true;
		return -EAGAIN;
	}
	if (n < 0)
		return fail(u, -errno, "the file cannot be read");
	if (n == 0 && u->growing)
		return -EAGAIN;
	if (n == 0)
		u->eof = true;
	u->done += (uint64_t)n;
	return n;
}

/* Reads more into `in` behind what is there; 1, 0 at the end of the file, -errno. */
static ssize_t fill_in(struct unpack *u, size_t upto)
{
	ssize_t n;

	if (u->in_at) {
		memmove(u->in, u->in + u->in_at, u->in_end - u->in_at);
		u->in_end -= u->in_at;
		u->in_at = 0;
	}
	if (u->eof)
		return 0;
	n = read_file(u, u->in + u->in_end, upto - u->in_end);
	if (n > 0)
		u->in_end += (size_t)n;
	return n;
}

/* Frames that both zstd and lz4 skip (RFC 8878, 3.1.2). */
static bool is_skippable(const uint8_t *p, size_t n)
{
	struct wire w = wire_of(p, n);

	return (wire_le32(&w) & 0xfffffff0) == 0x184d2a50 && !w.bad;
}

static enum packing packing_of(const uint8_t *p, size_t n)
{
	struct wire w = wire_of(p, n);

	while (is_skippable(w.at, wire_left(&w))) {
		wire_skip(&w, 4);
		wire_skip(&w, wire_le32(&w));
		if (w.bad)
			return PACK_ZSTD; /* pzstd begins with such a frame */
	}
	p = w.at;
	n = wire_left(&w);
	if (n >= 3 && memcmp(p, "\x1f\x8b\x08", 3) == 0)
		return PACK_GZIP;
	if (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
		return PACK_ZSTD;
	if (n >= 4 && memcmp(p, "\x04\x22\x4d\x18", 4) == 0)
		return PACK_LZ4;
	if (n >= 6 && memcmp(p, "\xfd\x37\x7a\x58\x5a\0", 6) == 0)
		return PACK_XZ;
	return PACK_NONE;
}

static int settle(struct unpack *u)
{
	if (!u->in)
		u->in = malloc(IN_SIZE);
	if (!u->in)
		return fail(u, -ENOMEM, "out of memory");
	while (u->in_end < HEAD && !u->eof) {
		ssize_t n = fill_in(u, HEAD);

		if (n == -EAGAIN && u->in_end >= 6)
			break;
		if (n < 0)
			return (int)n;
	}
	u->packing = packing_of(u->in, u->in_end);
	u->codec = unpack_codecs[u->packing];
	if (u->codec) {
		if (weir_late_load(u->codec->library) < 0)
			return fail(u, -EBADMSG, u->codec->library->missing);
		u->state = u->codec->start();
		if (!u->state)
			return fail(u, -ENOMEM, "out of memory");
	}
	u->known = true;
	return 0;
}

/* Whether a frame of the same compression begins at in_at; needs 6 bytes or the end. */
static bool same_packing(const struct unpack *u)
{
	const uint8_t *p = u->in + u->in_at;
	size_t n = u->in_end - u->in_at;

	if (is_skippable(p, n))
		return u->packing == PACK_ZSTD || u->packing == PACK_LZ4;
	return packing_of(p, n) == u->packing;
}

/* Between two frames: 1 where another one begins, 0 at the end, -EAGAIN, -EBADMSG. Zeros behind a
 * frame are padding (tapes, xz); terabytes of them are a hole. */
static int next_frame(struct unpack *u)
{
	for (;;) {
		size_t from = u->in_at;
		ssize_t n;

		while (u->in_at < u->in_end && u->in[u->in_at] == 0)
			u->in_at++;
		u->used += u->in_at - from;
		u->padding += u->in_at - from;
		if (u->padding > PADDING_MAX)
			return fail(
			        u, -EBADMSG, "more than 1 MiB of zeros behind the compressed data");
		if (u->in_end - u->in_at >= HEAD || u->eof)
			break;
		n = fill_in(u, IN_SIZE);
		if (n < 0)
			return (int)n;
	}
	if (u->in_at == u->in_end)
		return 0;
	if (!same_packing(u))
		return fail(u, -EBADMSG, "garbage behind the compressed data");
	u->fresh = false;
	u->padding = 0;
	return 1;
}

/* One step of the codec: 1 where there was something to do, 0 at the end, -errno. */
static int step(struct unpack *u, uint8_t **out, size_t *left)
{
	const uint8_t *in;
	size_t nin, had, room = *left;
	int r;

	if (u->fresh) {
		r = next_frame(u);
		if (r <= 0)
			return r;
	}
	if (u->in_at == u->in_end && !u->eof) {
		ssize_t n = fill_in(u, IN_SIZE);

		if (n < 0)
			return (int)n;
	}
	in = u->in + u->in_at;
	had = nin = u->in_end - u->in_at;
	r = u->codec->step(u->state, &in, &nin, out, left, &u->why);
	u->in_at += had - nin;
	u->used += had - nin;
	if (r < 0)
		return fail(u, r, u->why);
	if (r > 0) {
		u->fresh = true;
		if (u->codec->again(u->state) < 0)
			return fail(u, -ENOMEM, "out of memory");
	} else if (u->eof && nin == had && room == *left) {
		return fail(u, -EBADMSG, "the compressed data is cut short");
	}
	return 1;
}

static ssize_t read_packed(struct unpack *u, uint8_t *to, size_t size)
{
	uint8_t *out = to;
	size_t left = size, most = BARREN + 2 * size;
	int r = 1;

	u->used = 0;
	while (left && r > 0 && u->used < most)
		r = step(u, &out, &left);
	u->busy = left && r > 0;
	if (out > to)
		return out - to;
	return u->busy ? -EAGAIN : r;
}

static ssize_t read_plain(struct unpack *u, uint8_t *to, size_t size)
{
	size_t got = 0;

	while (got < size) {
		size_t n = u->in_end - u->in_at;
		ssize_t r;

		if (n) {
			if (n > size - got)
				n = size - got;
			memcpy(to + got, u->in + u->in_at, n);
			u->in_at += n;
			got += n;
			continue;
		}
		if (u->eof)
			break;
		r = read_file(u, to + got, size - got);
		if (r <= 0)
			return got ? (ssize_t)got : r;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

ssize_t unpack_read(struct unpack *u, void *to, size_t size)
{
	int r = u->error;

	u->busy = false;
	if (r == 0 && !u->known)
		r = settle(u);
	if (r < 0)
		return r;
	return u->codec ? read_packed(u, to, size) : read_plain(u, to, size);
}
