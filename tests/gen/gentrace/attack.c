/* SPDX-License-Identifier: MIT */
/* attack.c: see attack.h. */
#include "attack.h"

#include "draw.h"
#include "frame.h"

void attack_scan(void)
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
	set_server(&c.end[1], n / 1000 % hosts_servers, false);
	c.end[1].mac[5] = 6;
	c.port[0] = 54321;
	c.port[1] = (uint16_t)(1 + n % 1000);
	c.seq[0] = (uint32_t)mix(n);
	send_tcp(&c, 0, SYN, c.seq[0]++, 0);
	n++;
	refused = below(8) == 0;
}

void attack_flood(void)
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
