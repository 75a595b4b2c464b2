/* SPDX-License-Identifier: MIT */
/* unpack.h: the bytes of a file, decompressed where its content says that it is compressed.
 *
 * gzip (RFC 1952, several members), Zstandard (RFC 8878, several and skippable frames), LZ4 frames
 * and xz (several streams). Memory for windows is bounded: 128 MiB for zstd and xz.
 *
 * So is what one call goes through: a file can be terabytes of input that give no output (empty
 * members, frames to be skipped), and cost its maker nothing, for it has holes.
 */
#ifndef UNPACK_H
#define UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct weir_late;

enum packing { PACK_NONE, PACK_GZIP, PACK_ZSTD, PACK_LZ4, PACK_XZ };

const char *packing_name(enum packing p);

/* What a codec does. step() decompresses from [*in, *in + *nin) to [*out, *out + *nout), moving
 * both on; 1: a frame ended here, 0: more is needed, -errno: broken, with *why. */
struct unpack_codec {
	struct weir_late *library; /* to be loaded first */
	void *(*start)(void);
	int (*step)(void *state, const uint8_t **in, size_t *nin, uint8_t **out, size_t *nout,
	        const char **why);
	int (*again)(void *state); /* for the next frame */
	void (*stop)(void *state);
};

extern const struct unpack_codec *const unpack_codecs[]; /* by enum packing */

struct unpack {
	int fd;    /* owned */
	bool live; /* not a regular file: poll before each read, never block */
	bool eof;  /* of the file */
	/* It is written still: its end is -EAGAIN. Set behind unpack_init(), and cleared by the
	 * owner, once nothing comes any more. */
	bool growing;
	enum packing packing;
	bool known; /* packing is settled */
	bool fresh; /* between two frames */
	const struct unpack_codec *codec;
	void *state;
	uint8_t *in; /* bytes of the file not used yet: its beginning, or compressed ones */
	size_t in_at, in_end;
	size_t padding;  /* zeros since the last frame */
	size_t used;     /* compressed bytes of this call */
	bool busy;       /* see unpack_read() */
	uint64_t start;  /* where it stood when it was given: standard input may have been read */
	uint64_t done;   /* bytes read from the file */
	int error;       /* sticky -errno */
	const char *why; /* of it, a constant text */
};

/* Takes over fd. */
void unpack_init(struct unpack *u, int fd);
void unpack_release(struct unpack *u);

/* Reads up to `size` bytes, as many as there are: fewer only before the end, a fault, where a pipe
 * or a growing file has nothing yet, or where much input gave little; u->busy says that it was
 * that, and that there is more at once. Bytes before a fault come first. 0: the end; -EAGAIN:
 * nothing yet, or u->busy; else -errno and u->why. */
ssize_t unpack_read(struct unpack *u, void *to, size_t size);

#endif
