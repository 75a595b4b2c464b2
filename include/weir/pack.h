/* SPDX-License-Identifier: MIT */
/* pack.h: some fields of records, side by side in a few bytes: the keys of tables.
 *
 * A source that has the bytes at hand may pack fields itself, for all selected rows in one go, so
 * that no column has to be made (weir_batch_ops.pack). What it does not know it leaves to the
 * engine, which packs it from the column; either way gives the same bytes:
 *
 *   a number      its low `width` bytes in host order
 *   an address    the 4 octets of an IPv4 address; of an IPv6 address anything
 */
#ifndef WEIR_PACK_H
#define WEIR_PACK_H

#include <weir/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_PACK_ROWS 128 /* at most so many rows at a time */
#define WEIR_PACK_FIELDS 8 /* fields of a record */
#define WEIR_PACK_SIZE 32  /* bytes of a record */

struct weir_pack_field {
	uint32_t field;
	uint8_t at, width; /* bytes [at, at + width) of the record */
};

struct weir_pack {
	uint32_t n;
	uint32_t size; /* 8, 16, 24 or 32 */
	const struct weir_pack_field *f;
	const uint8_t *rest; /* size bytes: what stands where no field does; zero under fields */
};

/* Field `field` of a row is an IPv6 address. */
struct weir_pack_ip6 {
	uint8_t place, field;
	const uint8_t *octets; /* live as long as the batch */
};

struct weir_packed {
	uint8_t done; /* a bit for each field: the source packs it, in all rows */
	/* The rows in which a field that is done has no value (its bytes are zero): their places,
	 * and the fields, a bit each. */
	uint32_t nodd;
	uint8_t odd[WEIR_PACK_ROWS], lack[WEIR_PACK_ROWS];
	uint32_t nip6;
	struct weir_pack_ip6 ip6[WEIR_PACK_ROWS * WEIR_PACK_FIELDS];
};

#ifdef __cplusplus
}
#endif
#endif
