/* SPDX-License-Identifier: MIT */
/* netlink.c: see netlink.h. A change is only a reason to ask again, so none is lost with a message
 * that is: the state is asked for, not added up. */
#include "sources/netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER 16384 /* bytes of an answer about one interface */

int netlink_watch(void)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		int e = -errno;

		close(fd);
		return e;
	}
	return fd < 0 ? -errno : fd;
}

bool netlink_changed(int fd)
{
	char buf[ANSWER];
	bool any = false;

	/* ENOBUFS: some are lost, there may be more */
	while (recv(fd, buf, sizeof buf, 0) > 0 || errno == ENOBUFS || errno == EINTR) {
		any = true;
		errno = 0;
	}
	return any;
}

static void read_stats(const void *p, size_t len, struct netlink_about *to)
{
	struct rtnl_link_stats64 s = {0};

	memcpy(&s, p, len < sizeof s ? len : sizeof s);
	to->missed = s.rx_missed_errors + s.rx_fifo_errors + s.rx_over_errors;
}

static int read_answer(const struct nlmsghdr *h, size_t len, struct netlink_about *ret)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	const struct rtattr *a;
	int left;

	if (!NLMSG_OK(h, len))
		return -EIO;
	if (h->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof *m))
		return -EIO;
	*ret = (struct netlink_about){.index = m->ifi_index,
	        .type = m->ifi_type,
	        .up = m->ifi_flags & IFF_UP,
	        .loopback = m->ifi_flags & IFF_LOOPBACK};
	left = (int)IFLA_PAYLOAD(h);
	for (a = IFLA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		size_t n = RTA_PAYLOAD(a);

		if (a->rta_type == IFLA_IFNAME)
			memcpy(ret->name, RTA_DATA(a), n < IF_NAMESIZE ? n : IF_NAMESIZE - 1);
		else if (a->rta_type == IFLA_MTU && n >= 4)
			memcpy(&ret->mtu, RTA_DATA(a), 4);
		else if (a->rta_type == IFLA_STATS64)
			read_stats(RTA_DATA(a), n, ret);
	}
	return 0;
}

int netlink_ask(int index, struct netlink_about *ret)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg m;
	} q = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof q.m),
	               .nlmsg_type = RTM_GETLINK,
	               .nlmsg_flags = NLM_F_REQUEST},
	        .m = {.ifi_index = index}};
	_Alignas(struct nlmsghdr) char buf[ANSWER];
	struct timeval most = {.tv_sec = 1};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), r = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
	if (send(fd, &q, sizeof q, 0) < 0 || (n = recv(fd, buf, sizeof buf, 0)) < 0)
		r = -errno;
	close(fd);
	return r < 0 ? r : read_answer((struct nlmsghdr *)buf, (size_t)n, ret);
}
