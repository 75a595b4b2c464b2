/* SPDX-License-Identifier: MIT */
/* gentrace.c: makes packet traces, deterministic by seed, of any size, as a stream.
 *
 * A few thousand connections are alive at once; each step takes one of them and sends its next
 * packet or, for large transfers, a burst. Clients, servers and transfer sizes are heavy-tailed
 * (Zipf-Mandelbrot ranks; sizes in octaves of geometric probability, a Pareto tail). Besides them
 * run a port scan and a SYN flood. All decisions are made with integers and with additions and
 * divisions of doubles, so the same seed gives the same bytes on every machine.
 *
 * With the presets, 2,000,000 packets have about 50,000 source addresses, 396,000 (source,
 * destination, port) triples, 427,000 flows and 1.29 million TCP sequence numbers.
 *
 * Addresses: clients 10/8, servers 198.18/15 (RFC 2544), spoofed sources 100.64/10, the scanner
 * 203.0.113.66, the flood's victim 198.19.0.80, IPv6 in 2001:db8::/32. Frames of servers come from
 * the router 00:01:02:03:04:05.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { POOL = 65536, MSS = 1448, SLOTS_MAX = 4096, OUT = 1 << 20, RESOLVERS = 16 };
enum kind { WEB, DNS, PING, QUIC, NTP, REFUSED, UNREACHABLE };

struct options {
	uint64_t packets, flows, hosts, rate, seed, start;
	uint64_t snaplen, scan, flood; /* scan, flood: packets of a million */
	bool ns, big, ng, swap;        /* swap: the file's byte order is not the machine's */
	const char *path;
};

struct addr {
	bool v6;
	uint8_t b[16];
	uint8_t mac[6];
	uint16_t vlan, outer; /* 0: untagged */
	uint8_t ttl;
};

/* A connection: end 0 is the client, end 1 the server. */
struct conn {
	enum kind kind;
	struct addr end[2];
	uint16_t port[2];
	uint32_t seq[2]; /* next to send */
	uint16_t id[2];  /* IPv4 identification */
	uint32_t step;
	uint32_t left;      /* data segments still to come from the server in this exchange */
	uint32_t exchanges; /* after this one */
	uint32_t unacked;
	uint32_t lost_seq, lost_len; /* a segment to be sent again; lost_len 0: none */
	uint16_t txid;
	uint8_t name[40]; /* DNS question name on the wire */
	uint8_t name_len;
	bool done;
};

static struct options opt = {
        .packets = 2000000,
        .rate = 20000,
        .seed = 1,
        .start = 1767225600,
        .snaplen = 262144,
        .scan = 10000,
        .flood = 5000,
        .path = "-",
};
static uint64_t rng[4];
static uint8_t pool[POOL + 4096];
static uint32_t pool_sum[POOL / 2 + 2048]; /* sums of the 16-bit words before an even offset */
static double *client_cdf, *server_cdf;
static uint32_t clients, servers;
static uint64_t tcp_segments; /* mean data segments of a transfer, in 1/256 */
static uint64_t sent, now;    /* packets, nanoseconds */
static uint8_t out[OUT];
static size_t out_len;
static int out_fd = STDOUT_FILENO;

static void die(const char *what)
{
	fprintf(stderr, "gentrace: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* xoshiro256** of Blackman and Vigna. */
static uint64_t next(void)
{
	uint64_t r = rng[1] * 5, t = rng[1] << 17;

	r = (r << 7 | r >> 57) * 9;
	rng[2] ^= rng[0];
	rng[3] ^= rng[1];
	rng[1] ^= rng[2];
	rng[0] ^= rng[3];
	rng[2] ^= t;
	rng[3] = rng[3] << 45 | rng[3] >> 19;
	return r;
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)((next() >> 32) * n >> 32);
}

/* ---- writing ---- */

static void flush(void)
{
	for (size_t at = 0; at < out_len;) {
		ssize_t n = write(out_fd, out + at, out_len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("write");
		at += (size_t)n;
	}
	out_len = 0;
}

static void put(const void *p, size_t n)
{
	memcpy(out + out_len, p, n);
	out_len += n;
}

static void put16(uint16_t v)
{
	v = opt.swap ? __builtin_bswap16(v) : v;
	put(&v, 2);
}

static void put32(uint32_t v)
{
	v = opt.swap ? __builtin_bswap32(v) : v;
	put(&v, 4);
}

static void put_file_header(void)
{
	if (!opt.ng) {
		put32(opt.ns ? 0xa1b23c4d : 0xa1b2c3d4);
		put16(2);
		put16(4);
		put32(0);
		put32(0);
		put32((uint32_t)opt.snaplen);
		put32(1);
		return;
	}
	put32(0x0a0d0d0a); /* section header */
	put32(28);
	put32(0x1a2b3c4d);
	put16(1);
	put16(0);
	put32(UINT32_MAX);
	put32(UINT32_MAX);
	put32(28);
	put32(1); /* interface description, if_tsresol */
	put32(32);
	put16(1);
	put16(0);
	put32((uint32_t)opt.snaplen);
	put16(9);
	put16(1);
	put((uint8_t[]){opt.ns ? 9 : 6, 0, 0, 0}, 4);
	put32(0); /* end of options */
	put32(32);
}

/* Room for one packet of the snap length, its headers aside; caplen bytes are to be put next. */
static void put_packet_header(uint32_t caplen, uint32_t len)
{
	uint64_t t = opt.ns ? now : now / 1000;

	if (out_len + opt.snaplen + 64 > OUT || out_len > OUT / 2)
		flush();
	if (!opt.ng) {
		put32((uint32_t)(now / 1000000000));
		put32((uint32_t)(now % 1000000000 / (opt.ns ? 1 : 1000)));
	} else {
		put32(6);
		put32(32 + ((caplen + 3) & ~3u));
		put32(0);
		put32((uint32_t)(t >> 32));
		put32((uint32_t)t);
	}
	put32(caplen);
	put32(len);
}

static void put_packet_trailer(uint32_t caplen)
{
	if (!opt.ng)
		return;
	put("\0\0\0", -caplen & 3);
	put32(32 + ((caplen + 3) & ~3u));
}

/* ---- frames ---- */

static uint8_t *be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *be32(uint8_t *p, uint32_t v)
{
	return be16(be16(p, v >> 16), v & 0xffff);
}

static uint64_t sum_words(const uint8_t *p, size_t n)
{
	uint64_t s = 0;

	for (; n > 1; n -= 2, p += 2)
		s += (uint32_t)p[0] << 8 | p[1];
	return n ? s + ((uint32_t)p[0] << 8) : s;
}

static uint16_t fold(uint64_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* Sends one packet from end `dir`: a transport header with its checksum field, zero, at
 * `check`, then payload: `body`, or where that is NULL the pool from even offset `at`. */
static void send_ip(struct conn *c, int dir, uint8_t proto, const uint8_t *l4, uint32_t l4_len,
        uint32_t check, const uint8_t *body, uint32_t at, uint32_t body_len)
{
	const struct addr *s = &c->end[dir], *d = &c->end[!dir];
	uint8_t h[160], *p = h, *ip;
	uint64_t sum = sum_words(l4, l4_len);
	uint32_t hlen, len, caplen, rest, n = l4_len + body_len, alen = s->v6 ? 16 : 4;
	uint16_t vlan = s->vlan | d->vlan, outer = s->outer | d->outer;

	memcpy(p, d->mac, 6);
	memcpy(p + 6, s->mac, 6);
	p += 12;
	if (outer)
		p = be16(be16(p, 0x88a8), outer);
	if (vlan)
		p = be16(be16(p, 0x8100), vlan);
	p = be16(p, s->v6 ? 0x86dd : 0x0800);
	ip = p;
	if (s->v6) {
		p = be32(p, 0x60000000);
		p = be16(p, n);
		*p++ = proto;
		*p++ = s->ttl;
	} else {
		p = be16(p, 0x4500);
		p = be16(p, n + 20);
		p = be16(p, c->id[dir]++);
		p = be16(p, 0x4000);
		*p++ = s->ttl;
		*p++ = proto;
		p = be16(p, 0);
	}
	memcpy(p, s->b, alen);
	memcpy(p + alen, d->b, alen);
	if (proto != 1)
		sum += sum_words(p, 2 * alen) + proto + n;
	p += 2 * alen;
	if (!s->v6)
		be16(ip + 10, fold(sum_words(ip, 20)));
	if (body)
		sum += sum_words(body, body_len);
	else if (body_len)
		sum += pool_sum[(at + body_len) / 2] - pool_sum[at / 2] +
		       (body_len & 1 ? (uint32_t)pool[at + body_len - 1] << 8 : 0);
	memcpy(p, l4, l4_len);
	be16(p + check, fold(sum) ? fold(sum) : proto == 17 ? 0xffff : 0);
	p += l4_len;

	hlen = (uint32_t)(p - h);
	len = hlen + body_len;
	caplen = len < opt.snaplen ? len : (uint32_t)opt.snaplen;
	put_packet_header(caplen, len);
	put(h, caplen < hlen ? caplen : hlen);
	rest = caplen > hlen ? caplen - hlen : 0;
	put(body ? body : pool + at, rest);
	put_packet_trailer(caplen);
	sent++;
}

static void send_tcp(struct conn *c, int dir, uint8_t flags, uint32_t seq, uint32_t len)
{
	static const uint8_t syn_options[] = {2, 4, MSS >> 8, MSS & 255, 4, 2, 1, 1, 1, 3, 3, 7};
	uint32_t hlen = flags & SYN ? 32 : 20, ack = flags & ACK ? c->seq[!dir] : 0;
	uint8_t t[32], *p = be32(be32(be16(be16(t, c->port[dir]), c->port[!dir]), seq), ack);

	*p++ = (uint8_t)(hlen << 2);
	*p++ = flags;
	p = be32(be16(p, flags & RST ? 0 : 502), 0);
	memcpy(p, syn_options, hlen - 20);
	send_ip(c, dir, 6, t, hlen, 16, NULL, seq * 2 & (POOL - 2), len);
}

static void send_udp(struct conn *c, int dir, const uint8_t *body, uint32_t len)
{
	uint8_t u[8];

	be16(be16(be16(be16(u, c->port[dir]), c->port[!dir]), len + 8), 0);
	send_ip(c, dir, 17, u, 8, 6, body, (uint32_t)c->step * 64 & (POOL - 2), len);
}

/* Sends `len` bytes on, and now and then remembers them as lost. */
static void send_data(struct conn *c, int dir, uint32_t len)
{
	send_tcp(c, dir, ACK | (c->left <= 1 ? PSH : 0), c->seq[dir], len);
	if (dir == 1 && !c->lost_len && below(40) == 0) {
		c->lost_seq = c->seq[dir];
		c->lost_len = len;
	}
	c->seq[dir] += len;
}

/* ---- connections ---- */

static uint32_t rank(const double *cdf, uint32_t n)
{
	double u = (double)(next() >> 11) / 9007199254740992.0 * cdf[n - 1];
	uint32_t lo = 0, hi = n - 1;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (cdf[mid] < u)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static double *make_cdf(uint32_t n, double shift)
{
	double *c = malloc(n * sizeof *c), sum = 0;

	if (!c)
		die("malloc");
	for (uint32_t i = 0; i < n; i++)
		c[i] = sum += 1.0 / (i + shift);
	return c;
}

static void set_v4(struct addr *a, uint32_t ip)
{
	be32(a->b, ip);
}

/* Client i; addresses and ranks have nothing to do with each other. */
static void set_client(struct addr *a, uint32_t i, bool v6)
{
	uint64_t m = mix(i);

	*a = (struct addr){.v6 = v6, .ttl = 64};
	memcpy(a->mac, (uint8_t[]){2, 0, 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}, 6);
	if (m % 8 == 0)
		a->vlan = (uint16_t)(100 + m / 8 % 16);
	if (m % 64 == 0)
		a->outer = 1000;
	if (v6) {
		memcpy(a->b, (uint8_t[]){0x20, 1, 0xd, 0xb8, 0, 10}, 6);
		be32(a->b + 12, i * 2654435761u);
	} else {
		set_v4(a, 10u << 24 | ((i * 0x9e3779 + 0x010305) & 0xffffff));
	}
}

static void set_server(struct addr *a, uint32_t i, bool v6)
{
	static const uint8_t router[6] = {0, 1, 2, 3, 4, 5}, ttl[4] = {64, 64, 128, 255};
	uint64_t m = mix(i + 0x100000000);

	*a = (struct addr){.v6 = v6, .ttl = (uint8_t)(ttl[m & 3] - 3 - m / 4 % 20)};
	memcpy(a->mac, router, 6);
	if (v6) {
		memcpy(a->b, (uint8_t[]){0x20, 1, 0xd, 0xb8, 0, 25}, 6);
		be32(a->b + 12, i * 2246822519u);
	} else {
		set_v4(a, 198u << 24 | 18u << 16 | ((i * 0x9e37 + 0x53) & 0x1ffff));
	}
}

/* An octave of geometric probability .6, .24, …: a Pareto tail of index 1.3; the mean of 1.5 * 2^k
 * over it is 3.0 up to the bound. Scaled to the mean that `flows` asks for. */
static uint32_t transfer_size(void)
{
	uint32_t k = 0;
	uint64_t x;

	while (k < 15 && below(1000) < 400)
		k++;
	x = ((1u << k) * 256ull + below(256u << k)) * tcp_segments / (30 * 256 / 10);
	return (uint32_t)((x + below(256)) >> 8);
}

static void name_question(struct conn *c)
{
	static const char *const word[] = {
	        "www", "mail", "api", "cdn", "img", "news", "shop", "git"};
	static const char *const zone[] = {"com", "net", "org"};
	char label[24];
	uint8_t *p = c->name;
	const char *w = word[below(8)], *z = zone[below(3)];
	int n = snprintf(label, sizeof label, "site%u", rank(server_cdf, servers));

	*p++ = (uint8_t)strlen(w);
	p = (uint8_t *)memcpy(p, w, strlen(w)) + strlen(w);
	*p++ = (uint8_t)n;
	p = (uint8_t *)memcpy(p, label, (size_t)n) + n;
	memcpy(p, "\7example", 8);
	p[8] = 3;
	memcpy(p + 9, z, 4); /* with the root's 0 */
	c->name_len = (uint8_t)(p + 13 - c->name);
}

static void start(struct conn *c)
{
	static const uint16_t web[] = {443, 443, 443, 443, 80, 80, 22, 25, 993, 8080};
	uint32_t what = below(1000), client = rank(client_cdf, clients);
	bool v6 = mix(client) / 512 % 8 == 0;

	memset(c, 0, sizeof *c);
	c->kind = what < 690   ? WEB
	          : what < 860 ? DNS
	          : what < 872 ? PING
	          : what < 900 ? QUIC
	          : what < 922 ? NTP
	          : what < 988 ? REFUSED
	                       : UNREACHABLE;
	set_client(&c->end[0], client, v6);
	set_server(&c->end[1],
	        c->kind == DNS ? mix(client) / 4096 % RESOLVERS : rank(server_cdf, servers), v6);
	c->port[0] = (uint16_t)(32768 + below(28232));
	c->port[1] = c->kind == WEB       ? web[below(10)]
	             : c->kind == DNS     ? 53
	             : c->kind == QUIC    ? 443
	             : c->kind == NTP     ? 123
	             : c->kind == REFUSED ? 23
	                                  : 33434;
	for (int i = 0; i < 2; i++) {
		c->seq[i] = (uint32_t)next();
		c->id[i] = (uint16_t)next();
	}
	c->txid = (uint16_t)next();
	if (c->kind == DNS)
		name_question(c);
	if (c->kind == WEB) {
		c->left = transfer_size();
		for (c->exchanges = 0; c->exchanges < 20 && below(10) < 2;)
			c->exchanges++;
	}
	if (c->kind == QUIC)
		c->left = 2 + transfer_size();
}

/* The part of a TCP connection between handshake and FIN; false: nothing left to send. */
static bool web_transfer(struct conn *c)
{
	if (c->lost_len && below(3) == 0) {
		send_tcp(c, 1, ACK, c->lost_seq, c->lost_len);
		c->lost_len = 0;
	} else if (c->unacked >= 2 || (c->unacked && !c->left)) {
		send_tcp(c, 0, ACK, c->seq[0], 0);
		c->unacked = 0;
	} else if (c->left) {
		send_data(c, 1, c->left > 1 ? MSS : 1 + below(MSS));
		c->left--;
		c->unacked++;
	} else if (c->lost_len) {
		send_tcp(c, 1, ACK, c->lost_seq, c->lost_len);
		c->lost_len = 0;
	} else if (c->exchanges) {
		c->exchanges--;
		c->left = transfer_size();
		send_data(c, 0, 80 + below(500));
	} else {
		return false;
	}
	return true;
}

static void step_web(struct conn *c)
{
	switch (c->step) {
	case 0:
		send_tcp(c, 0, SYN, c->seq[0], 0);
		if (below(64) == 0)
			return; /* lost: sent again */
		c->seq[0]++;
		break;
	case 1:
		send_tcp(c, 1, SYN | ACK, c->seq[1]++, 0);
		break;
	case 2:
		send_tcp(c, 0, ACK, c->seq[0], 0);
		break;
	case 3:
		send_data(c, 0, 80 + below(500));
		break;
	case 4:
		send_tcp(c, 1, ACK, c->seq[1], 0);
		break;
	case 5:
		if (web_transfer(c))
			return;
		if (below(20) == 0) {
			send_tcp(c, 0, RST | ACK, c->seq[0], 0);
			c->done = true;
		} else {
			send_tcp(c, 0, FIN | ACK, c->seq[0]++, 0);
		}
		break;
	case 6:
		send_tcp(c, 1, FIN | ACK, c->seq[1]++, 0);
		break;
	default:
		send_tcp(c, 0, ACK, c->seq[0], 0);
		c->done = true;
	}
	c->step++;
}

static void step_dns(struct conn *c)
{
	uint8_t m[128], *p;
	bool answer = c->step == 1, missing = c->txid % 16 == 0, v6 = c->txid & 1;

	p = be16(m, c->txid);
	p = be16(p, !answer ? 0x0100 : missing ? 0x8183 : 0x8180);
	p = be16(be16(p, 1), answer && !missing);
	p = be32(p, 0);
	memcpy(p, c->name, c->name_len);
	p = be16(be16(p + c->name_len, v6 ? 28 : 1), 1);
	if (answer && !missing) {
		struct addr a;

		p = be16(be16(be16(p, 0xc00c), v6 ? 28 : 1), 1);
		p = be16(be32(p, 300), v6 ? 16 : 4);
		set_server(&a, (uint32_t)(mix(c->txid) % servers), v6);
		memcpy(p, a.b, v6 ? 16 : 4);
		p += v6 ? 16 : 4;
	}
	send_udp(c, answer, m, (uint32_t)(p - m));
	c->done = answer || below(50) == 0;
	c->step++;
}

static void step_ping(struct conn *c)
{
	int dir = c->step & 1;
	uint8_t h[8] = {0};

	h[0] = c->end[0].v6 ? (dir ? 129 : 128) : (dir ? 0 : 8);
	be16(be16(h + 4, c->txid), c->step / 2 + 1);
	send_ip(c, dir, c->end[0].v6 ? 58 : 1, h, 8, 2, NULL, 1024, 56);
	c->step++;
	c->done = dir && below(4) == 0;
}

/* UDP to a port where nobody listens; RFC 792 quotes the header and 8 bytes. */
static void step_unreachable(struct conn *c)
{
	uint8_t h[8] = {3, 3}, q[28];

	if (c->step++ == 0) {
		send_udp(c, 0, NULL, 32);
		c->done = c->end[0].v6;
		return;
	}
	be16(be16(q, 0x4500), 60);
	be16(be16(q + 4, c->id[0] - 1u), 0x4000);
	q[8] = 1;
	q[9] = 17;
	be16(q + 10, 0);
	memcpy(q + 12, c->end[0].b, 4);
	memcpy(q + 16, c->end[1].b, 4);
	be16(q + 10, fold(sum_words(q, 20)));
	be16(be16(be16(be16(q + 20, c->port[0]), c->port[1]), 40), 0);
	send_ip(c, 1, 1, h, 8, 2, q, 0, sizeof q);
	c->done = true;
}

static void step(struct conn *c)
{
	switch (c->kind) {
	case WEB:
		step_web(c);
		break;
	case DNS:
		step_dns(c);
		break;
	case PING:
		step_ping(c);
		break;
	case QUIC:
		send_udp(c, c->step != 0 && c->step % 4 != 2, NULL,
		        c->step ? 64 + below(1190) : 1200);
		c->done = ++c->step > c->left;
		break;
	case NTP:
		send_udp(c, (int)c->step, NULL, 48);
		c->done = c->step++ == 1;
		break;
	case REFUSED:
		send_tcp(c, (int)c->step, c->step ? RST | ACK : SYN, c->step ? 0 : c->seq[0], 0);
		c->seq[0] += c->step++ == 0;
		c->done = c->step == 2;
		break;
	case UNREACHABLE:
		step_unreachable(c);
		break;
	}
}

/* The scanner walks the ports of one server after another. */
static void step_scan(void)
{
	static struct conn c;
	static uint32_t n;
	static bool refused;

	if (refused) {
		send_tcp(&c, 1, RST | ACK, 0, 0);
		refused = false;
		return;
	}
	set_server(&c.end[0], 0, false);
	c.end[0].ttl = 49;
	set_v4(&c.end[0], 203u << 24 | 113 << 8 | 66);
	set_server(&c.end[1], n / 1000 % servers, false);
	c.end[1].mac[5] = 6;
	c.port[0] = 54321;
	c.port[1] = (uint16_t)(1 + n % 1000);
	c.seq[0] = (uint32_t)mix(n);
	send_tcp(&c, 0, SYN, c.seq[0]++, 0);
	n++;
	refused = below(8) == 0;
}

static void step_flood(void)
{
	static struct conn c;

	set_server(&c.end[0], 0, false);
	set_v4(&c.end[0], 100u << 24 | 64 << 16 | below(1 << 22));
	c.end[0].ttl = (uint8_t)(40 + below(80));
	set_server(&c.end[1], 1, false);
	set_v4(&c.end[1], 198u << 24 | 19 << 16 | 80);
	c.end[1].mac[5] = 6;
	c.port[0] = (uint16_t)(1024 + below(64512));
	c.port[1] = 80;
	c.id[0] = (uint16_t)next();
	send_tcp(&c, 0, SYN, (uint32_t)next(), 0);
}

/* ---- the whole ---- */

static void setup(void)
{
	double per_flow;

	if (!opt.flows)
		opt.flows = opt.packets * 2135 / 10000 + 1;
	if (!opt.hosts)
		opt.hosts = opt.packets * 22 / 1000 + 64;
	opt.swap = opt.big == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
	for (int i = 0; i < 4; i++)
		rng[i] = mix(opt.seed * 4 + (uint64_t)i);
	servers = (uint32_t)(opt.hosts / 8 < 131072 ? opt.hosts / 8 : 131072);
	servers = servers < RESOLVERS ? RESOLVERS : servers;
	clients = opt.hosts > servers + 1 ? (uint32_t)(opt.hosts - servers) : 1;
	client_cdf = make_cdf(clients, 60);
	server_cdf = make_cdf(servers, 100);
	per_flow = (double)opt.packets / (double)opt.flows;
	tcp_segments = per_flow > 3 ? (uint64_t)((per_flow - 2.9) * 256 * 1.0) : 64;
	for (uint32_t i = 0; i < sizeof pool; i++)
		pool[i] = (uint8_t)(33 + next() % 90);
	for (uint32_t i = 0; i + 1 < sizeof pool_sum / sizeof *pool_sum; i++)
		pool_sum[i + 1] = pool_sum[i] + ((uint32_t)pool[2 * i] << 8 | pool[2 * i + 1]);
}

static void run(void)
{
	static struct conn conn[SLOTS_MAX];
	uint32_t alive = (uint32_t)(opt.packets / 100 < 8 ? 8 : opt.packets / 100);
	uint32_t gap = (uint32_t)(2000000000 / opt.rate + 1);

	alive = alive > SLOTS_MAX ? SLOTS_MAX : alive;
	for (uint32_t i = 0; i < alive; i++)
		start(&conn[i]);
	now = opt.start * 1000000000;
	while (sent < opt.packets) {
		uint32_t what = below(1000000);
		struct conn *c = &conn[below(alive)];
		uint32_t burst = c->kind == WEB || c->kind == QUIC ? 1 + c->left / 16 : 1;

		now += below(gap);
		if (what < opt.scan) {
			step_scan();
			continue;
		}
		if (what < opt.scan + opt.flood) {
			step_flood();
			continue;
		}
		for (burst = burst > 64 ? 64 : burst; burst && !c->done && sent < opt.packets;
		        burst--) {
			step(c);
			now += burst > 1 ? below(gap) : 0;
		}
		if (c->done)
			start(c);
	}
}

/* ---- the command line ---- */

struct parameter {
	struct option o;
	uint64_t *number;
	bool *flag;
	uint64_t min, max;
	const char *arg, *doc;
};

static const struct parameter parameters[] = {
        {{"packets", 1, 0, 'n'}, &opt.packets, 0, 1, 1ull << 40, "N", "packets to write (2000000)"},
        {{"flows", 1, 0, 'f'}, &opt.flows, 0, 1, 1ull << 40, "N",
                "flows to aim at, counted one way (.2135 a packet)"},
        {{"hosts", 1, 0, 'H'}, &opt.hosts, 0, 2, 1 << 22, "N", "hosts that talk (.023 a packet)"},
        {{"snaplen", 1, 0, 's'}, &opt.snaplen, 0, 1, 262144, "BYTES", "cut packets to this length"},
        {{"rate", 1, 0, 'r'}, &opt.rate, 0, 1, 1000000000, "N", "packets a second (20000)"},
        {{"seed", 1, 0, 'S'}, &opt.seed, 0, 0, UINT64_MAX, "N", "seed (1)"},
        {{"start", 1, 0, 't'}, &opt.start, 0, 0, 4000000000, "SECONDS", "time of the first packet"},
        {{"scan", 1, 0, 'p'}, &opt.scan, 0, 0, 500000, "N",
                "port scan, steps in a million (10000)"},
        {{"flood", 1, 0, 'y'}, &opt.flood, 0, 0, 500000, "N",
                "SYN flood, steps in a million (5000)"},
        {{"nanoseconds", 0, 0, 'N'}, 0, &opt.ns, 0, 0, 0, "times in nanoseconds, not microseconds"},
        {{"big-endian", 0, 0, 'b'}, 0, &opt.big, 0, 0, 0, "write the other byte order"},
        {{"pcapng", 0, 0, 'g'}, 0, &opt.ng, 0, 0, 0, "write pcapng"},
        {{"write", 1, 0, 'w'}, 0, 0, 0, 0, "FILE", "where to (standard output)"},
};
enum { PARAMETERS = sizeof parameters / sizeof *parameters };

static void usage(FILE *to)
{
	fprintf(to, "usage: gentrace [OPTION…]\nWrites a packet trace, deterministic by seed.\n\n");
	for (const struct parameter *p = parameters; p < parameters + PARAMETERS; p++)
		fprintf(to, "  -%c, --%-12s %-8s %s\n", p->o.val, p->o.name, p->arg ? p->arg : "",
		        p->doc);
}

static void parse(int argc, char **argv)
{
	struct option longs[PARAMETERS + 2] = {{"help", 0, 0, 'h'}};
	char shorts[2 * PARAMETERS + 2] = "h", *s = shorts + 1, *end;
	int o;

	for (int i = 0; i < PARAMETERS; i++) {
		longs[i + 1] = parameters[i].o;
		*s++ = (char)parameters[i].o.val;
		if (parameters[i].o.has_arg)
			*s++ = ':';
	}
	while ((o = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct parameter *p = parameters;

		while (p < parameters + PARAMETERS && p->o.val != o)
			p++;
		if (p == parameters + PARAMETERS) {
			usage(o == 'h' ? stdout : stderr);
			exit(o == 'h' ? 0 : 2);
		}
		if (p->flag)
			*p->flag = true;
		if (o == 'w')
			opt.path = optarg;
		if (!p->number)
			continue;
		errno = 0;
		*p->number = strtoull(optarg, &end, 10);
		if (errno || end == optarg || *end || *p->number < p->min || *p->number > p->max) {
			fprintf(stderr, "gentrace: bad value '%s' for --%s\n", optarg, p->o.name);
			exit(2);
		}
	}
	if (optind < argc) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (strcmp(opt.path, "-") != 0) {
		out_fd = open(opt.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (out_fd < 0)
			die(opt.path);
	}
	setup();
	put_file_header();
	run();
	flush();
	if (close(out_fd) < 0)
		die(opt.path);
	free(client_cdf);
	free(server_cdf);
	return 0;
}
