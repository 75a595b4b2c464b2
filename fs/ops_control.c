/* SPDX-License-Identifier: MIT */
/* ops_control.c: requests to control files. Planning a query may open files, so they are answered
 * from a thread of jobs.h. */
#include "fs/control.h"
#include "fs/jobs.h"
#include "fs/ops.h"
#include <stdlib.h>
#include <string.h>

struct request {
	fuse_req_t req;
	struct control *control;
	size_t size;
	uint64_t off;
	uint64_t owner;
	struct peer peer;
	char data[];
};

static struct request *request_new(fuse_req_t req, uint64_t fh, size_t room)
{
	struct request *r = calloc(1, sizeof *r + room);
	const struct fuse_ctx *ctx = fuse.req_ctx(req);

	if (!r) {
		fuse.reply_err(req, ENOMEM);
		return NULL;
	}
	r->req = req;
	r->control = (struct control *)(uintptr_t)fh;
	r->peer = (struct peer){ctx->uid, ctx->gid, ctx->pid};
	return r;
}

static void do_write(void *arg)
{
	struct request *r = arg;
	int n = control_write(r->control, r->data, r->size, r->off, r->owner, &r->peer);

	if (n < 0)
		fuse.reply_err(r->req, -n);
	else
		fuse.reply_write(r->req, (size_t)n);
	free(r);
}

void control_op_write(
        fuse_req_t req, uint64_t fh, const char *p, size_t size, off_t off, uint64_t lock_owner)
{
	struct request *r = request_new(req, fh, size);

	if (!r)
		return;
	memcpy(r->data, p, size);
	r->size = size;
	r->off = (uint64_t)off;
	r->owner = lock_owner;
	jobs_run(req_fs(req)->writes, do_write, r);
}

static void do_read(void *arg)
{
	struct request *r = arg;
	int64_t n = control_read(r->control, r->off, r->data, r->size);

	if (n < 0)
		fuse.reply_err(r->req, (int)-n);
	else
		fuse.reply_buf(r->req, r->data, (size_t)n);
	free(r);
}

void control_op_read(fuse_req_t req, uint64_t fh, size_t size, off_t off)
{
	struct request *r = request_new(req, fh, size);

	if (!r)
		return;
	r->size = size;
	r->off = (uint64_t)off;
	jobs_run(req_fs(req)->writes, do_read, r);
}

static void do_flush(void *arg)
{
	struct request *r = arg;

	fuse.reply_err(r->req, -control_flush(r->control, r->owner));
	free(r);
}

void control_op_flush(fuse_req_t req, uint64_t fh, uint64_t lock_owner)
{
	struct request *r = request_new(req, fh, 0);

	if (!r)
		return;
	r->owner = lock_owner;
	jobs_run(req_fs(req)->writes, do_flush, r);
}

static void do_sync(void *arg)
{
	struct request *r = arg;

	fuse.reply_err(r->req, -control_sync(r->control));
	free(r);
}

void control_op_sync(fuse_req_t req, uint64_t fh)
{
	struct request *r = request_new(req, fh, 0);

	if (r)
		jobs_run(req_fs(req)->writes, do_sync, r);
}

static void do_release(void *arg)
{
	struct request *r = arg;

	control_release(r->control);
	fuse.reply_err(r->req, 0);
	free(r);
}

void control_op_release(fuse_req_t req, uint64_t fh)
{
	struct request *r = request_new(req, fh, 0);

	if (r)
		jobs_run(req_fs(req)->writes, do_release, r);
	else
		control_release((struct control *)(uintptr_t)fh);
}
