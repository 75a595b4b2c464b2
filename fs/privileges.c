/* SPDX-License-Identifier: MIT */
/* privileges.c: see privileges.h. libcap-ng is loaded when it is asked for. */
#include "fs/privileges.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/late.h>

#define FUNCTIONS(X) X(capng_clear) X(capng_update) X(capng_change_id)
WEIR_LATE(lib, CAPNG_SONAME, FUNCTIONS)

static int complain(const char *what, const char *why, int no)
{
	fprintf(stderr, "weir: %s: %s\n", what, why);
	return -no;
}

int privileges_find(const char *name, struct privileges_user *ret)
{
	struct passwd p, *found = NULL;
	char buf[16384], *end;
	unsigned long n;

	getpwnam_r(name, &p, buf, sizeof buf, &found);
	if (!found && isdigit((unsigned char)*name)) {
		n = strtoul(name, &end, 10);
		if (!*end && n < (uid_t)-1)
			getpwuid_r((uid_t)n, &p, buf, sizeof buf, &found);
	}
	if (!found)
		return complain("unknown user", name, EINVAL);
	if (geteuid() != 0 && geteuid() != found->pw_uid)
		return complain("only root can go on as another user", name, EPERM);
	*ret = (struct privileges_user){found->pw_uid, found->pw_gid};
	return 0;
}

/* Capabilities belong to a thread: others would keep theirs. */
static bool is_alone(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) < 0 || st.st_nlink == 3;
}

int privileges_drop(const struct privileges_user *u, bool keep_raw)
{
	static const char what[] = "cannot give up privileges";
	int r;

	if (geteuid() == u->uid)
		return 0;
	if (!is_alone())
		return complain(what, "there are other threads", EBUSY);
	if (weir_late_load(&lib_library) < 0)
		return complain(what, lib_library.missing, ENOENT);
	lib.capng_clear(CAPNG_SELECT_ALL);
	if (keep_raw)
		lib.capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_RAW);
	r = lib.capng_change_id(
	        (int)u->uid, (int)u->gid, CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
	if (r < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return complain(what, errno ? strerror(errno) : "not permitted", EPERM);
	return 0;
}

/* ---- who stays behind ---- */

static volatile sig_atomic_t child;

static void pass_on(int sig)
{
	if (child > 0)
		kill((pid_t)child, sig);
}

static void detach(const char *mountpoint)
{
	struct statfs fs;

	/* stat(2) may have its answer from what the kernel has kept */
	if (statfs(mountpoint, &fs) < 0 && (errno == ENOTCONN || errno == ECONNABORTED))
		umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* Has nothing to say, and keeps nobody waiting for the end of what it would say. */
static void leave(int ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	close(ready);
	if (chdir("/") < 0 || null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

/* Signals are blocked, `mask` is what they are to be. */
static void watch(pid_t pid, const char *mountpoint, int ready, const sigset_t *mask)
{
	static const int passed[] = {SIGTERM, SIGINT, SIGHUP};
	struct sigaction a = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
	int status = 0;

	child = pid;
	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
		sigaction(passed[i], &a, NULL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (ready >= 0)
		leave(ready);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	child = 0;
	detach(mountpoint);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* The path from the root on; of a dead mount the text has to do. NULL and errno. */
static char *full_path(const char *mountpoint)
{
	char *path = realpath(mountpoint, NULL), *cwd;

	if (path || errno != ENOTCONN)
		return path;
	if (mountpoint[0] == '/')
		return strdup(mountpoint);
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&path, "%s/%s", cwd, mountpoint) < 0)
		path = NULL;
	free(cwd);
	return path;
}

int privileges_split(const char *mountpoint, int ready)
{
	char *path = full_path(mountpoint);
	sigset_t all, old;
	pid_t pid;

	if (!path)
		return -errno;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid = fork();
	if (pid > 0)
		watch(pid, path, ready, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	free(path);
	return pid < 0 ? -errno : 0;
}

/* ---- the service manager ---- */

void privileges_tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof a.sun_path || (*path != '/' && *path != '@'))
		return;
	memcpy(a.sun_path, path, len);
	if (*path == '@')
		a.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* nobody there: nobody to tell */
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&a,
	        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}
