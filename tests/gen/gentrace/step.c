/* SPDX-License-Identifier: MIT */
/* step.c: what the ends of a connection send, packet by packet. */
#include <string.h>

#include "bytes.h"
#include "draw.h"
#include "frame.h"

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
		set_server(&a, (uint32_t)(mix(c->txid) % hosts_servers), v6);
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

void conn_step(struct conn *c)
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
