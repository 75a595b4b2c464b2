/* SPDX-License-Identifier: MIT */
/* bare.c: what a tree in memory costs at least: a server on libfuse's low-level interface that
 * computes nothing. The reference of `tests/bench/run tree`.
 *
 * usage: bare MOUNTPOINT BYTES     stays in the foreground
 *
 *   table     220 bytes, kept in the kernel's cache; looked up each time, as a table's version is
 *   large     BYTES bytes, read directly
 *   records   200 directories of 1,000 files; user.n is their extended attribute
 *
 * libfuse's own loop with its default threads; CLONE in the environment gives each thread a
 * descriptor of its own. Inode numbers: the names below, DIR + its number, FILE + its number.
 */
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIRS 200
#define PER_DIR 1000
#define LONG 60.0
#define TABLE_BYTES 220

enum { ROOT = 1, TABLE, LARGE, RECORDS, DIRECTORY = 1000, RECORD = 1000000 };

static char table[TABLE_BYTES], *large;
static size_t large_bytes;

static int is_dir(fuse_ino_t ino)
{
	return ino == ROOT || ino == RECORDS || (ino >= DIRECTORY && ino < RECORD);
}

static void attributes(fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof *st);
	st->st_ino = ino;
	st->st_nlink = 1;
	st->st_mode = is_dir(ino) ? S_IFDIR | 0555 : S_IFREG | 0444;
	st->st_size = ino == TABLE ? TABLE_BYTES : ino == LARGE ? (off_t)large_bytes : 0;
}

static void entry(fuse_ino_t ino, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof *e);
	e->ino = ino;
	e->attr_timeout = LONG;
	e->entry_timeout = ino == TABLE || ino == LARGE ? 0 : LONG;
	attributes(ino, &e->attr);
}

static fuse_ino_t child(fuse_ino_t parent, const char *name)
{
	unsigned long n = strtoul(name, NULL, 10);

	if (parent == ROOT)
		return strcmp(name, "table") == 0     ? TABLE
		       : strcmp(name, "large") == 0   ? LARGE
		       : strcmp(name, "records") == 0 ? RECORDS
		                                      : 0;
	if (parent == RECORDS)
		return n < DIRS ? DIRECTORY + n : 0;
	return n / PER_DIR == parent - DIRECTORY ? RECORD + n : 0;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	fuse_ino_t ino = child(parent, name);

	if (!ino) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	entry(ino, &e);
	fuse_reply_entry(req, &e);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	attributes(ino, &st);
	fuse_reply_attr(req, &st, LONG);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->direct_io = ino == LARGE;
	fi->keep_cache = ino != LARGE;
	fuse_reply_open(req, fi);
}

static void op_read(
        fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	size_t len = ino == LARGE ? large_bytes : ino == TABLE ? TABLE_BYTES : 0;
	const char *p = ino == LARGE ? large : table;

	if ((size_t)off >= len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, p + off, len - (size_t)off < size ? len - (size_t)off : size);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char text[24];
	size_t n = (size_t)snprintf(text, sizeof text, "%lu", (unsigned long)ino);

	if (ino < RECORD)
		fuse_reply_err(req, ENODATA);
	else if (size == 0)
		fuse_reply_xattr(req, n);
	else
		fuse_reply_buf(req, text, n);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, int plus)
{
	static const char *const top[] = {"table", "large", "records"};
	char *buf = malloc(size), name[24];
	off_t end = ino == ROOT ? 3 : ino == RECORDS ? DIRS : PER_DIR;
	struct fuse_entry_param e;
	size_t len = 0, n;

	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	for (; off < end; off++) {
		fuse_ino_t k = (fuse_ino_t)off;

		if (ino >= DIRECTORY)
			k += (ino - DIRECTORY) * PER_DIR;
		snprintf(name, sizeof name, "%lu", (unsigned long)k);
		entry(ino == ROOT ? TABLE + k : ino == RECORDS ? DIRECTORY + k : RECORD + k, &e);
		n = plus ? fuse_add_direntry_plus(req, buf + len, size - len,
		                   ino == ROOT ? top[k] : name, &e, off + 1)
		         : fuse_add_direntry(req, buf + len, size - len,
		                   ino == ROOT ? top[k] : name, &e.attr, off + 1);
		if (n > size - len)
			break;
		len += n;
	}
	fuse_reply_buf(req, buf, len);
	free(buf);
}

static void op_readdir(
        fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, 0);
}

static void op_readdirplus(
        fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, 1);
}

static const struct fuse_lowlevel_ops ops = {
        .lookup = op_lookup,
        .forget = op_forget,
        .getattr = op_getattr,
        .open = op_open,
        .read = op_read,
        .release = op_release,
        .getxattr = op_getxattr,
        .readdir = op_readdir,
        .readdirplus = op_readdirplus,
};

int main(int argc, char **argv)
{
	char option[] = "-osubtype=bare,fsname=bare", *words[] = {argv[0], option, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, words);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct fuse_session *se = fuse_session_new(&args, &ops, sizeof ops, NULL);
	int r = 1;

	if (argc != 3 || !se || !config) {
		fprintf(stderr, "usage: bare MOUNTPOINT BYTES\n");
		return 2;
	}
	large_bytes = strtoul(argv[2], NULL, 10);
	large = malloc(large_bytes + 1);
	if (!large)
		return 1;
	memset(large, 'x', large_bytes);
	memset(table, 'x', sizeof table);
	fuse_loop_cfg_set_clone_fd(config, getenv("CLONE") != NULL);
	if (fuse_set_signal_handlers(se) == 0 && fuse_session_mount(se, argv[1]) == 0) {
		r = fuse_session_loop_mt(se, config) < 0;
		fuse_session_unmount(se);
	}
	fuse_session_destroy(se);
	fuse_loop_cfg_destroy(config);
	free(large);
	return r;
}
