/* SPDX-License-Identifier: MIT */
/* ops.c: the FUSE operations on files. Every request gets exactly one reply; none of these waits
 * (what may is handed to jobs.h). `poll` and `getxattr` never answer ENOSYS, which would turn
 * them off for the whole mount; there is no `lseek`, so that nobody looks for holes.
 *
 * fi->fh holds a reference: a struct version of texts, tables and logs; a struct control; a struct
 * open_record, since its inode number alone does not tell runs and versions apart for ever.
 */
#include "fs/ops.h"
#include "fs/control.h"
#include "fs/handle.h"
#include "fs/logfile.h"
#include "fs/ops_stream.h"
#include "fs/readahead.h"
#include "fs/record.h"
#include "fs/table.h"
#include "fs/xattr.h"
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define READ_PARTS 8 /* of one reply; more are copied */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	unsigned want = FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
	                FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC;

	conn->want |= want & conn->capable;
	conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA; /* contents never change */
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node n;
	struct stat st;
	double timeout;
	int r = node_parse(ino, &n) ? entry_attr(req_fs(req), &n, &st, &timeout) : -ESTALE;

	if (r < 0)
		fuse.reply_err(req, -r);
	else
		fuse.reply_attr(req, &st, timeout);
}

static void op_setattr(
        fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct node n;

	/* editors and cp set size, mode and times: it succeeds and means nothing */
	if (node_parse(ino, &n) && node_nature(n.kind) == NATURE_CONTROL)
		op_getattr(req, ino, fi);
	else
		fuse.reply_err(req, EPERM);
}

static uint64_t fh_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void ignore(void *arg)
{
}

/* Somebody reads a result by a handle it already has: it is kept fresh too. */
static void keep_fresh(struct fs *fs, const struct node *n)
{
	struct query *q = query_by_serial(fs->engine, n->serial);

	if (q)
		query_look(q, 0, ignore, NULL);
	if (q)
		query_unref(q);
}

static int open_version(struct fs *fs, const struct node *n, struct fuse_file_info *fi)
{
	struct version *v;
	int r = entry_version(fs, n, &v);

	if (r < 0)
		return r;
	if (node_nature(n->kind) == NATURE_RESULT && !v->result)
		keep_fresh(fs, n);
	fi->fh = fh_of(v);
	fi->keep_cache = !v->result && node_nature(n->kind) != NATURE_LOG;
	fi->direct_io = !fi->keep_cache;
	return 0;
}

struct open_record {
	struct handle handle; /* first */
	struct fs *fs;
	struct record record;
};

static void drop_record(struct handle *h)
{
	struct open_record *o = (struct open_record *)h;

	record_release(o->fs, &o->record);
	free(o);
}

static int open_record(struct fs *fs, const struct node *n, struct fuse_file_info *fi)
{
	struct open_record *o = malloc(sizeof *o);
	int r = o ? record_find(fs, n, &o->record) : -ENOMEM;

	if (r < 0) {
		free(o);
		return r;
	}
	o->fs = fs;
	handle_add(fs->handles, &o->handle, drop_record);
	fi->fh = fh_of(o);
	fi->keep_cache = 1;
	return 0;
}

static void release_record(struct open_record *o)
{
	handle_remove(o->fs->handles, &o->handle);
	drop_record(&o->handle);
}

static int open_control(fuse_req_t req, const struct node *n, struct fuse_file_info *fi)
{
	bool writes = (fi->flags & O_ACCMODE) != O_RDONLY;
	const struct fuse_ctx *ctx = fuse.req_ctx(req);
	struct control *c;
	struct cred who;
	int r;

	cred_of(&who, ctx->uid, ctx->gid, writes ? ctx->pid : 0);
	r = control_open(req_fs(req), n, fi->flags & O_APPEND, &who, &c);
	if (r < 0)
		return r;
	fi->fh = fh_of(c);
	fi->direct_io = 1;
	return 0;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	struct node n;
	int r = -ESTALE;

	if (!node_parse(ino, &n))
		goto out;
	if (node_nature(n.kind) == NATURE_CONTROL) {
		r = open_control(req, &n, fi);
	} else if ((fi->flags & O_ACCMODE) != O_RDONLY) {
		r = -EACCES;
	} else if (n.kind == NODE_RECORD) {
		r = open_record(fs, &n, fi);
	} else if (n.kind == NODE_STREAM) {
		r = stream_op_open(req, &n, fi);
	} else {
		r = node_is_dir(n.kind) ? -EISDIR : open_version(fs, &n, fi);
		if (!atomic_flag_test_and_set(&fs->ahead))
			readahead_raise(fs->mountpoint);
	}
	fi->noflush = node_nature(n.kind) != NATURE_CONTROL;
out:
	if (r < 0)
		fuse.reply_err(req, -r);
	else
		fuse.reply_open(req, fi);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node n;

	if (node_parse(ino, &n) && node_nature(n.kind) == NATURE_CONTROL) {
		control_op_release(req, fi->fh);
		return;
	}
	if (n.kind == NODE_STREAM)
		stream_op_release(fi->fh);
	else if (n.kind == NODE_RECORD)
		release_record((struct open_record *)(uintptr_t)fi->fh);
	else
		version_put(req_fs(req)->versions, (struct version *)(uintptr_t)fi->fh);
	fuse.reply_err(req, 0);
}

static void reply_part(fuse_req_t req, const char *p, size_t len, size_t size, uint64_t off)
{
	if (off >= len)
		fuse.reply_buf(req, NULL, 0);
	else
		fuse.reply_buf(req, p + off, len - off < size ? len - off : size);
}

/* Copies n bytes from `off`, which are there. */
static void gather(const struct rendered *t, char *to, size_t n, uint64_t off)
{
	const char *p = NULL;

	while (n) {
		size_t len = rendered_at(t, off, &p);

		len = len < n ? len : n;
		memcpy(to, p, len);
		to += len;
		off += len;
		n -= len;
	}
}

/* Pieces are larger than what one request asks for: two do, as a rule. The kernel takes a short
 * reply for the end of the file. */
static void reply_rendered(fuse_req_t req, const struct rendered *t, size_t size, uint64_t off)
{
	struct iovec part[READ_PARTS];
	size_t left, at = off;
	const char *p = NULL;
	char *copy;
	int n = 0;

	left = size = off >= t->len ? 0 : t->len - off < size ? t->len - off : size;
	while (left && n < READ_PARTS) {
		size_t len = rendered_at(t, at, &p);

		len = len < left ? len : left;
		part[n++] = (struct iovec){(char *)p, len};
		at += len;
		left -= len;
	}
	if (!left) {
		fuse.reply_iov(req, part, n);
		return;
	}
	copy = malloc(size);
	if (copy) {
		gather(t, copy, size, off);
		fuse.reply_buf(req, copy, size);
	} else {
		fuse.reply_err(req, ENOMEM);
	}
	free(copy);
}

static void read_log(fuse_req_t req, struct version *v, size_t size, uint64_t off)
{
	char *buf = malloc(size);
	int64_t n = buf ? logfile_read(req_fs(req), v, off, buf, size) : -ENOMEM;

	if (n < 0)
		fuse.reply_err(req, (int)-n);
	else
		fuse.reply_buf(req, buf, (size_t)n);
	free(buf);
}

static void read_record(fuse_req_t req, const struct record *rec, size_t size, uint64_t off)
{
	struct text t = TEXT_INIT;
	int r = record_lines(rec, rec->node.row, &t);

	if (r < 0)
		fuse.reply_err(req, -r);
	else
		reply_part(req, t.p, t.len, size, off);
	text_release(&t);
}

static void op_read(
        fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct version *v = (struct version *)(uintptr_t)fi->fh;
	struct node n;

	if (!node_parse(ino, &n))
		fuse.reply_err(req, ESTALE);
	else if (node_nature(n.kind) == NATURE_CONTROL)
		control_op_read(req, fi->fh, size, off);
	else if (n.kind == NODE_STREAM)
		stream_op_read(req, fi->fh, (uint64_t)off, size, !(fi->flags & O_NONBLOCK));
	else if (n.kind == NODE_RECORD)
		read_record(req, &((struct open_record *)(uintptr_t)fi->fh)->record, size,
		        (uint64_t)off);
	else if (v->result || node_nature(n.kind) == NATURE_LOG)
		read_log(req, v, size, (uint64_t)off);
	else if (v->rendered)
		reply_rendered(req, v->rendered, size, (uint64_t)off);
	else
		reply_part(req, v->text, v->len, size, (uint64_t)off);
}

static bool is_control(fuse_ino_t ino)
{
	struct node n;

	return node_parse(ino, &n) && node_nature(n.kind) == NATURE_CONTROL;
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
        struct fuse_file_info *fi)
{
	if (is_control(ino))
		control_op_write(req, fi->fh, buf, size, off, fi->lock_owner);
	else
		fuse.reply_err(req, EBADF);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (is_control(ino))
		control_op_flush(req, fi->fh, fi->lock_owner);
	else
		fuse.reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	if (is_control(ino))
		control_op_sync(req, fi->fh);
	else
		fuse.reply_err(req, 0);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse.reply_err(req, 0);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};

	fuse.reply_statfs(req, &st);
}

static void op_poll(
        fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	struct node n;

	if (node_parse(ino, &n) && n.kind == NODE_STREAM) {
		stream_op_poll(req, fi->fh, ph);
		return;
	}
	if (ph)
		fuse.pollhandle_destroy(ph);
	fuse.reply_poll(req, POLLIN | POLLRDNORM | (is_control(ino) ? POLLOUT | POLLWRNORM : 0));
}

/* ---- extended attributes ---- */

static void reply_value(fuse_req_t req, const struct text *t, size_t size)
{
	if (size == 0)
		fuse.reply_xattr(req, t->len);
	else if (t->len > size)
		fuse.reply_err(req, ERANGE);
	else
		fuse.reply_buf(req, t->p, t->len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct text t = TEXT_INIT;
	struct node n;
	int r = node_parse(ino, &n) ? xattr_get(req_fs(req), &n, name, &t) : -ESTALE;

	if (r < 0)
		fuse.reply_err(req, -r);
	else
		reply_value(req, &t, size);
	text_release(&t);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct text t = TEXT_INIT;
	struct node n;
	int r = node_parse(ino, &n) ? xattr_list(req_fs(req), &n, &t) : -ESTALE;

	if (r < 0)
		fuse.reply_err(req, -r);
	else
		reply_value(req, &t, size);
	text_release(&t);
}

static void op_setxattr(
        fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	fuse.reply_err(req, strncmp(name, "user.", 5) == 0 ? EPERM : ENOTSUP);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	fuse.reply_err(req, strncmp(name, "user.", 5) == 0 ? EPERM : ENOTSUP);
}

/* ---- what the tree does not do ---- */

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse.reply_err(req, EPERM);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
        const char *newname, unsigned flags)
{
	fuse.reply_err(req, EPERM);
}

static void op_create(
        fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	fuse.reply_err(req, EPERM);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	fuse.reply_err(req, EPERM);
}

static void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	fuse.reply_err(req, EPERM);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	fuse.reply_err(req, EPERM);
}

const struct fuse_lowlevel_ops fs_ops = {
        .init = op_init,
        .lookup = op_lookup,
        .forget = op_forget,
        .forget_multi = op_forget_multi,
        .getattr = op_getattr,
        .setattr = op_setattr,
        .open = op_open,
        .read = op_read,
        .write = op_write,
        .flush = op_flush,
        .release = op_release,
        .fsync = op_fsync,
        .fsyncdir = op_fsyncdir,
        .readdir = op_readdir,
        .readdirplus = op_readdirplus,
        .mkdir = op_mkdir,
        .rmdir = op_rmdir,
        .unlink = op_unlink,
        .rename = op_rename,
        .create = op_create,
        .mknod = op_mknod,
        .symlink = op_symlink,
        .link = op_link,
        .statfs = op_statfs,
        .poll = op_poll,
        .getxattr = op_getxattr,
        .listxattr = op_listxattr,
        .setxattr = op_setxattr,
        .removexattr = op_removexattr,
};
