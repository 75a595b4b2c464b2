/* SPDX-License-Identifier: MIT */
/* result.h: what the last node of a query leaves, kept as typed rows.
 *
 * A log only grows at the end and is dropped from the front by retention; a table is replaced
 * whole. Rows are kept typed and rendered when somebody reads; per chunk of rows and format only
 * the length of the text is remembered, and a few rendered chunks are cached.
 *
 * One writer (the query's thread), any number of readers. Every function below "readers" may be
 * called from any thread; none blocks for longer than it takes to render one chunk.
 */
#ifndef RESULT_H
#define RESULT_H

#include "engine/core/text.h"
#include <weir/module.h>

enum result_format { FORMAT_CSV, FORMAT_TSV, FORMAT_TXT, FORMAT_JSON, FORMAT_PCAP, FORMATS };

/* "csv" … or NULL; -1 where there is none of that name. */
const char *result_format_name(enum result_format f);
int result_format_by_name(const char *name);

struct result;
struct snapshot;

/* A text in pieces that follow each other. Immutable. */
struct rendered {
	size_t len, n;
	struct rendered_piece {
		char *p;
		size_t at, len; /* at: in the whole */
	} * piece;
};

/* `log`: else a table. `retain`: bytes of typed rows kept (a log keeps three times that; a table
 * larger than its memory fails with -ENOMEM). mem: accounted (a reference is held), NULL for none.
 * The shown fields are those with DEFAULT or ANNOTATION and not HIDDEN or shadowed, in schema
 * order; where none has DEFAULT or ANNOTATION, all that are not HIDDEN. A WEIR_FIELD_PACKET field
 * is kept beside them. */
struct result *result_new(
        const struct weir_schema *schema, bool log, uint64_t retain, struct weir_mem *mem);
struct result *result_ref(struct result *r);
void result_unref(struct result *r);

/* ---- writer ---- */

/* Adds the batch's selected rows: to the log, at once to be read; to the table's next version.
 * Copies what it keeps. 0 or -ENOMEM. */
int result_add(struct result *r, struct weir_batch *b);
/* Tables: drops the rows added since the last publish. */
void result_restart(struct result *r);
/* Tables: makes the added rows the current version; `time` in ns since the epoch. A version equal
 * to the current one is not published (returns 0; 1 where it was; -ENOMEM). */
int result_publish(struct result *r, int64_t time);
/* No more rows or versions will come: readers who wait for them are told, and the pcap text of a
 * log without packets gets its header. */
void result_end(struct result *r);

/* ---- readers ---- */

bool result_is_log(const struct result *r);
const struct weir_schema *result_schema(const struct result *r); /* borrowed */
/* Indices of the shown fields, in order. */
uint32_t result_shown(const struct result *r, const uint32_t **ret);
bool result_has_packets(const struct result *r);
/* Whether this format can be had: pcap only where there are packets. */
bool result_has_format(const struct result *r, enum result_format f);
uint64_t result_bytes(const struct result *r); /* memory in use */

/* Tables: a reference to the current version, NULL before the first. */
struct snapshot *result_snapshot(struct result *r);
/* Tables: a reference to version `n`, while it is held by somebody or is younger than a minute
 * (under a cap in bytes), else NULL. Versions count from 1. */
struct snapshot *result_version(struct result *r, uint64_t n);
/* Tables: the last n versions are kept, as far as they fit into the retention, and have times that
 * differ in their milliseconds. Before the first version. */
void result_keep(struct result *r, uint32_t n);
bool result_keeps(const struct result *r);
uint32_t result_kept_count(struct result *r);
/* A reference to the oldest kept version after number `after`, or to that of a time in ms since the
 * epoch. NULL: there is none. */
struct snapshot *result_kept(struct result *r, uint64_t after);
struct snapshot *result_kept_at(struct result *r, int64_t ms);
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s);
/* Whose version it is; borrowed. */
struct result *snapshot_result(const struct snapshot *s);
uint64_t snapshot_number(const struct snapshot *s);
int64_t snapshot_time(const struct snapshot *s);
uint64_t snapshot_rows(const struct snapshot *s);
/* The whole text in one format, rendered on first use, kept as long as the snapshot. */
int snapshot_text(struct snapshot *s, enum result_format f, const struct rendered **ret);
/* What stands at `off`: how many bytes of it *ret holds, 0 at the end. */
size_t rendered_at(const struct rendered *t, size_t off, const char **ret);

/* Logs: rows ever added; the first row still kept. */
uint64_t log_end(struct result *r);
uint64_t log_first(struct result *r);
/* Logs: the base row of the epoch that a new lookup gets: moves on, to `retain` bytes before the
 * end, once more than 2 * retain lie behind it. Epochs count from 0; *ret_epoch is its number. */
uint64_t log_epoch(struct result *r, uint64_t *ret_epoch);
/* The base row of an earlier epoch, or UINT64_MAX where it is forgotten. */
uint64_t log_epoch_base(struct result *r, uint64_t epoch);
/* Size of the text (header and rows from `base` to the end); -ESTALE where base is long gone but
 * was not measured before. */
int64_t log_size(struct result *r, enum result_format f, uint64_t base);
/* Reads text [off, off + size) of the epoch with that base row. Bytes read, 0 at the end, -ESTALE
 * where the rows are gone. */
int64_t log_read(
        struct result *r, enum result_format f, uint64_t base, uint64_t off, char *to, size_t size);
/* Time of the last row added, ns since the epoch. */
int64_t log_time(struct result *r);

/* Rows as they come, for readers that stay with the result. Text of rows from *row on is appended
 * to `to`: whole rows, no more than `bytes`, but one at least where there is one; *row moves behind
 * them. How many, 0: there are none; -ESTALE: those are gone (see log_first()). A version's rows
 * end at snapshot_rows(). */
int64_t log_rows(
        struct result *r, enum result_format f, uint64_t *row, size_t bytes, struct text *to);
int64_t snapshot_put_rows(
        struct snapshot *s, enum result_format f, uint64_t *row, size_t bytes, struct text *to);
/* The heading of a format that has one. 0 or -errno. */
int result_header(struct result *r, enum result_format f, struct text *to);
/* Calls fn(arg) whenever rows, a version or the end are there to be read, from the writer's thread
 * and without a lock of the store: it must not wait. One listener; fn NULL: none any more, and no
 * call of it is under way when this returns. Listen first, then look. */
void result_listen(struct result *r, void (*fn)(void *arg), void *arg);
/* Whether result_end() was called: what is there now is all. */
bool result_ended(struct result *r);

/* One row: of a log (`row` counts from its beginning; snapshot NULL) or of a version. Appends to
 * `to` "field: value\n" lines of the shown fields (field < 0), or the text of one field's value
 * alone. -ENOENT: no such row; -ESTALE: gone; -ENODATA: that field has no value there. */
int result_record(struct result *r, struct snapshot *s, uint64_t row, int field, struct text *to);
/* How many bytes those lines take, for rows [row, row + n), at a fraction of their cost. How many
 * rows were measured, at least one; errors as above. */
int result_record_sizes(
        struct result *r, struct snapshot *s, uint64_t row, uint32_t n, uint64_t *to);

#endif
