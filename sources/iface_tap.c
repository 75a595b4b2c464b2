/* SPDX-License-Identifier: MIT */
/* iface_tap.c: see iface_tap.h. */
#include "sources/iface_tap.h"

#include <linux/if_packet.h>
#include <string.h>
#include <time.h>

#define COPY_BELOW (32u << 10)  /* bytes of a block that is not worth a loan */
#define LOOK 256                /* batches between two looks at the interface, when always busy */
#define LENT_NAP_NS 2000000     /* nothing there, and poll(2) of no use */
#define LENT_NAPS 10            /* then it is of use again */
#define GONE_NAP_NS 1000000000  /* until the interface is looked for again */
#define ARRIVES_NAP_NS 10000000 /* until its other rings are looked at again */
#define BUSY_BYTES (RING_BLOCK / 2) /* of one go, from which on more is waited for … */
#define BUSY_NAP_NS 8000000         /* … so long … */
#define BUSY_PART 8                 /* … unless that was more than such a part of the ring */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void leave_block(struct tap *t)
{
	loan_drop(t->at.loan);
	block_unref(t->copy);
	t->at = (struct taken){0};
	t->copy = NULL;
}

/* The next block of the ring, and where its bytes will be. 1, 0: there is none, -ENOMEM. */
static int enter_block(struct tap *t)
{
	leave_block(t);
	if (!t->link.ring || !ring_take(t->link.ring, &t->at))
		return 0;
	t->naps = 0;
	t->came += t->at.used;
	if (t->at.used >= COPY_BELOW && !ring_copies(t->link.ring))
		return 1;
	t->copied = 0;
	t->copy = block_new(t->pool, t->at.used);
	return t->copy ? 1 : -ENOMEM;
}

/* The kernel has taken the tag out; there is room for it in front. */
static void put_tag_back(struct weir_packet *pk, const struct tpacket3_hdr *h)
{
	uint16_t tpid = h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->hv1.tp_vlan_tpid : 0x8100;
	uint16_t tci = (uint16_t)h->hv1.tp_vlan_tci;
	uint8_t *to = (uint8_t *)pk->data - 4;

	memmove(to, pk->data, 12);
	to[12] = (uint8_t)(tpid >> 8);
	to[13] = (uint8_t)tpid;
	to[14] = (uint8_t)(tci >> 8);
	to[15] = (uint8_t)tci;
	pk->data = to;
	pk->caplen += 4;
	pk->len += 4;
}

/* Describes the packet at `h`; false: it is not wanted. */
static bool describe(const struct tap *t, const struct tpacket3_hdr *h, struct weir_packet *pk)
{
	const struct sockaddr_ll *from =
	        (const void *)((const uint8_t *)h + TPACKET_ALIGN(sizeof *h));
	bool look;

	*pk = (struct weir_packet){.ts = (int64_t)h->tp_sec * 1000000000 + h->tp_nsec,
	        .data = (const uint8_t *)h + h->tp_mac,
	        .caplen = h->tp_snaplen,
	        .len = h->tp_len,
	        .linktype = t->link.linktype};
	look = !kernelbpf_is_exact(t->link.base, pk->len);
	if (__builtin_expect((h->tp_status & TP_STATUS_VLAN_VALID) != 0, 0) &&
	        t->link.linktype == LINKTYPE_ETHERNET && pk->caplen >= 12) {
		put_tag_back(pk, h);
		look = true;
	}
	if (__builtin_expect(look, 0) &&
	        !kernelbpf_passes(t->link.base, pk->data, pk->len, pk->caplen))
		return false;
	return from->sll_hatype == t->link.hatype;
}

static struct tpacket3_hdr *after(const struct tpacket3_hdr *h)
{
	return (struct tpacket3_hdr *)((uint8_t *)h + h->tp_next_offset);
}

/* What was in the ring when nobody wanted anything. */
static uint32_t pass_over(struct taken *at, uint64_t until)
{
	uint32_t n = 0;

	for (; at->n && at->number < until; at->n--, at->number++, n++)
		at->first = after(at->first);
	return n;
}

/* Adds packets of the block at hand to those that are there. */
static void take(struct tap *t, struct weir_packet *all, uint32_t *ret_n, uint64_t *bytes)
{
	uint32_t over = pass_over(&t->at, ring_disowned(t->link.ring)), n = *ret_n, left = t->at.n;
	struct tpacket3_hdr *h = t->at.first;

	for (; left && n < WEIR_BATCH_ROWS; left--) {
		struct tpacket3_hdr *next = after(h);
		struct weir_packet *pk = &all[n];

		__builtin_prefetch((const uint8_t *)next + 128);
		if (describe(t, h, pk)) {
			*bytes += pk->caplen;
			if (t->copy) {
				uint8_t *to = t->copy->data + t->copied;

				memcpy(to, pk->data, pk->caplen);
				pk->data = to;
				t->copied += pk->caplen;
			}
			n++;
		} else {
			over++;
		}
		h = next;
	}
	t->at.first = h;
	t->at.number += t->at.n - left;
	t->at.n = left;
	*ret_n = n;
	if (over)
		__atomic_add_fetch(&t->over, over, __ATOMIC_RELAXED);
}

/* The block at hand stays. */
static void keep(struct tap *t, struct tap_hold *h)
{
	if (t->copy)
		h->copy[h->ncopies++] = block_ref(t->copy);
	else
		h->loan[h->nloans++] = loan_ref(t->at.loan);
}

int tap_take(struct tap *t, struct weir_packet *pk, uint32_t *ret_n, struct tap_hold *hold,
        uint64_t *ret_bytes)
{
	uint32_t n = 0;
	int r = 1;

	*ret_bytes = 0;
	do {
		uint32_t before = n;

		if (!t->at.n && (r = enter_block(t)) <= 0)
			break;
		take(t, pk, &n, ret_bytes);
		if (n > before)
			keep(t, hold);
	} while (n < WEIR_BATCH_ROWS && hold->nloans < TAP_HOLD && hold->ncopies < TAP_HOLD);
	if (!t->at.n)
		leave_block(t);
	if (n)
		__atomic_add_fetch(&t->taken, n, __ATOMIC_RELAXED);
	if (n && ++t->batches % LOOK == 0)
		iface_link_look(&t->link, false);
	*ret_n = n;
	return r;
}

void tap_drop(struct tap_hold *h)
{
	for (uint32_t i = 0; i < h->nloans; i++)
		loan_drop(h->loan[i]);
	for (uint32_t i = 0; i < h->ncopies; i++)
		block_unref(h->copy[i]);
}

/* A block that is lent looks to poll(2) like one that has come. So while any is, it is looked after
 * again soon; before long the rest is moved. And where much comes, it is not looked after for each
 * block: to wake up, and to wake up the queries, takes longer than what they do with it. */
void tap_idle(struct tap *t, int64_t *ret_wake, int *ret_fd)
{
	bool busy = t->came >= BUSY_BYTES &&
	            t->came <= t->link.config->ring / t->link.config->rings / BUSY_PART;

	t->came = 0;
	iface_link_look(&t->link, true);
	*ret_wake = 0;
	*ret_fd = t->link.epoll;
	if (t->link.arrives)
		*ret_wake = now() + ARRIVES_NAP_NS;
	if (t->link.gone)
		*ret_wake = now() + (t->link.ring ? RING_RETIRE_MS * 1000000 : GONE_NAP_NS);
	if (!t->link.ring || !(busy || ring_lent(t->link.ring)))
		return;
	if (!busy && ++t->naps > LENT_NAPS) {
		ring_clear(t->link.ring);
		t->naps = 0;
		return;
	}
	*ret_wake = now() + (busy ? BUSY_NAP_NS : LENT_NAP_NS);
	*ret_fd = t->link.watch;
}

int tap_open(struct tap *t, const struct iface_config *c, struct ring_fanout *fanout, bool first,
        struct weir_mem *mem, struct weir_err *err)
{
	int r;

	t->link.epoll = t->link.watch = -1;
	r = iface_link_open(&t->link, c, fanout, first, err);
	if (r < 0)
		return r;
	t->pool = block_pool_new(2 * COPY_BELOW, mem);
	return t->pool ? 0 : -ENOMEM;
}

void tap_close(struct tap *t)
{
	leave_block(t);
	iface_link_close(&t->link);
	block_pool_unref(t->pool);
	t->pool = NULL;
}
