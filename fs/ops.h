/* SPDX-License-Identifier: MIT */
/* ops.h: the FUSE operations of a mount; their userdata is its struct fs. */
#ifndef OPS_H
#define OPS_H

#include "fs/fs.h"
#include "fs/fuse.h"

extern const struct fuse_lowlevel_ops fs_ops;

/* ops_dir.c */
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(
        fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);

/* ops_lookup.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
/* Answers with the entry of `n` as it is now; counts it as looked up. */
void reply_entry(fuse_req_t req, struct fs *fs, const struct node *n);
void entry_param(const struct entry *e, struct fuse_entry_param *ret);

/* ops_control.c: these answer from another thread. */
void control_op_write(
        fuse_req_t req, uint64_t fh, const char *p, size_t size, off_t off, uint64_t lock_owner);
void control_op_read(fuse_req_t req, uint64_t fh, size_t size, off_t off);
void control_op_flush(fuse_req_t req, uint64_t fh, uint64_t lock_owner);
void control_op_sync(fuse_req_t req, uint64_t fh);
void control_op_release(fuse_req_t req, uint64_t fh);

static inline struct fs *req_fs(fuse_req_t req)
{
	return fuse.req_userdata(req);
}

#endif
