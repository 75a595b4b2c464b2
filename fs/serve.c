/* SPDX-License-Identifier: MIT */
/* serve.c: threads that take requests and answer them.
 *
 * One thread leads: it waits for the next request, answers it and leads on. To wake a sleeping
 * thread on another CPU takes longer than to answer most requests, in virtual machines ten times as
 * long, so the leader looks again and again for a while before it sleeps, as long as that pays: the
 * time it does so doubles where the next request comes soon after it slept, and is halved where
 * none came. A mount that nobody uses sleeps.
 *
 * Where requests come from several threads, the leader hands the lead on before it answers.
 * Handlers do not wait, but one may take long: a standby looks at times, while there is work, and
 * takes the lead where nobody has it. (libfuse's own loop wakes another thread for each request.)
 *
 * Lock: `lock` protects what follows it. The device is read by the leader alone.
 */
#include "fs/serve.h"
#include "engine/core/now.h"
#include "fs/fuse.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define THREADS 10
#define SPIN_MAX 200000 /* ns */
#define SPIN_MIN 10000
#define GUARD (20 * 1000000ll) /* ns between two looks of the standby */

struct serve {
	struct fs *fs;
	struct fuse_session *session;
	int fd, stop_event, ended_event;
	int64_t spin_max;
	/* the leader's */
	int64_t spin;
	uint32_t caller;

	pthread_mutex_t lock;
	pthread_cond_t turn;
	pthread_t thread[THREADS];
	unsigned threads, idle;
	bool led, guarded, stop;
	uint64_t taken; /* requests */
};

const char *serve_request_name(unsigned i)
{
	static const char *const names[FS_REQUESTS] = {
	        [FUSE_LOOKUP] = "lookup",
	        [FUSE_FORGET] = "forget",
	        [FUSE_GETATTR] = "getattr",
	        [FUSE_SETATTR] = "setattr",
	        [FUSE_READLINK] = "readlink",
	        [FUSE_SYMLINK] = "symlink",
	        [FUSE_MKNOD] = "mknod",
	        [FUSE_MKDIR] = "mkdir",
	        [FUSE_UNLINK] = "unlink",
	        [FUSE_RMDIR] = "rmdir",
	        [FUSE_RENAME] = "rename",
	        [FUSE_LINK] = "link",
	        [FUSE_OPEN] = "open",
	        [FUSE_READ] = "read",
	        [FUSE_WRITE] = "write",
	        [FUSE_STATFS] = "statfs",
	        [FUSE_RELEASE] = "release",
	        [FUSE_FSYNC] = "fsync",
	        [FUSE_SETXATTR] = "setxattr",
	        [FUSE_GETXATTR] = "getxattr",
	        [FUSE_LISTXATTR] = "listxattr",
	        [FUSE_REMOVEXATTR] = "removexattr",
	        [FUSE_FLUSH] = "flush",
	        [FUSE_INIT] = "init",
	        [FUSE_OPENDIR] = "opendir",
	        [FUSE_READDIR] = "readdir",
	        [FUSE_RELEASEDIR] = "releasedir",
	        [FUSE_FSYNCDIR] = "fsyncdir",
	        [FUSE_GETLK] = "getlk",
	        [FUSE_SETLK] = "setlk",
	        [FUSE_SETLKW] = "setlkw",
	        [FUSE_ACCESS] = "access",
	        [FUSE_CREATE] = "create",
	        [FUSE_INTERRUPT] = "interrupt",
	        [FUSE_BMAP] = "bmap",
	        [FUSE_DESTROY] = "destroy",
	        [FUSE_IOCTL] = "ioctl",
	        [FUSE_POLL] = "poll",
	        [FUSE_BATCH_FORGET] = "batch_forget",
	        [FUSE_FALLOCATE] = "fallocate",
	        [FUSE_READDIRPLUS] = "readdirplus",
	        [FUSE_RENAME2] = "rename2",
	        [FUSE_LSEEK] = "lseek",
	        [FUSE_COPY_FILE_RANGE] = "copy_file_range",
	};

	return i < FS_REQUESTS ? names[i] : NULL;
}

/* The wait is over: whether to spin longer the next time. */
static void adapt(struct serve *s, int64_t waited, bool slept)
{
	if (slept && waited < SPIN_MAX)
		s->spin = s->spin < SPIN_MIN ? SPIN_MIN : s->spin * 2;
	else if (slept)
		s->spin = s->spin / 2 < SPIN_MIN ? 0 : s->spin / 2;
	if (s->spin > s->spin_max)
		s->spin = s->spin_max;
}

/* The next request; 0: it ends. */
static int receive(struct serve *s, struct fuse_buf *buf, bool *slept)
{
	struct pollfd p[2] = {
	        {.fd = s->fd, .events = POLLIN}, {.fd = s->stop_event, .events = POLLIN}};
	int64_t began = 0, now;
	int n;

	*slept = false;
	for (;;) {
		n = fuse.session_receive_buf(s->session, buf);
		if (n == -EINTR)
			continue;
		if (n != -EAGAIN)
			break;
		now = fs_monotonic();
		if (!began)
			began = now;
		if (now - began < s->spin && !*slept) {
			sched_yield(); /* whoever asks may want this CPU */
			continue;
		}
		*slept = true;
		poll(p, 2, -1);
		if (p[1].revents)
			return 0;
	}
	if (began)
		adapt(s, fs_monotonic() - began, *slept);
	return n < 0 ? 0 : n;
}

static void *worker(void *arg);

/* Somebody else leads; with the lock held. */
static void hand_on(struct serve *s)
{
	if (s->idle)
		pthread_cond_signal(&s->turn);
	else if (s->threads < THREADS && !s->stop &&
	         pthread_create(&s->thread[s->threads], NULL, worker, s) == 0)
		s->threads++;
}

/* Waits for the lead; with the lock held. One of those who wait keeps guard while there is work. */
static void stand_by(struct serve *s)
{
	uint64_t taken = s->taken;
	struct timespec t;
	int64_t at;

	s->idle++;
	if (s->guarded) {
		pthread_cond_wait(&s->turn, &s->lock);
	} else {
		s->guarded = true;
		do {
			taken = s->taken;
			at = fs_monotonic() + GUARD;
			t = (struct timespec){at / NSEC, at % NSEC};
			if (pthread_cond_timedwait(&s->turn, &s->lock, &t) == 0)
				break;
		} while (s->led && !s->stop && taken != s->taken);
		s->guarded = false;
		if (s->led && !s->stop && taken == s->taken)
			pthread_cond_wait(&s->turn, &s->lock); /* until work begins again */
	}
	s->idle--;
}

static void *worker(void *arg)
{
	struct serve *s = arg;
	struct fuse_buf buf = {.mem = NULL};
	const struct fuse_in_header *h;
	bool slept;
	int n;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		if (s->led) {
			stand_by(s);
			continue;
		}
		s->led = true;
		pthread_mutex_unlock(&s->lock);
		n = receive(s, &buf, &slept);
		pthread_mutex_lock(&s->lock);
		s->led = false;
		if (n == 0) {
			s->stop = true;
			(void)eventfd_write(s->ended_event, 1);
			break;
		}
		s->taken++;
		h = buf.mem;
		if (slept || (h->pid && h->pid != s->caller))
			hand_on(s);
		if (h->pid)
			s->caller = h->pid;
		pthread_mutex_unlock(&s->lock);
		if (h->opcode < FS_REQUESTS)
			atomic_fetch_add_explicit(
			        &s->fs->requests[h->opcode], 1, memory_order_relaxed);
		fuse.session_process_buf(s->session, &buf);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	free(buf.mem);
	return NULL;
}

/* Sleeps until the workers or a signal end the session. */
static void wait_for_end(struct serve *s)
{
	struct pollfd p = {.fd = s->ended_event, .events = POLLIN};
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	sigdelset(&mask, SIGTERM);
	sigdelset(&mask, SIGINT);
	sigdelset(&mask, SIGHUP);
	while (!fuse.session_exited(s->session) && ppoll(&p, 1, NULL, &mask) <= 0)
		;
}

static int64_t spin_max(void)
{
	cpu_set_t set;

	/* on one CPU nobody could ask meanwhile */
	return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 1 ? SPIN_MAX : 0;
}

static int begin(struct serve *s, struct fs *fs)
{
	int flags;

	s->fs = fs;
	s->session = fs->session;
	s->fd = fuse.session_fd(fs->session);
	s->spin_max = spin_max();
	s->stop_event = eventfd(0, EFD_CLOEXEC);
	s->ended_event = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&s->lock, NULL);
	now_cond_init(&s->turn);
	if (s->stop_event < 0 || s->ended_event < 0)
		return -errno;
	flags = fcntl(s->fd, F_GETFL);
	return flags < 0 || fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int serve_loop(struct fs *fs)
{
	struct serve s = {.fd = -1};
	int r = begin(&s, fs);

	pthread_mutex_lock(&s.lock);
	for (unsigned i = 0; i < 2 && r == 0; i++) {
		r = -pthread_create(&s.thread[i], NULL, worker, &s);
		s.threads += r == 0;
	}
	pthread_mutex_unlock(&s.lock);
	if (r == 0)
		wait_for_end(&s);
	pthread_mutex_lock(&s.lock);
	s.stop = true;
	(void)eventfd_write(s.stop_event, 1);
	pthread_cond_broadcast(&s.turn);
	pthread_mutex_unlock(&s.lock);
	for (unsigned i = 0; i < s.threads; i++)
		pthread_join(s.thread[i], NULL);
	if (s.stop_event >= 0)
		close(s.stop_event);
	if (s.ended_event >= 0)
		close(s.ended_event);
	pthread_cond_destroy(&s.turn);
	pthread_mutex_destroy(&s.lock);
	return r;
}
