/* SPDX-License-Identifier: MIT */
/* keypack.h: the key fields of records as a few packed bytes, equal where the keys are equal.
 *
 * Each field has a fixed place, as narrow as its `bits` allow, so that the keys of packets take
 * 8 or 16 bytes. An address takes 4 bytes: an IPv4 address stands there itself, of an IPv6 address
 * its number in a dictionary of the caller. Which it is says a bit for each address field in the
 * key's *families*, a byte that the caller keeps beside the key: equal keys have equal families, so
 * 1.2.3.4 and ::ffff:1.2.3.4 never meet. Keys are *wide* if there is text, or more addresses than
 * families hold: then an address takes 18 bytes (family, prefix, 16 octets), text has its length in
 * its place and its octets behind the key, and families are zero.
 *
 * Numbers are in host order, which is little-endian here; f64 is made canonical (-0.0 is 0.0, one
 * NaN). With `nulls` a missing value is a value of its own: a bit for each field that can be
 * missing stands at the end, and the place of a missing value is zero.
 */
#ifndef KEYPACK_H
#define KEYPACK_H

#include <weir/module.h>
#include <weir/pack.h>

#define KEYPACK_FAMILIES 4 /* address fields in keys that are not wide */

struct key_field {
	uint32_t field;
	enum weir_kind kind;
	uint32_t width, at;
	int32_t bit;     /* presence, -1: never missing, or rows without it are dropped */
	unsigned family; /* of an address: its bit in the families */
};

struct keypack {
	struct weir_mem *mem;
	uint32_t n;
	struct key_field *f;
	bool nulls, prefix; /* prefix: the first 4 bytes are a number that the caller gives */
	bool wide;
	uint32_t naddr, nbits;
	uint32_t bits_at;
	uint32_t size; /* a multiple of 8; without the octets of text */
	/* for a source that packs itself; source.n is 0 where that cannot be */
	struct weir_pack source;
	struct weir_pack_field places[WEIR_PACK_FIELDS];
	uint8_t rest[WEIR_PACK_SIZE]; /* all presence bits */
};

/* Packed records of up to WEIR_PACK_ROWS rows. */
struct keypack_block {
	uint32_t n; /* records; fewer than rows were given where some were dropped */
	struct weir_packed
	        from; /* its ip6: the IPv6 addresses among them, `field` being a key field */
};

enum {
	KEYPACK_NULLS = 1,  /* a missing value is a value of its own; else such rows are dropped */
	KEYPACK_PREFIX = 2, /* the key begins with a number that the caller gives for each row */
};

/* Whether keys of these fields are wide. */
bool keypack_is_wide(const struct weir_schema *s, const uint32_t *fields, uint32_t n);

int keypack_init(struct keypack *p, struct weir_mem *mem, const struct weir_schema *s,
        const uint32_t *fields, uint32_t n, unsigned flags);
void keypack_release(struct keypack *p);

/* The batch that has the bytes, if it can pack and no field is added above it, else NULL; the
 * fields' places in it go to at[0 .. p->n). p->source.n is not 0. */
struct weir_batch *keypack_source(
        const struct keypack *p, struct weir_batch *b, struct weir_pack_field *at);

/* Writes to rows the selected rows of b, in order. Their number. */
uint32_t keypack_rows(const struct weir_batch *b, uint16_t *rows);

/* The same without those that lack a field, told by the columns. Their number or -ENOMEM. */
int keypack_complete(const struct keypack *p, struct weir_batch *b, uint16_t *rows);

/* Packs rows[0..n), n <= WEIR_PACK_ROWS, one behind the other, without the octets of text; in the
 * place of an IPv6 address stands anything. Without KEYPACK_NULLS rows that lack a field are taken
 * out of rows[]. Padding in `to` must be zero and stays so. prefix[k] belongs to rows[k]. 0 or
 * -ENOMEM. */
int keypack_pack(const struct keypack *p, struct weir_batch *b, uint16_t *rows, uint32_t n,
        const uint32_t *prefix, uint8_t *to, struct keypack_block *ret);

/* Fills rows 0..n of the built batch's own column `out` with key field i of packed keys with these
 * families (NULL: all zero); ip6: the dictionary's octets. Text is copied into the batch. */
int keypack_unpack(const struct keypack *p, uint32_t i, const uint8_t *const *key,
        const uint8_t *families, const uint8_t *ip6, uint32_t n, struct weir_batch *b,
        uint32_t out);

#endif
