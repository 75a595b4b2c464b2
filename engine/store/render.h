/* SPDX-License-Identifier: MIT */
/* render.h: rows as text: CSV (RFC 4180), TSV, aligned text, JSON Lines; packets as pcap.
 *
 * The hot path of `weir run` and of every cat: no printf, one pass, whole batches. A row's text
 * depends on the row alone (and on the widths of aligned text), so rows may be rendered in pieces.
 *
 * CSV    lines end in LF as Unix tools expect (RFC 4180 says CRLF). Quoted where a value holds a
 *        comma, a quote, CR or LF, or begins with '#', as the lines of a stream do that are no
 *        rows. A value that is not there is nothing, an empty text is "".
 *        Bytes pass as they are.
 * TSV    tab, LF, CR, NUL and \ in texts are written \t \n \r \0 \\.
 * TXT    for people: columns aligned, numbers to the right, two blanks between. Control
 *        characters and what is not UTF-8 are written \n, \t, \x1b: no row can move a cursor.
 * JSON   one object a line. Fields that are not there are left out; numbers, times and durations
 *        are bare with all their digits (64 bits too), a number that JSON has not (NaN) is null;
 *        what is not UTF-8 becomes U+FFFD.
 * PCAP   little-endian, nanoseconds where the times have more than 6 digits, else microseconds.
 *        The first packet's link type is the file's; packets of another are left out.
 */
#ifndef RENDER_H
#define RENDER_H

#include "engine/store/result.h"

/* A renderer belongs to one thread at a time. */
struct render {
	enum result_format format;
	const struct weir_schema *schema; /* borrowed */
	uint32_t nfields;
	int packet;                /* field with the packet bytes, or -1 */
	int ts, len, link;         /* pcap: fields of these names, or -1 */
	uint16_t linktype;         /* pcap: of the file; rows of another are left out */
	uint64_t skipped;          /* rows left out */
	bool started;              /* pcap: linktype is known and the file header written */
	struct render_cell *cells; /* one for each field to show */
	size_t fixed;              /* most bytes that a row takes beside its texts */
	uint32_t nvars;            /* cells with texts */
};

/* Fields that a result shows by default: see result_new(). Writes at most schema->nfields
 * indices to `to`; their number. */
uint32_t render_shown(const struct weir_schema *schema, uint32_t *to);

/* The fields to show: indices into the schema, copied; NULL: the default ones. The schema must
 * outlive the renderer. 0, -ENOMEM, or -EINVAL: pcap, but no packets there. */
int render_init(struct render *r, enum result_format format, const struct weir_schema *schema,
        const uint32_t *fields, uint32_t nfields);
void render_release(struct render *r);

/* Aligned text: makes the columns as wide as the values in b's selected rows need (b NULL: as the
 * heading needs), instead of the widths by kind. Call for all batches before the header. */
int render_fit(struct render *r, struct weir_batch *b);

/* CSV header, table heading, pcap file header (which waits for the first packet); may be empty. */
void render_header(struct render *r, struct text *to);
/* The selected rows of b. 0 or -ENOMEM. */
int render_batch(struct render *r, struct weir_batch *b, struct text *to);
/* How many bytes render_batch() would append, at a fraction of its cost; -ENOMEM. */
int64_t render_measure(struct render *r, struct weir_batch *b);
/* FORMAT_TSV: for each selected row, how long its record's "field: value" lines are. 0 or -ENOMEM.
 */
int render_lines_measure(struct render *r, struct weir_batch *b, uint64_t *to);
/* At the end: the pcap header where no packet came. */
void render_end(struct render *r, struct text *to);
/* The header of a file of r->linktype, where that is known before the first packet. */
void render_pcap_header(struct render *r, struct text *to);

#endif
