/* SPDX-License-Identifier: MIT */
/* tree.h: the name space of a mount as tables, and how an inode number tells what it is.
 *
 * Inode numbers are computed, never pointers, so that a look-up, getattr or open by number alone
 * works after the kernel (or an NFS server) has forgotten everything:
 *
 *   root      1
 *   others    0 | kind 6 | query 22 | run 8 | version 27
 *   records   1 | query 22 | run 2 | dir 1 | row 38                 of a log
 *             1 | query 22 | run 2 | dir 1 | version 12 | row 26    of a table
 *
 * `query` is the query's serial, or an index for what belongs to no query. Fields that wrap (run,
 * version) are told apart by the inode's generation; see node_generation(). No FUSE types here.
 */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum node_kind {
	NODE_NONE,
	NODE_ROOT,
	NODE_README,
	NODE_STATUS,
	NODE_METRICS,
	NODE_SOURCES,
	NODE_SOURCE,
	NODE_SOURCE_INFO,
	NODE_SOURCE_FIELDS,
	NODE_SOURCE_STATS,
	NODE_TYPES,
	NODE_TYPE,
	NODE_MODULES,
	NODE_MODULE,
	NODE_STREAMS,
	NODE_QUERIES,
	NODE_NEW,
	NODE_ERRORS,
	NODE_QUERY,
	NODE_SPEC,
	NODE_CTL,
	NODE_QUERY_STATUS,
	NODE_LOG,
	NODE_PLAN,
	NODE_GRAPH,
	NODE_STREAM,      /* streams/<query> */
	NODE_VERSIONS,    /* versions/ of a table that keeps them */
	NODE_VERSION,     /* versions/<time>/ */
	NODE_VERSION_CSV, /* in the order of enum result_format */
	NODE_VERSION_TSV,
	NODE_VERSION_TXT,
	NODE_VERSION_JSON,
	NODE_VERSION_PCAP,
	NODE_OUT_CSV, /* in the order of enum result_format */
	NODE_OUT_TSV,
	NODE_OUT_TXT,
	NODE_OUT_JSON,
	NODE_OUT_PCAP,
	NODE_RECORDS,
	NODE_CHUNK,  /* records/<n/1000> */
	NODE_RECORD, /* records/<n/1000>/<n> */
	NODE_KINDS
};

enum node_nature {
	NATURE_DIR,
	NATURE_TEXT,    /* a table of text, versioned by its content */
	NATURE_FIXED,   /* text that never changes during a mount */
	NATURE_LOG,     /* only grows */
	NATURE_CONTROL, /* written to */
	NATURE_RESULT,  /* a log or a table, as the query's result is */
	NATURE_VERSION, /* a version of a table that is kept: never changes */
	NATURE_RECORD,
	NATURE_STREAM, /* rows as they come */
};

/* One row of the name space. `name` NULL: made from the index (sources, types, queries, …). */
struct node_row {
	enum node_kind parent;
	enum node_nature nature;
	uint32_t mode; /* permission bits */
	const char *name;
	const char *what; /* what the engine calls its text, or NULL */
};

extern const struct node_row node_rows[NODE_KINDS];

#define NODE_SERIAL_MAX ((1u << 22) - 1)
#define NODE_VERSION_MASK ((1ull << 27) - 1)
#define NODE_RECORD_VERSION_MASK 0xfffu
#define NODE_RUN_MASK 0xffu
#define NODE_RECORD_RUN_MASK 3u
#define RECORDS_PER_CHUNK 1000u
#define RECORD_TABLE_ROWS (1ull << 26)
#define RECORD_LOG_ROWS (1ull << 38)

struct node {
	enum node_kind kind;
	uint32_t serial;  /* of the query; or the index of the source, type or module */
	uint32_t run;     /* as many bits as the number holds */
	uint32_t version; /* of a table or epoch of a log; records: of a table, else 0 */
	uint64_t row;     /* records: row; chunks: row / RECORDS_PER_CHUNK */
	bool log;         /* not in the number: set by whoever knows, for records */
};

/* Inode number of *n. Records of a table pack version and row, as n->log tells. */
uint64_t node_ino(const struct node *n);

/* False where no such number was ever handed out. Records and chunks: `row` holds all 38 bits;
 * node_split() parts them for a table. */
bool node_parse(uint64_t ino, struct node *ret);
void node_split(struct node *n);

/* The number that stat shows: the same for all versions and epochs of a file, another one for the
 * results of another run, which `tail -F` follows then. */
uint64_t node_stat_ino(const struct node *n);

/* Whether the kind belongs to a query. */
bool node_is_query(enum node_kind k);

/* Queries that are there: n serials below `next`, in order. */
struct serials {
	uint64_t *serial, next;
	size_t n;
};

/* Whether the node belongs to a query that is not among them, and is none of later. */
bool serials_lack(const struct serials *s, const struct node *n);

/* Whether who reads the file that stat shows as `ino` may wait for a query, or for a thread that
 * looks at specs. */
bool node_waits(uint64_t ino);

static inline enum node_nature node_nature(enum node_kind k)
{
	return node_rows[k].nature;
}

/* One of the files that the result is shown as. */
static inline bool node_is_out(enum node_kind k)
{
	return k >= NODE_OUT_CSV && k <= NODE_OUT_PCAP;
}

/* One of the files in versions/<time>, or that folder: `run` and `version` say which. */
static inline bool node_is_version(enum node_kind k)
{
	return k >= NODE_VERSION && k <= NODE_VERSION_PCAP;
}

static inline bool node_is_dir(enum node_kind k)
{
	return node_rows[k].nature == NATURE_DIR;
}

/* The child of a directory kind with this fixed name; NODE_NONE. */
enum node_kind node_child(enum node_kind parent, const char *name);

/* A record's or chunk's number from its name: decimal, no leading zero. */
bool node_number(const char *name, uint64_t *ret);

#endif
