/* SPDX-License-Identifier: MIT */
/* frame.c: see frame.h. The sums of the pool's words are kept, so that a payload from it costs no
 * second look. */
#include "frame.h"

#include <string.h>

#include "bytes.h"
#include "draw.h"
#include "file.h"
#include "options.h"

enum { POOL = 65536 };

static uint8_t pool[POOL + 4096];
static uint32_t pool_sum[POOL / 2 + 2048]; /* sums of the 16-bit words before an even offset */

void frame_setup(void)
{
	for (uint32_t i = 0; i < sizeof pool; i++)
		pool[i] = (uint8_t)(33 + next() % 90);
	for (uint32_t i = 0; i + 1 < sizeof pool_sum / sizeof *pool_sum; i++)
		pool_sum[i + 1] = pool_sum[i] + ((uint32_t)pool[2 * i] << 8 | pool[2 * i + 1]);
}

void send_ip(struct conn *c, int dir, uint8_t proto, const uint8_t *l4, uint32_t l4_len,
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
	file_packet(caplen, len);
	file_put(h, caplen < hlen ? caplen : hlen);
	rest = caplen > hlen ? caplen - hlen : 0;
	file_put(body ? body : pool + at, rest);
	file_packet_end(caplen);
}

void send_tcp(struct conn *c, int dir, uint8_t flags, uint32_t seq, uint32_t len)
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

void send_udp(struct conn *c, int dir, const uint8_t *body, uint32_t len)
{
	uint8_t u[8];

	be16(be16(be16(be16(u, c->port[dir]), c->port[!dir]), len + 8), 0);
	send_ip(c, dir, 17, u, 8, 6, body, (uint32_t)c->step * 64 & (POOL - 2), len);
}
