/* SPDX-License-Identifier: MIT */
/* trace.c: what pcap and pcapng files have in common. */
#include "sources/trace.h"

#include "sources/wire.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

int trace_fault(struct trace *t, size_t at, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(t->fault, sizeof t->fault, format, ap);
	va_end(ap);
	t->fault_offset = input_offset(&t->in) + at;
	t->ended = true;
	return 0;
}

int trace_cut(struct trace *t, const char *what, size_t need)
{
	const struct unpack *u = &t->in.from;
	size_t left = input_left(&t->in);

	if (u->error && u->error != -EBADMSG) /* of the system */
		return trace_fault(t, left, "%s: %s", u->why, strerror(-u->error));
	if (u->error)
		return trace_fault(t, left, "%s", u->why);
	if (left)
		return trace_fault(t, 0, "the file ends within %s: %zu bytes, %zu are there", what,
		        need, left);
	t->ended = true;
	return 0;
}

struct trace_iface *trace_iface_add(struct trace *t)
{
	struct trace_iface *p;

	if (t->niface == t->iface_room) {
		uint32_t room = t->iface_room ? t->iface_room * 2 : 4;

		p = weir_realloc(t->mem, t->iface, t->iface_room * sizeof *p, room * sizeof *p);
		if (!p)
			return NULL;
		t->iface = p;
		t->iface_room = room;
	}
	p = &t->iface[t->niface++];
	*p = (struct trace_iface){.resolution = 6};
	return p;
}

uint32_t trace_packet_max(uint16_t linktype)
{
	switch (linktype) {
	case 231: /* D-Bus */
		return 128u << 20;
	case 279: /* Elektrobit */
		return 8u << 20;
	case 189: /* USB of Linux, with and without padding; USBPcap */
	case 220:
	case 249:
		return 1u << 20;
	default:
		return 256u << 10;
	}
}

/* What the first bytes say. */
static enum trace_format format_of(const uint8_t *p, size_t n)
{
	struct wire w = wire_of(p, n);
	uint32_t magic = wire_le32(&w);

	if (w.bad)
		return TRACE_NONE;
	if (magic == 0x0a0d0d0a)
		return TRACE_PCAPNG;
	for (int k = 0; k < 2; k++, magic = __builtin_bswap32(magic))
		if (magic == 0xa1b2c3d4 || magic == 0xa1b23c4d || magic == 0xa1b2cd34)
			return TRACE_PCAP;
	return TRACE_NONE;
}

/* The file's header; may be called again after -EAGAIN. */
static int start(struct trace *t)
{
	int r = input_need(&t->in, 24);
	size_t left = input_left(&t->in);
	bool broken = t->in.from.error;

	if (r < 0)
		return r;
	t->format = format_of(t->in.at, left);
	if (left == 0 && !broken)
		return trace_fault(t, 0, "the file is empty");
	if (t->format == TRACE_NONE && left && (left >= 4 || !broken)) {
		trace_fault(t, 0, "neither pcap nor pcapng");
		return -EINVAL;
	}
	if (r == 0)
		return trace_cut(t, "the file header", 24);
	return t->format == TRACE_PCAP ? trace_open_pcap(t) : trace_open_pcapng(t);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* Up to the first packet: 0, -EAGAIN, -EINVAL, -ENOMEM. */
static int to_first(struct trace *t)
{
	int r = t->walk ? 0 : start(t);

	return r < 0 || t->ended || t->format != TRACE_PCAPNG ? r : t->walk(t, NULL, 0);
}

int trace_open(
        struct trace *t, int fd, struct block_pool *pool, struct weir_mem *mem, unsigned patience)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t until = now_ms() + patience, left;
	int r;

	*t = (struct trace){.mem = mem, .digits = 6};
	input_init(&t->in, fd, pool);
	t->in.from.growing = patience == TRACE_GROWING;
	if (t->in.from.growing || !t->in.from.live)
		until = 0;
	while ((r = to_first(t)) == -EAGAIN && !trace_is_busy(t) && (left = until - now_ms()) > 0)
		poll(&p, 1, (int)left);
	if (r == -EAGAIN) {
		t->digits = 9;
		return 0;
	}
	return r;
}

void trace_release(struct trace *t)
{
	if (t->in.pool)
		input_release(&t->in);
	weir_free(t->mem, t->iface, t->iface_room * sizeof *t->iface);
	*t = (struct trace){.ended = true};
}

int trace_next(struct trace *t, struct weir_packet *to, unsigned max, struct block **ret_block)
{
	int n;

	t->in.from.busy = false;
	n = t->walk || t->ended ? 0 : start(t);
	if (n == 0 && !t->ended)
		n = t->walk(t, to, max);
	*ret_block = t->in.block;
	return n == -EINVAL ? 0 : n; /* `fault` says that it is no capture */
}
