/* SPDX-License-Identifier: MIT */
/* keypack.h: the key fields of records as a few packed bytes, equal where the keys are equal.
 *
 * Each field has a fixed place, as narrow as its `bits` allow, so that the keys of packets take
 * 8 or 16 bytes. There are two layouts: in the *narrow* one addresses are IPv4 and take 4 bytes,
 * in the *wide* one they take 18 (family, prefix, 16 octets). A key is narrow exactly when all
 * its addresses are IPv4, so 1.2.3.4 and ::ffff:1.2.3.4 never meet. Text has its length in the wide
 * layout and its octets behind it.
 *
 * Numbers are in host order, which is little-endian here; f64 is made canonical (-0.0 is 0.0, one
 * NaN). With `nulls` a missing value is a value of its own: a bit for each field that can be
 * missing stands at the end, and the place of a missing value is zero.
 */
#ifndef KEYPACK_H
#define KEYPACK_H

#include <weir/module.h>

enum { KEY_NARROW, KEY_WIDE, KEY_LAYOUTS };

struct key_field {
	uint32_t field;
	enum weir_kind kind;
	uint8_t width[KEY_LAYOUTS];
	uint32_t at[KEY_LAYOUTS];
	int32_t bit; /* presence, -1: never missing, or rows without it are dropped */
};

struct keypack {
	struct weir_mem *mem;
	uint32_t n;
	struct key_field *f;
	bool nulls, prefix; /* prefix: the first 4 bytes are a number that the caller gives */
	bool has_ip, has_text;
	uint32_t nbits;
	uint32_t bits_at[KEY_LAYOUTS];
	uint32_t size[KEY_LAYOUTS]; /* a multiple of 8; with text: without the octets */
};

enum {
	KEYPACK_NULLS = 1,  /* a missing value is a value of its own; else such rows are dropped */
	KEYPACK_PREFIX = 2, /* the key begins with a number that the caller gives for each row */
};

int keypack_init(struct keypack *p, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n, unsigned flags);
void keypack_release(struct keypack *p);

/* Writes to rows the selected rows of b whose key is there, in order. Their number or -ENOMEM. */
int keypack_rows(const struct keypack *p, struct weir_batch *b, uint16_t *rows);

/* Whether some of rows[0..n) need the wide layout; then wide[k] says which. -ENOMEM. */
int keypack_wide(const struct keypack *p, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        uint8_t *wide);

/* Packs rows[0..n) in one layout, one behind the other, without the octets of text. Padding in
 * `to` is not written: it must be zero. prefix[k] belongs to rows[k]. */
int keypack_pack(const struct keypack *p, unsigned layout, struct weir_batch *b,
        const uint16_t *rows, uint32_t n, const uint32_t *prefix, uint8_t *to);

/* Fills rows 0..n of the built batch's own column `out` with key field i of packed keys;
 * layout[k] says how key[k] is packed. Text is copied into the batch. */
int keypack_unpack(const struct keypack *p, uint32_t i, const uint8_t *const *key,
        const uint8_t *layout, uint32_t n, struct weir_batch *b, uint32_t out);

#endif
