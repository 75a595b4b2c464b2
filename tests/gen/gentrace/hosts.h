/* SPDX-License-Identifier: MIT */
/* hosts.h: who talks: clients and servers, drawn by Zipf-Mandelbrot ranks. */
#ifndef HOSTS_H
#define HOSTS_H

#include <stdbool.h>
#include <stdint.h>

enum { RESOLVERS = 16 }; /* the first of the servers */

struct addr {
	bool v6;
	uint8_t b[16];
	uint8_t mac[6];
	uint16_t vlan, outer; /* 0: untagged */
	uint8_t ttl;
};

extern uint32_t hosts_servers;

void hosts_setup(void); /* by opt.hosts */
void hosts_free(void);

uint32_t draw_client(void);
uint32_t draw_server(void);
/* Client i; addresses and ranks have nothing to do with each other. */
void set_client(struct addr *a, uint32_t i, bool v6);
void set_server(struct addr *a, uint32_t i, bool v6);
void set_v4(struct addr *a, uint32_t ip);

#endif
