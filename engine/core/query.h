/* SPDX-License-Identifier: MIT */
/* query.h: the engine as its front ends (the mount, the command) see it.
 *
 * An engine holds named sources and queries. A query is checked, planned and started by
 * query_submit(); it runs on a thread of its own, and so does its pass over a source unless that is
 * shared with others (a source that can be read only once, queries that arrive together), and
 * leaves a result. All functions may be called from any thread; none waits
 * for a query. Lock order: engine, then query, then result.
 */
#ifndef QUERY_H
#define QUERY_H

#include "engine/core/textlog.h"
#include "engine/store/result.h"
#include <sys/types.h>

struct engine;
struct query;
struct weir_counts;

#define CRED_GROUPS 64 /* supplementary groups that count; more are left out */

/* Who asks: files that a spec names are opened with these rights. It names no process: by the time
 * a text is complete that may be another one. */
struct cred {
	uid_t uid;
	gid_t gid;
	uint32_t ngroups;
	gid_t groups[CRED_GROUPS];
};

/* Of a thread that waits for an answer to its request: only so long is the number its own. The
 * groups come from /proc. */
void cred_of(struct cred *ret, uid_t uid, gid_t gid, pid_t thread);
/* Whether that is as good as the process itself: NULL, root, and the process's own user. */
bool cred_has_all(const struct cred *who);

/* One word of -o NAME[=VALUE] for every source on the command line whose table has such a row. */
struct source_option {
	const char *name, *value; /* value NULL: a flag */
};

#define SOURCE_OPTIONS_MAX 64

struct engine_options {
	uint64_t memory;  /* default limit for a query, bytes; 0: 512 MB */
	uint64_t history; /* bytes of the past that a source keeps which is read once; 0: see feed.h
	                   */
	uint64_t retain;  /* default retention, bytes; 0: 64 MB */
	uint32_t max_queries;               /* 0: 1024; see engine_is_full() */
	int64_t refresh;                    /* default, ns; 0: 1 s */
	const struct source_option *source; /* borrowed */
	uint32_t nsource;
	uint32_t threads; /* default for a query; 0: 1 */
	uint32_t tokens;  /* default for a query; 0: by its threads */
	uint64_t cache;   /* of the column cache, bytes; 0: there is none */
	bool rooted;      /* files that a query names begin with '/': nobody knows the folder
	                   * of who asks */
	bool join;        /* queries that arrive together share passes, see joint.h */
};

/* The row of the first source that has an option of this name, NULL: none has. */
const struct weir_option *source_option_row(const char *name);

struct engine *engine_new(const struct engine_options *o);
/* Stops and frees everything; joins all threads. */
void engine_free(struct engine *e);

/* The engine's answers are shown as files of device `dev`: who reads one for which waits(ino) is
 * true, may wait for the engine, so no query may open it. Called before the first query comes. */
void engine_in_tree(struct engine *e, dev_t dev, bool (*waits)(uint64_t ino));

/* Names the source `spec` (a file, a glob, "-"). `name` NULL: made from the spec ("trace.pcap" is
 * "trace"). Reads the headers: a source that is not there fails here. */
int engine_add_source(struct engine *e, const char *name, const char *spec, struct weir_err *err);
/* Fails where an option of `options.source` fits none of the sources that were added. */
int engine_check_options(struct engine *e, struct weir_err *err);
size_t engine_sources(struct engine *e);
const char *engine_source_name(struct engine *e, size_t i); /* NULL past the end */
/* Texts of sources/<s>/{info,fields,stats}; -ENOENT. */
int engine_source_text(struct engine *e, size_t i, const char *what, struct text *to);

/* What came in live and was lost, since the mount; -ENOENT: no live source. */
int engine_source_losses(struct engine *e, size_t i, struct weir_counts *ret);

/* The mount's `status` text. */
void engine_status(struct engine *e, struct text *to);
/* Version, changes with every query added or removed, and with its first run: for directory
 * mtimes. */
uint64_t engine_generation(struct engine *e);

/* Whether `who` may make no more queries; *limit: how many there may be. Of max_queries an eighth,
 * at least four but no more than half, is kept for root and the process's own user. */
bool engine_is_full(struct engine *e, const struct cred *who, uint32_t *limit);

enum query_state { QUERY_RUNNING, QUERY_PAUSED, QUERY_DONE, QUERY_FAILED, QUERY_STOPPED };

/* Parses, checks and starts. `name` NULL: the spec's, or "q1", "q2" …; a name in the spec must
 * then equal it. 0 and *ret (a reference). */
int query_submit(struct engine *e, const char *spec, size_t len, const char *name,
        const struct cred *who, struct query **ret, struct weir_err *err);
/* Only checks; appends the plan to `plan` where that is not NULL. */
int query_check(struct engine *e, const char *spec, size_t len, const struct cred *who,
        struct text *plan, struct weir_err *err);
/* Replaces what the query runs; keeps name, serial, owner. On failure the old one runs on.
 * -ENOENT: it was removed, for good. */
int query_replace(struct query *q, const char *spec, size_t len, const struct cred *who,
        struct weir_err *err);
/* Reserves a name with no spec yet (mkdir). */
int query_mkdir(struct engine *e, const char *name, const struct cred *who, struct query **ret,
        struct weir_err *err);
/* Takes the query out of the engine; open references stay readable. */
void query_remove(struct query *q);

struct query *query_ref(struct query *q);
void query_unref(struct query *q);
struct query *query_by_name(struct engine *e, const char *name); /* reference or NULL */
struct query *query_by_serial(
        struct engine *e, uint64_t serial); /* also removed ones, while held */
/* The first query with a serial above `after`, in order; reference or NULL: for readdir. */
struct query *query_next(struct engine *e, uint64_t after);

/* Serials of all queries, with `removed` of removed ones too while they are held, in order, to
 * *ret, the caller's. All others below *next are gone for good. How many, or -ENOMEM. */
int64_t query_serials(struct engine *e, bool removed, uint64_t **ret, uint64_t *next);

const char *query_name(const struct query *q);
uint64_t query_serial(const struct query *q); /* from 1, never reused */
void query_owner(const struct query *q, uid_t *uid, gid_t *gid);
int64_t query_created(const struct query *q); /* ns since the epoch */
/* When its spec was written last, query_created() where it has none. A restart is no writing. */
int64_t query_written(struct query *q);
enum query_state query_state(struct query *q);
const char *query_state_name(enum query_state s);
/* The current result (a reference), NULL before there is one (mkdir, failed plan). Another object
 * after restart or replacement; query_run() counts those. */
struct result *query_result(struct query *q);
uint64_t query_run(struct query *q);

/* Texts: "spec" "status" "plan" "graph.dot". -ENOENT otherwise. Version numbers change
 * whenever the text may have: for inodes. */
int query_text(struct query *q, const char *what, struct text *to);
uint64_t query_text_version(struct query *q, const char *what);

/* One command of `ctl`: pause resume stop restart refresh flush cancel reset, see weir(5), from
 * `who`, who may control the query; NULL: the process. A restart by the query's owner has the
 * rights that the owner has now; by anybody else, those of who wrote the spec. The place of an
 * error is in the spec, that of UNKNOWN_COMMAND in the command. */
int query_control(struct query *q, const char *command, size_t len, const struct cred *who,
        struct weir_err *err);

/* Somebody looks at the result: a table is kept fresh for a while. Calls done(arg) once (from
 * another thread, or before returning) when a version not older than the refresh interval is
 * there, the query has ended, or `wait` ns have passed. */
void query_look(struct query *q, int64_t wait, void (*done)(void *arg), void *arg);

/* Blocks until the query has ended; for the command. Its state. Runs it where its sink says so. */
enum query_state query_wait(struct query *q);
/* Why it failed; "" otherwise. */
void query_error(struct query *q, struct text *to);
/* What was wrong in its input, "fault: FILE at byte OFFSET: TEXT" lines. */
void query_faults(struct query *q, struct text *to);
/* Which of its stages dropped records that came late, "NAME: N records came late" lines. */
void query_late(struct query *q, struct text *to);

/* Sends every row to `sink` instead of a result (weir run): called with a batch, and with NULL at a
 * table's end. One call of its functions at a time, from any of the query's threads. Set before the
 * query is started. */
struct query_sink {
	int (*rows)(void *arg, struct weir_batch *b);
	void *arg;
	/* NULL, or called now and then, and each time before the query waits for its source. */
	void (*tick)(void *arg, bool waits);
	bool here; /* query_wait() runs the query, in the thread that calls it */
};
int query_run_to(struct engine *e, const char *spec, size_t len, const struct cred *who,
        int (*schema)(void *arg, const struct weir_schema *s, const uint32_t *shown, uint32_t n),
        const struct query_sink *sink, struct query **ret, struct weir_err *err);

struct query_progress {
	uint64_t records, bytes, total; /* total 0: unknown */
	int64_t started, now;           /* CLOCK_MONOTONIC ns */
};
void query_progress(struct query *q, struct query_progress *ret);

/* Rejected specs, newest last, as queries/errors shows them, and what happened to a query. */
struct textlog *engine_errors(struct engine *e);
struct textlog *query_textlog(struct query *q);

#endif
