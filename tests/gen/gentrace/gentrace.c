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
#include "attack.h"
#include "conn.h"
#include "draw.h"
#include "file.h"
#include "frame.h"
#include "options.h"

enum { SLOTS_MAX = 4096 };

static void setup(void)
{
	if (!opt.flows)
		opt.flows = opt.packets * 2135 / 10000 + 1;
	if (!opt.hosts)
		opt.hosts = opt.packets * 22 / 1000 + 64;
	opt.swap = opt.big == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
	draw_seed(opt.seed);
	hosts_setup();
	conn_setup();
	frame_setup();
}

static void traffic(void)
{
	static struct conn conn[SLOTS_MAX];
	uint32_t alive = (uint32_t)(opt.packets / 100 < 8 ? 8 : opt.packets / 100);
	uint32_t gap = (uint32_t)(2000000000 / opt.rate + 1);

	alive = alive > SLOTS_MAX ? SLOTS_MAX : alive;
	for (uint32_t i = 0; i < alive; i++)
		conn_start(&conn[i]);
	file_now = opt.start * 1000000000;
	while (file_sent < opt.packets) {
		uint32_t what = below(1000000);
		struct conn *c = &conn[below(alive)];
		uint32_t burst = c->kind == WEB || c->kind == QUIC ? 1 + c->left / 16 : 1;

		file_now += below(gap);
		if (what < opt.scan) {
			attack_scan();
			continue;
		}
		if (what < opt.scan + opt.flood) {
			attack_flood();
			continue;
		}
		for (burst = burst > 64 ? 64 : burst; burst && !c->done && file_sent < opt.packets;
		        burst--) {
			conn_step(c);
			file_now += burst > 1 ? below(gap) : 0;
		}
		if (c->done)
			conn_start(c);
	}
}

int main(int argc, char **argv)
{
	options_parse(argc, argv);
	file_open();
	setup();
	file_header();
	traffic();
	file_close();
	hosts_free();
	return 0;
}
