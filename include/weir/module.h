/* SPDX-License-Identifier: MIT */
/* module.h: what an operator on records is: one descriptor, five functions; or one loop instead of
 * four of them, see loop.h.
 *
 * The engine calls, for each node of a graph:
 *
 *   bind      once for each use in a query: options and input schema in, output schema or an
 *             error out. Pure: it opens nothing and serves dry runs too.
 *   open      once for each instance (a version of a table, a window, a lane): make the state.
 *   process   for each batch. Never blocks. Emits any number of batches on any channel.
 *   flush     at a mark, see enum weir_mark; or begin, part, end, which say the same by parts.
 *   clock     on a live source now and then, so that what ends by the records' time ends though no
 *             record comes.
 *   close     always, once for each open that was begun; a half-built state must do.
 *
 * A node is used by one thread at a time. Counts of records, batches and time are the engine's.
 */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include <weir/expr.h>
#include <weir/option.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with every change that a module compiled before would not survive. */
#define WEIR_ABI 4

/* Returned by process: nothing that may still come can change the output. */
#define WEIR_DONE 1

enum {
	/* order class, one of three */
	WEIR_SERIAL = 0,   /* one batch at a time, in token order */
	WEIR_PARALLEL = 1, /* any order, keeps nothing between batches */
	WEIR_KEYED = 2,    /* in token order for each value of the fields at keys_offset */
	/* what it does with its input */
	WEIR_BLOCKING = 4, /* answers at marks: what follows is a table, not a log */
	WEIR_SCOPE = 8,    /* makes instances of its blocks, or of all that stands behind it,
	                    * see weir_body_open() */
	WEIR_EFFECT = 32,  /* does something besides emitting: runs on though nobody listens, and
	                    * cannot stand in the blocks of a WEIR_SCOPE module */
	WEIR_ORDERED = 16, /* needs records in time order, so it cannot follow a table */
	/* Emits at most one batch for each that it gets, a view of it (weir_view()), and nothing at
	 * marks: what a WEIR_KEYED module that does not block must do, and a WEIR_PARALLEL one
	 * between two of them, to be run in lanes. */
	WEIR_VIEWS = 64,
	/* Of a WEIR_KEYED module that packs its key: a missing field is a value of its own; without
	 * it such records are dropped. Said wrongly it costs time only. */
	WEIR_NULLS = 256,
	/* Of a WEIR_KEYED and WEIR_BLOCKING module that has absorb, for uses in which it holds:
	 * what a key has does not depend on the order of its records, and can be added up of parts.
	 */
	WEIR_ADDS = 512,
	/* With WEIR_ADDS: adding a part up takes as long as its records did. So that is done for
	 * windows that overlap, but not in lanes. */
	WEIR_GROWS = 1024,
	/* The engine's own: keeps records on disk (`set spill`) for which there is no memory. */
	WEIR_SPILLS = 128,
};

enum weir_mark {
	WEIR_REFRESH, /* a blocking module emits its whole answer so far and keeps its state */
	WEIR_END,     /* end of the stream or of the window: emit what is left; close follows */
};

struct weir_mem;
struct weir_loop;

/* One instance of a module in a graph. The engine's own part follows. */
struct weir_node {
	void *state; /* state_size bytes, zeroed before open */
	const void *config;
	const struct weir_schema *in;  /* of input 0 */
	const struct weir_schema *out; /* of every channel, and of what bodies get */
	struct weir_mem *mem;
	uint64_t *counters; /* one for each name in module->counters */
};

struct weir_bind {
	const struct weir_module *module;
	void *config; /* config_size bytes, the options already in */
	const struct weir_schema *in;
	uint32_t pos, len; /* the stage in the spec, for weir_fail() */
};

struct weir_module {
	uint32_t abi; /* WEIR_ABI */
	uint32_t flags;
	const char *name;
	const char *summary; /* one line, lower case, no full stop */
	const char *doc;     /* paragraphs, separated by empty lines */
	const char *example; /* a query that runs on the sample trace */
	const struct weir_option *options;
	size_t config_size, state_size;
	size_t keys_offset;          /* WEIR_KEYED: a struct weir_fields in the config */
	const char *const *counters; /* names of drop counters, ends with NULL; or NULL */
	int (*bind)(struct weir_bind *b, struct weir_err *err); /* NULL: passes all fields on */
	int (*open)(struct weir_node *n, struct weir_err *err); /* NULL: nothing to do */
	int (*process)(struct weir_node *n, uint32_t input, struct weir_batch *b); /* borrows b */
	int (*flush)(struct weir_node *n, enum weir_mark mark); /* NULL: nothing to do */
	/* In place of flush, where a module that is WEIR_KEYED and WEIR_BLOCKING answers with one
	 * row for each key, in the order in which the keys first appeared: it then runs in lanes,
	 * and calls weir_node_fresh(). begin gives the number of rows; part emits rows [first,
	 * first + n) as one batch, n from 1 to WEIR_BATCH_ROWS, asked for in order, which may
	 * happen twice; end follows each begin. */
	int (*begin)(struct weir_node *n, enum weir_mark mark, uint32_t *ret_rows);
	int (*part)(struct weir_node *n, uint32_t first, uint32_t rows);
	void (*end)(struct weir_node *n);
	/* Of a WEIR_BLOCKING module that needs a figure of all its input before it can emit any.
	 * Where the node before it can answer twice, a version's input comes to look first, all of
	 * it, and then, the same once more, to again, which emits; process gets none of it. As
	 * process otherwise; both or neither. */
	int (*look)(struct weir_node *n, uint32_t input, struct weir_batch *b);
	int (*again)(struct weir_node *n, uint32_t input, struct weir_batch *b);
	/* The clock of a live source is at weir_node_clock(), and no record that came later than it
	 * allows for is waited for: what has ended by then is emitted. Lowers *ret_due to the clock
	 * at which it wants to be called again, if to anything. NULL: the records' time is nothing
	 * to it. Not called where the source is not live, nor behind a table. */
	int (*clock)(struct weir_node *n, int64_t *ret_due);
	/* WEIR_ADDS: adds keys [first, first + keys) of another instance, numbered as they first
	 * appeared there, at most WEIR_BATCH_ROWS, asked for in order up to the last; new ones
	 * follow those that are there. *ret_keys: how many it has taken, all unless it fails. 0 or
	 * -ENOMEM. */
	int (*absorb)(struct weir_node *n, const struct weir_node *from, uint32_t first,
	        uint32_t keys, uint32_t *ret_keys);
	/* WEIR_ADDS without WEIR_GROWS: the keys that it has are another's now; it begins anew,
	 * with the same memory. */
	void (*forget)(struct weir_node *n);
	void (*close)(struct weir_node *n);
	void (*release)(void *config); /* what bind made outside its arena */
	/* An expression of pcap-filter(7): packets that do not meet it are dropped, and nothing
	 * else comes of them, so that who captures need not take them. NULL: there is none. Lives
	 * with the config. May be NULL. See weir_bind_prefilter(). */
	const char *(*prefilter)(const void *config);
	/* instead of open, process, flush, close and state_size: see loop.h */
	int (*run)(struct weir_loop *l);
	uint32_t stack; /* of run: bytes, at most 1 MiB; 0: 64 KiB */
};

/* A module's file ends with WEIR_MODULE(name) = { … }; the file's name is the module's. A
 * plug-in, a shared object name.so, exports the same symbol. */
#define WEIR_MODULE(id)                                                                            \
	__attribute__((visibility("default"))) const struct weir_module weir_module_##id

/* ---- bind ---- */

/* The output is the input, all fields. */
int weir_bind_pass(struct weir_bind *b, struct weir_err *err);

/* Starts an output with no fields; weir_bind_keep() and weir_bind_add() append. */
int weir_bind_new(struct weir_bind *b, const char *schema_name, struct weir_err *err);

/* Appends input field `field` (under `name` where that is not NULL), to be shown by default from
 * here on. Index in the output. */
int weir_bind_keep(struct weir_bind *b, uint32_t field, const char *name, struct weir_err *err);

/* Gives output field `field` another name; after weir_bind_pass(). */
int weir_bind_rename(struct weir_bind *b, uint32_t field, const char *name, struct weir_err *err);

/* Output field `field`, after weir_bind_pass(), is filled by the module itself instead, under the
 * same name and kind (left alone it has no values). It is no packet any more. */
int weir_bind_replace(struct weir_bind *b, uint32_t field, struct weir_err *err);

/* Appends a field that the module fills itself; WEIR_FIELD_ANNOTATION is added to its flags. After
 * weir_bind_new() its name must be new (NAME_TAKEN). Index in the output. */
int weir_bind_add(struct weir_bind *b, const struct weir_field *f, struct weir_err *err);

/* This use of the module has these flags instead of its descriptor's: for a mode whose state cannot
 * be split by key (WEIR_SERIAL), or that answers at marks (WEIR_BLOCKING). Not for WEIR_SCOPE. */
void weir_bind_flags(struct weir_bind *b, uint32_t flags);

/* Nothing leaves on channel 0 (weir_emit()), all of it goes to the module's blocks. */
void weir_bind_blocks_only(struct weir_bind *b);

/* The module's only block is there n times, behind channels first … first + n - 1. */
void weir_bind_copies(struct weir_bind *b, uint32_t n);

/* WEIR_SCOPE with blocks: at WEIR_REFRESH the module has all bodies answer (weir_body_refresh()),
 * and those that it ended left nothing that the next version would lack. So where the blocks answer
 * with tables, all is a table. */
void weir_bind_rolling(struct weir_bind *b);

/* WEIR_SCOPE: output field `field` has one value for all records of a body (its window, its key):
 * what the body makes anew is annotated with it. 0 or -ENOMEM. */
int weir_bind_stamp(struct weir_bind *b, uint32_t field);

/* The module reads input field `field`, apart from its options' fields and expressions. */
void weir_bind_use(struct weir_bind *b, uint32_t field);

/* Looks an input field up by name, or fails with UNKNOWN_FIELD at the stage. */
int weir_bind_find(struct weir_bind *b, const char *name, struct weir_err *err);

/* Makes *text, NULL or an expression for `prefilter`, one that also asks for what a packet must be
 * like for n conditions, over the input, to hold all; where that can be said. 0 or -ENOMEM. */
int weir_bind_prefilter(
        struct weir_bind *b, const struct weir_expr *const *e, uint32_t n, const char **text);

/* From here on b->pos and b->len are where the value stands that the user gave for the option
 * stored at `slot` in the config, the i-th of a list; nothing changes where none was given. */
void weir_bind_blame(struct weir_bind *b, const void *slot, uint32_t i);

/* `size` zeroed bytes that live as long as the query. */
void *weir_bind_alloc(struct weir_bind *b, size_t size);

/* ---- process, flush ---- */

/* A view of `parent` with the node's output schema: shared columns, the same selection. Columns
 * that weir_bind_add() made are to be filled with weir_batch_own(). NULL: out of memory. */
struct weir_batch *weir_view(struct weir_node *n, struct weir_batch *parent);

/* A view of `b`, which has the node's output schema already: all columns shared, the same
 * selection, to be narrowed. NULL: out of memory. */
struct weir_batch *weir_narrow(struct weir_node *n, struct weir_batch *b);

/* A new batch of `rows` rows (at most WEIR_BATCH_ROWS) with the node's output schema, no column
 * filled; columns that are left so have no values. NULL: out of memory. */
struct weir_batch *weir_build(struct weir_node *n, uint32_t rows);

/* Hands a batch on; consumes it, on failure too. A negative errno must end the process or flush
 * that called it. Channel 0 leads to what stands behind the module, the others to its blocks
 * (struct weir_blocks); on a channel that leads nowhere the batch is dropped. */
int weir_emit(struct weir_node *n, uint32_t channel, struct weir_batch *b);

/* In process: rows row[fresh[0 .. nfresh)] of b were the first of keys that had not appeared, in
 * the order of the answer's rows (see part). 0 or -ENOMEM. */
int weir_node_fresh(struct weir_node *n, const struct weir_batch *b, const uint16_t *row,
        const uint16_t *fresh, uint32_t nfresh);

/* Whether anything downstream (or the result) reads output field `field`. Blocking modules keep
 * only such fields. */
bool weir_node_needs(const struct weir_node *n, uint32_t field);

/* The input field that output field `field` repeats, -1 where the module makes it itself. */
int weir_node_origin(const struct weir_node *n, uint32_t field);

/* The clock of the query's sources, in nanoseconds of the records' time: it stands still where they
 * are not live, and goes as fast as their records' time else (twice as fast in a replay at twice
 * the speed), never back. In clock() it is less by what a record may be delayed on its way. So who
 * notes it with a record of time t knows that time to be t + what it has gone on since. */
int64_t weir_node_clock(const struct weir_node *n);

/* Says why process or flush fails, behind the module's name; returns -no. The text is copied. */
int weir_node_fail(struct weir_node *n, int no, const char *text);

/* Creates (or empties) the file at `path` for writing, with the rights of the query's writer: a
 * file descriptor, O_CLOEXEC, or -errno with *err. In open, or in run, with err NULL: then the
 * reason is the query's, and -errno is to be returned. */
int weir_node_create_file(struct weir_node *n, const char *path, struct weir_err *err);

/* ---- memory: counted against the query's limit; NULL at the limit ---- */

void *weir_alloc(struct weir_mem *m, size_t size);
void *weir_calloc(struct weir_mem *m, size_t size);
void *weir_realloc(struct weir_mem *m, void *p, size_t old_size, size_t size);
void weir_free(struct weir_mem *m, void *p, size_t size);

/* ---- scopes ---- */

/* An instance of child `child` of a WEIR_SCOPE module (for a window, for a key), with states of its
 * own. Of a module that takes blocks, a child is one of them, by number (struct weir_blocks); else
 * child 0 is all that stands behind the module. What the instance leaves goes on behind the
 * blocks, united with what others leave; rows that are records of the batch at hand in that batch's
 * order, all else in the order in which the module calls. NULL: out of memory. */
struct weir_body;
struct weir_body *weir_body_open(struct weir_node *n, uint32_t child, struct weir_err *err);
/* Batches have the node's output schema; consumes b. 0, WEIR_DONE, or -errno. */
int weir_body_push(struct weir_body *body, struct weir_batch *b);
/* Its tables emit their answers so far (WEIR_REFRESH). */
int weir_body_refresh(struct weir_body *body);
/* What in it ends by the clock does so: to be called in the scope's own clock(), whose *ret_due is
 * passed on. */
int weir_body_clock(struct weir_body *body, int64_t *ret_due);
/* Whether anything in it does. */
bool weir_body_clocked(const struct weir_body *body);
/* Marks the end of the body's stream and frees it. */
int weir_body_end(struct weir_body *body);
/* Frees it without a mark. NULL is fine. */
void weir_body_close(struct weir_body *body);

#ifdef __cplusplus
}
#endif
#endif
