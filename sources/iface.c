/* SPDX-License-Identifier: MIT */
/* iface.c: packets of a network interface, as they come.
 *
 * What the ring holds goes into batches that point into it (see ring.h); blocks that are nearly
 * empty, and all of them for a while when others were kept long, are copied to blocks of our own.
 * While nobody wants packets the kernel drops them by a filter that nothing passes: that costs
 * nothing, and who asks next begins with what comes then.
 *
 * The interface is followed by its index: it may be renamed, and go down and up again. Where it is
 * removed, or becomes one of another kind, what has come from it is read to the end, then one of
 * the name that was asked for is waited for. All of that is said in `info`; the packets of a batch
 * carry the link type, should another interface have another.
 *
 * What is dropped is counted apart: by the kernel, for which the ring had no room; by the interface
 * (its own counters, for all who listen); and here: packets that were in the ring already when the
 * first query came, that a tag keeps from passing `bpf`, that came after the interface had become
 * one of another kind, or that the ring of one that is gone never gave.
 */
#include "sources/block.h"
#include "sources/iface_link.h"

#include <inttypes.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/source.h>

#define COPY_BELOW (32u << 10) /* bytes of a block that is not worth a loan */
#define HOLD 8                 /* blocks of a batch */
#define LOOK 256               /* batches between two looks at the interface, when always busy */
#define LENT_NAP_NS 2000000    /* nothing there, and poll(2) of no use */
#define LENT_NAPS 10           /* then it is of use again */
#define GONE_NAP_NS 1000000000 /* until the interface is looked for again */
#define BUSY_BYTES (RING_BLOCK / 2) /* of one go, from which on more is waited for … */
#define BUSY_NAP_NS 8000000         /* … so long … */
#define BUSY_PART 8                 /* … unless that was more than such a part of the ring */

/* The blocks of a batch; lives in the batch's memory. */
struct hold {
	uint32_t nloans, ncopies;
	struct loan *loan[HOLD];
	struct block *copy[HOLD];
};

struct state {
	struct iface_link link;
	struct block_pool *pool;
	struct taken at;    /* what is being worked off: `n` more packets from `first` on */
	uint32_t copied;    /* bytes of `copy` that are used */
	struct block *copy; /* of the block at hand; NULL: it is lent */
	uint32_t batches, naps;
	uint64_t came; /* bytes of blocks since there was nothing last */
	uint64_t own;  /* atomic: packets passed over */
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void release(struct weir_batch *b)
{
	struct hold *h = ((struct weir_packets *)b->priv)->owner;

	for (uint32_t i = 0; h && i < h->nloans; i++)
		loan_drop(h->loan[i]);
	for (uint32_t i = 0; h && i < h->ncopies; i++)
		block_unref(h->copy[i]);
}

static const struct weir_batch_ops ops = {
        .fill = weir_packet_fill, .pack = weir_packet_pack, .release = release};

/* ---- from the ring to batches ---- */

static void leave_block(struct state *s)
{
	loan_drop(s->at.loan);
	block_unref(s->copy);
	s->at = (struct taken){0};
	s->copy = NULL;
}

/* The next block of the ring, and where its bytes will be. 1, 0: there is none, -ENOMEM. */
static int enter_block(struct state *s)
{
	leave_block(s);
	if (!s->link.ring || !ring_take(s->link.ring, &s->at))
		return 0;
	s->naps = 0;
	s->came += s->at.used;
	if (s->at.used >= COPY_BELOW && !ring_copies(s->link.ring))
		return 1;
	s->copied = 0;
	s->copy = block_new(s->pool, s->at.used);
	return s->copy ? 1 : -ENOMEM;
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
static bool describe(const struct state *s, const struct tpacket3_hdr *h, struct weir_packet *pk)
{
	const struct sockaddr_ll *from =
	        (const void *)((const uint8_t *)h + TPACKET_ALIGN(sizeof *h));

	*pk = (struct weir_packet){.ts = (int64_t)h->tp_sec * 1000000000 + h->tp_nsec,
	        .data = (const uint8_t *)h + h->tp_mac,
	        .caplen = h->tp_snaplen,
	        .len = h->tp_len,
	        .linktype = s->link.linktype};
	if (__builtin_expect((h->tp_status & TP_STATUS_VLAN_VALID) != 0, 0) &&
	        s->link.linktype == LINKTYPE_ETHERNET && pk->caplen >= 12) {
		put_tag_back(pk, h);
		if (!kernelbpf_passes(s->link.base, pk->data, pk->len, pk->caplen))
			return false;
	}
	return from->sll_hatype == s->link.hatype;
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

/* Adds packets of the block at hand to the batch. */
static void take(struct state *s, struct weir_batch *b, uint64_t *bytes)
{
	struct weir_packets *p = b->priv;
	uint32_t over = pass_over(&s->at, ring_disowned(s->link.ring)), n = b->n, left = s->at.n;
	struct tpacket3_hdr *h = s->at.first;

	for (; left && n < WEIR_BATCH_ROWS; left--) {
		struct tpacket3_hdr *next = after(h);
		struct weir_packet *pk = &p->pk[n];

		__builtin_prefetch((const uint8_t *)next + 128);
		if (describe(s, h, pk)) {
			*bytes += pk->caplen;
			if (s->copy) {
				uint8_t *to = s->copy->data + s->copied;

				memcpy(to, pk->data, pk->caplen);
				pk->data = to;
				s->copied += pk->caplen;
			}
			n++;
		} else {
			over++;
		}
		h = next;
	}
	s->at.first = h;
	s->at.number += s->at.n - left;
	s->at.n = left;
	b->n = b->nsel = (uint16_t)n;
	if (over)
		__atomic_add_fetch(&s->own, over, __ATOMIC_RELAXED);
}

/* The batch keeps the block at hand. */
static void keep(struct state *s, struct hold *h)
{
	if (s->copy)
		h->copy[h->ncopies++] = block_ref(s->copy);
	else
		h->loan[h->nloans++] = loan_ref(s->at.loan);
}

static int fill(struct state *s, struct weir_batch *b, uint64_t *bytes)
{
	struct hold *h = ((struct weir_packets *)b->priv)->owner;
	int r = 1;

	do {
		uint32_t before = b->n;

		if (!s->at.n && (r = enter_block(s)) <= 0)
			break;
		take(s, b, bytes);
		if (b->n > before)
			keep(s, h);
	} while (b->n < WEIR_BATCH_ROWS && h->nloans < HOLD && h->ncopies < HOLD);
	if (!s->at.n)
		leave_block(s);
	return r;
}

/* ---- nothing there ---- */

/* A block that is lent looks to poll(2) like one that has come. So while any is, it is looked after
 * again soon; before long the rest is moved. And where much comes, it is not looked after for each
 * block: to wake up, and to wake up the queries, takes longer than what they do with it. */
static void idle(struct weir_reader *r, struct state *s)
{
	bool busy = s->came >= BUSY_BYTES && s->came <= s->link.config->ring / BUSY_PART;

	s->came = 0;
	iface_link_look(&s->link, true);
	r->wake = 0;
	r->wake_fd = s->link.epoll;
	if (s->link.gone)
		r->wake = now() + (s->link.ring ? RING_RETIRE_MS * 1000000 : GONE_NAP_NS);
	if (!s->link.ring || !(busy || ring_lent(s->link.ring)))
		return;
	if (!busy && ++s->naps > LENT_NAPS) {
		ring_clear(s->link.ring);
		s->naps = 0;
		return;
	}
	r->wake = now() + (busy ? BUSY_NAP_NS : LENT_NAP_NS);
	r->wake_fd = s->link.watch;
}

static int read_packets(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err)
{
	struct state *s = r->state;
	struct weir_batch *b = weir_source_packets(r, &ops);
	struct hold *h = b ? weir_batch_alloc(b, sizeof *h) : NULL;
	uint64_t bytes = 0;
	int n = -ENOMEM;

	if (h) {
		*h = (struct hold){0};
		((struct weir_packets *)b->priv)->owner = h;
		b->n = b->nsel = 0;
		n = fill(s, b, &bytes);
	}
	if (b && b->n) {
		__atomic_add_fetch(&r->bytes_done, bytes, __ATOMIC_RELAXED);
		if (++s->batches % LOOK == 0)
			iface_link_look(&s->link, false);
		*ret = b;
		return 1;
	}
	weir_batch_unref(b);
	if (n < 0)
		return weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, " for packets");
	if (n == 0)
		idle(r, s);
	return -EAGAIN;
}

/* ---- what others ask ---- */

static int want(struct weir_reader *r, const char *const *filter, uint32_t n)
{
	return iface_link_want(&((struct state *)r->state)->link, filter, n);
}

static bool pressed(struct weir_reader *r)
{
	struct state *s = r->state;

	return s->link.ring && ring_pressed(s->link.ring);
}

static void counts(struct weir_reader *r, struct weir_counts *ret)
{
	struct state *s = r->state;

	iface_link_count(&s->link, ret);
	ret->own += __atomic_load_n(&s->own, __ATOMIC_RELAXED);
}

static int info(struct weir_reader *r, void (*line)(void *arg, const char *key, const char *value),
        void *arg, struct weir_err *err)
{
	iface_link_info(&((struct state *)r->state)->link, line, arg);
	return 0;
}

/* ---- open, close, probe ---- */

static int open_source(struct weir_reader *r, struct weir_err *err)
{
	const struct iface_config *c = r->config;
	struct state *s = r->state;
	int e = weir_source_once(r, c->name, err);

	s->link.epoll = s->link.watch = -1;
	if (e == 0)
		e = iface_link_open(&s->link, c, err);
	if (e < 0)
		return e;
	s->pool = block_pool_new(2 * COPY_BELOW, r->mem);
	r->pace = 1;
	r->schema = weir_packet_schema(9);
	return s->pool && r->schema ? 0 : -ENOMEM;
}

static void close_source(struct weir_reader *r)
{
	struct state *s = r->state;

	leave_block(s);
	iface_link_close(&s->link);
	block_pool_unref(s->pool);
	s->pool = NULL;
}

/* An interface that is there, unless there is a file of that name (see pcapfile.c); "iface:" in
 * front says that it is one. */
static int probe(const char *spec)
{
	if (strncmp(spec, IFACE_PREFIX, strlen(IFACE_PREFIX)) == 0)
		return 90;
	return if_nametoindex(spec) ? 30 : 0;
}

static const char *const switches[] = {"on", "off", NULL};
static const char *const stamps[] = {"host", "card", NULL};

static const struct weir_option options[] = {
        {WEIR_OPT_STRING, "interface", 0, WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                offsetof(struct iface_config, name), .arg = "NAME",
                .doc = "its name; 'iface:NAME' where there is a file of that name too"},
        {WEIR_OPT_SIZE, "ring", 0, 0, offsetof(struct iface_config, ring), RING_LEAST, 4294967296.0,
                .preset = "64MB", .arg = "SIZE", .doc = "memory that the kernel puts packets into"},
        {WEIR_OPT_U64, "snaplen", 0, 0, offsetof(struct iface_config, snaplen), 64, 262144,
                .preset = "262144", .arg = "N", .doc = "bytes of a packet that are kept"},
        {WEIR_OPT_CHOICE, "promisc", 0, 0, offsetof(struct iface_config, promisc), .preset = "on",
                .choices = switches, .arg = "WHETHER", .doc = "take what is sent to others, too"},
        {WEIR_OPT_CHOICE, "stamps", 0, 0, offsetof(struct iface_config, stamps), .preset = "host",
                .choices = stamps, .arg = "WHOSE",
                .doc = "times by the host's clock, or by the card's where it has one"},
        {WEIR_OPT_STRING, "bpf", 0, 0, offsetof(struct iface_config, bpf), .arg = "EXPR",
                .doc = "let only these packets in (pcap-filter(7)), in the kernel"},
        WEIR_OPTIONS_END,
};

WEIR_SOURCE(iface) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SOURCE_PACKETS | WEIR_SOURCE_ONCE,
        .name = "iface",
        .summary = "packets of a network interface",
        .doc = "Captures from an interface of this machine, through a ring of memory that the "
               "kernel writes packets into. It is named on the command line (weir eth0 DIR, weir "
               "lan=iface:eth0 DIR) and opened with the rights of who mounts; all queries share "
               "the one pass. Needs CAP_NET_RAW.\n\n"
               "A query begins with what comes after its start. While no query runs, nothing is "
               "captured.\n\n"
               "The interface may go down and up and be renamed; where it is removed, one of the "
               "same name is waited for. The source's info says what has happened, its stats and "
               "the query's status how many packets were dropped: by the kernel, for which the "
               "ring had no room, by the interface itself, and by weir.",
        .example = "iface - | group srcip count() as packets | sort -r packets | head 10",
        .options = options,
        .config_size = sizeof(struct iface_config),
        .reader_size = sizeof(struct state),
        .probe = probe,
        .open = open_source,
        .read = read_packets,
        .close = close_source,
        .info = info,
        .want = want,
        .pressed = pressed,
        .counts = counts,
};
