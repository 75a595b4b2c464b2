/* SPDX-License-Identifier: MIT */
/* ops_stream.h: FUSE requests to streams/<query>, and the thread that answers those that wait. */
#ifndef OPS_STREAM_H
#define OPS_STREAM_H

#include "fs/fs.h"
#include "fs/fuse.h"

/* Makes fs->streams and what serves them. NULL: out of memory. */
struct pump *pump_new(struct fs *fs);
/* Ends the thread; whoever waits reads the end of the file. No requests come any more. */
void pump_end(struct pump *p);
void pump_free(struct pump *p);

int stream_op_open(fuse_req_t req, const struct node *n, struct fuse_file_info *fi);
/* Answers, now or later. `wait` false: EAGAIN where there is nothing. */
void stream_op_read(fuse_req_t req, uint64_t fh, uint64_t off, size_t size, bool wait);
void stream_op_poll(fuse_req_t req, uint64_t fh, struct fuse_pollhandle *ph);
void stream_op_release(uint64_t fh);

#endif
