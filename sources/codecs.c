/* SPDX-License-Identifier: MIT */
/* codecs.c: the decompression libraries behind one interface; each is loaded for the first file
 * that needs it. */
#include "sources/unpack.h"

#include <errno.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdlib.h>
#include <weir/late.h>
#include <zlib.h>
#include <zstd.h>

#define XZ_MEMORY (128u << 20)
#define ZSTD_WINDOW 27    /* log2 of the largest window */
#define PIECE (16u << 10) /* fed at once where an error loses what came before it in the call */

#define ZLIB_FUNCTIONS(X)                                                                          \
	X(inflateInit2_)                                                                           \
	X(inflate)                                                                                 \
	X(inflateReset)                                                                            \
	X(inflateEnd)
WEIR_LATE(libz, Z_SONAME, ZLIB_FUNCTIONS)

#define ZSTD_FUNCTIONS(X)                                                                          \
	X(ZSTD_createDCtx)                                                                         \
	X(ZSTD_DCtx_setParameter)                                                                  \
	X(ZSTD_decompressStream)                                                                   \
	X(ZSTD_isError)                                                                            \
	X(ZSTD_DCtx_reset)                                                                         \
	X(ZSTD_freeDCtx)
WEIR_LATE(libzstd, ZSTD_SONAME, ZSTD_FUNCTIONS)

#define LZ4_FUNCTIONS(X)                                                                           \
	X(LZ4F_createDecompressionContext)                                                         \
	X(LZ4F_isError)                                                                            \
	X(LZ4F_decompress)                                                                         \
	X(LZ4F_resetDecompressionContext)                                                          \
	X(LZ4F_freeDecompressionContext)
WEIR_LATE(liblz4, LZ4_SONAME, LZ4_FUNCTIONS)

#define LZMA_FUNCTIONS(X)                                                                          \
	X(lzma_stream_decoder)                                                                     \
	X(lzma_code)                                                                               \
	X(lzma_end)
WEIR_LATE(liblzma, LZMA_SONAME, LZMA_FUNCTIONS)

static uInt at_most(size_t n)
{
	return n > 1u << 30 ? 1u << 30 : (uInt)n;
}

static void *gzip_start(void)
{
	z_stream *z = calloc(1, sizeof *z);

	if (z && libz.inflateInit2_(z, 15 + 16, ZLIB_VERSION, sizeof *z) != Z_OK) {
		free(z);
		z = NULL;
	}
	return z;
}

static int gzip_step(
        void *state, const uint8_t **in, size_t *nin, uint8_t **out, size_t *nout, const char **why)
{
	z_stream *z = state;
	uInt n = at_most(*nin), m = at_most(*nout);
	int r;

	z->next_in = (Bytef *)(uintptr_t)*in;
	z->avail_in = n;
	z->next_out = *out;
	z->avail_out = m;
	r = libz.inflate(z, Z_NO_FLUSH);
	*in += n - z->avail_in;
	*nin -= n - z->avail_in;
	*out += m - z->avail_out;
	*nout -= m - z->avail_out;
	if (r == Z_STREAM_END)
		return 1;
	if (r == Z_OK || r == Z_BUF_ERROR)
		return 0;
	*why = r == Z_MEM_ERROR ? "out of memory" : "the gzip data is corrupt";
	return r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int gzip_again(void *state)
{
	return libz.inflateReset(state) == Z_OK ? 0 : -ENOMEM;
}

static void gzip_stop(void *state)
{
	libz.inflateEnd(state);
	free(state);
}

static void *zstd_start(void)
{
	ZSTD_DCtx *d = libzstd.ZSTD_createDCtx();

	if (d)
		libzstd.ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, ZSTD_WINDOW);
	return d;
}

static int zstd_step(
        void *state, const uint8_t **in, size_t *nin, uint8_t **out, size_t *nout, const char **why)
{
	ZSTD_inBuffer i = {*in, *nin < PIECE ? *nin : PIECE, 0};
	ZSTD_outBuffer o = {*out, *nout, 0};
	size_t r = libzstd.ZSTD_decompressStream(state, &o, &i);

	*in += i.pos;
	*nin -= i.pos;
	*out += o.pos;
	*nout -= o.pos;
	if (!libzstd.ZSTD_isError(r))
		return r == 0;
	*why = "the zstd data is corrupt (or its window larger than 128 MiB)";
	return -EBADMSG;
}

static int zstd_again(void *state)
{
	return libzstd.ZSTD_isError(libzstd.ZSTD_DCtx_reset(state, ZSTD_reset_session_only))
	               ? -ENOMEM
	               : 0;
}

static void zstd_stop(void *state)
{
	libzstd.ZSTD_freeDCtx(state);
}

static void *lz4_start(void)
{
	LZ4F_dctx *d;

	return liblz4.LZ4F_isError(liblz4.LZ4F_createDecompressionContext(&d, LZ4F_VERSION)) ? NULL
	                                                                                     : d;
}

static int lz4_step(
        void *state, const uint8_t **in, size_t *nin, uint8_t **out, size_t *nout, const char **why)
{
	size_t n = *nin < PIECE ? *nin : PIECE, m = *nout, r;

	r = liblz4.LZ4F_decompress(state, *out, &m, *in, &n, NULL);
	if (liblz4.LZ4F_isError(r)) {
		*why = "the lz4 data is corrupt";
		return -EBADMSG;
	}
	*in += n;
	*nin -= n;
	*out += m;
	*nout -= m;
	return r == 0;
}

static int lz4_again(void *state)
{
	liblz4.LZ4F_resetDecompressionContext(state);
	return 0;
}

static void lz4_stop(void *state)
{
	liblz4.LZ4F_freeDecompressionContext(state);
}

static void *xz_start(void)
{
	lzma_stream *x = malloc(sizeof *x);

	if (!x)
		return NULL;
	*x = (lzma_stream)LZMA_STREAM_INIT;
	if (liblzma.lzma_stream_decoder(x, XZ_MEMORY, 0) != LZMA_OK) {
		free(x);
		return NULL;
	}
	return x;
}

static int xz_step(
        void *state, const uint8_t **in, size_t *nin, uint8_t **out, size_t *nout, const char **why)
{
	lzma_stream *x = state;
	lzma_ret r;

	x->next_in = *in;
	x->avail_in = *nin;
	x->next_out = *out;
	x->avail_out = *nout;
	r = liblzma.lzma_code(x, LZMA_RUN);
	*in = x->next_in;
	*nin = x->avail_in;
	*out = x->next_out;
	*nout = x->avail_out;
	switch (r) {
	case LZMA_STREAM_END:
		return 1;
	case LZMA_OK:
	case LZMA_BUF_ERROR:
		return 0;
	case LZMA_MEM_ERROR:
		*why = "out of memory";
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		*why = "the xz data needs more than 128 MiB of memory";
		return -EBADMSG;
	default:
		*why = "the xz data is corrupt";
		return -EBADMSG;
	}
}

static int xz_again(void *state)
{
	return liblzma.lzma_stream_decoder(state, XZ_MEMORY, 0) == LZMA_OK ? 0 : -ENOMEM;
}

static void xz_stop(void *state)
{
	liblzma.lzma_end(state);
	free(state);
}

static const struct unpack_codec gzip = {
        &libz_library, gzip_start, gzip_step, gzip_again, gzip_stop};
static const struct unpack_codec zstd = {
        &libzstd_library, zstd_start, zstd_step, zstd_again, zstd_stop};
static const struct unpack_codec lz4 = {&liblz4_library, lz4_start, lz4_step, lz4_again, lz4_stop};
static const struct unpack_codec xz = {&liblzma_library, xz_start, xz_step, xz_again, xz_stop};

const struct unpack_codec *const unpack_codecs[] = {
        [PACK_NONE] = NULL,
        [PACK_GZIP] = &gzip,
        [PACK_ZSTD] = &zstd,
        [PACK_LZ4] = &lz4,
        [PACK_XZ] = &xz,
};
