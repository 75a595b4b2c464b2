/* SPDX-License-Identifier: MIT */
/* batch.h: up to 1,024 records of one schema, column by column.
 *
 * A batch is immutable once emitted, reference-counted, and never copied to be filtered or
 * annotated. A *view* shares the columns of its parent: it may have fewer rows (its own selection
 * vector) and more columns (annotations). Row numbers are those of the root batch, so a view's
 * own column has a place for every row of its root and values only for the selected ones.
 * Columns of the source are filled on first use, for all rows of the batch.
 *
 *   for (uint32_t k = 0; k < weir_batch_count(b); k++) {
 *           uint32_t row = weir_batch_row(b, k);
 *           if (weir_col_has(c, row)) ... weir_col_u64(c)[row] ...
 *   }
 *
 * Layout after MonetDB/X100 (Boncz et al., CIDR 2005) and nanoarrow (owner and view).
 */
#ifndef WEIR_BATCH_H
#define WEIR_BATCH_H

#include <weir/error.h>
#include <weir/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_BATCH_ROWS 1024

enum {
	WEIR_COL_IPV4 = 1, /* every value that is there is IPv4 */
};

/* One column. `data` has as many places as the root batch has rows. `valid` has one bit per row,
 * 1 = there; NULL: all rows have a value. Values of absent rows are unspecified. */
struct weir_col {
	void *data;
	uint64_t *valid;
	enum weir_kind kind;
	uint32_t flags;
};

static inline bool weir_col_has(const struct weir_col *c, uint32_t row)
{
	return !c->valid || (c->valid[row >> 6] >> (row & 63) & 1);
}

static inline const uint64_t *weir_col_u64(const struct weir_col *c)
{
	return (const uint64_t *)c->data;
}

static inline const int64_t *weir_col_i64(const struct weir_col *c)
{
	return (const int64_t *)c->data;
}

static inline const double *weir_col_f64(const struct weir_col *c)
{
	return (const double *)c->data;
}

static inline const struct weir_ip *weir_col_ip(const struct weir_col *c)
{
	return (const struct weir_ip *)c->data;
}

static inline const struct weir_str *weir_col_str(const struct weir_col *c)
{
	return (const struct weir_str *)c->data;
}

struct weir_batch;
struct weir_pack;
struct weir_pack_field;
struct weir_packed;
struct ready;

/* What a source's batch does for itself. */
struct weir_batch_ops {
	/* Fills column `field` for all rows; uses weir_batch_own() for the place. 0 or -errno. */
	int (*fill)(struct weir_batch *b, uint32_t field);
	/* Packs fields of rows[0..n), n <= WEIR_PACK_ROWS, see pack.h: one record behind the other
	 * at `to`, all bytes written where anything is done (else ret->done is 0). 0 or -errno. May
	 * be NULL. */
	int (*pack)(struct weir_batch *b, const struct weir_pack *p, const uint16_t *rows,
	        uint32_t n, uint8_t *to, struct weir_packed *ret);
	/* A number for each row of the batch, below *ret_most: rows that have the same are equal in
	 * all of f[0..n), which are there or not in both. So it is in all batches of one *ret_of,
	 * of which a later one may have a larger *ret_most. NULL: there are none for these fields.
	 * Any thread may call it. May be NULL. */
	const uint32_t *(*numbers)(struct weir_batch *b, const struct weir_pack_field *f,
	        uint32_t n, uint32_t *ret_most, const void **ret_of);
	/* Gives back what the batch holds (blocks of a trace, `priv`); the struct itself and its
	 * columns belong to the engine. May be NULL. */
	void (*release)(struct weir_batch *b);
};

struct weir_batch {
	const struct weir_schema *schema;
	const struct weir_batch_ops *ops; /* NULL for views and built batches */
	void *priv;                       /* of ops */
	uint64_t token;                   /* place in the source's order */
	const uint16_t *sel;              /* rows that are in, ascending; NULL: all */
	uint16_t n;                       /* rows of the root batch */
	uint16_t nsel;                    /* length of sel; equals n where sel is NULL */
	uint32_t refs;                    /* atomic */
	bool shared;                      /* engine's, atomic: several threads use views of it */
	struct weir_batch *parent;        /* of a view, owned */
	const int32_t *map;     /* view: field -> the parent's field, -1 where it is its own */
	struct weir_col *cols;  /* one for each field; data == NULL: not filled yet */
	struct weir_pool *pool; /* engine's */
	void *mem;              /* engine's */
	const uint32_t *ids;    /* engine's: by row, of its key in table ids_of; NULL: none */
	uint64_t ids_of;
	struct ready *ready; /* engine's: keys of its rows; NULL: none */
	uint64_t origin;     /* engine's, see gather.h: whose rows its rows were; 0: nobody's yet */
	const uint16_t *place; /* and which, by row; NULL: the same as here */
};

static inline uint32_t weir_batch_count(const struct weir_batch *b)
{
	return b->nsel;
}

static inline uint32_t weir_batch_row(const struct weir_batch *b, uint32_t k)
{
	return b->sel ? b->sel[k] : k;
}

struct weir_batch *weir_batch_ref(struct weir_batch *b);
void weir_batch_unref(struct weir_batch *b); /* NULL is fine */

int weir_batch_fill(struct weir_batch *b, uint32_t field);

/* Borrows column `field`, filled for every selected row at least; NULL: out of memory. */
static inline const struct weir_col *weir_batch_col(struct weir_batch *b, uint32_t field)
{
	if (__builtin_expect(!b->cols[field].data, 0) && weir_batch_fill(b, field) < 0)
		return NULL;
	return &b->cols[field];
}

/* Makes room for the batch's own column `field` and returns it to be written before the batch is
 * emitted: data uninitialised, valid NULL (all rows there). NULL: out of memory. */
struct weir_col *weir_batch_own(struct weir_batch *b, uint32_t field);

/* Gives an own column a validity bitmap with every row absent; NULL: out of memory. */
uint64_t *weir_batch_own_valid(struct weir_batch *b, struct weir_col *c);

static inline void weir_valid_set(uint64_t *valid, uint32_t row)
{
	valid[row >> 6] |= 1ull << (row & 63);
}

/* `size` bytes that live as long as the batch (text of its own columns); NULL: out of memory. */
void *weir_batch_alloc(struct weir_batch *b, size_t size);

/* A place for up to `n` selected rows (uint16_t) that lives as long as the batch. Fill it, then
 * weir_batch_select(). NULL: out of memory. */
uint16_t *weir_batch_sel(struct weir_batch *b, uint32_t n);

static inline void weir_batch_select(struct weir_batch *b, const uint16_t *sel, uint32_t n)
{
	b->sel = sel;
	b->nsel = (uint16_t)n;
}

/* Value of (field, row) as one datum; ret->kind is WEIR_NONE where it is not there. Slow path. */
int weir_batch_value(struct weir_batch *b, uint32_t field, uint32_t row, struct weir_value *ret);

#ifdef __cplusplus
}
#endif
#endif
