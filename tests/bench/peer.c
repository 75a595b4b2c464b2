/* SPDX-License-Identifier: MIT */
/* peer.c: the five questions of the benchmark answered by hand-written C, to compare weir with.
 *
 * What a good programmer writes for one question and one trace: libpcap's loop, headers parsed in
 * place, keys packed to 16 bytes (40 for IPv6) in open-addressed tables that double, a multiply
 * hash, entries in line, nothing allocated per packet. With -m the trace is mapped and walked
 * without libpcap. The answers are those of weir's pipelines, ties in order of first appearance;
 * a packet without IP is a group of its own, as in SQL.
 *
 * usage: peer [-m] QUESTION FILE        (1 to 5; Ethernet; -m: pcap in this byte order only)
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HAS_IP = 1, HAS_PROTO = 2, HAS_PORTS = 4, HAS_SEQ = 8 };

/* What a question needs of a packet. Addresses and ports in network order, as they stand. */
struct headers {
	const uint8_t *src, *dst; /* 4 or 16 bytes */
	bool v6;
	uint8_t proto, has;
	uint16_t sport, dport;
	uint32_t seq;
};

/* ---- tables ---- */

/* An entry is the key, then this. `first` is the entry's number from 1; 0: the slot is empty. */
struct count {
	uint64_t bytes;
	uint32_t packets, first;
};

struct table {
	uint8_t *slots;
	uint64_t mask;
	uint32_t n;
};

static uint32_t order; /* the last `first` given, over all tables of a question */

static void *zeroed(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static inline __attribute__((always_inline)) uint64_t hash(const uint8_t *key, size_t klen)
{
	uint64_t h = 0, w;

	for (size_t i = 0; i < klen; i += 8) {
		__uint128_t m;

		memcpy(&w, key + i, 8);
		m = (__uint128_t)(w ^ h ^ 0xa0761d6478bd642f) * 0xe7037ed1a0b428db;
		h = (uint64_t)m ^ (uint64_t)(m >> 64);
	}
	return h;
}

static inline __attribute__((always_inline)) struct count *find(
        struct table *t, const uint8_t *key, size_t klen, bool *fresh);

static inline __attribute__((always_inline)) void grow(struct table *t, size_t klen)
{
	size_t size = klen + sizeof(struct count);
	struct table old = *t;

	t->mask = old.slots ? old.mask * 2 + 1 : 1023;
	t->slots = zeroed((t->mask + 1) * size);
	for (uint64_t i = 0; old.slots && i <= old.mask; i++) {
		const uint8_t *e = old.slots + i * size;
		uint64_t h;

		if (!((const struct count *)(e + klen))->first)
			continue;
		h = hash(e, klen) & t->mask;
		while (((struct count *)(t->slots + h * size + klen))->first)
			h = (h + 1) & t->mask;
		memcpy(t->slots + h * size, e, size);
	}
	if (old.slots)
		munmap(old.slots, (old.mask + 1) * size);
}

static inline __attribute__((always_inline)) struct count *find(
        struct table *t, const uint8_t *key, size_t klen, bool *fresh)
{
	size_t size = klen + sizeof(struct count);
	uint64_t h;

	if (t->n * 2ull >= t->mask)
		grow(t, klen);
	for (h = hash(key, klen) & t->mask;; h = (h + 1) & t->mask) {
		uint8_t *e = t->slots + h * size;
		struct count *c = (struct count *)(e + klen);

		if (!c->first) {
			memcpy(e, key, klen);
			c->first = ++order;
			t->n++;
			*fresh = true;
			return c;
		}
		if (memcmp(e, key, klen) == 0) {
			*fresh = false;
			return c;
		}
	}
}

/* ---- headers ---- */

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void parse_l4(struct headers *h, uint8_t proto, const uint8_t *p, const uint8_t *end)
{
	h->proto = proto;
	h->has |= HAS_PROTO;
	if (proto != 6 && proto != 17 && proto != 132 && proto != 136 && proto != 33)
		return;
	if (end - p < 4)
		return;
	memcpy(&h->sport, p, 2);
	memcpy(&h->dport, p + 2, 2);
	h->has |= HAS_PORTS;
	if (proto == 6 && end - p >= 8) {
		memcpy(&h->seq, p + 4, 4);
		h->has |= HAS_SEQ;
	}
}

static void parse_v6(struct headers *h, const uint8_t *p, const uint8_t *end)
{
	uint8_t next;

	if (end - p < 40 || p[0] >> 4 != 6)
		return;
	h->v6 = true;
	h->src = p + 8;
	h->dst = p + 24;
	h->has |= HAS_IP;
	next = p[6];
	p += 40;
	while (next == 0 || next == 43 || next == 44 || next == 51 || next == 60) {
		bool fragment = next == 44;

		if (end - p < 8)
			return;
		next = p[0];
		if (fragment && get16(p + 2) & 0xfff8) {
			h->proto = next;
			h->has |= HAS_PROTO;
			return;
		}
		p += fragment ? 8 : next == 51 ? 4 * (p[1] + 2) : 8 * (p[1] + 1);
		if (p > end)
			p = end;
	}
	parse_l4(h, next, p, end);
}

static void parse_v4(struct headers *h, const uint8_t *p, const uint8_t *end)
{
	uint32_t hlen;

	if (end - p < 20 || p[0] >> 4 != 4)
		return;
	hlen = (p[0] & 15u) * 4;
	if (hlen < 20)
		return;
	h->src = p + 12;
	h->dst = p + 16;
	h->has |= HAS_IP;
	if (get16(p + 6) & 0x1fff || hlen > end - p) {
		h->proto = p[9];
		h->has |= HAS_PROTO;
		return;
	}
	parse_l4(h, p[9], p + hlen, end);
}

static inline void parse(struct headers *h, const uint8_t *p, uint32_t caplen)
{
	const uint8_t *end = p + caplen;
	uint16_t type;

	h->has = 0;
	h->v6 = false;
	if (caplen < 14)
		return;
	type = get16(p + 12);
	p += 14;
	while ((type == 0x8100 || type == 0x88a8 || type == 0x9100) && end - p >= 4) {
		type = get16(p + 2);
		p += 4;
	}
	if (type == 0x8864 && end - p >= 8) {
		type = get16(p + 6) == 0x21 ? 0x800 : get16(p + 6) == 0x57 ? 0x86dd : 0;
		p += 8;
	} else if (type == 0x8847 || type == 0x8848) {
		bool bottom = false;

		for (; !bottom && end - p >= 4; p += 4)
			bottom = p[2] & 1;
		type = !bottom || p >= end ? 0 : *p >> 4 == 4 ? 0x800 : *p >> 4 == 6 ? 0x86dd : 0;
	}
	if (type == 0x800)
		parse_v4(h, p, end);
	else if (type == 0x86dd)
		parse_v6(h, p, end);
}

/* ---- questions ---- */

static int question;
static uint64_t packets, bytes, tuples;
static struct table v4, v6, sources4, sources6;
static struct count none; /* Q2: packets without an address */
static struct seq {
	uint32_t seq, count;
} * seqs;
static uint32_t *seq_slots, nseqs, seq_mask; /* slots: index into seqs plus 1 */

static inline void add(struct count *c, uint32_t len)
{
	c->packets++;
	c->bytes += len;
}

static inline void q2(const struct headers *h, uint32_t len)
{
	bool fresh;
	uint8_t key[16] = {0};

	if (!(h->has & HAS_IP)) {
		if (!none.first)
			none.first = ++order;
		add(&none, len);
	} else if (h->v6) {
		add(find(&v6, h->src, 16, &fresh), len);
	} else {
		memcpy(key, h->src, 4);
		add(find(&v4, key, 8, &fresh), len);
	}
}

static inline void q3(const struct headers *h)
{
	bool fresh;
	uint8_t key[40] = {0};

	if (!(h->has & HAS_PORTS) || (h->proto != 6 && h->proto != 17))
		return;
	if (h->v6) {
		memcpy(key, h->src, 16);
		memcpy(key + 16, h->dst, 16);
		memcpy(key + 32, &h->dport, 2);
		find(&v6, key, 40, &fresh);
		if (fresh)
			find(&sources6, h->src, 16, &fresh)->bytes++;
	} else {
		memcpy(key, h->src, 4);
		memcpy(key + 4, h->dst, 4);
		memcpy(key + 8, &h->dport, 2);
		find(&v4, key, 16, &fresh);
		if (fresh)
			memset(key + 4, 0, 8), find(&sources4, key, 8, &fresh)->bytes++;
	}
}

static inline void q4(const struct headers *h, uint32_t len)
{
	bool fresh;
	uint8_t key[40] = {0};

	if (h->v6) {
		memcpy(key, h->src, 16);
		memcpy(key + 16, h->dst, 16);
		if (h->has & HAS_PORTS) {
			memcpy(key + 32, &h->sport, 2);
			memcpy(key + 34, &h->dport, 2);
		}
		key[36] = h->has & HAS_PROTO ? h->proto : 0;
		key[37] = h->has & ~HAS_SEQ;
		add(find(&v6, key, 40, &fresh), len);
		return;
	}
	if (h->has & HAS_IP) {
		memcpy(key, h->src, 4);
		memcpy(key + 4, h->dst, 4);
	}
	if (h->has & HAS_PORTS) {
		memcpy(key + 8, &h->sport, 2);
		memcpy(key + 10, &h->dport, 2);
	}
	key[12] = h->has & HAS_PROTO ? h->proto : 0;
	key[13] = h->has & ~HAS_SEQ;
	add(find(&v4, key, 16, &fresh), len);
}

static void seq_grow(void)
{
	uint32_t size = seq_mask ? (seq_mask + 1) * 2 : 1 << 12;

	free(seq_slots);
	seq_slots = calloc(size, sizeof *seq_slots);
	seqs = realloc(seqs, size / 2 * sizeof *seqs);
	if (!seq_slots || !seqs)
		exit(1);
	seq_mask = size - 1;
	for (uint32_t i = 0; i < nseqs; i++) {
		uint32_t s = (uint32_t)(seqs[i].seq * 0x9e3779b97f4a7c15ull >> 32) & seq_mask;

		while (seq_slots[s])
			s = (s + 1) & seq_mask;
		seq_slots[s] = i + 1;
	}
}

static inline void seq_count(uint32_t seq)
{
	uint32_t s;

	if (nseqs * 2 >= seq_mask)
		seq_grow();
	s = (uint32_t)(seq * 0x9e3779b97f4a7c15ull >> 32) & seq_mask;
	for (; seq_slots[s]; s = (s + 1) & seq_mask) {
		if (seqs[seq_slots[s] - 1].seq == seq) {
			seqs[seq_slots[s] - 1].count++;
			return;
		}
	}
	seqs[nseqs] = (struct seq){seq, 1};
	seq_slots[s] = ++nseqs;
}

static inline void q5(const struct headers *h)
{
	bool fresh;
	uint8_t key[40] = {0};
	uint32_t n = h->v6 ? 16 : 4;

	if (!(h->has & HAS_SEQ))
		return;
	memcpy(key, h->src, n);
	memcpy(key + n, h->dst, n);
	memcpy(key + 2 * n, &h->sport, 2);
	memcpy(key + 2 * n + 2, &h->dport, 2);
	memcpy(key + 2 * n + 4, &h->seq, 4);
	if (h->v6)
		find(&v6, key, 40, &fresh);
	else
		find(&v4, key, 16, &fresh);
	if (fresh) {
		tuples++;
		seq_count(ntohl(h->seq));
	}
}

static inline __attribute__((always_inline)) void packet(
        const uint8_t *p, uint32_t caplen, uint32_t len)
{
	struct headers h;

	if (question == 1) {
		packets++;
		bytes += len;
		return;
	}
	parse(&h, p, caplen);
	if (question == 2)
		q2(&h, len);
	else if (question == 3)
		q3(&h);
	else if (question == 4)
		q4(&h, len);
	else
		q5(&h);
}

/* ---- answers ---- */

struct top {
	const uint8_t *key;
	bool v6;
	struct count c;
};

static struct top best[11];
static int nbest;

static void offer(const uint8_t *key, bool is_v6, const struct count *c)
{
	int i = nbest;

	for (; i && (best[i - 1].c.bytes < c->bytes ||
	                    (best[i - 1].c.bytes == c->bytes && best[i - 1].c.first > c->first));
	        i--)
		best[i] = best[i - 1];
	best[i] = (struct top){key, is_v6, *c};
	nbest += nbest < 10;
}

static void offer_all(struct table *t, size_t klen, bool is_v6)
{
	size_t size = klen + sizeof(struct count);

	for (uint64_t i = 0; t->slots && i <= t->mask; i++) {
		const uint8_t *e = t->slots + i * size;

		if (((const struct count *)(e + klen))->first)
			offer(e, is_v6, (const struct count *)(e + klen));
	}
}

static const char *address(const uint8_t *p, bool is_v6)
{
	static char text[2][INET6_ADDRSTRLEN];
	static int k;

	k ^= 1;
	return inet_ntop(is_v6 ? AF_INET6 : AF_INET, p, text[k], sizeof text[k]);
}

static void print_flow(const struct top *t)
{
	uint32_t n = t->v6 ? 16 : 4;
	const uint8_t *k = t->key + 2 * n;
	uint8_t has = k[5];

	printf("%s,%s,", has & HAS_IP ? address(t->key, t->v6) : "",
	        has & HAS_IP ? address(t->key + n, t->v6) : "");
	if (has & HAS_PORTS)
		printf("%u,%u,", get16(k), get16(k + 2));
	else
		printf(",,");
	if (has & HAS_PROTO)
		printf("%u", k[4]);
	printf(",%u,%lu\n", t->c.packets, t->c.bytes);
}

/* A probability's text depends on the count alone, and few counts occur. */
static void print_shares(void)
{
	static char text[4096][32];
	char buf[32];

	for (uint32_t i = 0; i < nseqs; i++) {
		uint32_t c = seqs[i].count;
		char *t = c < 4096 ? text[c] : buf, *d = buf + sizeof buf;
		uint32_t v = seqs[i].seq;
		char num[16];

		if (c >= 4096 || !*t) {
			double p = (double)c / (double)tuples;

			for (int digits = 1; digits <= 17; digits++) {
				snprintf(t, 32, "%.*g", digits, p);
				if (strtod(t, NULL) == p)
					break;
			}
		}
		d = num + sizeof num;
		do
			*--d = (char)('0' + v % 10);
		while (v /= 10);
		fwrite_unlocked(d, 1, (size_t)(num + sizeof num - d), stdout);
		putchar_unlocked(',');
		fputs_unlocked(t, stdout);
		putchar_unlocked('\n');
	}
}

static void answer(void)
{
	static char out[1 << 16];

	setvbuf(stdout, out, _IOFBF, sizeof out);
	if (question == 1) {
		printf("count,bytes\n%lu,%lu\n", packets, bytes);
	} else if (question == 2) {
		offer_all(&v4, 8, false);
		offer_all(&v6, 16, true);
		if (none.first)
			offer(NULL, false, &none);
		printf("srcip,count,bytes\n");
		for (int i = 0; i < nbest; i++)
			printf("%s,%u,%lu\n", best[i].key ? address(best[i].key, best[i].v6) : "",
			        best[i].c.packets, best[i].c.bytes);
	} else if (question == 3) {
		offer_all(&sources4, 8, false);
		offer_all(&sources6, 16, true);
		printf("srcip,spread\n");
		for (int i = 0; i < nbest; i++)
			printf("%s,%lu\n", address(best[i].key, best[i].v6), best[i].c.bytes);
	} else if (question == 4) {
		offer_all(&v4, 16, false);
		offer_all(&v6, 40, true);
		printf("srcip,dstip,srcport,dstport,ipprotocol,count,bytes\n");
		for (int i = 0; i < nbest; i++)
			print_flow(&best[i]);
	} else {
		printf("seq,probability\n");
		print_shares();
	}
	fflush(stdout);
	if (getenv("PEER_KEYS"))
		fprintf(stderr, "keys %u sources %u seqs %u\n", v4.n + v6.n,
		        sources4.n + sources6.n, nseqs);
}

/* ---- readers ---- */

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *p)
{
	packet(p, h->caplen, h->len);
}

static int run_pcap(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(path, error);

	if (!p) {
		fprintf(stderr, "peer: %s\n", error);
		return 1;
	}
	if (pcap_loop(p, -1, on_packet, NULL) < 0) {
		fprintf(stderr, "peer: %s\n", pcap_geterr(p));
		return 1;
	}
	pcap_close(p);
	return 0;
}

static int run_mapped(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	const uint8_t *at, *end;
	uint32_t h[4];

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 24) {
		perror(path);
		return 1;
	}
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (at == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	end = at + st.st_size;
	memcpy(h, at, 4);
	if (h[0] != 0xa1b2c3d4 && h[0] != 0xa1b23c4d) {
		fprintf(stderr, "peer: %s: not a pcap of this byte order\n", path);
		return 1;
	}
	for (at += 24; end - at >= 16; at += 16 + h[2]) {
		memcpy(h, at, 16);
		if (h[2] > (size_t)(end - at) - 16)
			break;
		packet(at + 16, h[2], h[3]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	bool mapped = argc == 4 && strcmp(argv[1], "-m") == 0;
	int r;

	if (argc != 3 + mapped || (question = atoi(argv[1 + mapped])) < 1 || question > 5) {
		fprintf(stderr, "usage: peer [-m] QUESTION FILE\n");
		return 2;
	}
	r = mapped ? run_mapped(argv[3]) : run_pcap(argv[2]);
	if (r == 0)
		answer();
	return r;
}
