/* SPDX-License-Identifier: MIT */
/* render.h: rows as text: CSV (RFC 4180), TSV, aligned text, JSON Lines; packets as pcap.
 *
 * The hot path of `weir run` and of every cat: no printf, one pass, whole batches.
 */
#ifndef RENDER_H
#define RENDER_H

#include "engine/store/result.h"

/* The columns to show: indices into the schema. */
struct render {
	enum result_format format;
	const struct weir_schema *schema;
	const uint32_t *fields;
	uint32_t nfields;
	int packet;        /* field with the packet bytes, or -1 */
	uint16_t linktype; /* pcap: of the file; rows of another are left out */
	uint64_t skipped;  /* rows left out */
	bool started;
};

/* Fields that a result shows by default: see result_new(). Writes at most schema->nfields
 * indices to `to`; their number. */
uint32_t render_shown(const struct weir_schema *schema, uint32_t *to);

/* CSV header, table heading, pcap file header (which waits for the first packet); may be empty. */
void render_header(struct render *r, struct text *to);
/* The selected rows of b. 0 or -ENOMEM. */
int render_batch(struct render *r, struct weir_batch *b, struct text *to);

#endif
