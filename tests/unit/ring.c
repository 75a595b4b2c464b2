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

/* ---- rings that packets are dealt to ---- */

#define RINGS 4
#define FLOWS_SENT 40000 /* at most */
#define AFTER 4000       /* of them when all rings are open */

struct flows {
	int out;
	uint32_t sent, until; /* atomic */
	struct ring *ring[RINGS];
	uint32_t nrings, had[RINGS];
	uint8_t seen[FLOWS_SENT];
};

/* UDP from ever other ports, its number behind. */
static void *send_flows(void *arg)
{
	struct flows *f = arg;
	struct sockaddr_ll to = {
	        .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("lo"), .sll_halen = 6};
	uint8_t p[60] = {
	        [12] = 8, [14] = 0x45, [17] = 46, [22] = 64, [23] = 17, [26] = 127, [29] = 1};
	uint32_t n = 0;

	while (n < __atomic_load_n(&f->until, __ATOMIC_ACQUIRE)) {
		p[34] = (uint8_t)(n >> 8);
		p[35] = (uint8_t)n;
		memcpy(p + 42, &n, sizeof n);
		if (sendto(f->out, p, sizeof p, 0, (struct sockaddr *)&to, sizeof to) != sizeof p)
			break;
		__atomic_store_n(&f->sent, ++n, __ATOMIC_RELEASE);
		usleep(10);
	}
	return NULL;
}

static void take_flows(struct flows *f)
{
	struct taken t;
	uint32_t n;

	for (uint32_t i = 0; i < f->nrings; i++) {
		while (ring_take(f->ring[i], &t)) {
			for (f->had[i] += t.n; t.n; t.n--) {
				memcpy(&n, (const uint8_t *)t.first + t.first->tp_mac + 42,
				        sizeof n);
				assert_true(n < FLOWS_SENT);
				f->seen[n]++;
				t.first = (void *)((uint8_t *)t.first + t.first->tp_next_offset);
			}
			loan_drop(t.loan);
		}
	}
}

/* Until that one has been sent. */
static void take_until(struct flows *f, uint32_t number)
{
	while (__atomic_load_n(&f->sent, __ATOMIC_ACQUIRE) < number)
		take_flows(f);
}

/* Rings join while packets come: none is had twice, and when all are open none is missed. */
static void rings_join_one_by_one(void **state)
{
	struct sock_filter outgoing[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, 0xffff), BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog filter = {.len = 4, .filter = outgoing};
	static struct flows f;
	struct ring_fanout group = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct ring_config c = {
	        .fanout = &group, .size = RING_LEAST, .protocol = ETH_P_ALL, .filter = &filter};
	uint64_t counted = 0, took = 0;
	uint32_t first;
	const char *step;
	pthread_t sender;

	if (!((struct in *)*state)->ring)
		skip();
	f = (struct flows){.out = ((struct in *)*state)->out, .until = FLOWS_SENT - AFTER};
	assert_int_equal(pthread_create(&sender, NULL, send_flows, &f), 0);
	while (f.nrings < RINGS) {
		struct ring **r = &f.ring[f.nrings];

		assert_int_equal(ring_fanout_open(&group), f.nrings);
		assert_int_equal(ring_open(&c, (int)if_nametoindex("lo"), r, &step), 0);
		f.nrings++;
		take_until(&f, __atomic_load_n(&f.sent, __ATOMIC_ACQUIRE) + 100);
	}
	assert_int_equal(ring_fanout_open(&group), RINGS);
	first = __atomic_load_n(&f.sent, __ATOMIC_ACQUIRE) + 1;
	__atomic_store_n(&f.until, first + AFTER, __ATOMIC_RELEASE);
	take_until(&f, first + AFTER);
	pthread_join(sender, NULL);
	for (uint32_t i = 0; i < RINGS; i++) {
		struct ring_counts n = {0};

		ring_count(f.ring[i], &n);
		assert_int_equal(n.drops, 0);
		for (int k = 0; k < 200 && f.had[i] < n.packets; k++) {
			struct pollfd p = {.fd = ring_fd(f.ring[i]), .events = POLLIN};

			poll(&p, 1, 20);
			take_flows(&f);
		}
		assert_true(f.had[i] > AFTER / 100);
		counted += n.packets;
		took += f.had[i];
	}
	assert_int_equal(took, counted);
	for (uint32_t i = 0; i < first; i++)
		assert_true(f.seen[i] <= 1);
	for (uint32_t i = first; i < f.sent; i++)
		assert_int_equal(f.seen[i], 1);
	for (uint32_t i = 0; i < RINGS; i++) {
		ring_free(f.ring[i]);
		assert_int_equal(ring_fanout_open(&group), RINGS - 1 - i);
	}
	pthread_mutex_destroy(&group.lock);
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
	        cmocka_unit_test_setup_teardown(rings_join_one_by_one, begin, end),
	        cmocka_unit_test(a_counter_may_begin_anew),
	        cmocka_unit_test_setup_teardown(kept_blocks_do_not_stop_the_ring, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
