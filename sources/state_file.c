/* SPDX-License-Identifier: MIT */
/* state_file.c: see state_file.h. */
#include "sources/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define HEAD "weir-state 1\n"
#define ENTRY_MAX 128 /* bytes of a line */
#define TRIES 100     /* to lock a file that others keep replacing */

static uint64_t hash(const char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * 0x100000001b3;
	return h;
}

static int complain(const struct state_file *s, int no, const char *why, struct weir_err *err)
{
	char text[300];

	snprintf(text, sizeof text, "%s '%.200s'", "state", s->path ? s->path : "");
	return weir_fail_no(err, no, WEIR_E_SYSTEM, WEIR_NOPOS, 0, text, why);
}

/* ---- reading ---- */

static int read_all(int fd, char **ret, size_t *ret_n)
{
	size_t limit = (size_t)STATE_FILES_MAX * ENTRY_MAX + PATH_MAX + ENTRY_MAX;
	struct stat st;
	size_t got = 0;
	char *p;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > limit)
		return -EINVAL;
	p = malloc((size_t)st.st_size + 1);
	if (!p)
		return -ENOMEM;
	while (got < (size_t)st.st_size) {
		ssize_t n = pread(fd, p + got, (size_t)st.st_size - got, (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	p[got] = 0;
	*ret = p;
	*ret_n = got;
	return 0;
}

/* The last line, which says that all is there; NULL: it is not. */
static char *last_line(char *p, size_t n, uint32_t *ret_entries)
{
	uint64_t sum;
	char *at = p + n, whole[ENTRY_MAX];

	if (n < 2 || at[-1] != '\n' || strlen(p) != n)
		return NULL;
	for (at--; at > p && at[-1] != '\n'; at--)
		;
	if (sscanf(at, "end %" SCNu32 " %16" SCNx64, ret_entries, &sum) != 2 ||
	        *ret_entries > STATE_FILES_MAX)
		return NULL;
	snprintf(whole, sizeof whole, "end %" PRIu32 " %016" PRIx64 "\n", *ret_entries, sum);
	return strcmp(at, whole) == 0 && sum == hash(p, (size_t)(at - p)) ? at : NULL;
}

static bool parse_entry(const char *line, struct state_entry *e)
{
	return sscanf(line,
	               "file %" SCNu64 " %" SCNu64 " %" SCNu32 " %16" SCNx64 " %" SCNu64
	               " %" SCNu64,
	               &e->id.dev, &e->id.ino, &e->id.len, &e->id.hash, &e->offset,
	               &e->size) == 6 &&
	       e->id.len <= FILE_ID_HEAD;
}

/* The text is whole: what it says. NULL, or what is wrong. */
static const char *parse(struct state_file *s, char *p, char *end, uint32_t n)
{
	char *at = p + strlen(HEAD), *line;

	if (strncmp(p, HEAD, strlen(HEAD)) != 0 || strncmp(at, "of ", 3) != 0)
		return "is of another version of weir";
	line = strchr(at, '\n');
	*line = 0;
	if (strcmp(at + 3, s->of) != 0)
		return "is the state of another source";
	s->entry = calloc(n + 1, sizeof *s->entry);
	if (!s->entry)
		return "out of memory";
	for (at = line + 1; at < end && s->n < n; at = line + 1) {
		line = strchr(at, '\n');
		if (!parse_entry(at, &s->entry[s->n++]))
			break;
	}
	return at == end && s->n == n ? NULL : "has lines that make no sense";
}

static int load(struct state_file *s, struct weir_err *err)
{
	char *p = NULL, *end;
	const char *why;
	uint32_t n = 0;
	size_t size = 0;
	int r = read_all(s->fd, &p, &size);

	if (r < 0)
		return complain(s, -r, r == -EINVAL ? "is no state of weir" : strerror(-r), err);
	if (size == 0) {
		free(p);
		return 0;
	}
	end = last_line(p, size, &n);
	if (end)
		why = parse(s, p, end, n);
	else if (strncmp(p, HEAD, size < strlen(HEAD) ? size : strlen(HEAD)) == 0)
		why = "is torn; remove it to begin anew";
	else
		why = "is no state of weir";
	free(p);
	return why ? complain(s, EINVAL, why, err) : 0;
}

/* ---- opening ---- */

/* Locks the regular file of that name: not one that was replaced meanwhile. */
static int open_locked(struct state_file *s)
{
	struct stat a, b;

	for (int i = 0; i < TRIES; i++) {
		s->fd = openat(s->dir, s->name,
		        O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW, 0600);
		if (s->fd < 0)
			return -errno;
		if (fstat(s->fd, &a) < 0)
			return -errno;
		if (!S_ISREG(a.st_mode))
			return -EINVAL;
		if (flock(s->fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? -EBUSY : -errno;
		if (fstatat(s->dir, s->name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
		        a.st_ino == b.st_ino && a.st_dev == b.st_dev)
			return 0;
		close(s->fd);
		s->fd = -1;
	}
	return -EBUSY;
}

int state_file_open(struct state_file *s, const char *path, const char *of, struct weir_err *err)
{
	char *slash;
	int r;

	*s = (struct state_file){.dir = -1, .fd = -1, .path = strdup(path), .of = strdup(of)};
	if (!s->path || !s->of)
		return -ENOMEM;
	slash = strrchr(s->path, '/');
	s->name = slash ? slash + 1 : s->path;
	if (slash)
		*slash = 0;
	s->dir = open(!slash             ? "."
	              : slash == s->path ? "/"
	                                 : s->path,
	        O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	r = s->dir < 0 ? -errno : 0;
	if (slash)
		*slash = '/';
	if (r == 0 && strchr(of, '\n'))
		r = -EINVAL;
	if (r == 0 && strlen(s->name) > NAME_MAX - 4) /* a suffix is put behind it */
		r = -ENAMETOOLONG;
	if (r == 0)
		r = open_locked(s);
	if (r < 0)
		return complain(s, -r,
		        r == -EBUSY                  ? "is used by another weir, or another source"
		        : r == -EINVAL && s->fd >= 0 ? "is no state of weir"
		        : r == -ELOOP                ? "is a symbolic link"
		                                     : strerror(-r),
		        err);
	return load(s, err);
}

void state_file_drop(struct state_file *s)
{
	free(s->entry);
	s->entry = NULL;
	s->n = 0;
}

void state_file_close(struct state_file *s)
{
	state_file_drop(s);
	if (s->path && s->fd >= 0)
		close(s->fd);
	if (s->path && s->dir >= 0)
		close(s->dir);
	free(s->path);
	free(s->of);
	*s = (struct state_file){.dir = -1, .fd = -1};
}

/* ---- writing ---- */

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static char *render(
        const struct state_file *s, const struct state_entry *e, uint32_t n, size_t *ret_len)
{
	size_t size = strlen(HEAD) + strlen(s->of) + ((size_t)n + 2) * ENTRY_MAX, len;
	char *p = malloc(size);

	if (!p)
		return NULL;
	len = (size_t)snprintf(p, size, HEAD "of %s\n", s->of);
	for (uint32_t i = 0; i < n; i++)
		len += (size_t)snprintf(p + len, size - len,
		        "file %" PRIu64 " %" PRIu64 " %" PRIu32 " %016" PRIx64 " %" PRIu64
		        " %" PRIu64 "\n",
		        e[i].id.dev, e[i].id.ino, e[i].id.len, e[i].id.hash, e[i].offset,
		        e[i].size);
	len += (size_t)snprintf(
	        p + len, size - len, "end %" PRIu32 " %016" PRIx64 "\n", n, hash(p, len));
	*ret_len = len;
	return p;
}

int state_file_write(struct state_file *s, const struct state_entry *e, uint32_t n)
{
	char name[NAME_MAX + 1];
	size_t len;
	char *p;
	int fd, r;

	if (n > STATE_FILES_MAX)
		return -EFBIG;
	p = render(s, e, n, &len);
	if (!p)
		return -ENOMEM;
	snprintf(name, sizeof name, "%s.new", s->name);
	(void)unlinkat(s->dir, name, 0);
	fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : write_all(fd, p, len);
	free(p);
	if (r == 0 && (flock(fd, LOCK_EX | LOCK_NB) < 0 || fsync(fd) < 0 ||
	                      renameat(s->dir, name, s->dir, s->name) < 0))
		r = -errno;
	if (r < 0) {
		if (fd >= 0) {
			close(fd);
			(void)unlinkat(s->dir, name, 0);
		}
		return r;
	}
	(void)fsync(s->dir);
	close(s->fd);
	s->fd = fd;
	return 0;
}
