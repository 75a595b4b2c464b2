/* SPDX-License-Identifier: MIT */
/* ring.c: blocks of a packet ring that are kept: the ring goes on, and their bytes stay as they
 * were, for one who reads them all the while; what was in it before somebody wanted any.
 *
 * Sends over the loopback of a network namespace of its own; skipped where that cannot be had.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sources/iface_link.h"
#include "sources/kernelbpf.h"
#include "sources/ring.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET 1400
#define KEPT 64 /* blocks; the ring has 8 */

struct in {
	struct ring *ring;
	int out; /* a socket that sends */
	uint32_t sent, seen;
	uint64_t bad; /* atomic */
	struct taken kept[KEPT];
	uint32_t nkept; /* atomic */
	bool stop;      /* atomic */
};

static int begin(void **state)
{
	static struct in in;
	struct ifreq r = {.ifr_name = "lo"};
	struct kernelbpf *all;
	struct ring_config c = {.size = RING_LEAST, .protocol = ETH_P_ALL};
	const char *step;
	int fd;

	in = (struct in){.out = -1};
	*state = &in;
	if (unshare(CLONE_NEWNET) < 0)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return -1;
	r.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		return -1;
	close(fd);
	in.out = socket(AF_PACKET, SOCK_RAW, 0);
	if (in.out < 0 || kernelbpf_new(NULL, 1, 65536, &all, NULL, 0) < 0)
		return -1;
	c.filter = kernelbpf_program(all);
	fd = ring_open(&c, (int)if_nametoindex("lo"), &in.ring, &step);
	kernelbpf_free(all);
	return fd;
}

static int end(void **state)
{
	struct in *in = *state;

	ring_free(in->ring);
	if (in->out >= 0)
		close(in->out);
	return 0;
}

/* A packet that is filled with its number. */
static void send_some(struct in *in, uint32_t n)
{
	struct sockaddr_ll to = {
	        .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("lo"), .sll_halen = 6};
	uint32_t p[PACKET / 4];

	for (; n; n--, in->sent++) {
		for (uint32_t i = 0; i < PACKET / 4; i++)
			p[i] = in->sent;
		p[3] = htonl(0x88b50000 | (in->sent & 0xffff));
		assert_int_equal(sendto(in->out, p, sizeof p, 0, (struct sockaddr *)&to, sizeof to),
		        sizeof p);
	}
}

/* Whether all packets of a block are as they were sent, the first one with `number`. */
static uint32_t check(struct in *in, const struct taken *t)
{
	const struct tpacket3_hdr *h = t->first;
	uint32_t n = 0;

	for (uint32_t k = 0; k < t->n; k++) {
		uint32_t p[PACKET / 4];

		memcpy(p, (const uint8_t *)h + h->tp_mac, sizeof p);
		for (uint32_t i = 0; i < PACKET / 4; i++)
			if (h->tp_snaplen != PACKET || (i != 3 && p[i] != p[0]))
				__atomic_add_fetch(&in->bad, 1, __ATOMIC_RELAXED);
		n++;
		h = (const void *)((const uint8_t *)h + h->tp_next_offset);
	}
	return n;
}

static void *read_on(void *arg)
{
	struct in *in = arg;

	while (!__atomic_load_n(&in->stop, __ATOMIC_ACQUIRE)) {
		uint32_t n = __atomic_load_n(&in->nkept, __ATOMIC_ACQUIRE);

		for (uint32_t i = 0; i < n; i++)
			check(in, &in->kept[i]);
	}
	return NULL;
}

/* Takes what there is; keeps every block. Outgoing and incoming: each packet is there twice. */
static void take_all(struct in *in)
{
	struct taken t;

	while (ring_take(in->ring, &t)) {
		in->seen += check(in, &t);
		if (in->nkept < KEPT) {
			in->kept[in->nkept] = t;
			__atomic_store_n(&in->nkept, in->nkept + 1, __ATOMIC_RELEASE);
		} else {
			loan_drop(t.loan);
		}
	}
}

static void kept_blocks_do_not_stop_the_ring(void **state)
{
	struct in *in = *state;
	struct ring_counts c = {0};
	pthread_t reader;

	if (!in->ring)
		skip();
	assert_int_equal(pthread_create(&reader, NULL, read_on, in), 0);
	/* three times what is kept: two blocks' worth at a time, each packet twice */
	for (uint32_t turn = 0; turn < 3 * KEPT; turn++) {
		send_some(in, RING_BLOCK / 1600);
		take_all(in);
	}
	for (int i = 0; i < 200 && in->seen < 2 * in->sent; i++) {
		struct pollfd p = {.fd = ring_fd(in->ring), .events = POLLIN};

		poll(&p, 1, 20);
		ring_clear(in->ring);
		take_all(in);
	}
	__atomic_store_n(&in->stop, true, __ATOMIC_RELEASE);
	pthread_join(reader, NULL);
	ring_count(in->ring, &c);
	assert_int_equal(c.packets, 2 * in->sent);
	assert_int_equal(in->seen + c.drops, 2 * in->sent);
	assert_int_equal(c.drops, 0);
	assert_int_equal(in->bad, 0);
	assert_int_equal(in->nkept, KEPT);
	assert_true(ring_moved(in->ring) > 0);
	for (uint32_t i = 0; i < in->nkept; i += 2)
		loan_drop(in->kept[i].loan);
	/* the other half outlives the ring */
	ring_free(in->ring);
	in->ring = NULL;
	for (uint32_t i = 1; i < in->nkept; i += 2) {
		check(in, &in->kept[i]);
		loan_drop(in->kept[i].loan);
	}
	assert_int_equal(in->bad, 0);
}

static uint32_t number_of(const struct tpacket3_hdr *h)
{
	uint32_t n;

	memcpy(&n, (const uint8_t *)h + h->tp_mac, sizeof n);
	return n;
}

/* What is in the ring when nobody wants it, in blocks that are not handed over too, is told from
 * what comes then; and what is left is known. */
static void what_is_disowned_has_its_numbers(void **state)
{
	struct in *in = *state;
	struct ring_counts c = {0};
	struct taken t = {0};
	uint64_t number = 0, mine = 0;

	if (!in->ring)
		skip();
	send_some(in, 300);
	ring_count(in->ring, &c);
	ring_disown(in->ring);
	assert_int_equal(ring_disowned(in->ring), 600);
	assert_int_equal(ring_left(in->ring), 600);
	send_some(in, 100);
	for (int i = 0; i < 500 && number < 800; i++) {
		struct pollfd p = {.fd = ring_fd(in->ring), .events = POLLIN};

		if (!ring_take(in->ring, &t)) {
			poll(&p, 1, 20);
			continue;
		}
		assert_int_equal(t.number, number);
		for (; t.n; t.n--, number++) {
			if (number >= ring_disowned(in->ring)) {
				assert_true(number_of(t.first) >= 300);
				mine++;
			} else {
				assert_true(number_of(t.first) < 300);
			}
			t.first = (void *)((uint8_t *)t.first + t.first->tp_next_offset);
		}
		loan_drop(t.loan);
		assert_int_equal(ring_left(in->ring), number < 600 ? 600 - number : 0);
	}
	assert_int_equal(mine, 200);
	ring_count(in->ring, &c);
	assert_int_equal(c.packets, 800);
	assert_int_equal(ring_left(in->ring), 0);
	ring_shut(in->ring);
	send_some(in, 10);
	ring_count(in->ring, &c);
	assert_int_equal(c.packets, 800);
}

static void a_counter_may_begin_anew(void **state)
{
	struct iface_counter c = {.last = 1000};

	iface_counter_see(&c, 1000);
	assert_int_equal(c.sum, 0);
	iface_counter_see(&c, 1007);
	iface_counter_see(&c, 3); /* 3 since it was begun anew */
	iface_counter_see(&c, 5);
	assert_int_equal(c.sum, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(what_is_disowned_has_its_numbers, begin, end),
	        cmocka_unit_test(a_counter_may_begin_anew),
	        cmocka_unit_test_setup_teardown(kept_blocks_do_not_stop_the_ring, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
