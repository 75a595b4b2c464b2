/* SPDX-License-Identifier: MIT */
/* reader.c: what the engine does for sources: rights, batches, faults.
 *
 * Rights are switched for the calling thread alone (setfsuid(2), setgroups(2) as raw system
 * calls), and only where the process is root and the writer of the query is not. With a file
 * system uid that is not 0 the kernel also drops the capabilities that override permissions.
 */
#include "engine/core/reader.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/core/engine.h"

static uint32_t read_groups(pid_t pid, gid_t *to, uint32_t max)
{
	char path[64], line[4096];
	uint32_t n = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof line, f)) {
		char *at = line + 7, *end;

		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		for (; n < max; at = end) {
			unsigned long g = strtoul(at, &end, 10);

			if (end == at)
				break;
			to[n++] = (gid_t)g;
		}
	}
	fclose(f);
	return n;
}

bool cred_has_all(const struct cred *who)
{
	return !who || who->uid == 0 || who->uid == geteuid();
}

void cred_of(struct cred *ret, uid_t uid, gid_t gid, pid_t thread)
{
	*ret = (struct cred){.uid = uid, .gid = gid};
	if (!cred_has_all(ret) && thread > 0)
		ret->ngroups = read_groups(thread, ret->groups, CRED_GROUPS);
}

void rights_of(struct rights *r, const struct cred *who)
{
	*r = (struct rights){.all = cred_has_all(who)};
	if (r->all)
		return;
	r->uid = who->uid;
	r->gid = who->gid;
	r->ngroups = who->ngroups;
	memcpy(r->groups, who->groups, who->ngroups * sizeof *r->groups);
}

/* What enter() changed, for leave(). */
struct before {
	gid_t groups[256];
	int n;
};

static int enter(const struct rights *r, struct before *b)
{
	if (r->all)
		return 0;
	if (geteuid() != 0)
		return -EPERM;
	b->n = getgroups(256, b->groups);
	if (b->n < 0 || syscall(SYS_setgroups, r->ngroups, r->groups) < 0)
		return -EPERM;
	setfsgid(r->gid);
	setfsuid(r->uid);
	return (uid_t)setfsuid((uid_t)-1) == r->uid ? 0 : -EPERM;
}

static void leave(const struct rights *r, const struct before *b)
{
	if (r->all || geteuid() != 0)
		return;
	setfsuid(geteuid());
	setfsgid(getegid());
	syscall(SYS_setgroups, b->n < 0 ? 0 : b->n, b->groups);
}

int rights_open(const struct rights *r, const char *path, int flags, mode_t mode)
{
	struct before b;
	int fd = enter(r, &b);

	if (fd == 0) {
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
		if (fd < 0)
			fd = -errno;
	}
	leave(r, &b);
	return fd;
}

static int may_create(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	struct stat st;

	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return -EISDIR;
		return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 ? -errno : 0;
	}
	if (errno != ENOENT)
		return -errno;
	if (lstat(path, &st) == 0) /* a link to what is not there yet */
		return 0;
	if ((size_t)snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1,
	            slash ? path : ".") >= sizeof dir)
		return -ENAMETOOLONG;
	if (slash && !slash[1])
		return -EISDIR;
	return faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int rights_may_create(const struct rights *r, const char *path)
{
	struct before b;
	int e = enter(r, &b);

	if (e == 0)
		e = may_create(path);
	leave(r, &b);
	return e;
}

void faults_init(struct faults *f)
{
	*f = (struct faults){.count = 0};
	pthread_mutex_init(&f->lock, NULL);
}

void faults_release(struct faults *f)
{
	for (int i = 0; i < FAULTS_MAX; i++) {
		free(f->fault[i].file);
		free(f->fault[i].text);
	}
	pthread_mutex_destroy(&f->lock);
}

void faults_add(struct faults *f, const char *file, uint64_t offset, const char *text)
{
	bool known = false;

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	for (uint64_t i = 0; i < f->count && i < FAULTS_MAX && !known; i++)
		known = f->fault[i].offset == offset && strcmp(f->fault[i].file, file) == 0;
	if (!known && f->count < FAULTS_MAX) {
		struct fault *to = &f->fault[f->count];

		to->file = strdup(file);
		to->text = strdup(text);
		to->offset = offset;
		if (to->file && to->text) {
			f->count++;
		} else {
			free(to->file);
			free(to->text);
			*to = (struct fault){0};
		}
	} else if (!known) {
		f->count++;
	}
	pthread_mutex_unlock(&f->lock);
}

void faults_text(struct faults *f, struct text *to)
{
	pthread_mutex_lock(&f->lock);
	for (uint64_t i = 0; i < f->count && i < FAULTS_MAX; i++)
		text_printf(to, "fault: %s at byte %llu: %s\n", f->fault[i].file,
		        (unsigned long long)f->fault[i].offset, f->fault[i].text);
	if (f->count > FAULTS_MAX)
		text_printf(to, "fault: %llu more\n", (unsigned long long)(f->count - FAULTS_MAX));
	pthread_mutex_unlock(&f->lock);
}

static struct reader *of(struct weir_reader *r)
{
	return (struct reader *)r; /* pub is the first member */
}

/* Finds the file without opening it, which who writes to a pipe would notice: a descriptor that can
 * only be looked at, or -errno. */
static int look_at(const struct reader *r, const char *path, struct stat *ret)
{
	int fd = rights_open(&r->rights, path, O_PATH, 0), no;

	if (fd < 0 || fstat(fd, ret) == 0)
		return fd;
	no = errno;
	close(fd);
	return -no;
}

int weir_source_stat(struct weir_reader *pub, const char *path, struct stat *ret)
{
	int fd = look_at(of(pub), path, ret);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* A query is opened to learn its fields, then to be run, perhaps again: a pipe would lose its
 * beginning, and so would a terminal, for which the thread that looks at specs would wait. What
 * waits for the engine's own answers would keep a thread that gives them. */
static int refuse(
        struct weir_reader *pub, const char *path, const struct stat *st, struct weir_err *err)
{
	const struct engine *e = of(pub)->e;

	if (S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode) || S_ISCHR(st->st_mode))
		return weir_source_once(pub, path, err);
	if (e->waits && st->st_dev == e->tree && e->waits(st->st_ino))
		return weir_fail_no(err, EDEADLK, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, path,
		        "it is a stream or a control file of this mount");
	return 0;
}

/* What is opened is what was looked at, whatever has the name now. Without /proc it goes by the
 * name. A descriptor; -errno, with *err where it was refused. */
static int open_looked_at(struct weir_reader *pub, const char *path, struct weir_err *err)
{
	const struct rights *rights = &of(pub)->rights;
	char again[40];
	struct stat st;
	int at = look_at(of(pub), path, &st), fd;

	if (at < 0)
		return at;
	fd = refuse(pub, path, &st, err);
	if (fd == 0) {
		snprintf(again, sizeof again, "/proc/self/fd/%d", at);
		fd = rights_open(rights, again, O_RDONLY | O_NONBLOCK, 0);
		if (fd == -ENOENT)
			fd = rights_open(rights, path, O_RDONLY | O_NONBLOCK, 0);
	}
	close(at);
	return fd;
}

int weir_source_once(struct weir_reader *pub, const char *what, struct weir_err *err)
{
	char why[PATH_MAX + 64];

	if (of(pub)->rights.pipes)
		return 0;
	snprintf(why, sizeof why, "'%s' can be read only once, name it on the command line", what);
	return weir_fail(err, WEIR_E_NOT_PERMITTED, WEIR_NOPOS, 0, why);
}

int weir_source_open(struct weir_reader *pub, const char *path, struct weir_err *err)
{
	struct reader *r = of(pub);
	struct stat st = {0};
	int fd;

	if (strcmp(path, "-") == 0) {
		r->files.unsure = true;
		fd = r->e->input < 0 ? -1 : fcntl(r->e->input, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return weir_fail(err, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, "-",
			        "there is no standard input here");
		return fd;
	}
	if (r->rights.pipes)
		fd = rights_open(&r->rights, path, O_RDONLY | O_NONBLOCK, 0);
	else
		fd = open_looked_at(pub, path, err);
	if (fd < 0) /* what was refused has said why */
		return weir_fail_no(
		        err, -fd, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, path, strerror(-fd));
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return weir_fail_no(
		        err, EISDIR, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, path, strerror(EISDIR));
	}
	if ((r->e->cache || r->e->joints) && r->rights.all && !r->begun)
		cache_files_add(&r->files, path, &st);
	return fd;
}

int weir_source_folder(struct weir_reader *pub, const char *path, struct weir_err *err)
{
	int fd = rights_open(&of(pub)->rights, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		weir_fail_no(err, -fd, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, path, strerror(-fd));
	return fd;
}

int weir_source_glob(struct weir_reader *r, const char *pattern,
        int (*each)(void *arg, const char *path), void *arg, struct weir_err *err)
{
	glob_t g = {0};
	struct before b;
	struct stat st;
	int ret;

	if (!strpbrk(pattern, "*?["))
		return each(arg, pattern);
	ret = enter(&of(r)->rights, &b);
	if (ret == 0 && lstat(pattern, &st) == 0) { /* a file may be called so */
		leave(&of(r)->rights, &b);
		return each(arg, pattern);
	}
	if (ret == 0)
		ret = glob(pattern, GLOB_ERR | GLOB_NOMAGIC, NULL, &g);
	leave(&of(r)->rights, &b);
	if (ret == GLOB_NOSPACE)
		return -ENOMEM;
	if (ret)
		return weir_fail_no(
		        err, ENOENT, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, pattern, "no file matches");
	for (size_t i = 0; i < g.gl_pathc && ret == 0; i++)
		ret = each(arg, g.gl_pathv[i]);
	globfree(&g);
	return ret;
}

void weir_source_fault(struct weir_reader *pub, const char *file, uint64_t offset, const char *text)
{
	struct reader *r = of(pub);

	faults_add(r->faults, file, offset, text);
	if (r->of) {
		faults_add(&r->of->faults, file, offset, text);
		return;
	}
	for (size_t i = 0; r->rights.all && i < r->e->nmounted; i++) {
		struct mounted *m = r->e->mounted[i];

		if (strcmp(m->spec, file) == 0 || fnmatch(m->spec, file, FNM_PATHNAME) == 0)
			faults_add(&m->faults, file, offset, text);
	}
}

struct weir_batch *weir_source_batch(struct weir_reader *pub)
{
	return pool_batch(of(pub)->pool, pub->schema, 0);
}

struct weir_batch *weir_source_packets(struct weir_reader *pub, const struct weir_batch_ops *ops)
{
	struct weir_batch *b = pool_batch(of(pub)->pool, pub->schema, 0);
	struct weir_packets *p;

	if (!b)
		return NULL;
	p = weir_batch_alloc(b, sizeof *p);
	if (!p) {
		weir_batch_unref(b);
		return NULL;
	}
	p->owner = p->decoded = NULL;
	b->priv = p;
	b->ops = ops;
	return b;
}

static int open_as(const struct weir_source *source, const void *config,
        const struct rights *rights, struct engine *e, struct weir_mem *mem, struct faults *faults,
        struct mounted *of, struct reader **ret, struct weir_err *err)
{
	struct reader *r = calloc(1, sizeof *r);
	int res;

	if (!r)
		return -ENOMEM;
	r->source = source;
	r->pub.config = config;
	r->pub.mem = mem;
	r->pub.wake_fd = -1;
	r->pub.named = of != NULL;
	r->rights = *rights;
	r->e = e;
	r->faults = faults;
	r->of = of;
	r->pool = pool_new(mem);
	r->pub.state = weir_calloc(mem, source->reader_size);
	if (!r->pool || !r->pub.state) {
		reader_close(r);
		return -ENOMEM;
	}
	r->opened = true;
	res = source->open(&r->pub, err);
	r->begun = true;
	if (res < 0) {
		reader_close(r);
		return res;
	}
	*ret = r;
	return 0;
}

int reader_open(const struct weir_source *source, const void *config, const struct rights *rights,
        struct engine *e, struct weir_mem *mem, struct faults *faults, struct reader **ret,
        struct weir_err *err)
{
	return open_as(source, config, rights, e, mem, faults, NULL, ret, err);
}

int reader_open_named(struct mounted *m, const struct rights *rights, struct engine *e,
        struct reader **ret, struct weir_err *err)
{
	return open_as(m->source, m->config, rights, e, &m->mem, NULL, m, ret, err);
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	if (r->opened && r->source->close)
		r->source->close(&r->pub);
	weir_schema_unref(r->pub.schema);
	weir_free(r->pub.mem, r->pub.state, r->source->reader_size);
	pool_unref(r->pool);
	cache_files_release(&r->files);
	free(r);
}
