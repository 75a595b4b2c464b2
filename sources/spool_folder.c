/* SPDX-License-Identifier: MIT */
/* spool_folder.c: see spool_folder.h. */
#include "sources/spool_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PEEK (8u << 10)
#define SLOW_NS 1000000000ll /* between scans, where events cannot be had, or all is not well */
#define SETTLED_NS                                                                                 \
	2000000000ll /* not changed for so long: whole, where the system does not say              \
	              */

#define BARREN_MAX 64 /* such files are looked into, then their times are taken from outside */

#define EVENTS                                                                                     \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF |   \
	        IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR)

static int64_t ns_of(const struct timespec *t)
{
	return t->tv_sec * 1000000000ll + t->tv_nsec;
}

static int64_t now_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return ns_of(&t);
}

int64_t spool_now(void)
{
	return now_of(CLOCK_MONOTONIC);
}

/* A scan is due at that time, if none is earlier. */
static void scan_at(struct spool_folder *s, int64_t at)
{
	if (!s->scan || at < s->due)
		s->due = at;
	s->scan = true;
}

/* ---- what is said ---- */

static void path_of(const struct spool_folder *s, const char *name, char to[PATH_MAX])
{
	snprintf(to, PATH_MAX, "%s%s%s", s->path, s->path[1] ? "/" : "", name);
}

void spool_folder_fault(
        struct spool_folder *s, const struct spool_file *f, uint64_t offset, const char *text)
{
	char path[PATH_MAX];

	path_of(s, f->name ? f->name : f->was ? f->was : "", path);
	weir_source_fault(s->reader, path, offset, text);
}

/* How long it is now, so that it waits again only when it grows. */
static void take_size(struct spool_folder *s, struct spool_file *f)
{
	struct stat st;

	if (!f->name || fstatat(s->dir, f->name, &st, 0) < 0)
		return;
	if ((uint64_t)st.st_size > f->size)
		f->size = (uint64_t)st.st_size;
}

void spool_folder_refuse(struct spool_folder *s, struct spool_file *f, const char *why)
{
	char text[300];

	snprintf(text, sizeof text, "no capture file: %.200s", why);
	spool_folder_fault(s, f, 0, text);
	take_size(s, f);
	spool_folder_count(&s->counts.unreadable);
}

void spool_folder_broken(
        struct spool_folder *s, struct spool_file *f, uint64_t offset, const char *text)
{
	spool_folder_fault(s, f, offset, text);
	take_size(s, f);
}

void spool_folder_lost(struct spool_folder *s, struct spool_file *f)
{
	f->left = false;
	f->lost = f->state == SPOOL_WAITS;
	f->size = 0;
	take_size(s, f);
	f->changed = INT64_MIN; /* a look has to open it */

	spool_folder_fault(s, f, f->offset,
	        "overwritten or truncated before it was read; what had not been read is lost");
	spool_folder_count(&s->counts.replaced);
}

void spool_folder_stats(const struct spool_folder *s,
        void (*line)(void *arg, const char *key, uint64_t value), void *arg)
{
	const struct spool_counts *c = &s->counts;

	line(arg, "waiting", __atomic_load_n(&c->waiting, __ATOMIC_RELAXED));
	line(arg, "taken", __atomic_load_n(&c->taken, __ATOMIC_RELAXED));
	line(arg, "vanished", __atomic_load_n(&c->vanished, __ATOMIC_RELAXED));
	line(arg, "replaced", __atomic_load_n(&c->replaced, __ATOMIC_RELAXED));
	line(arg, "shrunk", __atomic_load_n(&c->shrunk, __ATOMIC_RELAXED));
	line(arg, "unreadable", __atomic_load_n(&c->unreadable, __ATOMIC_RELAXED));
	line(arg, "beyond", __atomic_load_n(&c->beyond, __ATOMIC_RELAXED));
	line(arg, "overflows", __atomic_load_n(&c->overflows, __ATOMIC_RELAXED));
}

/* ---- open, close ---- */

/* The folder's path and the pattern, from "DIR", "DIR/" or "DIR/PATTERN". */
static int split(struct spool_folder *s, const char *spec, struct weir_err *err)
{
	const char *slash;
	struct stat st;
	char *dir;
	int r;

	if (strncmp(spec, SPOOL_PREFIX, strlen(SPOOL_PREFIX)) == 0)
		spec += strlen(SPOOL_PREFIX);
	slash = strrchr(spec, '/');
	if (!strpbrk(slash ? slash : spec, "*?[") && weir_source_stat(s->reader, spec, &st) == 0 &&
	        S_ISDIR(st.st_mode))
		slash = spec + strlen(spec); /* all of it */
	dir = strndup(slash ? spec : ".", slash ? (size_t)(slash - spec) + (slash == spec) : 1);
	s->pattern = strdup(slash && *slash && slash[1] ? slash + 1 : slash ? "*" : spec);
	if (!dir || !s->pattern) {
		free(dir);
		return -ENOMEM;
	}
	r = weir_source_stat(s->reader, dir, &st);
	if (strpbrk(dir, "*?[") && r < 0) {
		free(dir);
		return weir_fail(err, WEIR_E_BAD_VALUE, WEIR_NOPOS, 0, spec, "spool",
		        "one folder; only names of files may be patterns");
	}
	s->path = r < 0 ? NULL : realpath(dir, NULL);
	if (!s->path) {
		r = r < 0 ? r : -errno;
		weir_fail_no(err, -r, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, dir, strerror(-r));
	}
	free(dir);
	if (!s->path)
		return r;
	if (strlen(s->path) + 1 + NAME_MAX >= PATH_MAX) {
		char begin[200];

		snprintf(begin, sizeof begin, "%.190s...", s->path);
		return weir_fail_no(err, ENAMETOOLONG, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, begin,
		        strerror(ENAMETOOLONG));
	}
	return 0;
}

/* The folder, and events of it. */
static int open_folder(struct spool_folder *s, struct weir_err *err)
{
	s->dir = weir_source_folder(s->reader, s->path, err);
	if (s->dir < 0)
		return s->dir;
	s->wd = watch_add(&s->watch, s->dir, EVENTS);
	s->gone = false;
	return 0;
}

int spool_folder_open_at(struct spool_folder *s, struct weir_reader *r, const char *spec,
        uint32_t max, struct weir_err *err)
{
	int e;

	*s = (struct spool_folder){.reader = r, .dir = -1};
	spool_files_init(&s->files, r->mem, max);
	watch_init(&s->watch);
	s->peek = block_pool_new(PEEK, r->mem);
	if (!s->peek)
		return -ENOMEM;
	e = split(s, spec, err);
	return e < 0 ? e : open_folder(s, err);
}

void spool_folder_close(struct spool_folder *s)
{
	if (!s->reader)
		return;
	spool_files_release(&s->files);
	watch_release(&s->watch);
	block_pool_unref(s->peek);
	if (s->dir >= 0)
		close(s->dir);
	free(s->path);
	free(s->pattern);
	s->reader = NULL;
}

/* ---- a look at a file ---- */

/* It is not there any more, or renamed: if it waits, its turn will tell. */
static void vanish(struct spool_folder *s, struct spool_file *f)
{
	spool_files_rename(&s->files, f, NULL);
	if (s->beyond)
		scan_at(s, 0);
}

int spool_folder_open(struct spool_folder *s, struct spool_file *f, struct weir_err *err)
{
	char path[PATH_MAX];
	int fd;

	if (f->name)
		path_of(s, f->name, path);
	fd = f->name ? weir_source_open(s->reader, path, err) : -ENOENT;
	if (f->lost) {
		f->lost = false;
	} else if (fd == -ENOENT) {
		spool_folder_fault(s, f, f->offset, "gone before it was read");
		spool_folder_count(&s->counts.vanished);
		vanish(s, f);
	} else if (fd < 0) {
		spool_folder_fault(s, f, 0, err->text);
		spool_folder_count(&s->counts.unreadable);
	}
	return fd;
}

void spool_folder_taken_out(struct spool_folder *s)
{
	__atomic_sub_fetch(&s->counts.waiting, 1, __ATOMIC_RELAXED);
}

static int let_wait(struct spool_folder *s, struct spool_file *f)
{
	__atomic_add_fetch(&s->counts.waiting, 1, __ATOMIC_RELAXED);
	return spool_files_wait(&s->files, f);
}

/* The time of the first packet: 0; -EINVAL: no capture, and *ret_why; -ENOMEM. Without packets, or
 * where none is near: that of the last change. */
static int first_time(
        struct spool_folder *s, int fd, const struct stat *st, int64_t *ret, char ret_why[200])
{
	struct weir_packet p;
	struct block *block;
	struct trace t;
	int own, r;

	*ret = ns_of(&st->st_mtim);
	own = s->barren < BARREN_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (own < 0)
		return 0;
	r = trace_open(&t, own, s->peek, s->reader->mem, 0);
	if (r == 0 && !trace_is_busy(&t)) {
		r = trace_next(&t, &p, 1, &block);
		if (r == 1)
			*ret = p.ts;
		r = r == -ENOMEM ? r : 0;
	}
	s->barren += trace_is_busy(&t);
	snprintf(ret_why, 200, "%s", t.fault);
	trace_release(&t);
	lseek(fd, 0, SEEK_SET); /* the duplicate has moved it */
	return r;
}

/* A file that is whole and was not known. 0 or -ENOMEM. */
static int add(struct spool_folder *s, const char *name, int fd, const struct stat *st)
{
	struct spool_file *f;
	struct file_id id;
	char why[200];
	bool full;
	int r = file_id_of(fd, &id);

	if (r < 0)
		return 0; /* it will be found again */
	f = spool_files_add(&s->files, name, &id, &full);
	if (full) {
		if (!s->beyond)
			weir_source_fault(s->reader, s->path, 0,
			        "more files than 'files' allows; the others wait until some of "
			        "these are removed");
		s->beyond = true;
		spool_folder_count(&s->counts.beyond);
		return 0;
	}
	if (!f)
		return -ENOMEM;
	f->scan = s->scans;
	f->changed = ns_of(&st->st_mtim);
	r = first_time(s, fd, st, &f->first, why);
	if (r == -EINVAL) {
		f->size = (uint64_t)st->st_size;
		spool_folder_refuse(s, f, why);
		return 0;
	}
	return r < 0 ? r : st->st_size ? let_wait(s, f) : 0;
}

/* A file that is known: whether there is more of it. */
static int again(struct spool_folder *s, struct spool_file *f, int fd, const struct stat *st)
{
	char why[200];

	f->changed = ns_of(&st->st_mtim);
	if (f->state != SPOOL_REST)
		return 0;
	if ((uint64_t)st->st_size < f->size) {
		spool_folder_fault(s, f, f->size, "shorter than what was read of it");
		spool_folder_count(&s->counts.shrunk);
		f->size = (uint64_t)st->st_size;
		return 0;
	}
	if ((uint64_t)st->st_size == f->size && !f->left)
		return 0;
	if (file_id_of(fd, &f->id) < 0) /* there may be more first bytes */
		return 0;
	if (first_time(s, fd, st, &f->first, why) == -ENOMEM)
		return -ENOMEM;
	return let_wait(s, f);
}

/* Whether the name stands for the inode of f: a second link is no new name. */
static bool is_link(const struct spool_folder *s, const struct spool_file *f)
{
	struct stat st;

	return f->name && fstatat(s->dir, f->name, &st, 0) == 0 && st.st_ino == f->id.ino &&
	       st.st_dev == f->id.dev;
}

/* Whether nobody writes it; else it will be looked at again. Who has closed it may count as a
 * writer still when that is heard of. */
static bool is_whole(struct spool_folder *s, int fd, const struct stat *st)
{
	int written = s->closed ? 0 : grown_is_written(fd);

	if (written < 0)
		written = now_of(CLOCK_REALTIME) - ns_of(&st->st_mtim) < SETTLED_NS;
	else if (!s->watch.slow) /* it will be heard of when it is closed */
		return !written;
	if (written)
		scan_at(s, spool_now() + SLOW_NS);
	return !written;
}

static int look_at(struct spool_folder *s, const char *name, int fd, const struct stat *st)
{
	struct spool_file *named = spool_files_named(&s->files, name), *f;

	if (!is_whole(s, fd, st)) {
		if (named)
			named->scan = s->scans;
		return 0;
	}
	f = spool_files_open(&s->files, fd);
	if (named && named != f && named->state == SPOOL_WAITS)
		spool_folder_lost(s, named);
	/* f first, which without a name might be forgotten */
	if (f && f != named && !is_link(s, f) && spool_files_rename(&s->files, f, name) < 0)
		return -ENOMEM;
	if (named && named != f) /* another file has its name now */
		spool_files_rename(&s->files, named, NULL);
	if (!f)
		return add(s, name, fd, st);
	f->scan = s->scans;
	return again(s, f, fd, st);
}

static bool is_ours(const struct spool_folder *s, const char *name)
{
	return fnmatch(s->pattern, name, FNM_PERIOD) == 0;
}

int spool_folder_look(struct spool_folder *s, const char *name)
{
	struct spool_file *f = spool_files_named(&s->files, name);
	struct weir_err why = WEIR_ERR_INIT;
	char path[PATH_MAX];
	struct stat st;
	int fd, r;

	if (fstatat(s->dir, name, &st, 0) < 0) {
		if (f)
			vanish(s, f);
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return 0;
	if (f && f->state == SPOOL_REST && !f->left && st.st_ino == f->id.ino &&
	        st.st_dev == f->id.dev && (uint64_t)st.st_size == f->size &&
	        ns_of(&st.st_mtim) == f->changed) {
		f->scan = s->scans;
		return 0;
	}
	path_of(s, name, path);
	fd = weir_source_open(s->reader, path, &why);
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM) {
		scan_at(s, spool_now() + SLOW_NS);
		return 0;
	}
	if (fd < 0) {
		if (fd != -ENOENT) {
			weir_source_fault(s->reader, path, 0, why.text);
			spool_folder_count(&s->counts.unreadable);
		}
		return 0;
	}
	r = fstat(fd, &st) < 0 ? 0 : look_at(s, name, fd, &st);
	close(fd);
	return r;
}

/* ---- the folder ---- */

static void miss(void *arg, struct spool_file *f)
{
	struct spool_folder *s = arg;

	if (f->scan != s->scans)
		vanish(s, f);
}

int spool_folder_scan(struct spool_folder *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	s->scan = false;
	s->due = 0;
	s->barren = 0;
	s->beyond = false;
	__atomic_store_n(&s->counts.beyond, 0, __ATOMIC_RELAXED);
	if (!d) {
		if (fd >= 0)
			close(fd);
		scan_at(s, spool_now() + SLOW_NS);
		return 0;
	}
	s->scans++;
	s->files.keeps = true; /* those that have not been seen yet */
	while (r == 0 && (e = readdir(d)))
		if (is_ours(s, e->d_name))
			r = spool_folder_look(s, e->d_name);
	closedir(d);
	s->files.keeps = false;
	if (r == 0)
		spool_files_each(&s->files, miss, s);
	if (s->watch.slow)
		scan_at(s, spool_now() + SLOW_NS);
	return r;
}

void spool_folder_missing(struct spool_folder *s)
{
	for (struct spool_file *f = s->files.gone; f; f = f->gone) {
		if (f->name || !f->left)
			continue;
		spool_folder_fault(s, f, f->offset, "gone before the rest of it was read");
		spool_folder_count(&s->counts.vanished);
		f->left = false;
	}
}

static void heard(void *arg, const struct inotify_event *e)
{
	struct spool_folder *s = arg;
	struct spool_file *f;

	if (e->mask & IN_Q_OVERFLOW) {
		spool_folder_count(&s->counts.overflows);
		scan_at(s, 0);
	}
	if (e->wd == s->wd && (e->mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF)))
		s->gone = true;
	if (e->wd != s->wd || !e->len || (e->mask & IN_ISDIR) || !is_ours(s, e->name) || s->error)
		return;
	f = spool_files_named(&s->files, e->name);
	if ((e->mask & IN_ATTRIB) && f && (f->state != SPOOL_REST || f->size))
		return; /* else: one that could not be read, and perhaps now can */
	if (!(e->mask & (IN_DELETE | IN_MOVED_FROM))) {
		s->closed = e->mask & IN_CLOSE_WRITE;
		s->error = spool_folder_look(s, e->name);
		s->closed = false;
		return;
	}
	if (f && !is_link(s, f))
		vanish(s, f);
}

/* The folder is not what is watched any more: another one of the path is waited for. */
static void find_folder(struct spool_folder *s)
{
	struct weir_err why = WEIR_ERR_INIT;

	if (s->dir >= 0) {
		weir_source_fault(s->reader, s->path, 0, "the folder is gone");
		watch_remove(&s->watch, s->wd);
		close(s->dir);
		s->dir = -1;
		s->wd = 0;
	}
	if (open_folder(s, &why) == 0)
		scan_at(s, 0);
	else
		scan_at(s, spool_now() + SLOW_NS);
}

int spool_folder_hear(struct spool_folder *s)
{
	s->barren = 0;
	watch_read(&s->watch, heard, s);
	if (s->error)
		return s->error;
	if (s->gone && (s->dir >= 0 || spool_now() >= s->due))
		find_folder(s);
	return !s->gone && s->scan && spool_now() >= s->due ? spool_folder_scan(s) : 0;
}

int64_t spool_folder_due(const struct spool_folder *s)
{
	if (!s->scan)
		return 0;
	return s->due ? s->due : 1;
}
