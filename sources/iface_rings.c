/* SPDX-License-Identifier: MIT */
/* iface_rings.c: see iface_rings.h. */
#include "sources/iface_rings.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define QUEUE 64 /* hauls of a ring that wait to be merged */
#define SLACK_NS (RINGS_SLACK_MS * 1000000ll)
#define NAP_NS 2000000ll /* the shortest time between two looks at a ring that has nothing */

/* What a ring gave at once. */
struct haul {
	uint32_t refs; /* atomic */
	uint32_t n, at;
	int64_t came; /* CLOCK_MONOTONIC */
	uint64_t era;
	struct haul *next;
	struct block *block; /* that this is in */
	struct tap_hold hold;
	struct weir_packet pk[WEIR_BATCH_ROWS];
};

struct lane {
	struct tap *tap;
	struct iface_rings *all;
	pthread_t thread;
	bool runs;
	int poke;                 /* eventfd: look again, or stop */
	bool pressed;             /* atomic */
	struct haul *head, *held; /* the reader's; held: the head that the batch has already */

	/* with the lock */
	struct haul *first, *last;
	uint32_t queued;
	int64_t empty_at; /* when it was last seen empty */
	int failed;
};

struct iface_rings {
	pthread_mutex_t lock;
	pthread_cond_t room; /* in a queue, or the end */
	bool stop;           /* with the lock */
	bool started;        /* this and `due`: the reader's */
	int64_t due;         /* when what waits for an empty ring may go on; 0: nothing waits */
	uint64_t era;        /* atomic: hauls of another one are of no one */
	int came;            /* eventfd: for the reader */
	struct block_pool *pool;
	uint32_t n;
	struct lane lane[];
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* ---- hauls ---- */

static struct haul *haul_new(struct iface_rings *r)
{
	struct block *b = block_new(r->pool, sizeof(struct haul));
	struct haul *h = b ? (struct haul *)b->data : NULL;

	if (!h)
		return NULL;
	h->refs = 1;
	h->n = h->at = 0;
	h->next = NULL;
	h->block = b;
	h->hold = (struct tap_hold){0};
	h->era = __atomic_load_n(&r->era, __ATOMIC_ACQUIRE);
	return h;
}

static void haul_unref(struct haul *h)
{
	if (!h || __atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL))
		return;
	tap_drop(&h->hold);
	block_unref(h->block);
}

void iface_rings_drop(struct rings_hold *hold)
{
	for (uint32_t i = 0; i < hold->n; i++)
		haul_unref(hold->haul[i]);
}

/* ---- the thread of a ring ---- */

/* Queues what came, when there is room. False: it is to end. */
static bool put(struct lane *l, struct haul *h)
{
	struct iface_rings *r = l->all;
	bool tell, goes;

	pthread_mutex_lock(&r->lock);
	while (l->queued == QUEUE && !r->stop)
		pthread_cond_wait(&r->room, &r->lock);
	goes = !r->stop;
	tell = !l->first;
	if (goes) {
		if (l->first)
			l->last->next = h;
		else
			l->first = h;
		l->last = h;
		l->queued++;
	}
	pthread_mutex_unlock(&r->lock);
	if (!goes)
		haul_unref(h);
	else if (tell)
		eventfd_write(r->came, 1);
	return goes;
}

/* The ring had nothing since `at`, or failed for good. Whether it is to go on. */
static bool nothing(struct lane *l, int64_t at, int failed)
{
	struct iface_rings *r = l->all;
	bool goes;

	pthread_mutex_lock(&r->lock);
	l->empty_at = at;
	l->failed = failed;
	goes = !r->stop && !failed;
	pthread_mutex_unlock(&r->lock);
	return goes;
}

/* Until there may be something again; whether the reader wants to know that there is nothing. */
static bool sleep_a_while(struct lane *l)
{
	struct pollfd p[2] = {{.events = POLLIN}, {.fd = l->poke, .events = POLLIN}};
	struct timespec t, *until = NULL;
	int64_t wake;
	eventfd_t pokes;

	tap_idle(l->tap, &wake, &p[0].fd);
	if (wake) {
		int64_t left = wake - now();

		left = left < 0 ? 0 : left;
		t = (struct timespec){left / 1000000000, left % 1000000000};
		until = &t;
	}
	ppoll(p, 2, until, NULL);
	return (p[1].revents & POLLIN) && eventfd_read(l->poke, &pokes) == 0;
}

static void *work(void *arg)
{
	struct lane *l = arg;
	bool goes = true, asked = false;

	while (goes) {
		struct haul *h = haul_new(l->all);
		int64_t at = now();
		uint64_t bytes;
		int e = h ? tap_take(l->tap, h->pk, &h->n, &h->hold, &bytes) : -ENOMEM;

		__atomic_store_n(&l->pressed, l->tap->link.ring && ring_pressed(l->tap->link.ring),
		        __ATOMIC_RELAXED);
		if (h && h->n) {
			h->came = now();
			goes = put(l, h);
			continue;
		}
		haul_unref(h);
		goes = nothing(l, at, e < 0 ? e : 0);
		if (asked || e < 0)
			eventfd_write(l->all->came, 1);
		asked = goes && sleep_a_while(l);
	}
	return NULL;
}

static int start(struct iface_rings *r)
{
	r->started = true;
	for (uint32_t i = 0; i < r->n; i++) {
		int e = pthread_create(&r->lane[i].thread, NULL, work, &r->lane[i]);

		if (e)
			return -e;
		r->lane[i].runs = true;
	}
	return 0;
}

/* ---- the reader ---- */

/* The next haul of each ring that has one; -errno: a ring has failed, and nothing is left of it. */
static int pull(struct iface_rings *r)
{
	uint64_t era = __atomic_load_n(&r->era, __ATOMIC_ACQUIRE);
	bool full = false;
	int failed = 0;

	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < r->n; i++) {
		struct lane *l = &r->lane[i];

		do {
			struct haul *h = l->head;

			if (h && h->era != era) { /* nobody wants it */
				__atomic_add_fetch(&l->tap->over, h->n - h->at, __ATOMIC_RELAXED);
				haul_unref(h);
				h = NULL;
			}
			if (!h && l->first) {
				h = l->first;
				full |= l->queued == QUEUE;
				l->first = h->next;
				l->queued--;
			}
			l->head = h;
		} while (l->head && l->head->era != era);
		if (!l->head && l->failed)
			failed = l->failed;
	}
	if (full)
		pthread_cond_broadcast(&r->room);
	pthread_mutex_unlock(&r->lock);
	return failed;
}

enum { GO_ON, WAIT, PULL };

/* What to do about a haul that came then, where rings have nothing: they may be looked at again, or
 * have something now. */
static int lacking(struct iface_rings *r, int64_t came)
{
	int64_t since = came + SLACK_NS, t = now();
	int ret = GO_ON;

	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < r->n && ret != PULL; i++) {
		struct lane *l = &r->lane[i];

		if (l->head || (!l->first && l->empty_at >= since))
			continue;
		ret = l->first ? PULL : WAIT;
		if (ret == WAIT && t >= since)
			eventfd_write(l->poke, 1);
	}
	pthread_mutex_unlock(&r->lock);
	if (ret == WAIT)
		r->due = since > t + NAP_NS ? since : t + NAP_NS;
	return ret;
}

static int64_t time_of(const struct haul *h)
{
	return h->pk[h->at].ts;
}

/* The ring whose packet is the earliest, NULL: none has any; until when it stays so. */
static struct lane *earliest(struct iface_rings *r, int64_t *ret_until, bool *ret_lack)
{
	struct lane *best = NULL;

	*ret_until = INT64_MAX;
	*ret_lack = false;
	for (uint32_t i = 0; i < r->n; i++) {
		struct lane *l = &r->lane[i];

		if (!l->head) {
			*ret_lack = true;
		} else if (!best || time_of(l->head) < time_of(best->head)) {
			if (best)
				*ret_until = time_of(best->head);
			best = l;
		} else if (time_of(l->head) < *ret_until) {
			*ret_until = time_of(l->head);
		}
	}
	return best;
}

int iface_rings_take(struct iface_rings *r, struct weir_packet *pk, uint32_t *ret_n,
        struct rings_hold *hold, uint64_t *ret_bytes)
{
	int e = r->started ? 0 : start(r);
	eventfd_t came;
	uint32_t n = 0;
	bool pulls = true;

	*ret_n = 0;
	*ret_bytes = 0;
	if (e < 0)
		return e;
	eventfd_read(r->came, &came);
	for (uint32_t i = 0; i < r->n; i++)
		r->lane[i].held = NULL;
	while (n < WEIR_BATCH_ROWS) {
		int64_t until;
		struct lane *l;
		struct haul *h;
		bool lack;
		int what;

		if (pulls && (e = pull(r)) < 0)
			break;
		r->due = 0;
		l = earliest(r, &until, &lack);
		what = l && lack ? lacking(r, l->head->came) : GO_ON;
		pulls = what == PULL;
		if (pulls)
			continue;
		if (!l || what == WAIT)
			break;
		h = l->head;
		if (l->held != h) {
			if (hold->n == RINGS_HOLD)
				break;
			__atomic_add_fetch(&h->refs, 1, __ATOMIC_RELAXED);
			hold->haul[hold->n++] = l->held = h;
		}
		do {
			pk[n] = h->pk[h->at++];
			*ret_bytes += pk[n++].caplen;
		} while (n < WEIR_BATCH_ROWS && h->at < h->n && time_of(h) <= until);
		if (h->at == h->n) {
			l->head = l->held = NULL;
			haul_unref(h);
			pulls = true;
		}
	}
	*ret_n = n;
	return n ? 1 : e;
}

void iface_rings_idle(struct iface_rings *r, int64_t *ret_wake, int *ret_fd)
{
	*ret_wake = r->due;
	*ret_fd = r->came;
}

void iface_rings_disown(struct iface_rings *r)
{
	__atomic_add_fetch(&r->era, 1, __ATOMIC_ACQ_REL);
}

bool iface_rings_pressed(const struct iface_rings *r)
{
	bool is = false;

	for (uint32_t i = 0; i < r->n; i++)
		is |= __atomic_load_n(&r->lane[i].pressed, __ATOMIC_RELAXED);
	return is;
}

/* ---- new, free ---- */

struct iface_rings *iface_rings_new(struct tap *tap, uint32_t n, struct weir_mem *mem)
{
	struct iface_rings *r = calloc(1, sizeof *r + n * sizeof r->lane[0]);
	bool fine;

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->room, NULL);
	r->n = n;
	r->pool = block_pool_new(sizeof(struct haul), mem);
	r->came = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fine = r->pool && r->came >= 0;
	for (uint32_t i = 0; i < n; i++) {
		struct lane *l = &r->lane[i];

		l->tap = &tap[i];
		l->all = r;
		l->empty_at = INT64_MIN;
		l->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		fine &= l->poke >= 0;
	}
	if (fine)
		return r;
	iface_rings_free(r);
	return NULL;
}

void iface_rings_free(struct iface_rings *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->room);
	pthread_mutex_unlock(&r->lock);
	for (uint32_t i = 0; i < r->n; i++) {
		struct lane *l = &r->lane[i];

		if (l->runs) {
			eventfd_write(l->poke, 1);
			pthread_join(l->thread, NULL);
		}
		for (struct haul *h = l->first; h;) {
			struct haul *next = h->next;

			haul_unref(h);
			h = next;
		}
		haul_unref(l->head);
		if (l->poke >= 0)
			close(l->poke);
	}
	if (r->came >= 0)
		close(r->came);
	block_pool_unref(r->pool);
	pthread_cond_destroy(&r->room);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
