/* SPDX-License-Identifier: MIT */
/* conn.h: a connection: its two ends, and how far it is. */
#ifndef CONN_H
#define CONN_H

#include "hosts.h"

enum kind { WEB, DNS, PING, QUIC, NTP, REFUSED, UNREACHABLE };

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

void conn_setup(void); /* by opt.packets and opt.flows */
void conn_start(struct conn *c);
uint32_t transfer_size(void); /* segments of data */
/* step.c: sends its next packet. */
void conn_step(struct conn *c);

#endif
