/* SPDX-License-Identifier: MIT */
/* iface_link.c: see iface_link.h. */
#include "sources/iface_link.h"
#include "sources/linktype.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519
#endif
#ifndef ARPHRD_IP6GRE
#define ARPHRD_IP6GRE 823
#endif

static void note(struct iface_link *l, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Something happened; with the lock held. */
static void note(struct iface_link *l, const char *format, ...)
{
	struct iface_event *e = &l->event[l->nevents++ % IFACE_EVENTS];
	struct timespec t;
	va_list ap;

	clock_gettime(CLOCK_REALTIME, &t);
	e->time = t.tv_sec * 1000000000ll + t.tv_nsec;
	va_start(ap, format);
	vsnprintf(e->text, sizeof e->text, format, ap);
	va_end(ap);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Drivers begin theirs anew, when the interface goes up or is told to. */
void iface_counter_see(struct iface_counter *c, uint64_t value)
{
	c->sum += value >= c->last ? value - c->last : value;
	c->last = value;
}

/* ---- what kind of interface ---- */

/* What its packets begin with. Tunnels have headers that differ with each kind, or none: they are
 * taken from the IP header on. False: weir does not know it. */
static bool link_of(uint16_t arphrd, uint16_t *ret_linktype, bool *ret_cooked)
{
	static const struct {
		uint16_t arphrd, linktype;
		bool cooked;
	} row[] = {{ARPHRD_ETHER, LINKTYPE_ETHERNET, false},
	        {ARPHRD_LOOPBACK, LINKTYPE_ETHERNET, false}, {ARPHRD_NONE, LINKTYPE_RAW, false},
	        {ARPHRD_RAWIP, LINKTYPE_RAW, false}, {ARPHRD_PPP, LINKTYPE_RAW, true},
	        {ARPHRD_TUNNEL, LINKTYPE_RAW, true}, {ARPHRD_TUNNEL6, LINKTYPE_RAW, true},
	        {ARPHRD_SIT, LINKTYPE_RAW, true}, {ARPHRD_IPGRE, LINKTYPE_RAW, true},
	        {ARPHRD_IP6GRE, LINKTYPE_RAW, true}, {ARPHRD_INFINIBAND, LINKTYPE_RAW, true},
	        {ARPHRD_IEEE80211, 105, false}, {ARPHRD_IEEE80211_RADIOTAP, 127, false},
	        {ARPHRD_IEEE80211_PRISM, 119, false}};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		if (row[i].arphrd != arphrd)
			continue;
		*ret_linktype = row[i].linktype;
		*ret_cooked = row[i].cooked;
		return true;
	}
	return false;
}

/* ---- the ring ---- */

static void set_up_socket(struct iface_link *l, const struct netlink_about *a)
{
	struct packet_mreq m = {.mr_ifindex = a->index, .mr_type = PACKET_MR_PROMISC};
	struct epoll_event e = {.events = EPOLLIN, .data.fd = ring_fd(l->ring)};
	int on = 1;

	if (l->config->promisc == 0 && !a->loopback)
		setsockopt(ring_fd(l->ring), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof m);
	if (a->loopback) /* each packet leaves it, then comes */
		setsockopt(ring_fd(l->ring), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	epoll_ctl(l->epoll, EPOLL_CTL_ADD, ring_fd(l->ring), &e);
}

/* The program for what is wanted. 0; -errno: it is one that lets everything in, or NULL. With the
 * lock held. */
static int program(const struct iface_link *l, uint16_t linktype, struct kernelbpf **ret)
{
	uint32_t snaplen = (uint32_t)l->config->snaplen;
	char why[256];
	int e = 0;

	if (!l->wanted || l->silent) {
		*ret = kernelbpf_nothing();
		return *ret ? 0 : -ENOMEM;
	}
	if (l->text)
		e = kernelbpf_new(l->text, linktype, snaplen, ret, why, sizeof why);
	if (e < 0 || !l->text)
		kernelbpf_new(l->config->bpf, linktype, snaplen, ret, why, sizeof why);
	return *ret ? e : -ENOMEM;
}

/* The programs, for another link type: the same bytes stand elsewhere. 0, or -errno and the reason.
 * With the lock held. */
static int compile(struct iface_link *l, uint16_t linktype, char *why, size_t size)
{
	const struct iface_config *c = l->config;
	struct kernelbpf *base = NULL, *active = NULL;
	int r = kernelbpf_new(c->bpf, linktype, (uint32_t)c->snaplen, &base, why, size);

	if (r < 0)
		return r;
	program(l, linktype, &active);
	if (!active) {
		kernelbpf_free(base);
		snprintf(why, size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	kernelbpf_free(l->base);
	kernelbpf_free(l->active);
	l->base = base;
	l->active = active;
	l->linktype = linktype;
	return 0;
}

/* 0, or -errno and the reason. With the lock held. */
static int attach(struct iface_link *l, const struct netlink_about *a, char *why, size_t size)
{
	struct ring_config c = {.fanout = a->loopback ? NULL : l->fanout,
	        .size = l->config->ring / l->config->rings,
	        .card_stamps = l->config->stamps == 1,
	        .protocol = ETH_P_ALL};
	const char *step = "";
	/* what leaves it comes as well, and a group of rings cannot be told to ignore the one */
	bool silent = a->loopback && l->fanout && !l->first;
	uint16_t linktype;
	int r;

	if (!link_of(a->type, &linktype, &c.cooked)) {
		snprintf(why, size, "an interface without a link layer that weir knows (type %u)",
		        a->type);
		return -EOPNOTSUPP;
	}
	if (linktype != l->linktype || silent != l->silent) {
		l->silent = silent;
		r = compile(l, linktype, why, size);
		if (r < 0)
			return r;
	}
	c.filter = kernelbpf_program(l->active);
	r = ring_open(&c, a->index, &l->ring, &step);
	if (r == -EPERM || r == -EACCES) {
		snprintf(why, size, "%s: capture needs root or CAP_NET_RAW", strerror(-r));
		return r;
	}
	if (r < 0) {
		snprintf(why, size, "%s: %s", step, strerror(-r));
		return r;
	}
	l->hatype = a->type;
	l->about = *a;
	l->missed.last = a->missed;
	l->gone = false;
	set_up_socket(l, a);
	return 0;
}

/* With the lock held. */
static void detach(struct iface_link *l)
{
	ring_count(l->ring, &l->counted);
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, ring_fd(l->ring), NULL);
	l->lost += ring_left(l->ring);
	ring_free(l->ring);
	l->ring = NULL;
}

/* No more is to come. What has come is still in the ring, where the kernel hands over the last
 * block some time after the interface is gone. With the lock held. */
static void leave(struct iface_link *l, int stays)
{
	l->gone = true;
	l->arrives = false;
	l->stays = stays;
	l->about.index = 0;
	l->left = UINT64_MAX;
}

/* Whether the ring of one that is gone has been read. With the lock held, when it gave nothing. */
static bool drained(struct iface_link *l)
{
	int64_t now = now_ns(), ms;
	uint64_t left;

	ring_count(l->ring, &l->counted);
	left = ring_left(l->ring);
	if (left != l->left)
		l->left_since = now;
	l->left = left;
	ms = left ? IFACE_WAIT_MS : 2 * RING_RETIRE_MS; /* what was on its way when it went */
	return now - l->left_since >= ms * 1000000;
}

/* ---- what has become of it ---- */

static void look_for(struct iface_link *l)
{
	struct netlink_about a;
	char why[160];
	int r;

	if (l->stays && netlink_ask(l->stays, &a) < 0)
		l->stays = 0;
	if (!l->stays) {
		unsigned index = if_nametoindex(l->name);

		if (!index || netlink_ask((int)index, &a) < 0)
			return;
	}
	r = attach(l, &a, why, sizeof why);
	if (r == -ENETDOWN)
		return;
	if (r == 0)
		l->arrives = true;
	else if (a.index != l->about.index)
		note(l, "%s is back, but: %s", l->name, why);
	l->about.index = a.index;
}

/* Whether all rings of the interface get their packets. */
static bool complete(const struct iface_link *l)
{
	return !l->fanout || l->about.loopback || ring_fanout_open(l->fanout) >= l->config->rings;
}

static void look_at(struct iface_link *l)
{
	struct netlink_about a, *was = &l->about;
	int r = netlink_ask(was->index, &a);

	if (r == -ENODEV) {
		note(l, "%s is gone", was->name);
		leave(l, 0);
		return;
	}
	if (r < 0)
		return;
	iface_counter_see(&l->missed, a.missed);
	if (strcmp(a.name, was->name) != 0)
		note(l, "%s is called %s now", was->name, a.name);
	if (a.up != was->up)
		note(l, "%s is %s", a.name, a.up ? "up" : "down");
	if (a.type != was->type) {
		note(l, "%s is of another kind now (type %u)", a.name, a.type);
		ring_shut(l->ring); /* its filter looks at the wrong places */
		*was = a;
		leave(l, a.index);
		return;
	}
	*was = a;
}

void iface_link_look(struct iface_link *l, bool idle)
{
	bool changed = netlink_changed(l->watch);
	int e = 0;
	socklen_t size = sizeof e;

	if (l->ring) /* ENETDOWN is told once, and wakes poll(2) until then */
		getsockopt(ring_fd(l->ring), SOL_SOCKET, SO_ERROR, &e, &size);
	if (changed || e || l->gone)
		pthread_mutex_lock(&l->lock);
	else if (pthread_mutex_trylock(&l->lock)) /* who has it may wait for the kernel */
		return;
	if (!l->gone && (changed || e))
		look_at(l);
	if (l->gone && l->ring && idle && drained(l))
		detach(l);
	if (l->gone && !l->ring)
		look_for(l);
	if (l->arrives && complete(l)) {
		note(l, "%s is back", l->name);
		l->arrives = false;
	}
	if (l->ring)
		ring_count(l->ring, &l->counted);
	pthread_mutex_unlock(&l->lock);
}

/* ---- what is wanted of it ---- */

/* "(BASE) and ((A) or (B))", or NULL: all that BASE lets in. */
static char *both(const char *base, const char *const *filter, uint32_t n)
{
	size_t size = (base ? strlen(base) : 0) + 32;
	char *text, *to;

	for (uint32_t i = 0; i < n; i++) {
		if (!filter[i])
			return NULL;
		size += strlen(filter[i]) + 8;
	}
	text = malloc(size);
	if (!text)
		return NULL;
	to = text + snprintf(text, size, base ? "(%s) and (" : "%s(", base ? base : "");
	for (uint32_t i = 0; i < n; i++)
		to += snprintf(
		        to, size - (size_t)(to - text), "%s(%s)", i ? " or " : "", filter[i]);
	snprintf(to, size - (size_t)(to - text), ")");
	return text;
}

int iface_link_want(struct iface_link *l, const char *const *filter, uint32_t n)
{
	struct kernelbpf *p = NULL;
	int e, none = 0;

	pthread_mutex_lock(&l->lock);
	if (n && !l->wanted && l->ring) { /* it lets nothing in */
		ring_count(l->ring, &l->counted);
		ring_disown(l->ring);
	}
	l->wanted = n > 0;
	free(l->text);
	l->text = n ? both(l->config->bpf, filter, n) : NULL;
	e = program(l, l->linktype, &p);
	if (p && l->ring && !l->gone && ring_filter(l->ring, kernelbpf_program(p)) < 0)
		e = -ENOMEM;
	/* what is there may be too narrow */
	if (e == -ENOMEM && n && l->ring && !l->gone)
		setsockopt(ring_fd(l->ring), SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
	if (p) {
		kernelbpf_free(l->active);
		l->active = p;
	}
	pthread_mutex_unlock(&l->lock);
	return e;
}

void iface_link_count(struct iface_link *l, struct weir_counts *ret)
{
	struct netlink_about a;

	pthread_mutex_lock(&l->lock);
	if (l->ring)
		ring_count(l->ring, &l->counted);
	if (!l->gone && netlink_ask(l->about.index, &a) == 0)
		iface_counter_see(&l->missed, a.missed);
	*ret = (struct weir_counts){.packets = l->counted.packets,
	        .kernel = l->counted.drops,
	        .own = l->lost,
	        .interface = l->missed.sum};
	pthread_mutex_unlock(&l->lock);
}

void iface_link_info(struct iface_link *l,
        void (*line)(void *arg, const char *key, const char *value), void *arg)
{
	char text[160];

	pthread_mutex_lock(&l->lock);
	line(arg, "interface", l->about.name);
	line(arg, "link", l->gone ? "gone, waited for" : l->about.up ? "up" : "down");
	snprintf(text, sizeof text, "%u (%s)", l->linktype, linktype_name(l->linktype));
	line(arg, "link types", text);
	snprintf(text, sizeof text, "%" PRIu64 " bytes", l->config->ring);
	line(arg, "ring", text);
	if (l->config->rings > 1) {
		int at = snprintf(
		        text, sizeof text, "%" PRIu64, l->about.loopback ? 1 : l->config->rings);

		if (!l->gone && !complete(l))
			snprintf(text + at, sizeof text - (size_t)at, ", of which %" PRIu32 " open",
			        ring_fanout_open(l->fanout));
		line(arg, "rings", text);
	}
	snprintf(text, sizeof text, "%" PRIu64 " bytes", l->config->snaplen);
	line(arg, "snap length", text);
	line(arg, "promiscuous", l->config->promisc == 0 ? "on" : "off");
	if (l->config->bpf)
		line(arg, "bpf", l->config->bpf);
	for (uint64_t i = l->nevents > IFACE_EVENTS ? l->nevents - IFACE_EVENTS : 0; i < l->nevents;
	        i++) {
		const struct iface_event *e = &l->event[i % IFACE_EVENTS];

		snprintf(text, sizeof text, "%lld.%09lld %s", (long long)(e->time / 1000000000),
		        (long long)(e->time % 1000000000), e->text);
		line(arg, "event", text);
	}
	pthread_mutex_unlock(&l->lock);
}

/* ---- open, close ---- */

static int find(struct iface_link *l, struct netlink_about *a, struct weir_err *err)
{
	unsigned index = if_nametoindex(l->name);
	int r = index ? netlink_ask((int)index, a) : -ENODEV;

	if (r == -ENODEV)
		return weir_fail_no(err, ENODEV, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, l->name,
		        "there is no such interface");
	if (r < 0)
		return weir_fail_no(
		        err, -r, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, l->name, strerror(-r));
	return 0;
}

static int bad_filter(int r, const char *why, struct weir_err *err)
{
	return r == -ENOMEM ? r : weir_fail(err, WEIR_E_BAD_BPF, WEIR_NOPOS, 0, why);
}

int iface_link_open(struct iface_link *l, const struct iface_config *c, struct ring_fanout *fanout,
        bool first, struct weir_err *err)
{
	size_t prefix = strlen(IFACE_PREFIX);
	struct netlink_about a;
	struct epoll_event e = {.events = EPOLLIN};
	char why[256] = "";
	bool cooked;
	int r;

	l->config = c;
	l->fanout = fanout;
	l->first = first;
	l->name = strncmp(c->name, IFACE_PREFIX, prefix) == 0 ? c->name + prefix : c->name;
	l->epoll = l->watch = -1;
	l->locks = pthread_mutex_init(&l->lock, NULL) == 0;
	r = find(l, &a, err);
	if (r < 0)
		return r;
	l->linktype = LINKTYPE_ETHERNET;
	link_of(a.type, &l->linktype, &cooked);
	r = kernelbpf_new(c->bpf, l->linktype, (uint32_t)c->snaplen, &l->base, why, sizeof why);
	if (r < 0)
		return bad_filter(r, why, err);
	l->active = kernelbpf_nothing();
	l->watch = netlink_watch();
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	e.data.fd = l->watch;
	if (!l->active || l->watch < 0 || l->epoll < 0 ||
	        epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->watch, &e) < 0)
		return -ENOMEM;
	r = attach(l, &a, why, sizeof why);
	if (r < 0)
		return weir_fail_no(err, -r, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, l->name, why);
	return 0;
}

void iface_link_close(struct iface_link *l)
{
	ring_free(l->ring);
	l->ring = NULL;
	if (l->watch >= 0)
		close(l->watch);
	if (l->epoll >= 0)
		close(l->epoll);
	l->watch = l->epoll = -1;
	kernelbpf_free(l->base);
	kernelbpf_free(l->active);
	l->base = l->active = NULL;
	free(l->text);
	l->text = NULL;
	if (l->locks)
		pthread_mutex_destroy(&l->lock);
	l->locks = false;
}
