/* SPDX-License-Identifier: MIT */
/* schema.h: the ordered, named, typed fields of a stream of records.
 *
 * Schemas are immutable once frozen, reference-counted, and can be made at run time (a CSV
 * header, an IPFIX template). A field that a module added is an annotation. A later field
 * shadows an earlier one of the same name: look-ups go from the last to the first.
 */
#ifndef WEIR_SCHEMA_H
#define WEIR_SCHEMA_H

#include <weir/kind.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	WEIR_FIELD_ANNOTATION = 1, /* added by a module: shown as an extended attribute */
	WEIR_FIELD_HIDDEN = 2,     /* helper column, shown only where it is printed by name */
	WEIR_FIELD_DEFAULT = 4,    /* shown where the query does not say what to print */
	WEIR_FIELD_ALWAYS = 8,     /* no record lacks it */
	WEIR_FIELD_PACKET = 16,    /* the bytes of a packet: `out.pcap` can be made */
	WEIR_FIELD_WEIGHT =
	        32, /* of a sample by flowid: records that it stands for, a power of 2 */
};

/* Names of enumerated numbers (protocols); ends with a NULL name. */
struct weir_names {
	uint64_t value;
	const char *name;
};

struct weir_field {
	const char *name;
	enum weir_kind kind;
	uint32_t flags;
	uint8_t bits;   /* WEIR_U64: no value needs more bits than this; 0: 64 */
	uint8_t digits; /* WEIR_TIME, WEIR_DURATION: fractional digits to print, 0 to 9 */
	const struct weir_names *names; /* or NULL: names accepted as literals for this field */
	const char *unit;               /* "bytes", or NULL */
	const char *aliases;            /* other names, separated by spaces, or NULL */
	const char *doc;                /* one line, or NULL */
};

#define WEIR_FIELDS_MAX 4096

struct weir_schema {
	uint32_t refs; /* atomic */
	const char *name;
	uint32_t nfields;
	struct weir_field *fields;
	void *index; /* engine's */
};

/* A new schema with copies of `n` fields and of all their strings; NULL: out of memory. */
struct weir_schema *weir_schema_new(const char *name, const struct weir_field *fields, uint32_t n);
struct weir_schema *weir_schema_ref(const struct weir_schema *s);
void weir_schema_unref(const struct weir_schema *s); /* NULL is fine */

/* Index of the last field with this name or alias, -1 where there is none. */
int weir_schema_find(const struct weir_schema *s, const char *name, size_t len);

/* Whether a later field has the same name. */
bool weir_schema_shadowed(const struct weir_schema *s, uint32_t field);

#ifdef __cplusplus
}
#endif
#endif
