/* SPDX-License-Identifier: MIT */
/* netlink.h: what the kernel says of an interface (rtnetlink(7)): its name now, whether it is up,
 * what it has dropped; and a descriptor that is readable when anything about interfaces changes. */
#ifndef NETLINK_H
#define NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct netlink_about {
	int index;
	char name[IF_NAMESIZE];
	uint16_t type; /* ARPHRD_… */
	bool up, loopback;
	uint32_t mtu;
	uint64_t missed; /* packets that the interface had no room for, ever */
};

/* Asks for the interface `index`; 0, -ENODEV, or another -errno. Any thread. */
int netlink_ask(int index, struct netlink_about *ret);
/* A descriptor for changes, or -errno. */
int netlink_watch(void);
/* Reads what is there; whether there was anything. */
bool netlink_changed(int fd);

#endif
