/* SPDX-License-Identifier: MIT */
/* follow.c: see follow.h. */
#include "sources/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 1000000000ll     /* at the name, where nothing is heard of it */
#define LOOK_SLOW_NS 100000000ll /* where nothing can be heard */
#define QUIET_NS 1000000000ll    /* who may be writing the old file still has had so long */

#define FILE_EVENTS (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVE_SELF | IN_DELETE_SELF)
#define FOLDER_EVENTS (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

static int64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void count(uint64_t *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

static bool is_named(const struct follow *f)
{
	return strcmp(f->path, "-") != 0;
}

static void fault(struct follow *f, uint64_t offset, const char *text)
{
	weir_source_fault(f->reader, f->path, offset, text);
}

/* ---- opening ---- */

/* All opens of standard input share one place in it: back to where it stood at the first. */
static void rewind_input(struct follow *f, int fd)
{
	if (f->start < 0)
		f->start = lseek(fd, 0, SEEK_CUR);
	else
		(void)lseek(fd, f->start, SEEK_SET);
}

/* 0; -EINVAL: no capture file; -ESTALE: shorter than `from`; else -errno, with *err. */
static int open_file(struct follow *f, uint64_t from, struct weir_err *err)
{
	int fd = weir_source_open(f->reader, f->path, err), r;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		close(fd);
		return weir_fail_no(err, EINVAL, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, f->path,
		        "no regular file, it cannot be followed");
	}
	if (!is_named(f))
		rewind_input(f, fd);
	f->wd_file = watch_add(&f->watch, fd, FILE_EVENTS);
	r = grown_open(&f->file, fd, from, f->pool, f->reader->mem);
	if (r == 0)
		count(&f->files);
	f->closing = f->missing = false;
	f->quiet = 0;
	return r;
}

static void close_file(struct follow *f)
{
	if (!f->file.open)
		return;
	f->before += f->file.trace.in.from.done;
	grown_close(&f->file);
	watch_remove(&f->watch, f->wd_file);
	f->wd_file = 0;
}

/* The folder, so that a new file of the name is heard of at once. */
static void watch_folder(struct follow *f)
{
	const char *slash = strrchr(f->path, '/');
	char *dir = slash ? strndup(f->path, (size_t)(slash - f->path) + 1) : strdup(".");
	int fd = dir ? weir_source_folder(f->reader, dir, NULL) : -1;

	if (fd >= 0) {
		f->wd_folder = watch_add(&f->watch, fd, FOLDER_EVENTS);
		close(fd);
	}
	free(dir);
}

static void heard(void *arg, const struct inotify_event *e)
{
	struct follow *f = arg;
	const char *slash = strrchr(f->path, '/');

	if (e->mask & IN_Q_OVERFLOW)
		f->unheard = true;
	if (e->wd == f->wd_folder && (e->mask & (IN_CREATE | IN_MOVED_TO)) &&
	        !(e->mask & IN_ISDIR) && e->len &&
	        strcmp(e->name, slash ? slash + 1 : f->path) == 0)
		f->come++;
}

static void forget_heard(struct follow *f)
{
	f->come = 0;
	f->unheard = false;
}

static int not_a_capture(const struct follow *f, struct weir_err *err)
{
	char why[400];

	snprintf(why, sizeof why, "'%.150s' is no capture file: %s", f->path, f->file.trace.fault);
	return weir_fail_no(err, EINVAL, WEIR_E_BAD_TRACE, WEIR_NOPOS, 0, why);
}

/* Goes on where the state says, if that is about this file. */
static int go_on(struct follow *f, struct weir_err *err)
{
	const struct state_entry *e = f->progress.state.entry;
	struct state_entry was;
	bool same;

	if (!f->progress.state.n)
		return 0;
	was = *e;
	state_file_drop(&f->progress.state);
	f->at = (struct progress_file){was.id, was.offset, was.size, 0};
	same = file_id_is(&was.id, f->file.trace.in.from.fd);
	if (!same && !was.size)
		fault(f, 0,
		        "another file than the one that was followed last; what that one got "
		        "since is not known");
	if (!same || !was.offset)
		return 0;
	close_file(f);
	f->before = 0;
	f->files = 0;
	return open_file(f, was.offset, err);
}

int follow_open(struct follow *f, struct weir_reader *r, const char *path, const char *state,
        struct block_pool *pool, struct weir_err *err)
{
	char *full, of[4200];
	int e;

	*f = (struct follow){.reader = r, .pool = pool, .path = path, .start = -1};
	watch_init(&f->watch);
	if (is_named(f))
		watch_folder(f);
	e = open_file(f, 0, err);
	if (e == -EINVAL && f->file.open)
		return not_a_capture(f, err);
	if (e < 0)
		return e;
	full = realpath(path, NULL);
	snprintf(of, sizeof of, "follow:%s", full ? full : path);
	free(full);
	e = progress_open(&f->progress, r, state, of, err);
	if (e == 0)
		e = go_on(f, err);
	if (e == -ESTALE) {
		fault(f, 0, "shorter than what was read of it before; it is read anew");
		count(&f->truncated);
		close_file(f);
		e = open_file(f, 0, err);
	}
	watch_read(&f->watch, heard, f);
	forget_heard(f);
	return e;
}

/* Whether the name is that of the file which is open: 1, 0: another one's, -ENOENT: of none. */
static int is_current(struct follow *f)
{
	struct stat a, b;

	if (!is_named(f))
		return 1;
	if (weir_source_stat(f->reader, f->path, &a) < 0 || fstat(f->file.trace.in.from.fd, &b) < 0)
		return -ENOENT;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* A file has been opened: of those that came before it nothing is to be had. When the name is
 * another one's by now, one of them is that, and perhaps has not been heard of yet. */
static void tell_missed(struct follow *f)
{
	uint32_t are, n;
	char text[100];

	watch_read(&f->watch, heard, f);
	are = is_current(f) ? 1 : 2;
	n = f->come > are ? f->come - are : 0;
	if (n)
		snprintf(text, sizeof text, "%u file%s of this name came and went unread", n,
		        n == 1 ? "" : "s");
	else if (f->unheard)
		snprintf(text, sizeof text,
		        "events were lost: files of this name may have come and gone unread");
	if (n || f->unheard)
		fault(f, f->before, text);
	__atomic_add_fetch(&f->missed, n, __ATOMIC_RELAXED);
	f->come = f->come && are == 2 ? f->come - 1 - n : 0;
	f->unheard = false;
}

static void save(struct follow *f, bool last)
{
	if (!progress_is_due(&f->progress, last))
		return;
	progress_write(&f->progress, &(struct state_entry){f->at.id, f->at.offset, f->at.size}, 1);
}

void follow_close(struct follow *f)
{
	if (!f->reader)
		return;
	save(f, true);
	progress_close(&f->progress);
	close_file(f);
	grown_close(&f->file);
	watch_release(&f->watch);
	f->reader = NULL;
}

void follow_taken(struct follow *f, uint64_t batches)
{
	progress_taken(&f->progress, batches);
	save(f, false);
}

/* ---- at the end of the file ---- */

/* The file is over: its fault is told, and the next one opened. 0, -EAGAIN: there is none yet,
 * -ENOMEM. `lost`: it was overwritten. */
static int next_file(struct follow *f, bool lost)
{
	struct weir_err why = WEIR_ERR_INIT;
	const struct trace *t = &f->file.trace;
	int r;

	if (f->file.open) {
		if (lost)
			fault(f, grown_offset(&f->file),
			        "truncated or overwritten; it is read anew, and what had not been "
			        "read is lost");
		else if (t->fault[0])
			fault(f, t->fault_offset, t->fault);
		r = progress_end(&f->progress, &f->at, &f->file.id, grown_offset(&f->file),
		        t->in.from.done + !t->in.from.done, false);
		if (r < 0)
			return r;
		close_file(f);
	}
	r = open_file(f, 0, &why);
	if (f->file.open)
		tell_missed(f);
	if (r == -ENOMEM || r == 0)
		return r;
	if (!f->file.open) { /* gone again, or not to be read */
		if (why.no != ENOENT)
			fault(f, 0, why.text);
		return -EAGAIN;
	}
	return 0; /* no capture: so its trace says */
}

/* Whether nobody writes the old file any more. */
static bool is_left(struct follow *f, int64_t now)
{
	int fd = f->file.trace.in.from.fd, written = grown_is_written(fd);
	struct stat st;

	if (written >= 0)
		return !written;
	if (fstat(fd, &st) < 0)
		return true;
	if (!f->quiet || (uint64_t)st.st_size != f->size) {
		f->size = (uint64_t)st.st_size;
		f->quiet = now;
	}
	return now - f->quiet >= QUIET_NS;
}

/* Looks whether the name is still this file's. 1: the file is to be read to its end; 0: wait. */
static int look_at_name(struct follow *f, int64_t now)
{
	int is;

	if (!is_named(f) || f->closing)
		return 0;
	is = is_current(f);
	if (is < 0) {
		if (!f->missing)
			count(&f->removed);
		f->missing = true;
		return 0;
	}
	if (is) {
		f->missing = false;
		forget_heard(f);
		return 0;
	}
	if (!is_left(f, now))
		return 0;
	count(&f->replaced);
	f->closing = true;
	grown_end(&f->file);
	return 1;
}

static int wait_for_more(struct follow *f, int64_t now)
{
	struct weir_reader *r = f->reader;
	int64_t at = progress_wake(&f->progress);

	r->wake_fd = f->watch.fd;
	r->wake = now + (f->watch.slow ? LOOK_SLOW_NS : LOOK_NS);
	if (at && at < r->wake)
		r->wake = at;
	return -EAGAIN;
}

/* ---- reading ---- */

/* Packets up to a full batch: as grown_next(). */
static int fill(struct follow *f, struct packet_batch *out)
{
	struct block *block;
	int n;

	if (packet_batch_begin(out, f->reader, PACKET_BATCH_BLOCKS) < 0)
		return -ENOMEM;
	do {
		uint32_t room;
		struct weir_packet *to = packet_batch_room(out, &room);

		n = grown_next(&f->file, to, room, &block);
	} while (n > 0 && packet_batch_took(out, &f->file.trace.in, (uint32_t)n, block));
	return n;
}

/* The file has nothing to give now (`n` as of fill()): 0: try again, else as weir_source.read. */
static int nothing(struct follow *f, int n)
{
	int64_t now = monotonic();
	int r;

	if (n == -ENOMEM)
		return n;
	if (n == -ESTALE) {
		count(&f->truncated);
		return next_file(f, true);
	}
	if (n == -EAGAIN && trace_is_busy(&f->file.trace)) {
		f->reader->wake_fd = -1;
		f->reader->wake = now;
		return n;
	}
	if (n == 0 && f->closing)
		return next_file(f, false);
	if (n == 0 && f->file.trace.fault[0]) /* broken: all that is left is to wait */
		fault(f, f->file.trace.fault_offset, f->file.trace.fault);
	if (watch_read(&f->watch, heard, f))
		return 0; /* once more: it may have grown since */
	r = look_at_name(f, now);
	return r > 0 ? 0 : wait_for_more(f, now);
}

int follow_read(struct follow *f, struct packet_batch *out, struct weir_batch **ret)
{
	int n, r;

	save(f, false);
	do {
		if (!f->file.open) {
			r = next_file(f, false);
			if (r == -EAGAIN) {
				watch_read(&f->watch, heard, f);
				return wait_for_more(f, monotonic());
			}
			if (r < 0)
				return r;
		}
		n = fill(f, out);
		__atomic_store_n(&f->reader->bytes_done, f->before + f->file.trace.in.from.done,
		        __ATOMIC_RELAXED);
		if (packet_batch_count(out)) {
			if (progress_batch(
			            &f->progress, &f->at, &f->file.id, grown_offset(&f->file)) < 0)
				return -ENOMEM;
			return packet_batch_hand_on(out, ret);
		}
		r = nothing(f, n);
	} while (r == 0);
	return r;
}

void follow_stats(
        const struct follow *f, void (*line)(void *arg, const char *key, uint64_t value), void *arg)
{
	line(arg, "files", __atomic_load_n(&f->files, __ATOMIC_RELAXED));
	line(arg, "replaced", __atomic_load_n(&f->replaced, __ATOMIC_RELAXED));
	line(arg, "truncated", __atomic_load_n(&f->truncated, __ATOMIC_RELAXED));
	line(arg, "removed", __atomic_load_n(&f->removed, __ATOMIC_RELAXED));
	line(arg, "missed", __atomic_load_n(&f->missed, __ATOMIC_RELAXED));
}
