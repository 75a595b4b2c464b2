/* SPDX-License-Identifier: MIT */
/* bpf.c: filter expressions of libpcap; the only file of the engine that includes pcap.h.
 *
 * libpcap is loaded when the first expression comes: with the libraries that it draws in it takes
 * a third of the memory of a small query and of the time that weir needs to start.
 */
#include "engine/proto/bpf.h"
#include <ctype.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/late.h>

#define FUNCTIONS(X)                                                                               \
	X(pcap_open_dead)                                                                          \
	X(pcap_compile)                                                                            \
	X(pcap_geterr)                                                                             \
	X(pcap_close)                                                                              \
	X(pcap_freecode)                                                                           \
	X(bpf_filter)
WEIR_LATE(lib, PCAP_SONAME, FUNCTIONS)

#define PROGRAMS_MAX 64 /* link types of one stream */
#define SNAPLEN 262144

struct program {
	uint64_t linktype;
	bool good;
	struct bpf_program code;
};

struct bpf {
	const char *text;
	uint32_t n, last;
	struct program program[PROGRAMS_MAX];
};

/* Words of pcap-filter(7) that are not names. */
static const char *const keywords[] = {"aarp", "ack", "action", "addr1", "addr2", "addr3", "addr4",
        "ah", "and", "arp", "atalk", "bcc", "broadcast", "byte", "carp", "clnp", "connectmsg",
        "csnp", "dech", "decnet", "dir", "dpc", "dst", "es-is", "esis", "esp", "ether", "fddi",
        "fisu", "gateway", "geneve", "greater", "hdpc", "hfisu", "hlssu", "hmsu", "hopc", "host",
        "hsio", "hsls", "icmp", "icmp-echo", "icmp-echoreply", "icmp-ireq", "icmp-ireqreply",
        "icmp-maskreply", "icmp-maskreq", "icmp-paramprob", "icmp-redirect", "icmp-routeradvert",
        "icmp-routersolicit", "icmp-sourcequench", "icmp-timxceed", "icmp-tstamp",
        "icmp-tstampreply", "icmp-unreach", "icmp6", "icmp6-destinationrunreach", "icmp6-echo",
        "icmp6-echoreply", "icmp6-haadreply", "icmp6-haadrequest", "icmp6-homeagentdiscoveryreply",
        "icmp6-homeagentdiscoveryrequest", "icmp6-inversediscoveryadvert",
        "icmp6-inversediscoverysolicit", "icmp6-mobileprefixadvert", "icmp6-mobileprefixsolicit",
        "icmp6-multicastlistenerdone", "icmp6-multicastlistenerquery",
        "icmp6-multicastlistenerreportv1", "icmp6-multicastlistenerreportv2",
        "icmp6-multicastrouteradvert", "icmp6-multicastroutersolicit", "icmp6-multicastrouterterm",
        "icmp6-neighboradvert", "icmp6-neighborsolicit", "icmp6-nodeinformationquery",
        "icmp6-nodeinformationresponse", "icmp6-packettoobig", "icmp6-parameterproblem",
        "icmp6-redirect", "icmp6-routeradvert", "icmp6-routerrenum", "icmp6-routersolicit",
        "icmp6-timeexceeded", "icmp6code", "icmp6type", "icmpcode", "icmptype", "ifindex", "ifname",
        "igmp", "igrp", "iih", "ilmic", "inbound", "ip", "ip6", "ipx", "is-is", "isis", "iso", "l1",
        "l2", "lane", "lat", "len", "less", "link", "llc", "lsp", "lssu", "lsu", "mask", "metac",
        "metaconnect", "mopdl", "moprc", "mpls", "msu", "multicast", "net", "netbeui", "not", "oam",
        "oamf4", "oamf4ec", "oamf4sc", "on", "opc", "or", "outbound", "pim", "port", "portrange",
        "ppp", "pppoed", "pppoes", "proto", "protochain", "psnp", "ra", "radio", "rarp", "reason",
        "rnr", "rset", "rulenum", "ruleset", "sc", "sca", "sctp", "sio", "sls", "snp", "src",
        "srnr", "srset", "stp", "subrulenum", "subtype", "ta", "tcp", "tcp-ack", "tcp-cwr",
        "tcp-ece", "tcp-fin", "tcp-push", "tcp-rst", "tcp-syn", "tcp-urg", "tcpflags", "tr", "type",
        "udp", "vci", "vlan", "vpi", "vrrp", "wlan"};

static bool is_word(const char *const *list, size_t n, const char *s, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == len && !memcmp(list[i], s, len))
			return true;
	return false;
}

static bool is_hex_address(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isxdigit((unsigned char)s[i]) && !strchr(":.-/", s[i]))
			return false;
	return memchr(s, ':', len) || memchr(s, '.', len) || memchr(s, '-', len);
}

/* A word that libpcap would look up as a host or a network. The last qualifier of type says what a
 * bare name is; ports, protocols and what follows `type`, `subtype`, `dir`, `on` come from tables
 * and files. */
static bool looks_up(const char *text, const char **name, size_t *len)
{
	static const char *const harmless[] = {"port", "portrange", "proto", "protochain", "type",
	        "subtype", "dir", "on", "ifname", "action", "reason", "ruleset"};
	static const char *const names[] = {"host", "net", "gateway", "mask"};
	bool host = true;

	while (*text) {
		size_t n = 0;

		while (isalnum((unsigned char)text[n]) ||
		        (n && text[n] && strchr("_.:-/", text[n])))
			n++;
		if (!n) {
			text++;
			continue;
		}
		if (is_word(harmless, sizeof harmless / sizeof *harmless, text, n))
			host = false;
		else if (is_word(names, sizeof names / sizeof *names, text, n))
			host = true;
		if (host && isalpha((unsigned char)*text) && !is_hex_address(text, n) &&
		        !is_word(keywords, sizeof keywords / sizeof *keywords, text, n)) {
			*name = text;
			*len = n;
			return true;
		}
		text += n;
	}
	return false;
}

/* What pcap_open_dead() calls the link type; the files' numbers differ for a few old ones. */
static int dlt_of(uint64_t linktype)
{
	static const struct {
		int file, dlt;
	} row[] = {{100, DLT_ATM_RFC1483}, {101, DLT_RAW}, {102, DLT_SLIP_BSDOS},
	        {103, DLT_PPP_BSDOS}, {104, DLT_C_HDLC}, {106, DLT_ATM_CLIP}, {50, DLT_PPP_SERIAL},
	        {51, DLT_PPP_ETHER}};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		if ((uint64_t)row[i].file == linktype)
			return row[i].dlt;
	return (int)linktype;
}

static int compile(const char *text, int dlt, struct bpf_program *code, char *why, size_t size)
{
	pcap_t *p;
	int r = -EINVAL;

	if (weir_late_load(&lib_library) < 0) {
		if (why)
			snprintf(why, size, "%s", lib_library.missing);
		return -EINVAL;
	}
	p = lib.pcap_open_dead(dlt, SNAPLEN);
	if (!p)
		return -ENOMEM;
	if (lib.pcap_compile(p, code, text, 1, PCAP_NETMASK_UNKNOWN) == 0)
		r = 0;
	else if (why)
		snprintf(why, size, "%s", lib.pcap_geterr(p));
	lib.pcap_close(p);
	return r;
}

int bpf_check(const char *text, char *why, size_t size)
{
	static const int other[] = {DLT_IEEE802_11_RADIO, DLT_RAW, DLT_LINUX_SLL, DLT_PPP};
	struct bpf_program code;
	const char *name;
	size_t n;
	int r;

	if (strlen(text) > BPF_TEXT_MAX) {
		snprintf(why, size, "longer than %d bytes", BPF_TEXT_MAX);
		return -EINVAL;
	}
	if (looks_up(text, &name, &n)) {
		snprintf(why, size, "'%.*s' is no keyword, and names are not looked up",
		        (int)(n < 64 ? n : 64), name);
		return -EINVAL;
	}
	r = compile(text, DLT_EN10MB, &code, why, size);
	for (size_t i = 0; r == -EINVAL && i < sizeof other / sizeof *other; i++)
		r = compile(text, other[i], &code, NULL, 0);
	if (r == 0)
		lib.pcap_freecode(&code);
	return r;
}

struct bpf *bpf_new(const char *text)
{
	struct bpf *p = calloc(1, sizeof *p);

	if (p)
		p->text = text;
	return p;
}

void bpf_free(struct bpf *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->n; i++)
		if (p->program[i].good)
			lib.pcap_freecode(&p->program[i].code);
	free(p);
}

/* NULL: it does not compile for this link type, or there have been too many. */
static const struct program *program_for(struct bpf *p, uint64_t linktype)
{
	struct program *g;

	for (uint32_t i = 0; i < p->n; i++) {
		if (p->program[i].linktype == linktype) {
			p->last = i;
			return p->program[i].good ? &p->program[i] : NULL;
		}
	}
	if (p->n == PROGRAMS_MAX)
		return NULL;
	g = &p->program[p->n];
	g->linktype = linktype;
	g->good = linktype <= UINT16_MAX &&
	          compile(p->text, dlt_of(linktype), &g->code, NULL, 0) == 0;
	p->last = p->n++;
	return g->good ? g : NULL;
}

int bpf_select(struct bpf *p, const struct weir_col *packet, const struct weir_col *linktype,
        const struct weir_col *len, const uint16_t *in, uint32_t n, uint16_t *out,
        uint64_t *ret_unknown)
{
	const struct weir_str *bytes = weir_col_str(packet);
	uint32_t k = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t row = in[i];
		const struct program *g = NULL;
		uint64_t type, wire;
		bool c;

		if (!weir_col_has(packet, row) || !weir_col_has(linktype, row))
			continue;
		type = weir_col_u64(linktype)[row];
		if (p->n && p->program[p->last].linktype == type)
			g = p->program[p->last].good ? &p->program[p->last] : NULL;
		else
			g = program_for(p, type);
		if (!g) {
			++*ret_unknown;
			continue;
		}
		wire = len && weir_col_has(len, row) ? weir_col_u64(len)[row] : bytes[row].len;
		c = lib.bpf_filter(g->code.bf_insns, bytes[row].p, (u_int)wire,
		            (u_int)bytes[row].len) != 0;
		out[k] = (uint16_t)row;
		k += c;
	}
	return (int)k;
}
