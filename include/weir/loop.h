/* SPDX-License-Identifier: MIT */
/* loop.h: a module as one loop that reads, with its state in local variables.
 *
 * A descriptor gives `run` instead of open, process, flush and close. It is called once for each
 * instance (a version of a table, a window, a key), on a stack of its own, and where it reads
 * and there is nothing yet it stands still until there is: other modules run meanwhile, on the
 * same thread. A hundred thousand instances may stand still at once.
 *
 *   static int run(struct weir_loop *l)
 *   {
 *           const struct config *c = l->config;
 *           uint64_t total = 0;
 *           int got;
 *
 *           while ((got = weir_loop_next(l)) > 0) {
 *                   if (got == WEIR_LOOP_REFRESH)
 *                           … the answer so far …
 *                   else if (weir_loop_has(l, c->len))
 *                           total += weir_loop_u64(l, c->len);
 *           }
 *           if (got < 0)
 *                   return got;
 *           … what is left …
 *           return 0;
 *   }
 *
 * What a read returns:
 *
 *   WEIR_LOOP_RECORD   a record, or a batch.
 *   WEIR_LOOP_REFRESH  only a module with WEIR_BLOCKING sees it: emit the whole answer so far, as
 *                      if the stream ended here, keep everything, and read on. The answer is out
 *                      with the next read.
 *   WEIR_LOOP_END      the end of the stream or window: emit what is left and return 0. Reading on
 *                      gives WEIR_LOOP_END again.
 *   -ECANCELED         the instance is closed in the midst of its loop (the query was stopped,
 *                      the table starts anew): free what was allocated and return. What is
 *                      emitted now goes nowhere.
 *   another -errno     something that the loop emitted could not be passed on, or memory ran out:
 *                      free and return it. Reading on gives it again.
 *
 * What run returns: 0, or -errno, which ends the query (weir_node_fail() says why). Before the end
 * 0 says that nothing more is wanted, as WEIR_DONE does; of a WEIR_BLOCKING module it is an error,
 * since its answer would be gone at the next refresh: see weir_loop_done().
 *
 * Rules. The stack is small (struct weir_module.stack says how small), so large arrays come from
 * weir_alloc(). All functions of the library may be called; those that need much stack run on
 * another. A later read may return on another thread: keep no address of a thread-local
 * variable across it (errno is one), and no lock. WEIR_PARALLEL is for modules that keep nothing,
 * so it does not go with a loop.
 */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include <weir/module.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	WEIR_LOOP_END = 0,
	WEIR_LOOP_RECORD = 1,
	WEIR_LOOP_REFRESH = 2,
};

struct weir_loop {
	struct weir_node *node; /* for weir_view(), weir_emit(), weir_node_fail(), weir_alloc() … */
	const void *config;
	struct weir_batch *batch; /* the one read last, borrowed until the next read; or NULL */
	uint32_t row;             /* after weir_loop_next(): of the record in batch, for columns */
	uint32_t input;           /* where batch came in */
};

/* ---- reading ---- */

/* The next record: l->row of l->batch. The columns of fields that options name, or that bind gave
 * to weir_bind_use(), are filled. */
int weir_loop_next(struct weir_loop *l);

/* The next batch as a whole (what is left of the current one is passed over), also in *ret where
 * that is not NULL; weir_batch_ref() keeps it beyond the next read. */
int weir_loop_read(struct weir_loop *l, struct weir_batch **ret);

/* Nothing that may still come can change the output: reads give marks only from now on. */
void weir_loop_done(struct weir_loop *l);

/* The current record has a value of `field`, and that value. */
static inline bool weir_loop_has(const struct weir_loop *l, uint32_t field)
{
	const struct weir_col *c = weir_batch_col(l->batch, field);

	return c && weir_col_has(c, l->row);
}

static inline uint64_t weir_loop_u64(const struct weir_loop *l, uint32_t field)
{
	return weir_col_u64(&l->batch->cols[field])[l->row];
}

static inline int64_t weir_loop_i64(const struct weir_loop *l, uint32_t field)
{
	return weir_col_i64(&l->batch->cols[field])[l->row];
}

static inline double weir_loop_f64(const struct weir_loop *l, uint32_t field)
{
	return weir_col_f64(&l->batch->cols[field])[l->row];
}

static inline struct weir_ip weir_loop_ip(const struct weir_loop *l, uint32_t field)
{
	return weir_col_ip(&l->batch->cols[field])[l->row];
}

static inline struct weir_str weir_loop_str(const struct weir_loop *l, uint32_t field)
{
	return weir_col_str(&l->batch->cols[field])[l->row];
}

/* ---- writing, record by record ----
 *
 * Records are collected and go out when there are many, and always before the loop stands still;
 * weir_loop_flush() sends them at once, for loops that also call weir_emit(). A failure is kept,
 * and returned by the next read. */

/* Passes the current record on. */
void weir_loop_pass(struct weir_loop *l);

/* Begins a new record, for schemas that bind began with weir_bind_new(). */
void weir_loop_make(struct weir_loop *l);

/* Sets output field `field` (one that bind made with weir_bind_add() or weir_bind_replace(), or of
 * a new record any) of the record passed or made last; the member of `d` is that of the field's
 * kind, text is copied. Fields that are not set have no value. */
void weir_loop_set(struct weir_loop *l, uint32_t field, union weir_datum d);

static inline void weir_loop_set_u64(struct weir_loop *l, uint32_t field, uint64_t v)
{
	union weir_datum d;

	d.u = v;
	weir_loop_set(l, field, d);
}

static inline void weir_loop_set_i64(struct weir_loop *l, uint32_t field, int64_t v)
{
	union weir_datum d;

	d.i = v;
	weir_loop_set(l, field, d);
}

static inline void weir_loop_set_f64(struct weir_loop *l, uint32_t field, double v)
{
	union weir_datum d;

	d.f = v;
	weir_loop_set(l, field, d);
}

static inline void weir_loop_set_ip(struct weir_loop *l, uint32_t field, struct weir_ip v)
{
	union weir_datum d;

	d.ip = v;
	weir_loop_set(l, field, d);
}

static inline void weir_loop_set_str(struct weir_loop *l, uint32_t field, struct weir_str v)
{
	union weir_datum d;

	d.s = v;
	weir_loop_set(l, field, d);
}

/* Sends what was collected. 0 or -errno. */
int weir_loop_flush(struct weir_loop *l);

#ifdef __cplusplus
}
#endif
#endif
