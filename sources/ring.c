/* SPDX-License-Identifier: MIT */
/* ring.c: see ring.h.
 *
 * Lock order: a ring's lock is alone. A loan's last reference is dropped under it, so that whoever
 * moves a block knows that it is still lent.
 */
#include "sources/ring.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESERVE 8 /* bytes in front of a packet, for a VLAN tag that the kernel has taken out */

struct loan {
	struct ring *ring;
	uint8_t *at;
	uint32_t slot, refs; /* protected by the ring's lock */
	bool moved;
};

struct slot {
	uint8_t *at; /* the block, in whatever mapping */
	struct loan *loan;
	uint64_t taken; /* number of the block, of all that were taken */
};

struct ring {
	int fd;
	struct ring_fanout *fanout; /* NULL: none */
	uint16_t group;             /* that it belongs to there */
	bool opened;                /* as one of the group */
	uint32_t nslots, next;      /* next: the reader's */
	uint64_t taken, copies_until;
	uint64_t out;         /* the reader's: packets taken */
	uint64_t moved;       /* atomic: bytes */
	uint64_t disowned;    /* atomic: packets before that number are of no one */
	pthread_mutex_t lock; /* protects what follows, and the loans */
	uint64_t in;          /* packets taken in, as far as they were counted */
	uint32_t lent, refs;  /* refs: the owner, and every loan */
	struct slot slot[];
};

static struct tpacket_hdr_v1 *header(const struct slot *s)
{
	return &((struct tpacket_block_desc *)s->at)->hdr.bh1;
}

static void give_back(struct slot *s)
{
	s->loan = NULL;
	__atomic_store_n(&header(s)->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

/* ---- moving ---- */

/* Puts a copy in the place of a lent block, and `fresh` in its slot. */
static bool move(struct ring *r, struct slot *s, uint8_t *fresh)
{
	uint8_t *copy =
	        mmap(NULL, RING_BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		return false;
	memcpy(copy, s->at, header(s)->blk_len);
	if (mremap(copy, RING_BLOCK, RING_BLOCK, MREMAP_MAYMOVE | MREMAP_FIXED, s->at) ==
	        MAP_FAILED) {
		munmap(copy, RING_BLOCK);
		return false;
	}
	s->loan->moved = true;
	s->at = fresh;
	give_back(s);
	r->lent--;
	__atomic_add_fetch(&r->moved, RING_BLOCK, __ATOMIC_RELAXED);
	return true;
}

/* Moves the blocks that were taken `age` blocks ago or before; with the lock held. */
static uint32_t move_all(struct ring *r, uint64_t age)
{
	size_t size = (size_t)r->nslots * RING_BLOCK;
	uint8_t *fresh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	uint8_t *rest = fresh, *at = fresh; /* [rest, at) is not needed */
	uint32_t n = 0;

	if (fresh == MAP_FAILED)
		return 0;
	for (uint32_t i = 0; i < r->nslots; i++, at += RING_BLOCK) {
		struct slot *s = &r->slot[i];

		if (!s->loan || s->taken + age > r->taken || !move(r, s, at))
			continue;
		if (at > rest)
			munmap(rest, (size_t)(at - rest));
		rest = at + RING_BLOCK;
		n++;
	}
	if (at > rest)
		munmap(rest, (size_t)(at - rest));
	return n;
}

void ring_clear(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->lent)
		move_all(r, 0);
	pthread_mutex_unlock(&r->lock);
}

uint32_t ring_lent(struct ring *r)
{
	uint32_t n;

	pthread_mutex_lock(&r->lock);
	n = r->lent;
	pthread_mutex_unlock(&r->lock);
	return n;
}

uint64_t ring_moved(const struct ring *r)
{
	return __atomic_load_n(&r->moved, __ATOMIC_RELAXED);
}

bool ring_copies(const struct ring *r)
{
	return r->taken < r->copies_until;
}

/* ---- loans ---- */

static void unref(struct ring *r) /* with the lock held, which it gives up */
{
	bool last = --r->refs == 0;

	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct loan *loan_ref(struct loan *l)
{
	__atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
	return l;
}

void loan_drop(struct loan *l)
{
	struct ring *r;

	if (!l)
		return;
	r = l->ring;
	pthread_mutex_lock(&r->lock);
	if (__atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL)) {
		pthread_mutex_unlock(&r->lock);
		return;
	}
	if (l->moved) {
		munmap(l->at, RING_BLOCK);
		__atomic_sub_fetch(&r->moved, RING_BLOCK, __ATOMIC_RELAXED);
	} else {
		give_back(&r->slot[l->slot]);
		r->lent--;
		if (r->fd < 0) /* it could not be moved */
			munmap(l->at, RING_BLOCK);
	}
	free(l);
	unref(r);
}

bool ring_take(struct ring *r, struct taken *ret)
{
	struct slot *s = &r->slot[r->next];
	struct slot *old = &r->slot[(r->next + r->nslots / 2) % r->nslots];
	struct tpacket_hdr_v1 *h;
	bool held, moving;

	pthread_mutex_lock(&r->lock);
	held = s->loan != NULL;
	moving = held || (old->loan && old->taken + r->nslots / 2 <= r->taken);
	if (moving && move_all(r, r->nslots / 4) > r->nslots / 16)
		r->copies_until = r->taken + r->nslots;
	pthread_mutex_unlock(&r->lock);
	h = header(s);
	if (held || !(__atomic_load_n(&h->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return false; /* of one that was held the kernel has just been given the block */
	ret->loan = calloc(1, sizeof *ret->loan);
	if (!ret->loan)
		return false;
	*ret->loan = (struct loan){.ring = r, .at = s->at, .slot = r->next, .refs = 1};
	ret->first = (struct tpacket3_hdr *)(s->at + h->offset_to_first_pkt);
	ret->n = h->num_pkts;
	ret->used = h->blk_len;
	ret->number = r->out;
	r->out += ret->n;
	pthread_mutex_lock(&r->lock);
	s->loan = ret->loan;
	s->taken = r->taken++;
	r->lent++;
	r->refs++;
	pthread_mutex_unlock(&r->lock);
	r->next = (r->next + 1) % r->nslots;
	return true;
}

bool ring_pressed(struct ring *r)
{
	/* the kernel goes in order: if that one has been handed over, so have those before */
	struct slot *s = &r->slot[(r->next + r->nslots / 2) % r->nslots];
	bool lent;

	pthread_mutex_lock(&r->lock);
	lent = s->loan != NULL;
	pthread_mutex_unlock(&r->lock);
	return !lent &&
	       (__atomic_load_n(&header(s)->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER);
}

/* ---- open, close ---- */

int ring_fd(const struct ring *r)
{
	return r->fd;
}

int ring_filter(struct ring *r, const struct sock_fprog *f)
{
	return setsockopt(r->fd, SOL_SOCKET, SO_ATTACH_FILTER, f, sizeof *f) < 0 ? -errno : 0;
}

void ring_count(struct ring *r, struct ring_counts *to)
{
	struct tpacket_stats_v3 s;
	socklen_t size = sizeof s;

	if (getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &s, &size) < 0)
		return;
	to->packets += s.tp_packets;
	to->drops += s.tp_drops;
	pthread_mutex_lock(&r->lock);
	r->in += s.tp_packets - s.tp_drops;
	pthread_mutex_unlock(&r->lock);
}

uint64_t ring_left(struct ring *r)
{
	uint64_t in;

	pthread_mutex_lock(&r->lock);
	in = r->in;
	pthread_mutex_unlock(&r->lock);
	return in > r->out ? in - r->out : 0;
}

void ring_disown(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	__atomic_store_n(&r->disowned, r->in, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&r->lock);
}

uint64_t ring_disowned(const struct ring *r)
{
	return __atomic_load_n(&r->disowned, __ATOMIC_RELAXED);
}

static int set(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PACKET, option, &value, sizeof value) < 0 ? -errno : 0;
}

/* Into the group of the interface's rings, or with the first of a new one. */
static int join(struct ring *r, int index)
{
	struct ring_fanout *f = r->fanout;
	const int flags = PACKET_FANOUT_HASH << 16;
	socklen_t size = sizeof(int);
	int id = 0, e = -ENOENT;

	pthread_mutex_lock(&f->lock);
	if (f->members && f->index == index) {
		id = f->id;
		e = set(r->fd, PACKET_FANOUT, flags | id);
	}
	if (e < 0) {
		e = set(r->fd, PACKET_FANOUT, flags | PACKET_FANOUT_FLAG_UNIQUEID << 16);
		if (e == 0 && getsockopt(r->fd, SOL_PACKET, PACKET_FANOUT, &id, &size) < 0)
			e = -errno;
		if (e == 0)
			f->members = f->open = 0;
	}
	if (e == 0) {
		f->index = index;
		f->id = r->group = (uint16_t)id;
		f->members++;
	} else {
		r->fanout = NULL;
	}
	pthread_mutex_unlock(&f->lock);
	return e;
}

static void part(struct ring *r)
{
	struct ring_fanout *f = r->fanout;

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	if (f->members && f->id == r->group) {
		f->members--;
		f->open -= r->opened;
	}
	pthread_mutex_unlock(&f->lock);
}

/* What it is dealt is wanted now. */
static int open_up(struct ring *r, const struct sock_fprog *filter)
{
	struct ring_fanout *f = r->fanout;
	int e = ring_filter(r, filter);

	if (e < 0)
		return e;
	pthread_mutex_lock(&f->lock);
	r->opened = f->id == r->group;
	f->open += r->opened;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

uint32_t ring_fanout_open(struct ring_fanout *f)
{
	uint32_t n;

	pthread_mutex_lock(&f->lock);
	n = f->open;
	pthread_mutex_unlock(&f->lock);
	return n;
}

/* It takes no more of what it is dealt. */
static void close_again(struct ring *r)
{
	struct ring_fanout *f = r->fanout;

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	if (r->opened && f->id == r->group)
		f->open--;
	r->opened = false;
	pthread_mutex_unlock(&f->lock);
}

void ring_shut(struct ring *r)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);

	ring_filter(r, &(struct sock_fprog){.len = 1, .filter = &none});
	close_again(r);
}

static int set_up(struct ring *r, const struct ring_config *c, int index, const char **step)
{
	struct tpacket_req3 q = {.tp_block_size = RING_BLOCK,
	        .tp_block_nr = r->nslots,
	        .tp_frame_size = 2048,
	        .tp_frame_nr = r->nslots * (RING_BLOCK / 2048),
	        .tp_retire_blk_tov = RING_RETIRE_MS};
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
	        .sll_protocol = htons((uint16_t)c->protocol),
	        .sll_ifindex = index};
	size_t size = (size_t)r->nslots * RING_BLOCK;
	uint8_t *map;
	socklen_t len = sizeof(int);
	int e, down = 0;

	*step = "TPACKET_V3";
	if (set(r->fd, PACKET_VERSION, TPACKET_V3) < 0 || set(r->fd, PACKET_RESERVE, RESERVE) < 0)
		return -errno;
	if (c->card_stamps)
		set(r->fd, PACKET_TIMESTAMP, SOF_TIMESTAMPING_RAW_HARDWARE);
	*step = "filter";
	if (c->fanout)
		ring_shut(r); /* bound and not yet in its group, it would get all packets */
	else if (ring_filter(r, c->filter) < 0)
		return -errno;
	*step = "ring";
	if (setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &q, sizeof q) < 0)
		return -errno;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	for (uint32_t i = 0; i < r->nslots; i++)
		r->slot[i].at = map + (size_t)i * RING_BLOCK;
	*step = "bind";
	if (bind(r->fd, (struct sockaddr *)&at, sizeof at) < 0)
		return -errno;
	*step = "fanout";
	r->fanout = c->fanout;
	if (!r->fanout)
		return 0;
	e = join(r, index);
	if (e == -EINVAL && getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &down, &len) == 0 && down)
		return -down;
	if (e < 0)
		return e;
	*step = "filter";
	return open_up(r, c->filter);
}

int ring_open(const struct ring_config *c, int index, struct ring **ret, const char **ret_step)
{
	size_t size = c->size < RING_LEAST ? RING_LEAST : c->size;
	uint32_t n = (uint32_t)((size + RING_BLOCK - 1) / RING_BLOCK);
	struct ring *r = calloc(1, sizeof *r + n * sizeof *r->slot);
	int e;

	if (!r)
		return -ENOMEM;
	r->nslots = n;
	r->refs = 1;
	pthread_mutex_init(&r->lock, NULL);
	*ret_step = "socket";
	/* no protocol yet: nothing comes in before it is bound */
	r->fd = socket(AF_PACKET, (c->cooked ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC, 0);
	e = r->fd < 0 ? -errno : set_up(r, c, index, ret_step);
	if (e < 0) {
		ring_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	if (r->lent) /* a mapping keeps the socket */
		move_all(r, 0);
	for (uint32_t i = 0; i < r->nslots; i++)
		if (r->slot[i].at && !r->slot[i].loan)
			munmap(r->slot[i].at, RING_BLOCK);
	part(r);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	unref(r);
}
