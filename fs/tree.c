/* SPDX-License-Identifier: MIT */
/* tree.c: the name space; see tree.h. Model: the Dirtab of plan9port's lib9p. */
#include "fs/tree.h"
#include <stdlib.h>
#include <string.h>

const struct node_row node_rows[NODE_KINDS] = {
        [NODE_ROOT] = {NODE_ROOT, NATURE_DIR, 0755, NULL, NULL},
        [NODE_README] = {NODE_ROOT, NATURE_FIXED, 0444, "README", NULL},
        [NODE_STATUS] = {NODE_ROOT, NATURE_TEXT, 0444, "status", NULL},
        [NODE_METRICS] = {NODE_ROOT, NATURE_TEXT, 0444, "metrics", NULL},
        [NODE_SOURCES] = {NODE_ROOT, NATURE_DIR, 0755, "sources", NULL},
        [NODE_SOURCE] = {NODE_SOURCES, NATURE_DIR, 0755, NULL, NULL},
        [NODE_SOURCE_INFO] = {NODE_SOURCE, NATURE_TEXT, 0444, "info", "info"},
        [NODE_SOURCE_FIELDS] = {NODE_SOURCE, NATURE_TEXT, 0444, "fields", "fields"},
        [NODE_SOURCE_STATS] = {NODE_SOURCE, NATURE_TEXT, 0444, "stats", "stats"},
        [NODE_TYPES] = {NODE_ROOT, NATURE_DIR, 0755, "types", NULL},
        [NODE_TYPE] = {NODE_TYPES, NATURE_FIXED, 0444, NULL, NULL},
        [NODE_MODULES] = {NODE_ROOT, NATURE_DIR, 0755, "modules", NULL},
        [NODE_MODULE] = {NODE_MODULES, NATURE_FIXED, 0444, NULL, NULL},
        [NODE_STREAMS] = {NODE_ROOT, NATURE_DIR, 0755, "streams", NULL},
        [NODE_STREAM] = {NODE_STREAMS, NATURE_STREAM, 0444, NULL, NULL},
        [NODE_VERSIONS] = {NODE_QUERY, NATURE_DIR, 0555, "versions", NULL},
        [NODE_VERSION] = {NODE_VERSIONS, NATURE_DIR, 0555, NULL, NULL},
        [NODE_VERSION_CSV] = {NODE_VERSION, NATURE_VERSION, 0444, "out.csv", NULL},
        [NODE_VERSION_TSV] = {NODE_VERSION, NATURE_VERSION, 0444, "out.tsv", NULL},
        [NODE_VERSION_TXT] = {NODE_VERSION, NATURE_VERSION, 0444, "out.txt", NULL},
        [NODE_VERSION_JSON] = {NODE_VERSION, NATURE_VERSION, 0444, "out.json", NULL},
        [NODE_VERSION_PCAP] = {NODE_VERSION, NATURE_VERSION, 0444, "out.pcap", NULL},
        [NODE_QUERIES] = {NODE_ROOT, NATURE_DIR, 01777, "queries", NULL},
        [NODE_NEW] = {NODE_QUERIES, NATURE_CONTROL, 0666, "new", NULL},
        [NODE_ERRORS] = {NODE_QUERIES, NATURE_LOG, 0444, "errors", NULL},
        [NODE_QUERY] = {NODE_QUERIES, NATURE_DIR, 0755, NULL, NULL},
        [NODE_SPEC] = {NODE_QUERY, NATURE_CONTROL, 0644, "spec", "spec"},
        [NODE_CTL] = {NODE_QUERY, NATURE_CONTROL, 0644, "ctl", NULL},
        [NODE_QUERY_STATUS] = {NODE_QUERY, NATURE_TEXT, 0444, "status", "status"},
        [NODE_LOG] = {NODE_QUERY, NATURE_LOG, 0444, "log", "log"},
        [NODE_PLAN] = {NODE_QUERY, NATURE_TEXT, 0444, "plan", "plan"},
        [NODE_GRAPH] = {NODE_QUERY, NATURE_TEXT, 0444, "graph.dot", "graph.dot"},
        [NODE_OUT_CSV] = {NODE_QUERY, NATURE_RESULT, 0444, "out.csv", NULL},
        [NODE_OUT_TSV] = {NODE_QUERY, NATURE_RESULT, 0444, "out.tsv", NULL},
        [NODE_OUT_TXT] = {NODE_QUERY, NATURE_RESULT, 0444, "out.txt", NULL},
        [NODE_OUT_JSON] = {NODE_QUERY, NATURE_RESULT, 0444, "out.json", NULL},
        [NODE_OUT_PCAP] = {NODE_QUERY, NATURE_RESULT, 0444, "out.pcap", NULL},
        [NODE_RECORDS] = {NODE_QUERY, NATURE_DIR, 0555, "records", NULL},
        [NODE_CHUNK] = {NODE_RECORDS, NATURE_DIR, 0555, NULL, NULL},
        [NODE_RECORD] = {NODE_CHUNK, NATURE_RECORD, 0444, NULL, NULL},
};

#define RECORD_BIT (1ull << 63)
#define CHUNK_BIT (1ull << 38)
#define ROW_MASK (CHUNK_BIT - 1)

bool node_is_query(enum node_kind k)
{
	return k >= NODE_QUERY && k < NODE_KINDS;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

bool serials_lack(const struct serials *s, const struct node *n)
{
	uint64_t serial = n->serial;

	return node_is_query(n->kind) && serial < s->next &&
	       !bsearch(&serial, s->serial, s->n, sizeof *s->serial, compare);
}

uint64_t node_ino(const struct node *n)
{
	uint64_t row = n->row & ROW_MASK;

	if (n->kind == NODE_ROOT)
		return 1;
	if (n->kind == NODE_RECORD || n->kind == NODE_CHUNK) {
		if (!n->log)
			row = (uint64_t)(n->version & NODE_RECORD_VERSION_MASK) << 26 |
			      (n->row & (RECORD_TABLE_ROWS - 1));
		return RECORD_BIT | (uint64_t)n->serial << 41 |
		       (uint64_t)(n->run & NODE_RECORD_RUN_MASK) << 39 |
		       (n->kind == NODE_CHUNK ? CHUNK_BIT : 0) | row;
	}
	return (uint64_t)n->kind << 57 | (uint64_t)n->serial << 35 |
	       (uint64_t)(n->run & NODE_RUN_MASK) << 27 | (n->version & NODE_VERSION_MASK);
}

bool node_parse(uint64_t ino, struct node *ret)
{
	uint32_t kind = ino >> 57 & 0x3f;

	memset(ret, 0, sizeof *ret);
	if (ino == 1) {
		ret->kind = NODE_ROOT;
		return true;
	}
	if (ino & RECORD_BIT) {
		ret->kind = ino & CHUNK_BIT ? NODE_CHUNK : NODE_RECORD;
		ret->serial = ino >> 41 & NODE_SERIAL_MAX;
		ret->run = ino >> 39 & NODE_RECORD_RUN_MASK;
		ret->row = ino & ROW_MASK;
		ret->log = true;
		return true;
	}
	if (kind <= NODE_ROOT || kind >= NODE_CHUNK)
		return false;
	ret->kind = (enum node_kind)kind;
	ret->serial = ino >> 35 & NODE_SERIAL_MAX;
	ret->run = ino >> 27 & NODE_RUN_MASK;
	ret->version = ino & NODE_VERSION_MASK;
	return true;
}

void node_split(struct node *n)
{
	if (!n->log)
		return; /* parted already */
	n->version = n->row >> 26 & NODE_RECORD_VERSION_MASK;
	n->row &= RECORD_TABLE_ROWS - 1;
	n->log = false;
}

uint64_t node_stat_ino(const struct node *n)
{
	struct node s = *n;

	if (node_is_version(n->kind))
		return node_ino(n);
	if (!node_is_out(n->kind))
		s.run = 0;
	s.version = 0;
	return node_ino(&s);
}

bool node_waits(uint64_t ino)
{
	struct node n;

	return node_parse(ino, &n) &&
	       (node_nature(n.kind) == NATURE_STREAM || node_nature(n.kind) == NATURE_CONTROL);
}

enum node_kind node_child(enum node_kind parent, const char *name)
{
	for (unsigned k = NODE_ROOT + 1; k < NODE_KINDS; k++)
		if (node_rows[k].parent == parent && node_rows[k].name &&
		        strcmp(node_rows[k].name, name) == 0)
			return (enum node_kind)k;
	return NODE_NONE;
}

bool node_number(const char *name, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i;

	if (!name[0] || (name[0] == '0' && name[1]))
		return false;
	for (i = 0; name[i]; i++) {
		if (name[i] < '0' || name[i] > '9' || i >= 15)
			return false;
		n = n * 10 + (uint64_t)(name[i] - '0');
	}
	*ret = n;
	return true;
}
