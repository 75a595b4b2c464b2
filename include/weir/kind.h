/* SPDX-License-Identifier: MIT */
/* kind.h: how one value is stored, compared, parsed and printed.
 *
 * Three storage classes: a 64-bit word (bool u64 i64 f64 time duration mac), a 20-byte address
 * (ip subnet) and a pointer with a length (str bytes). A column is an array of one of them.
 */
#ifndef WEIR_KIND_H
#define WEIR_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_kind {
	WEIR_NONE,
	WEIR_BOOL,     /* word: 0 or 1 */
	WEIR_U64,      /* word */
	WEIR_I64,      /* word, two's complement */
	WEIR_F64,      /* word, IEEE 754 binary64 */
	WEIR_TIME,     /* word, signed nanoseconds since 1970-01-01T00:00:00Z */
	WEIR_DURATION, /* word, signed nanoseconds */
	WEIR_IP,       /* struct weir_ip, prefix = 32 or 128 */
	WEIR_SUBNET,   /* struct weir_ip, host bits zero */
	WEIR_MAC,      /* word, 48 bits, first octet most significant */
	WEIR_STR,      /* struct weir_str, text; not necessarily UTF-8 */
	WEIR_BYTES,    /* struct weir_str, octets; printed as hex */
	WEIR_KINDS
};

/* An address. Families stay apart: 1.2.3.4 and ::ffff:1.2.3.4 are different values. IPv4 stands
 * in b[0..3], the rest is zero, so that two addresses are equal where their 20 bytes are. */
struct weir_ip {
	uint8_t family; /* 4 or 6; 0: no value */
	uint8_t prefix; /* bits, 32 or 128 for a host */
	uint16_t zero;
	uint8_t b[16]; /* network order */
};

/* Text or octets. Borrowed: the owner is the batch, arena or config that it came from. */
struct weir_str {
	const uint8_t *p;
	uint64_t len;
};

union weir_datum {
	uint64_t u;
	int64_t i;
	double f;
	struct weir_ip ip;
	struct weir_str s;
};

struct weir_value {
	enum weir_kind kind; /* WEIR_NONE: no value */
	union weir_datum d;
};

enum weir_storage { WEIR_WORD, WEIR_ADDR, WEIR_VAR };

static inline enum weir_storage weir_storage_of(enum weir_kind k)
{
	if (k == WEIR_IP || k == WEIR_SUBNET)
		return WEIR_ADDR;
	return k == WEIR_STR || k == WEIR_BYTES ? WEIR_VAR : WEIR_WORD;
}

/* Bytes that one value takes in a column: 8, 20 or 16. */
static inline size_t weir_kind_size(enum weir_kind k)
{
	static const uint8_t size[] = {8, 20, 16};

	return size[weir_storage_of(k)];
}

/* "u64"; "none" for WEIR_NONE. */
const char *weir_kind_name(enum weir_kind k);

/* "a number", "an address": for messages. */
const char *weir_kind_article(enum weir_kind k);

/* WEIR_NONE where there is no such kind. */
enum weir_kind weir_kind_by_name(const char *s, size_t len);

static inline bool weir_kind_is_number(enum weir_kind k)
{
	return k == WEIR_U64 || k == WEIR_I64 || k == WEIR_F64;
}

/* Parses all of s[0..len) as one value: numbers with units where the kind has them ("64MB",
 * "10s"), times as epoch seconds with fraction, ISO 8601 ("2026-11-21T10:00", optional zone) or
 * "5 minutes ago". Text borrows s. 0, -EINVAL, or -ERANGE where the number does not fit. */
int weir_kind_parse(enum weir_kind k, const char *s, size_t len, union weir_datum *ret);

/* Writes the canonical text (addresses by RFC 5952, times as epoch seconds with `digits`
 * fractional digits, bytes as lower-case hex, floats as the shortest text that reads back) without
 * a terminator. At most WEIR_PRINT_MAX bytes for kinds that are not str or bytes; str needs
 * len bytes, bytes 2 * len. Returns the end. */
#define WEIR_PRINT_MAX 64
char *weir_kind_print(enum weir_kind k, const union weir_datum *d, unsigned digits, char *to);

/* -1, 0, 1. A total order within one kind: NaN after all numbers, IPv4 before IPv6. */
int weir_kind_compare(enum weir_kind k, const union weir_datum *a, const union weir_datum *b);

static inline bool weir_ip_equal(const struct weir_ip *a, const struct weir_ip *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* Whether `ip` lies in the subnet `net` (same family, leading bits equal). */
bool weir_ip_in(const struct weir_ip *ip, const struct weir_ip *net);

#ifdef __cplusplus
}
#endif
#endif
