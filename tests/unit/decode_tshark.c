// SPDX-License-Identifier: MIT
/* decode_tshark.c: the decoder against tshark, packet by packet, on every capture that libpcap
 * opens under $DATA (default ../shared/data), and on the frames of decode_frames.h.
 *
 * libpcap reads the captures, we write the packets to one pcapng file with an interface for each
 * capture, and run tshark once over that: its start costs more than most captures do. tshark runs
 * without reassembly and with all protocols above TCP, UDP and ICMP disabled. What is compared:
 * fields of the outermost IP packet, and of the one in a tunnel (inner.*). tshark lists all
 * occurrences of a field, so the protocol stack of the frame tells which of them is which.
 *
 * Differences that are right as they are stand in tests/golden/tshark-differences, with reasons.
 * The test fails on any other, and on one that is listed but does not occur.
 *
 * DECODE_PACKETS=N: only the first N packets of each capture.
 * DECODE_DIFFS=FILE: writes the differences found there, in the form of the list.
 * DECODE_ALL_PROTOCOLS=1: with all of tshark's protocols. Slow, and some differ more: fields of
 * payloads count as fields of the frame.
 */
#include "engine/core/pool.h"
#include "tests/unit/decode_frames.h"
#include <arpa/inet.h>
#include <ftw.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <weir/packet.h>

#include <cmocka.h>

#define TOKENS_MAX 1024

static const char *const protocols[] = {"frame", "pkthdr", "eth", "ethertype", "eth_maybefcs",
        "eth_withoutfcs", "eth_withfcs", "ip", "ipv6", "tcp", "udp", "udplite", "sctp", "dccp",
        "icmp", "icmpv6", "vlan", "ieee8021ad", "llc", "sll", "ppp", "ppp_hdlc", "pppoe", "pppoes",
        "chdlc", "null", "loop", "raw", "raw_ip", "wlan", "wlan_radio", "radiotap", "prism",
        "wlancap", "mpls", "gre", "ah", "data", "ipv6.hopopts", "ipv6.fraghdr", "ipv6.routing",
        "ipv6.dstopts", "fr", "tr", "fddi", "clip", "slip", "arcnet", "atm", "nflog", "wpan", "erf",
        "_ws.malformed", "_ws.short"};

/* Columns of tshark's output. */
enum column {
	C_PROTOCOLS,
	C_IP_SRC,
	C_IP_DST,
	C_IP_PROTO,
	C_IP_TTL,
	C_IP_ID,
	C_IP6_SRC,
	C_IP6_DST,
	C_IP6_NXT,
	C_IP6_HLIM,
	C_HOPOPTS,
	C_ROUTING,
	C_FRAGHDR,
	C_DSTOPTS,
	C_AH,
	C_TCP_SPORT,
	C_TCP_DPORT,
	C_TCP_SEQ,
	C_TCP_ACK,
	C_TCP_FLAGS,
	C_TCP_WINDOW,
	C_TCP_LEN,
	C_UDP_SPORT,
	C_UDP_DPORT,
	C_UDP_LEN,
	C_SCTP_SPORT,
	C_SCTP_DPORT,
	C_DCCP_SPORT,
	C_DCCP_DPORT,
	C_ICMP,
	C_ICMP6,
	C_VLAN,
	C_AD_ID,
	C_ETH_SRC,
	C_ETH_DST,
	COLUMNS
};

static const char *const columns[COLUMNS] = {"frame.protocols", "ip.src", "ip.dst", "ip.proto",
        "ip.ttl", "ip.id", "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.hlim", "ipv6.hopopts.nxt",
        "ipv6.routing.nxt", "ipv6.fraghdr.nxt", "ipv6.dstopts.nxt", "ah.next_header", "tcp.srcport",
        "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.window_size_value",
        "tcp.len", "udp.srcport", "udp.dstport", "udp.length", "sctp.srcport", "sctp.dstport",
        "dccp.srcport", "dccp.dstport", "icmp.type", "icmpv6.type", "vlan.id", "ieee8021ad.id",
        "eth.src", "eth.dst"};

/* What is compared, in the packet and in the tunnel. */
static const char *const names[] = {"srcip", "dstip", "ipprotocol", "srcport", "dstport", "seq",
        "flags", "ack", "window", "tcplen", "udplen", "icmptype", "ttl", "ipid", "inner.srcip",
        "inner.dstip", "inner.ipprotocol", "inner.srcport", "inner.dstport", "inner.seq",
        "inner.flags", "inner.ack", "inner.window", "inner.tcplen", "inner.udplen",
        "inner.icmptype", "inner.ttl", "inner.ipid", "vlan", "srcmac", "dstmac"};

enum {
	SRCIP,
	DSTIP,
	PROTO,
	SPORT,
	DPORT,
	SEQ,
	FLAGS,
	ACK,
	WINDOW,
	TCPLEN,
	UDPLEN,
	ICMPTYPE,
	TTL,
	IPID,
	LAYER,
	VLAN = 2 * LAYER,
	SRCMAC,
	DSTMAC,
	NAMES
};

struct value {
	bool there;
	uint64_t u;
	struct weir_ip ip;
};

/* One capture. */
struct capture {
	char *path, *name;
	int linktype;
	uint32_t packets;
	const struct frame *frame; /* or this one frame instead of a file */
};

static struct capture *captures;
static size_t ncaptures;
static size_t root_len;

/* One line of the list: fields of one packet, or of a range, of one capture. */
struct listed {
	char capture[256], field[32];
	uint32_t first, last;
	bool seen, bounded; /* within the packets that we looked at */
};

static struct listed *list;
static size_t nlist;
static uint64_t unlisted, matched, compared, there;
static FILE *diffs;

static int add_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p;

	if (type != FTW_F)
		return 0;
	p = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, err);
	if (!p)
		return 0;
	captures = realloc(captures, (ncaptures + 1) * sizeof *captures);
	captures[ncaptures].path = strdup(path);
	captures[ncaptures].name = captures[ncaptures].path + root_len + 1;
	captures[ncaptures].linktype = pcap_datalink(p);
	captures[ncaptures].frame = NULL;
	captures[ncaptures++].packets = 0;
	pcap_close(p);
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct capture *)a)->path, ((const struct capture *)b)->path);
}

static void add_frames(void)
{
	size_t n = sizeof frames / sizeof *frames;

	captures = realloc(captures, (ncaptures + n) * sizeof *captures);
	for (size_t i = 0; i < n; i++) {
		char *name = NULL;

		assert_true(asprintf(&name, "frame/%s", frames[i].name) > 0);
		captures[ncaptures++] = (struct capture){.path = name,
		        .name = name,
		        .linktype = frames[i].linktype,
		        .frame = &frames[i]};
	}
}

static pcap_t *open_capture(const struct capture *c)
{
	char err[PCAP_ERRBUF_SIZE];

	return c->frame ? NULL : pcap_open_offline(c->path, err);
}

/* The capture's next packet; false at its end. */
static bool next_packet(const struct capture *c, pcap_t *p, uint32_t done, struct pcap_pkthdr **h,
        const u_char **data)
{
	static struct pcap_pkthdr head;
	static u_char bytes[512];
	const char *s;

	if (p)
		return pcap_next_ex(p, h, data) == 1;
	if (done)
		return false;
	head.caplen = 0;
	for (s = c->frame->hex; *s; s += 2)
		bytes[head.caplen++] = (u_char)strtoul((char[]){s[0], s[1], 0}, NULL, 16);
	head.len = head.caplen;
	*h = &head;
	*data = bytes;
	return true;
}

static void close_capture(pcap_t *p)
{
	if (p)
		pcap_close(p);
}

/* libpcap's number to the file format's; only the ones that differ on Linux. */
static uint16_t linktype_of(int dlt)
{
	return dlt == DLT_RAW ? 101 : dlt == DLT_PPP_SERIAL ? 50 : (uint16_t)dlt;
}

static void put(FILE *f, const void *p, size_t n)
{
	static const uint8_t zeros[4];

	fwrite(p, 1, n, f);
	fwrite(zeros, 1, -n & 3, f);
}

static void put_block(
        FILE *f, uint32_t type, const void *head, uint32_t n, const void *p, uint32_t m)
{
	uint32_t len = 12 + n + ((m + 3) & ~3u);

	put(f, &type, 4);
	put(f, &len, 4);
	put(f, head, n);
	put(f, p, m);
	put(f, &len, 4);
}

static uint32_t limit(void)
{
	const char *s = getenv("DECODE_PACKETS");

	return s ? (uint32_t)strtoul(s, NULL, 10) : UINT32_MAX;
}

static void write_all(const char *path)
{
	const uint32_t section[] = {0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX};
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	put_block(f, 0x0a0d0d0a, section, sizeof section, "", 0);
	for (size_t i = 0; i < ncaptures; i++) {
		const uint32_t interface[] = {linktype_of(captures[i].linktype), 0};

		put_block(f, 1, interface, sizeof interface, "", 0);
	}
	for (size_t i = 0; i < ncaptures; i++) {
		pcap_t *p = open_capture(&captures[i]);
		struct pcap_pkthdr *h;
		const u_char *data;

		assert_true(p || captures[i].frame);
		while (captures[i].packets < limit() &&
		        next_packet(&captures[i], p, captures[i].packets, &h, &data)) {
			const uint32_t head[] = {(uint32_t)i, 0, 0, h->caplen, h->len};

			put_block(f, 6, head, sizeof head, data, h->caplen);
			captures[i].packets++;
		}
		close_capture(p);
	}
	assert_int_equal(fclose(f), 0);
}

static void read_list(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		struct listed l = {.seen = false};
		int n = sscanf(line, "%255s %u-%u %31s", l.capture, &l.first, &l.last, l.field);

		if (line[0] == '#' || line[0] == '\n' || line[0] == ' ')
			continue;
		if (n != 4)
			fail_msg("bad line in %s: %s", path, line);
		list = realloc(list, (nlist + 1) * sizeof *list);
		list[nlist++] = l;
	}
	fclose(f);
}

static bool expected(const char *capture, uint32_t packet, const char *field)
{
	bool found = false;

	for (size_t i = 0; i < nlist; i++)
		if (packet >= list[i].first && packet <= list[i].last &&
		        !strcmp(list[i].capture, capture) &&
		        (!strcmp(list[i].field, "*") || !strcmp(list[i].field, field)))
			found = list[i].seen = true;
	return found;
}

/* The nth of a comma-separated list, counted from 0; NULL: there is none. */
static const char *nth(const char *s, unsigned n, char buf[64])
{
	size_t len;

	while (n--) {
		s = strchr(s, ',');
		if (!s)
			return NULL;
		s++;
	}
	len = strcspn(s, ",");
	if (!len || len > 63)
		return NULL;
	memcpy(buf, s, len);
	buf[len] = 0;
	return buf;
}

static struct value number(const char *s, unsigned n)
{
	char buf[64];
	const char *t = nth(s, n, buf);

	return t ? (struct value){.there = true, .u = strtoull(t, NULL, 0)} : (struct value){0};
}

static struct value address(const char *s, unsigned n, bool v6)
{
	char buf[64];
	const char *t = nth(s, n, buf);
	struct value v = {
	        .there = t != NULL, .ip = {.family = v6 ? 6 : 4, .prefix = v6 ? 128 : 32}};

	if (t && inet_pton(v6 ? AF_INET6 : AF_INET, t, v.ip.b) != 1)
		fail_msg("tshark's address %s", t);
	return v;
}

static struct value mac(const char *s, unsigned n)
{
	char buf[64];
	const char *t = nth(s, n, buf);
	struct value v = {.there = t != NULL};

	for (; t && *t; t += 2 + (t[2] == ':'))
		v.u = v.u << 8 | strtoul((char[]){t[0], t[1], 0}, NULL, 16);
	return v;
}

/* How many of each protocol stood before in the frame: which occurrence of a field is next. */
struct seen {
	unsigned ip, ip6, tcp, udp, sctp, dccp, icmp, icmp6, hop, routing, frag, dst, ah;
};

/* What tshark says of the IP packet at token t[i]; returns the token behind its headers. */
static unsigned layer(char **t, unsigned i, unsigned n, char **f, struct seen *s, struct value *v)
{
	bool v6;
	char buf[64];

	/* an IPv4 header of version 6: tshark says so, and goes on as we do */
	if (i + 1 < n && !strcmp(t[i], "ip") && !strcmp(t[i + 1], "ipv6") &&
	        !nth(f[C_IP_PROTO], s->ip, buf))
		i++;
	v6 = !strcmp(t[i++], "ipv6");
	if (v6) {
		v[SRCIP] = address(f[C_IP6_SRC], s->ip6, true);
		v[DSTIP] = address(f[C_IP6_DST], s->ip6, true);
		v[TTL] = number(f[C_IP6_HLIM], s->ip6);
		v[PROTO] = number(f[C_IP6_NXT], s->ip6++);
		while (v[PROTO].there) {
			if (v[PROTO].u == 0)
				v[PROTO] = number(f[C_HOPOPTS], s->hop++);
			else if (v[PROTO].u == 43)
				v[PROTO] = number(f[C_ROUTING], s->routing++);
			else if (v[PROTO].u == 44)
				v[PROTO] = number(f[C_FRAGHDR], s->frag++);
			else if (v[PROTO].u == 60)
				v[PROTO] = number(f[C_DSTOPTS], s->dst++);
			else if (v[PROTO].u == 51)
				v[PROTO] = number(f[C_AH], s->ah++);
			else
				break;
		}
		while (i < n && (!strncmp(t[i], "ipv6.", 5) || !strcmp(t[i], "ah")))
			i++;
	} else {
		v[SRCIP] = address(f[C_IP_SRC], s->ip, false);
		v[DSTIP] = address(f[C_IP_DST], s->ip, false);
		v[TTL] = number(f[C_IP_TTL], s->ip);
		v[IPID] = number(f[C_IP_ID], s->ip);
		v[PROTO] = number(f[C_IP_PROTO], s->ip++);
	}
	if (i == n)
		return i;
	if (!strcmp(t[i], "tcp")) {
		v[SPORT] = number(f[C_TCP_SPORT], s->tcp);
		v[DPORT] = number(f[C_TCP_DPORT], s->tcp);
		v[SEQ] = number(f[C_TCP_SEQ], s->tcp);
		v[ACK] = number(f[C_TCP_ACK], s->tcp);
		v[FLAGS] = number(f[C_TCP_FLAGS], s->tcp);
		v[WINDOW] = number(f[C_TCP_WINDOW], s->tcp);
		v[TCPLEN] = number(f[C_TCP_LEN], s->tcp++);
	} else if (!strcmp(t[i], "udp") || !strcmp(t[i], "udplite")) {
		v[SPORT] = number(f[C_UDP_SPORT], s->udp);
		v[DPORT] = number(f[C_UDP_DPORT], s->udp);
		v[UDPLEN] = number(f[C_UDP_LEN], s->udp++);
	} else if (!strcmp(t[i], "sctp")) {
		v[SPORT] = number(f[C_SCTP_SPORT], s->sctp);
		v[DPORT] = number(f[C_SCTP_DPORT], s->sctp++);
	} else if (!strcmp(t[i], "dccp")) {
		v[SPORT] = number(f[C_DCCP_SPORT], s->dccp);
		v[DPORT] = number(f[C_DCCP_DPORT], s->dccp++);
	} else if (!strcmp(t[i], "icmp")) {
		v[ICMPTYPE] = number(f[C_ICMP], s->icmp++);
	} else if (!strcmp(t[i], "icmpv6")) {
		v[ICMPTYPE] = number(f[C_ICMP6], s->icmp6++);
	}
	return i;
}

static bool is_ip(const char *s)
{
	return !strcmp(s, "ip") || !strcmp(s, "ipv6");
}

/* One line of tshark's as the values that we expect. */
static void parse(char **f, struct value *v)
{
	char *t[TOKENS_MAX];
	struct seen s = {0};
	unsigned n = 0, i = 0;

	for (char *p = strtok(f[C_PROTOCOLS], ":"); p && n < TOKENS_MAX; p = strtok(NULL, ":"))
		t[n++] = p;
	memset(v, 0, NAMES * sizeof *v);
	v[SRCMAC] = mac(f[C_ETH_SRC], 0);
	v[DSTMAC] = mac(f[C_ETH_DST], 0);
	for (; i < n && !is_ip(t[i]); i++) /* the first tag that is not in a tunnel */
		if (v[VLAN].there)
			continue;
		else if (!strcmp(t[i], "ieee8021ad"))
			v[VLAN] = number(f[C_AD_ID], 0);
		else if (!strcmp(t[i], "vlan"))
			v[VLAN] = number(f[C_VLAN], 0);
	if (i == n)
		return;
	i = layer(t, i, n, f, &s, v);
	if (v[PROTO].u != 4 && v[PROTO].u != 41 && v[PROTO].u != 47)
		return;
	while (i < n && !is_ip(t[i]))
		i++;
	if (i < n)
		layer(t, i, n, f, &s, v + LAYER);
}

static void compare(const struct capture *c, uint32_t packet, struct weir_batch *b, uint32_t row,
        const int *field, const struct value *want)
{
	bool ethernet = c->linktype == DLT_EN10MB;

	for (int k = 0; k < (ethernet ? NAMES : SRCMAC); k++) {
		struct weir_value v;
		bool addr;

		assert_int_equal(weir_batch_value(b, (uint32_t)field[k], row, &v), 0);
		/* not a field of tshark's IPv6 header, and ours only where there is a fragment
		 * header */
		if ((k == IPID || k == LAYER + IPID) && !want[k].there)
			continue;
		compared++;
		there += v.kind != WEIR_NONE;
		addr = v.kind == WEIR_IP;
		if ((v.kind != WEIR_NONE) == want[k].there &&
		        (v.kind == WEIR_NONE ||
		                (addr ? weir_ip_equal(&v.d.ip, &want[k].ip) : v.d.u == want[k].u)))
			continue;
		if (expected(c->name, packet, names[k])) {
			matched++;
			continue;
		}
		if (unlisted++ < 20)
			fprintf(stderr, "%s packet %u: %s: ours %s%llu, tshark's %s%llu\n", c->name,
			        packet, names[k], v.kind ? "" : "none ",
			        v.kind && !addr ? (unsigned long long)v.d.u : 0,
			        want[k].there ? "" : "none ", (unsigned long long)want[k].u);
		if (diffs) {
			char a[INET6_ADDRSTRLEN] = "-", t[INET6_ADDRSTRLEN] = "-";

			if (v.kind && addr)
				inet_ntop(v.d.ip.family == 6 ? AF_INET6 : AF_INET, v.d.ip.b, a,
				        sizeof a);
			else if (v.kind)
				snprintf(a, sizeof a, "%llu", (unsigned long long)v.d.u);
			if (want[k].there && want[k].ip.family)
				inet_ntop(want[k].ip.family == 6 ? AF_INET6 : AF_INET, want[k].ip.b,
				        t, sizeof t);
			else if (want[k].there)
				snprintf(t, sizeof t, "%llu", (unsigned long long)want[k].u);
			fprintf(diffs, "%s %u-%u %s %d %s %s\n", c->name, packet, packet, names[k],
			        c->linktype, a, t);
		}
	}
}

static void next_line(FILE *ts, char **line, size_t *size, char **f)
{
	static char none[1];
	char *p;

	if (getline(line, size, ts) < 0)
		fail_msg("tshark ended early");
	p = *line;
	p[strcspn(p, "\n")] = 0;
	for (int i = 0; i < COLUMNS; i++) {
		f[i] = p ? p : none;
		p = p ? strchr(p, '\t') : NULL;
		if (p)
			*p++ = 0;
	}
}

static const struct weir_batch_ops ops = {.fill = weir_packet_fill};

static void compare_capture(const struct capture *c, FILE *ts, struct weir_pool *pool,
        const struct weir_schema *schema, const int *field)
{
	static struct weir_packets ps;
	static char *line, *f[COLUMNS];
	static size_t size;
	pcap_t *p = open_capture(c);
	uint32_t done = 0;

	assert_true(p || c->frame);
	while (done < c->packets) {
		uint32_t n =
		        c->packets - done < WEIR_BATCH_ROWS ? c->packets - done : WEIR_BATCH_ROWS;
		struct weir_batch *b = pool_batch(pool, schema, n);

		assert_non_null(b);
		ps.decoded = NULL;
		b->ops = &ops;
		b->priv = &ps;
		for (uint32_t k = 0; k < n; k++) {
			struct pcap_pkthdr *h;
			const u_char *data;
			uint8_t *copy;

			assert_true(next_packet(c, p, done, &h, &data));
			copy = malloc(h->caplen + !h->caplen);
			memcpy(copy, data, h->caplen);
			ps.pk[k] = (struct weir_packet){.data = copy,
			        .caplen = h->caplen,
			        .len = h->len,
			        .linktype = linktype_of(c->linktype)};
		}
		for (uint32_t k = 0; k < n; k++) {
			struct value want[NAMES];

			next_line(ts, &line, &size, f);
			parse(f, want);
			compare(c, done + k + 1, b, k, field, want);
		}
		weir_batch_unref(b);
		for (uint32_t k = 0; k < n; k++)
			free((void *)ps.pk[k].data);
		done += n;
	}
	close_capture(p);
}

/* A tshark configuration that knows no other protocols than ours. */
static void disable(const char *dir)
{
	char cmd[4096], path[256];
	int n;

	snprintf(path, sizeof path, "%s/wireshark", dir);
	n = snprintf(cmd, sizeof cmd,
	        "mkdir -p %s && tshark -G protocols 2>/dev/null | cut -f3 | grep -vxF", path);
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		n += snprintf(cmd + n, sizeof cmd - (size_t)n, " -e %s", protocols[i]);
	snprintf(cmd + n, sizeof cmd - (size_t)n, " > %s/disabled_protos", path);
	assert_int_equal(system(cmd), 0);
}

static FILE *run_tshark(const char *dir)
{
	char cmd[4096];
	int n = snprintf(cmd, sizeof cmd,
	        "XDG_CONFIG_HOME=%s tshark -n -r %s/all.pcapng -o ip.defragment:FALSE"
	        " -o ipv6.defragment:FALSE -o tcp.desegment_tcp_streams:FALSE"
	        " -o tcp.relative_sequence_numbers:FALSE -o tcp.analyze_sequence_numbers:FALSE"
	        " -T fields -E occurrence=a",
	        dir, dir);
	FILE *f;

	for (int i = 0; i < COLUMNS; i++)
		n += snprintf(cmd + n, sizeof cmd - (size_t)n, " -e %s", columns[i]);
	snprintf(cmd + n, sizeof cmd - (size_t)n, " 2>%s/stderr", dir);
	f = popen(cmd, "r");
	assert_non_null(f);
	return f;
}

static char dir[] = "/tmp/weir-decode-XXXXXX";
static bool made;

static int clean(void **state)
{
	char cmd[64];

	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	return made ? system(cmd) : 0;
}

static void decoder_equals_tshark(void **state)
{
	const char *data = getenv("DATA") ? getenv("DATA") : "../shared/data";
	char path[64];
	struct weir_schema *schema = weir_packet_schema(6);
	struct weir_pool *pool = pool_new(NULL);
	int field[NAMES];
	FILE *ts;

	if (system("command -v tshark >/dev/null")) {
		fprintf(stderr, "skipped: no tshark\n");
		skip();
	}
	if (access(data, R_OK))
		fprintf(stderr, "no captures at %s: only the frames\n", data);
	read_list("tests/golden/tshark-differences");
	if (getenv("DECODE_DIFFS"))
		diffs = fopen(getenv("DECODE_DIFFS"), "w");
	for (int k = 0; k < NAMES; k++)
		field[k] = weir_schema_find(schema, names[k], strlen(names[k]));
	root_len = strlen(data);
	nftw(data, add_file, 16, 0);
	qsort(captures, ncaptures, sizeof *captures, by_path);
	add_frames();
	assert_non_null(mkdtemp(dir));
	made = true;
	snprintf(path, sizeof path, "%s/all.pcapng", dir);
	if (!getenv("DECODE_ALL_PROTOCOLS"))
		disable(dir);
	write_all(path);
	ts = run_tshark(dir);
	for (size_t i = 0; i < ncaptures; i++)
		compare_capture(&captures[i], ts, pool, schema, field);
	assert_int_equal(getc(ts), EOF);
	pclose(ts);
	weir_schema_unref(schema);
	pool_unref(pool);
	if (diffs)
		fclose(diffs);
	for (size_t i = 0; i < nlist; i++)
		if (!list[i].seen && list[i].first <= limit() && !access(data, R_OK)) {
			fprintf(stderr, "listed, but does not occur: %s %u-%u %s\n",
			        list[i].capture, list[i].first, list[i].last, list[i].field);
			unlisted++;
		}
	fprintf(stderr,
	        "%zu captures, %llu values compared, %llu of them there, %llu differ as listed\n",
	        ncaptures, (unsigned long long)compared, (unsigned long long)there,
	        (unsigned long long)matched);
	assert_int_equal(unlisted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(decoder_equals_tshark, clean)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
