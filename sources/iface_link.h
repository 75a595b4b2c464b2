/* SPDX-License-Identifier: MIT */
/* iface_link.h: the interface that a capture is bound to, come what may: its ring, its filter, what
 * happened to it.
 *
 * One thread reads the ring and looks; any may ask, count and say what is wanted.
 */
#ifndef IFACE_LINK_H
#define IFACE_LINK_H

#include "sources/kernelbpf.h"
#include "sources/netlink.h"
#include "sources/ring.h"
#include <pthread.h>
#include <weir/source.h>

#define IFACE_PREFIX "iface:"
#define IFACE_EVENTS 16    /* the last ones are told */
#define IFACE_WAIT_MS 1000 /* for what a ring of an interface that is gone has not given */

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW 101

struct iface_config {
	const char *name, *bpf;
	uint64_t ring, snaplen;
	uint64_t rings;
	uint32_t promisc; /* 0: on */
	uint32_t stamps;  /* 0: the host's, 1: the card's */
};

/* A counter of the interface's own, over all that it was begun anew. */
struct iface_counter {
	uint64_t sum, last;
};

/* The reader's, others with the lock, unless it says otherwise. */
struct iface_link {
	const struct iface_config *config;
	struct ring_fanout *fanout; /* of all rings of the source; NULL: this is all */
	bool first;                 /* of them */
	const char *name;           /* that was asked for */
	struct ring *ring; /* NULL: the interface is gone, and all that came from it read */
	uint16_t linktype; /* of what is in the ring */
	uint16_t hatype;   /* the same as the kernel says it of each packet (ARPHRD_…) */
	bool gone;         /* the interface, or it is of another kind now: what has come is read */
	bool arrives; /* it is back, and what is dealt to the other rings may still be dropped */
	struct kernelbpf *base; /* of the option `bpf`; the reader's */
	int watch, epoll;       /* changes of interfaces; and packets */
	int stays;              /* its index, where only its kind has changed, or 0 */
	uint64_t left;          /* in the ring of one that is gone, when it was last looked at */
	int64_t left_since;     /* CLOCK_MONOTONIC */

	pthread_mutex_t lock;     /* protects what follows */
	bool locks;               /* there is a lock */
	struct kernelbpf *active; /* in the kernel now */
	bool silent;              /* another one has all of the interface's packets */
	bool wanted;
	char *text;                 /* what is wanted; NULL: all that `bpf` lets in */
	struct netlink_about about; /* as it was last seen; index 0: gone */
	struct ring_counts counted;
	uint64_t lost; /* packets of rings that could not be read to their end */
	struct iface_counter missed;
	uint64_t nevents;
	struct iface_event {
		int64_t time;
		char text[120];
	} event[IFACE_EVENTS];
};

int iface_link_open(struct iface_link *l, const struct iface_config *c, struct ring_fanout *fanout,
        bool first, struct weir_err *err);
void iface_link_close(struct iface_link *l); /* of a zeroed one too */
/* Sees what has become of the interface. The reader, now and then, and when the ring gave nothing
 * and none of its blocks is at hand (`idle`): only then another ring takes its place. */
void iface_link_look(struct iface_link *l, bool idle);
/* As the source's want(). */
int iface_link_want(struct iface_link *l, const char *const *filter, uint32_t n);
void iface_link_count(struct iface_link *l, struct weir_counts *ret);
void iface_link_info(struct iface_link *l,
        void (*line)(void *arg, const char *key, const char *value), void *arg);

/* The interface's counter stands at `value` now. */
void iface_counter_see(struct iface_counter *c, uint64_t value);

#endif
