/* SPDX-License-Identifier: MIT */
/* iface.c: packets of a network interface, as they come: out of one ring (iface_tap.h) or several
 * (iface_rings.h).
 *
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
#include "sources/iface_rings.h"

#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a batch's packets point into; lives in the batch's memory. */
struct hold {
	struct tap_hold tap;
	struct rings_hold rings;
};

struct state {
	struct tap *tap; /* [config->rings] */
	struct ring_fanout fanout;
	struct iface_rings *rings; /* NULL: there is one, read here */
	bool wanted;
};

static void release(struct weir_batch *b)
{
	struct hold *h = ((struct weir_packets *)b->priv)->owner;

	if (!h)
		return;
	tap_drop(&h->tap);
	iface_rings_drop(&h->rings);
}

static const struct weir_batch_ops ops = {
        .fill = weir_packet_fill, .pack = weir_packet_pack, .release = release};

static int take(struct state *s, struct weir_batch *b, struct hold *h, uint64_t *bytes)
{
	struct weir_packet *pk = ((struct weir_packets *)b->priv)->pk;
	uint32_t n = 0;
	int r = s->rings ? iface_rings_take(s->rings, pk, &n, &h->rings, bytes)
	                 : tap_take(s->tap, pk, &n, &h->tap, bytes);

	b->n = b->nsel = (uint16_t)n;
	return r;
}

static int read_packets(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err)
{
	struct state *s = r->state;
	struct weir_batch *b = weir_source_packets(r, &ops);
	struct hold *h = b ? weir_batch_alloc(b, sizeof *h) : NULL;
	uint64_t bytes = 0;
	int n = -ENOMEM;

	if (h) {
		h->tap.nloans = h->tap.ncopies = h->rings.n = 0;
		((struct weir_packets *)b->priv)->owner = h;
		n = take(s, b, h, &bytes);
	}
	if (h && b->n) {
		__atomic_add_fetch(&r->bytes_done, bytes, __ATOMIC_RELAXED);
		*ret = b;
		return 1;
	}
	weir_batch_unref(b);
	if (n == -ENOMEM)
		return weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, " for packets");
	if (n < 0)
		return weir_fail_no(err, -n, WEIR_E_CANNOT_OPEN, WEIR_NOPOS, 0, s->tap->link.name,
		        strerror(-n));
	if (s->rings)
		iface_rings_idle(s->rings, &r->wake, &r->wake_fd);
	else
		tap_idle(s->tap, &r->wake, &r->wake_fd);
	return -EAGAIN;
}

/* ---- what others ask ---- */

static uint64_t rings_of(const struct weir_reader *r)
{
	return ((const struct iface_config *)r->config)->rings;
}

static int want(struct weir_reader *r, const char *const *filter, uint32_t n)
{
	struct state *s = r->state;
	int ret = 0;

	for (uint64_t i = 0; i < rings_of(r); i++) {
		int e = iface_link_want(&s->tap[i].link, filter, n);

		ret = e < 0 ? e : ret;
	}
	if (n && !s->wanted && s->rings) /* the rings themselves have been told */
		iface_rings_disown(s->rings);
	s->wanted = n > 0;
	return ret;
}

static bool pressed(struct weir_reader *r)
{
	struct state *s = r->state;

	if (s->rings)
		return iface_rings_pressed(s->rings);
	return s->tap->link.ring && ring_pressed(s->tap->link.ring);
}

static void counts(struct weir_reader *r, struct weir_counts *ret)
{
	struct state *s = r->state;

	*ret = (struct weir_counts){0};
	for (uint64_t i = 0; i < rings_of(r); i++) {
		struct weir_counts c;

		iface_link_count(&s->tap[i].link, &c);
		ret->packets += c.packets;
		ret->kernel += c.kernel;
		ret->own += c.own + __atomic_load_n(&s->tap[i].over, __ATOMIC_RELAXED);
		ret->interface = i ? ret->interface : c.interface; /* the same for all */
	}
}

static void stats(
        struct weir_reader *r, void (*line)(void *arg, const char *key, uint64_t value), void *arg)
{
	const struct state *s = r->state;
	char key[24];

	for (uint64_t i = 0; s->rings && i < rings_of(r); i++) {
		snprintf(key, sizeof key, "ring_%u", (unsigned)i);
		line(arg, key, __atomic_load_n(&s->tap[i].taken, __ATOMIC_RELAXED));
	}
}

static int info(struct weir_reader *r, void (*line)(void *arg, const char *key, const char *value),
        void *arg, struct weir_err *err)
{
	iface_link_info(&((struct state *)r->state)->tap->link, line, arg);
	return 0;
}

/* ---- open, close, probe ---- */

static int open_taps(struct weir_reader *r, struct weir_err *err)
{
	const struct iface_config *c = r->config;
	struct state *s = r->state;
	int e = 0;

	s->tap = weir_calloc(r->mem, c->rings * sizeof *s->tap);
	if (!s->tap)
		return -ENOMEM;
	for (uint64_t i = 0; i < c->rings && e == 0; i++)
		e = tap_open(&s->tap[i], c, c->rings > 1 ? &s->fanout : NULL, i == 0, r->mem, err);
	if (e == 0 && c->rings > 1) {
		s->rings = iface_rings_new(s->tap, (uint32_t)c->rings, r->mem);
		e = s->rings ? 0 : -ENOMEM;
	}
	return e;
}

static int open_source(struct weir_reader *r, struct weir_err *err)
{
	const struct iface_config *c = r->config;
	struct state *s = r->state;
	int e = weir_source_once(r, c->name, err);

	pthread_mutex_init(&s->fanout.lock, NULL);
	if (e == 0)
		e = open_taps(r, err);
	if (e < 0)
		return e;
	r->pace = 1;
	r->schema = weir_packet_schema(9);
	return r->schema ? 0 : -ENOMEM;
}

static void close_source(struct weir_reader *r)
{
	struct state *s = r->state;

	iface_rings_free(s->rings);
	for (uint64_t i = 0; s->tap && i < rings_of(r); i++)
		tap_close(&s->tap[i]);
	weir_free(r->mem, s->tap, rings_of(r) * sizeof *s->tap);
	pthread_mutex_destroy(&s->fanout.lock);
	s->rings = NULL;
	s->tap = NULL;
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
        {WEIR_OPT_U64, "rings", 0, 0, offsetof(struct iface_config, rings), 1, RINGS_MAX,
                .preset = "1", .arg = "N",
                .doc = "parts of it, to which flows are dealt, each read by a thread of its own"},
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
               "With rings=N the kernel deals the flows to N rings by their hash, and as many "
               "threads read them; they are merged by time, for which packets wait up to 30 ms "
               "where one of the rings has nothing. Before Linux 6.13 the interface must be up "
               "for that when it is mounted.\n\n"
               "A query begins with what comes after its start. While no query runs, nothing is "
               "captured.\n\n"
               "The interface may go down and up and be renamed; where it is removed, one of the "
               "same name is waited for, and is back when all rings have joined. The source's "
               "info says what has happened, its stats and the query's status how many packets "
               "were dropped: by the kernel, for which the ring had no room, by the interface "
               "itself, and by weir.",
        .example = "iface - | group srcip count() as packets | sort -r packets | head 10",
        .options = options,
        .config_size = sizeof(struct iface_config),
        .reader_size = sizeof(struct state),
        .probe = probe,
        .open = open_source,
        .read = read_packets,
        .close = close_source,
        .info = info,
        .stats = stats,
        .want = want,
        .pressed = pressed,
        .counts = counts,
};
