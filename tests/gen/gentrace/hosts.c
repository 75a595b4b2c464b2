/* SPDX-License-Identifier: MIT */
/* hosts.c: see hosts.h. */
#include "hosts.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "draw.h"
#include "options.h"

uint32_t hosts_servers;
static uint32_t clients;
static double *client_cdf, *server_cdf;

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

void set_v4(struct addr *a, uint32_t ip)
{
	be32(a->b, ip);
}

void set_client(struct addr *a, uint32_t i, bool v6)
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

void set_server(struct addr *a, uint32_t i, bool v6)
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

uint32_t draw_client(void)
{
	return rank(client_cdf, clients);
}

uint32_t draw_server(void)
{
	return rank(server_cdf, hosts_servers);
}

void hosts_setup(void)
{
	uint32_t servers = (uint32_t)(opt.hosts / 8 < 131072 ? opt.hosts / 8 : 131072);

	hosts_servers = servers < RESOLVERS ? RESOLVERS : servers;
	clients = opt.hosts > hosts_servers + 1 ? (uint32_t)(opt.hosts - hosts_servers) : 1;
	client_cdf = make_cdf(clients, 60);
	server_cdf = make_cdf(hosts_servers, 100);
}

void hosts_free(void)
{
	free(client_cdf);
	free(server_cdf);
}
