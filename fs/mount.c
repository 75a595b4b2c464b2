/* SPDX-License-Identifier: MIT */
/* mount.c: the life of a mount: fork, engine, mount point, loop, and back.
 *
 * Whatever can be wrong is said on the caller's stderr: the parent waits for the child's word
 * that it is mounted and exits with its status. Signals are handled by the main thread alone, so
 * that they interrupt its wait; all other threads are started with them blocked.
 */
#include "fs/mount.h"
#include "engine/core/registry.h"
#include "engine/lang/ast.h"
#include "fs/cmd.h"
#include "fs/handle.h"
#include "fs/jobs.h"
#include "fs/notify.h"
#include "fs/ops.h"
#include "fs/ops_stream.h"
#include "fs/privileges.h"
#include "fs/serve.h"
#include "fs/state.h"
#include "fs/tree.h"
#include "fs/version.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/source.h>

static int complain(const char *what, const char *name, int no)
{
	fprintf(stderr, "weir: %s '%s': %s\n", what, name, strerror(no));
	return -no;
}

/* After a crash the mount point answers ENOTCONN, attributes that the kernel has kept
 * notwithstanding: the dead mount is detached. */
static int recover(const char *dir)
{
	struct statfs fs;
	struct stat st;
	pid_t pid;
	int status, r = stat(dir, &st);

	if (r == 0 && !S_ISDIR(st.st_mode))
		return complain("cannot mount on", dir, ENOTDIR);
	if (r == 0 && statfs(dir, &fs) == 0)
		return 0;
	if (errno != ENOTCONN && errno != ECONNABORTED)
		return complain("cannot mount on", dir, errno);
	if (umount2(dir, MNT_DETACH) < 0) {
		pid = fork();
		if (pid == 0) {
			execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", dir, NULL);
			_exit(127);
		}
		if (pid > 0)
			waitpid(pid, &status, 0);
	}
	return stat(dir, &st) == 0 ? 0 : complain("cannot mount on", dir, errno);
}

/* "kind:what": the source sees to it itself. */
static bool has_kind(const char *path)
{
	const char *colon = strchr(path, ':');

	return colon && registry_source(path, (size_t)(colon - path));
}

/* Adds a source by its full path, since the daemon leaves its directory. */
static int add_source(struct engine *e, const char *arg, struct weir_err *err)
{
	struct text full = TEXT_INIT;
	char name[65];
	const char *path = cmd_source_name(arg, name);
	char *cwd;
	int r;

	cwd = path[0] != '/' && !has_kind(path) &&
	                      (access(path, F_OK) == 0 || strpbrk(path, "*?[")) &&
	                      strcmp(path, "-") != 0
	              ? getcwd(NULL, 0)
	              : NULL;
	text_printf(&full, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", path);
	free(cwd);
	if (full.failed)
		r = weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, "");
	else
		r = engine_add_source(e, name[0] ? name : NULL, full.p, err);
	text_release(&full);
	return r;
}

static void signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(how, &set, NULL);
}

static int begin(struct fs *fs, const struct mount_options *o)
{
	struct weir_err err = WEIR_ERR_INIT;
	struct engine_options engine = o->engine;

	for (int i = 0; i < o->nplugins; i++)
		if (cmd_load_plugins(o->plugins[i]))
			return -EINVAL;
	fs->uid = getuid();
	fs->gid = getgid();
	fs->started = fs_now();
	if (getrandom(&fs->nonce, sizeof fs->nonce, GRND_NONBLOCK) != sizeof fs->nonce)
		fs->nonce = (uint32_t)fs->started;
	fs->nonce |= 1;
	fs->mountpoint = realpath(o->mountpoint, NULL);
	engine.rooted = true;
	fs->engine = engine_new(&engine);
	fs->jobs = jobs_new();
	fs->writes = jobs_new();
	fs->versions = versions_new();
	fs->states = states_new();
	fs->handles = handles_new();
	if (!fs->mountpoint || !fs->engine || !fs->jobs || !fs->writes || !fs->versions ||
	        !fs->states || !fs->handles)
		return complain("cannot start", o->mountpoint, ENOMEM);
	/* a pipe is waited for until its header comes: nothing is mounted yet, signals may kill */
	signals(SIG_UNBLOCK);
	for (int i = 0; i < o->nsources; i++)
		if (add_source(fs->engine, o->sources[i], &err) < 0) {
			cmd_error(&err, NULL, 0);
			return -EINVAL;
		}
	if (engine_check_options(fs->engine, &err) < 0) {
		cmd_error(&err, NULL, 0);
		return -EINVAL;
	}
	signals(SIG_BLOCK);
	return 0;
}

static void escape(struct text *to, const char *s)
{
	for (; *s; s++) {
		if (*s == ',' || *s == '\\')
			text_puts(to, "\\");
		text_add(to, s, 1);
	}
}

static struct fuse_session *session_new(struct fs *fs, const struct mount_options *o)
{
	struct text words = TEXT_INIT;
	char program[] = "weir", dash_o[] = "-o", debug[] = "-odebug";
	char *argv[] = {program, dash_o, NULL, debug, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(o->debug ? 4 : 3, argv);
	struct fuse_session *se;

	text_puts(&words, "default_permissions,subtype=weir");
	if (o->allow_other || geteuid() == 0)
		text_puts(&words, ",allow_other");
	if (!o->kernel.p || !strstr(o->kernel.p, "fsname=")) {
		text_puts(&words, ",fsname=");
		escape(&words, o->sources[0]);
	}
	if (o->kernel.len)
		text_printf(&words, ",%s", o->kernel.p);
	argv[2] = words.p;
	se = words.failed ? NULL : fuse.session_new(&args, &fs_ops, sizeof fs_ops, fs);
	text_release(&words);
	fuse.opt_free_args(&args);
	return se;
}

/* Leaves the caller's terminal and folder; `ready` tells the parent. */
static void detach(const struct mount_options *o, int ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir("/") < 0 || null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	close(null);
	if (write(ready, "", 1) < 0) {
		/* nobody waits any more */
	}
	close(ready);
}

/* Ends whoever may still reply. */
static void end(struct fs *fs)
{
	atomic_store(&fs->stopping, true);
	if (fs->writes)
		jobs_end(fs->writes);
	if (fs->jobs)
		jobs_end(fs->jobs);
	notify_free(fs->notify); /* jobs notify */
	fs->notify = NULL;
}

/* session_unmount() closes the device, whose number another file may have at once, before it
 * forgets it: so no reply may come any more. Who replies may wait for an answer from this very
 * mount: with the device gone he gets an error. A mount that is gone already is left to
 * session_unmount(), which tells that by the device, and not to take another one from the mount
 * point. */
static void unmount(struct fs *fs)
{
	struct pollfd device = {.fd = fuse.session_fd(fs->session)};
	bool gone = poll(&device, 1, 0) == 1 && (device.revents & POLLERR);
	int null = gone ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup3(null, device.fd, O_CLOEXEC);
		close(null);
	}
	end(fs);
	fuse.session_unmount(fs->session);
}

static void release(struct fs *fs)
{
	end(fs);
	handles_free(fs->handles);
	versions_free(fs->versions);
	fs->versions = NULL;
	pump_free(fs->pump);
	if (fs->engine)
		engine_free(fs->engine);
	if (fs->session)
		fuse.session_destroy(fs->session);
	jobs_free(fs->jobs);
	jobs_free(fs->writes);
	states_free(fs->states);
	free(fs->mountpoint);
}

static int loop(struct fs *fs)
{
	int r;

	fs->notify = notify_new(fs);
	fs->pump = pump_new(fs);
	fuse.set_signal_handlers(fs->session);
	r = fs->pump ? serve_loop(fs) : -ENOMEM;
	pump_end(fs->pump); /* while the requests that wait can be answered */
	fuse.remove_signal_handlers(fs->session);
	return r < 0 ? 1 : 0;
}

/* Which device the mount is: asked of the kernel alone, since nobody answers yet. */
static int know_tree(struct fs *fs)
{
	struct statx x;

	if (statx(AT_FDCWD, fs->mountpoint, AT_STATX_DONT_SYNC, 0, &x) < 0)
		return complain("cannot start", fs->mountpoint, errno);
	engine_in_tree(fs->engine, makedev(x.stx_dev_major, x.stx_dev_minor), node_waits);
	return 0;
}

static bool captures(struct engine *e)
{
	struct weir_counts c;

	for (size_t i = 0; i < engine_sources(e); i++)
		if (engine_source_losses(e, i, &c) == 0)
			return true;
	return false;
}

/* All is open and mounted. `u`: who goes on, or NULL. */
static int begun(struct fs *fs, const struct privileges_user *u)
{
	int r = know_tree(fs);

	if (r == 0 && u)
		r = privileges_drop(u, captures(fs->engine));
	if (r == 0)
		privileges_tell("READY=1\nSTATUS=mounted");
	return r;
}

/* Finds who goes on; this process from then on, while another one stays behind for the end. */
static int split(const struct mount_options *o, int ready, struct privileges_user *ret)
{
	int r = privileges_find(o->user, ret);

	if (r == 0 && geteuid() == 0 && ret->uid != 0 &&
	        (r = privileges_split(o->mountpoint, ready)) < 0)
		complain("cannot mount on", o->mountpoint, -r);
	return r;
}

/* `ready` < 0: in the foreground. */
static int serve(const struct mount_options *o, int ready)
{
	struct fs *fs = calloc(1, sizeof *fs);
	struct privileges_user u;
	const char *why;
	int r = 1;

	if (!fs)
		return 1;
	if (o->user && split(o, ready, &u) < 0) {
		free(fs);
		return 1;
	}
	signals(SIG_BLOCK);
	if (fuse_load(&why) < 0) {
		fprintf(stderr, "weir: cannot mount: %s\n", why);
	} else if (recover(o->mountpoint) == 0 && begin(fs, o) == 0) {
		fs->session = session_new(fs, o);
		if (fs->session && fuse.session_mount(fs->session, fs->mountpoint) == 0) {
			r = begun(fs, o->user ? &u : NULL) < 0;
			if (r == 0 && ready >= 0)
				detach(o, ready);
			if (r == 0)
				r = loop(fs);
			privileges_tell("STOPPING=1");
			unmount(fs);
		}
	}
	release(fs);
	free(fs);
	return r;
}

int mount_serve(const struct mount_options *o)
{
	int pipes[2], status = 0;
	char byte;
	pid_t pid;

	if (o->foreground)
		return serve(o, -1);
	if (pipe2(pipes, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		complain("cannot start", "weir", errno);
		return 1;
	}
	if (pid == 0) {
		close(pipes[0]);
		setsid();
		return serve(o, pipes[1]);
	}
	close(pipes[1]);
	if (read(pipes[0], &byte, 1) == 1)
		return 0;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}
