/* SPDX-License-Identifier: MIT */
/* pcapwrite.c: the packets that come by, into a capture file; they go on unchanged.
 *
 * The file is created with the rights of whoever wrote the query. Format: pcap 2.4 in the byte
 * order of this machine, with nanoseconds where the trace has them
 * (draft-ietf-opsawg-pcap). One file has one link type, that of the first packet.
 */
#include <weir/module.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUFFER (256u << 10)
#define SNAPLEN (256u << 10)

enum { LINKTYPE, MISSING };

struct config {
	const char *file;
	uint32_t packet, ts, len, linktype;
	bool nanoseconds;
};

struct state {
	int fd; /* one more than the descriptor; 0: none */
	bool started;
	uint64_t linktype;
	uint8_t *buffer;
	size_t used;
};

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snaplen, linktype;
};

struct packet_header {
	uint32_t seconds, fraction, caplen, len;
};

static int pcapwrite_bind(struct weir_bind *b, struct weir_err *err)
{
	static const char *const names[] = {"ts", "len", "linktype"};
	struct config *c = b->config;
	uint32_t *const fields[] = {&c->ts, &c->len, &c->linktype}, i;

	for (i = 0; i < b->in->nfields; i++)
		if (b->in->fields[i].flags & WEIR_FIELD_PACKET)
			break;
	if (i == b->in->nfields)
		return weir_fail(err, WEIR_E_NO_PACKETS, b->pos, b->len, "pcapwrite");
	c->packet = i;
	weir_bind_use(b, i);
	for (i = 0; i < 3; i++) {
		int f = weir_bind_find(b, names[i], err);

		if (f < 0)
			return f;
		*fields[i] = (uint32_t)f;
	}
	if (b->in->fields[c->ts].kind != WEIR_TIME || b->in->fields[c->len].kind != WEIR_U64 ||
	        b->in->fields[c->linktype].kind != WEIR_U64)
		return weir_fail(err, WEIR_E_NO_PACKETS, b->pos, b->len, "pcapwrite");
	c->nanoseconds = b->in->fields[c->ts].digits > 6;
	return 0;
}

static int pcapwrite_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	int fd;

	s->buffer = weir_alloc(n->mem, BUFFER);
	if (!s->buffer)
		return -ENOMEM;
	fd = weir_node_create_file(n, c->file, err);
	if (fd < 0)
		return fd;
	s->fd = fd + 1;
	return 0;
}

static int failed(struct weir_node *n, int no)
{
	char text[160];

	snprintf(text, sizeof text, "cannot write the packets: %s", strerror(no));
	return weir_node_fail(n, no, text);
}

static int put_all(struct weir_node *n, const void *p, size_t len)
{
	struct state *s = n->state;
	const char *at = p;

	while (len) {
		ssize_t k = write(s->fd - 1, at, len);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return failed(n, k < 0 ? errno : ENOSPC);
		at += k;
		len -= (size_t)k;
	}
	return 0;
}

static int drain(struct weir_node *n)
{
	struct state *s = n->state;
	int r = put_all(n, s->buffer, s->used);

	s->used = 0;
	return r;
}

static int put(struct weir_node *n, const void *p, size_t len)
{
	struct state *s = n->state;

	if (len > BUFFER - s->used) {
		int r = drain(n);

		if (r < 0 || len > BUFFER)
			return r < 0 ? r : put_all(n, p, len);
	}
	memcpy(s->buffer + s->used, p, len);
	s->used += len;
	return 0;
}

static int start(struct weir_node *n, uint64_t linktype)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	struct file_header h = {.magic = c->nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4,
	        .major = 2,
	        .minor = 4,
	        .snaplen = SNAPLEN,
	        .linktype = (uint32_t)linktype};

	s->started = true;
	s->linktype = linktype;
	return put(n, &h, sizeof h);
}

static int put_packet(struct weir_node *n, int64_t ts, const struct weir_str *data, uint64_t len)
{
	const struct config *c = n->config;
	struct packet_header h = {.seconds = (uint32_t)(ts / 1000000000),
	        .fraction = (uint32_t)(ts % 1000000000) / (c->nanoseconds ? 1 : 1000),
	        .caplen = (uint32_t)data->len,
	        .len = (uint32_t)len};
	int r = put(n, &h, sizeof h);

	return r < 0 ? r : put(n, data->p, data->len);
}

static int pcapwrite_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	const struct weir_col *packet = weir_batch_col(b, c->packet),
	                      *ts = weir_batch_col(b, c->ts), *len = weir_batch_col(b, c->len),
	                      *linktype = weir_batch_col(b, c->linktype);
	struct weir_batch *v;

	if (!packet || !ts || !len || !linktype)
		return -ENOMEM;
	for (uint32_t i = 0; i < weir_batch_count(b); i++) {
		uint32_t row = weir_batch_row(b, i);
		int64_t t;
		int r = 0;

		/* the file's seconds are 32 bits without a sign */
		if (!weir_col_has(packet, row) || !weir_col_has(ts, row) ||
		        !weir_col_has(len, row) || !weir_col_has(linktype, row) ||
		        (t = weir_col_i64(ts)[row]) < 0 || t / 1000000000 > UINT32_MAX) {
			n->counters[MISSING]++;
			continue;
		}
		if (!s->started)
			r = start(n, weir_col_u64(linktype)[row]);
		if (r == 0 && weir_col_u64(linktype)[row] != s->linktype)
			n->counters[LINKTYPE]++;
		else if (r == 0)
			r = put_packet(n, t, &weir_col_str(packet)[row], weir_col_u64(len)[row]);
		if (r < 0)
			return r;
	}
	v = weir_view(n, b);
	return v ? weir_emit(n, 0, v) : -ENOMEM;
}

/* At every refresh the file is whole: it can be read while it grows. */
static int pcapwrite_flush(struct weir_node *n, enum weir_mark mark)
{
	struct state *s = n->state;
	int r = 0;

	if (mark == WEIR_END && !s->started)
		r = start(n, 1); /* LINKTYPE_ETHERNET: an empty file, but one that can be opened */
	return r < 0 ? r : drain(n);
}

static void pcapwrite_close(struct weir_node *n)
{
	struct state *s = n->state;

	if (s->fd)
		close(s->fd - 1);
	weir_free(n->mem, s->buffer, BUFFER);
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_FILE,
                .name = "file",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED | WEIR_OPT_CREATE,
                .offset = offsetof(struct config, file),
                .arg = "FILE",
                .doc = "the file to create, or to empty"},
        WEIR_OPTIONS_END,
};

static const char *const counters[] = {"linktype", "missing", NULL};

WEIR_MODULE(pcapwrite) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_EFFECT,
        .name = "pcapwrite",
        .summary = "write the packets to a capture file",
        .doc = "Writes every packet that comes by to FILE as pcap, and passes it on. The file is "
               "created "
               "with the rights of whoever wrote the query; under a mount its path begins with "
               "'/'. Packets of another link type than the "
               "first are left out and counted as 'linktype'; what has no packet or no time that a "
               "pcap file can hold is counted as 'missing'.\n\n"
               "Where a mount is at hand, 'out.pcap' of the query holds its packets without a "
               "file.",
        .example = "packets | where dstport = 53 | pcapwrite /dev/null | group count()",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = pcapwrite_bind,
        .open = pcapwrite_open,
        .process = pcapwrite_process,
        .flush = pcapwrite_flush,
        .close = pcapwrite_close,
};
