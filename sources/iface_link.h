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
#define IFACE_EVENTS 16 /* the last ones are told */

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW 101

struct iface_config {
	const char *name, *bpf;
	uint64_t ring, snaplen;
	uint32_t promisc; /* 0: on */
	uint32_t stamps;  /* 0: the host's, 1: the card's */
};

struct iface_link {
	const struct iface_config *config;
	const char *name;  /* that was asked for */
	struct ring *ring; /* NULL: the interface is gone; the reader's, others with the lock */
	uint16_t linktype; /* the reader's */
	bool gone;         /* the same */
	struct kernelbpf *base; /* of the option `bpf` */
	int watch, epoll;       /* changes of interfaces; and packets */

	pthread_mutex_t lock;     /* protects what follows */
	bool locks;               /* there is a lock */
	struct kernelbpf *active; /* in the kernel now */
	bool wanted;
	struct netlink_about about; /* as it was last seen; index 0: gone */
	struct ring_counts counted;
	uint64_t missed, missed_before; /* of rings before this one; at the begin of this one */
	uint64_t nevents;
	struct iface_event {
		int64_t time;
		char text[120];
	} event[IFACE_EVENTS];
};

int iface_link_open(struct iface_link *l, const struct iface_config *c, struct weir_err *err);
void iface_link_close(struct iface_link *l); /* of a zeroed one too */
/* Sees what has become of the interface. The reader, when it finds nothing, and now and then. */
void iface_link_look(struct iface_link *l);
/* As the source's want(). *ret_first: nobody wanted anything before. */
int iface_link_want(struct iface_link *l, const char *const *filter, uint32_t n, bool *ret_first);
void iface_link_count(struct iface_link *l, struct weir_counts *ret);
void iface_link_info(struct iface_link *l,
        void (*line)(void *arg, const char *key, const char *value), void *arg);

#endif
