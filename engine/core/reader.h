/* SPDX-License-Identifier: MIT */
/* reader.h: one pass over a source, with its rights, its memory and its faults. */
#ifndef READER_H
#define READER_H

#include "engine/core/cache_files.h"
#include "engine/core/mem.h"
#include "engine/core/pool.h"
#include "engine/core/query.h"
#include "engine/core/text.h"
#include <pthread.h>
#include <sys/types.h>
#include <weir/source.h>

/* With whose rights files are opened. `all`: the process's own. */
struct rights {
	bool all;
	bool pipes; /* and what can be read only once: see reads_once() in engine.c */
	uid_t uid;
	gid_t gid;
	uint32_t ngroups;
	gid_t groups[CRED_GROUPS];
};

struct engine;
struct mounted;
/* The rights of whoever sent a request; see cred_has_all(): all that the process has. */
void rights_of(struct rights *r, const struct cred *who);
/* open(2), O_CLOEXEC added, with these rights: a descriptor or -errno. */
int rights_open(const struct rights *r, const char *path, int flags, mode_t mode);
/* Whether open(2) could create, or empty, the file as things stand: 0 or -errno. Changes nothing.
 */
int rights_may_create(const struct rights *r, const char *path);

#define FAULTS_MAX 64

/* What was wrong in the input; the first FAULTS_MAX are kept, all are counted. */
struct faults {
	pthread_mutex_t lock; /* protects all below */
	uint64_t count;
	struct fault {
		char *file, *text;
		uint64_t offset;
	} fault[FAULTS_MAX];
};

void faults_init(struct faults *f);
void faults_release(struct faults *f);
void faults_add(struct faults *f, const char *file, uint64_t offset, const char *text);
/* "fault: FILE at byte OFFSET: TEXT" lines. */
void faults_text(struct faults *f, struct text *to);

struct reader {
	struct weir_reader pub;
	const struct weir_source *source;
	struct weir_pool *pool;
	struct rights rights;
	struct faults *faults; /* of the query; NULL: none */
	struct mounted *of;    /* source of the command line that it is the only pass of, or NULL */
	struct engine *e;
	bool opened;
	struct cache_files files; /* opened by source->open, in a mount */
	bool begun;               /* source->open has returned */
	struct watch *watch;      /* of cache_pass.c, or NULL */
	struct member *member;    /* of joint.c, or NULL */
};

/* Opens a pass. What is wrong in the input goes to `faults` and, unless the rights are a query
 * writer's, to the sources of the mount that the file belongs to. 0 and *ret, or -errno, *err. */
int reader_open(const struct weir_source *source, const void *config, const struct rights *rights,
        struct engine *e, struct weir_mem *mem, struct faults *faults, struct reader **ret,
        struct weir_err *err);
/* The first one over a source of the command line: what is wrong goes to its faults. */
int reader_open_named(struct mounted *m, const struct rights *rights, struct engine *e,
        struct reader **ret, struct weir_err *err);
void reader_close(struct reader *r); /* NULL is fine */

#endif
