/* SPDX-License-Identifier: MIT */
/* column.h: one function for each field, which fills its column for all packets of a batch. */
#ifndef PROTO_COLUMN_H
#define PROTO_COLUMN_H

#include "engine/proto/fields.h"
#include "engine/proto/layer.h"

struct column {
	struct weir_batch *b;
	struct weir_col *col;         /* data has room; valid is NULL */
	const struct weir_packet *pk; /* n packets */
	uint32_t n;
	struct layers *l;      /* outer or inner; NULL where the field needs none */
	const struct layer *d; /* l->d */
	uint32_t all, any;     /* of l */
};

/* 0 or -ENOMEM. */
typedef int column_fill(const struct column *c);

/* decode.c: the walk over all packets of the batch, kept at weir_packets.decoded; NULL: out of
 * memory. */
struct decoded *decode(struct weir_batch *b);
/* The layer of one packet. */
void decode_one(const struct weir_packet *pk, struct layer *d);
/* The rows with `bit`, made on first use; NULL: out of memory. */
struct rows *decode_rows(struct weir_batch *b, struct layers *l, uint32_t bit);
/* Walks the tunnels, once. 0 or -ENOMEM. */
int decode_inner(struct weir_batch *b, struct decoded *d);

/* How many more batches this thread walks although only keys have been asked for: set when a field
 * that takes a walk is. The walk serves all columns, but keys alone are had without it in half of
 * the time (pack_plain.h). A guess at what will be asked next, from the batches before; either way
 * gives the same columns and keys. */
extern _Thread_local unsigned decode_walks;
#define DECODE_WALKS 64

/* column_direct.c: srcip or dstip of a batch that is not walked yet. 0 or -ENOMEM. */
int fill_direct(struct weir_batch *b, struct weir_col *col, bool source);

/* column_link.c, column_ip.c, column_upper.c */
#define X(twin, id, ...) column_fill fill_##id;
PACKET_FIELDS(X)
#undef X

/* Gives the column the bitmap, or none where every row has its value. */
static inline int column_valid(const struct column *c, const struct rows *r)
{
	uint32_t words = (c->n + 63) / 64, full = 0;
	uint64_t *valid;

	for (uint32_t i = 0; i < c->n / 64; i++)
		full += r->bits[i] == UINT64_MAX;
	if (full == c->n / 64 && (c->n % 64 == 0 || r->bits[full] == (1ull << c->n % 64) - 1))
		return 0;
	valid = weir_batch_own_valid(c->b, c->col);
	if (!valid)
		return -ENOMEM;
	memcpy(valid, r->bits, words * sizeof *valid);
	return 0;
}

/* The same for a field that is there where `bit` is set in `have`; columns share the bitmap. */
static inline int column_have(const struct column *c, uint32_t bit)
{
	struct rows *r;

	if (c->all & bit)
		return 0;
	r = decode_rows(c->b, c->l, layer_bit(c->any, bit));
	if (!r)
		return -ENOMEM;
	c->col->valid = r->bits;
	return 0;
}

/* 20 bytes in two stores. */
static inline void put4(struct weir_ip *to, const void *addr)
{
	static const struct weir_ip head = {.family = 4, .prefix = 32};
	uint32_t w[4] = {0, 0, 0, 0};

	memcpy(&w[0], &head, 4);
	memcpy(&w[1], addr, 4);
	memcpy(to, w, 16);
	memset((uint8_t *)to + 16, 0, 4);
}

static inline void put6(struct weir_ip *to, const void *addr)
{
	static const struct weir_ip head = {.family = 6, .prefix = 128};

	memcpy(to, &head, 4);
	memcpy(to->b, addr, 16);
}

/* No row has a value. */
static inline int column_none(const struct column *c)
{
	return weir_batch_own_valid(c->b, c->col) ? 0 : -ENOMEM;
}

/* Fills a column of words that stand in struct layer, there where `bit` is set. */
#define FILL_LAYER(id, bit, value)                                                                 \
	int fill_##id(const struct column *c)                                                      \
	{                                                                                          \
		uint64_t *out = c->col->data;                                                      \
		const struct layer *d = c->d;                                                      \
                                                                                                   \
		if (!(c->any & (bit)))                                                             \
			return column_none(c);                                                     \
		for (const struct layer *end = d + c->n; d < end; d++)                             \
			*out++ = (value);                                                          \
		return column_have(c, bit);                                                        \
	}

/* Fills a column of words: for each row k with layer d and packet pk, `has` (an expression) says
 * whether the value is there, `value` is it, computed also where `has` is false. `full` are the
 * bits of `have` that make `has` true; with `some` all clear it is false. */
#define FILL_WORDS(id, full, some, has, value)                                                     \
	int fill_##id(const struct column *c)                                                      \
	{                                                                                          \
		uint64_t *out = c->col->data;                                                      \
		struct rows r;                                                                     \
                                                                                                   \
		if ((full) && (c->all & (full)) == (full)) {                                       \
			for (uint32_t k = 0; k < c->n; k++) {                                      \
				const struct layer *d = &c->d[k];                                  \
				const struct weir_packet *pk = &c->pk[k];                          \
				const bool ok = true;                                              \
                                                                                                   \
				(void)pk, (void)ok;                                                \
				out[k] = (value);                                                  \
			}                                                                          \
			return 0;                                                                  \
		}                                                                                  \
		if (!(c->any & (some)))                                                            \
			return column_none(c);                                                     \
		for (uint32_t i = 0, k = 0; k < c->n; i++) {                                       \
			uint64_t bits = 0;                                                         \
                                                                                                   \
			for (unsigned j = 0; j < 64 && k < c->n; j++, k++) {                       \
				const struct layer *d = &c->d[k];                                  \
				const struct weir_packet *pk = &c->pk[k];                          \
				const bool ok = (has);                                             \
                                                                                                   \
				(void)pk;                                                          \
				bits |= (uint64_t)ok << j;                                         \
				out[k] = (value);                                                  \
			}                                                                          \
			r.bits[i] = bits;                                                          \
		}                                                                                  \
		return column_valid(c, &r);                                                        \
	}

/* What is read instead of bytes that are not there. */
extern const uint8_t column_zeros[64];

/* The place of a header field, if it is there. */
#define AT(off) (ok ? pk->data + (off) : column_zeros)

#endif
