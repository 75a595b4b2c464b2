/* SPDX-License-Identifier: MIT */
/* fuse.h: libfuse's low-level interface, loaded when a mount begins: `weir run` and the other
 * commands start without it. fuse_reply_err() is called fuse.reply_err(), and so on. */
#ifndef FUSE_H
#define FUSE_H

#include <fuse_lowlevel.h>

#define FUSE_FUNCTIONS(X)                                                                          \
	X(add_direntry)                                                                            \
	X(add_direntry_plus)                                                                       \
	X(lowlevel_notify_inval_entry)                                                             \
	X(lowlevel_notify_inval_inode)                                                             \
	X(lowlevel_notify_poll)                                                                    \
	X(opt_free_args)                                                                           \
	X(pollhandle_destroy)                                                                      \
	X(remove_signal_handlers)                                                                  \
	X(reply_attr)                                                                              \
	X(reply_buf)                                                                               \
	X(reply_entry)                                                                             \
	X(reply_err)                                                                               \
	X(reply_iov)                                                                               \
	X(reply_none)                                                                              \
	X(reply_open)                                                                              \
	X(reply_poll)                                                                              \
	X(reply_statfs)                                                                            \
	X(reply_write)                                                                             \
	X(reply_xattr)                                                                             \
	X(req_ctx)                                                                                 \
	X(req_interrupt_func)                                                                      \
	X(req_userdata)                                                                            \
	X(session_destroy)                                                                         \
	X(session_exited)                                                                          \
	X(session_fd)                                                                              \
	X(session_mount)                                                                           \
	X(session_new)                                                                             \
	X(session_process_buf)                                                                     \
	X(session_receive_buf)                                                                     \
	X(session_unmount)                                                                         \
	X(set_signal_handlers)

struct fuse_functions {
#define X(name) __typeof__(fuse_##name) *name;
	FUSE_FUNCTIONS(X)
#undef X
};

extern struct fuse_functions fuse;

/* 0, or -ENOENT and *why. */
int fuse_load(const char **why);

#endif
