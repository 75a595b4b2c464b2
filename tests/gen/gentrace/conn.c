/* SPDX-License-Identifier: MIT */
/* conn.c: how a connection begins: between whom, of what kind, how long it will be.
 *
 * Transfer sizes are heavy-tailed: octaves of geometric probability.
 */
#include "conn.h"

#include <stdio.h>
#include <string.h>

#include "draw.h"
#include "options.h"

static uint64_t tcp_segments; /* mean data segments of a transfer, in 1/256 */

void conn_setup(void)
{
	double per_flow = (double)opt.packets / (double)opt.flows;

	tcp_segments = per_flow > 3 ? (uint64_t)((per_flow - 2.9) * 256 * 1.0) : 64;
}

/* An octave of geometric probability .6, .24, …: a Pareto tail of index 1.3; the mean of 1.5 * 2^k
 * over it is 3.0 up to the bound. Scaled to the mean that `flows` asks for. */
uint32_t transfer_size(void)
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
	int n = snprintf(label, sizeof label, "site%u", draw_server());

	*p++ = (uint8_t)strlen(w);
	p = (uint8_t *)memcpy(p, w, strlen(w)) + strlen(w);
	*p++ = (uint8_t)n;
	p = (uint8_t *)memcpy(p, label, (size_t)n) + n;
	memcpy(p, "\7example", 8);
	p[8] = 3;
	memcpy(p + 9, z, 4); /* with the root's 0 */
	c->name_len = (uint8_t)(p + 13 - c->name);
}

void conn_start(struct conn *c)
{
	static const uint16_t web[] = {443, 443, 443, 443, 80, 80, 22, 25, 993, 8080};
	uint32_t what = below(1000), client = draw_client();
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
	set_server(&c->end[1], c->kind == DNS ? mix(client) / 4096 % RESOLVERS : draw_server(), v6);
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
