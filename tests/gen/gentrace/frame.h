/* SPDX-License-Identifier: MIT */
/* frame.h: one packet of a connection, from its end `dir`, as a frame with all checksums. */
#ifndef FRAME_H
#define FRAME_H

#include "conn.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { MSS = 1448 };

void frame_setup(void); /* draws what payloads are taken from */

/* A transport header with its checksum field, zero, at `check`, then payload: `body`, or where that
 * is NULL the pool from even offset `at`. */
void send_ip(struct conn *c, int dir, uint8_t proto, const uint8_t *l4, uint32_t l4_len,
        uint32_t check, const uint8_t *body, uint32_t at, uint32_t body_len);
void send_tcp(struct conn *c, int dir, uint8_t flags, uint32_t seq, uint32_t len);
void send_udp(struct conn *c, int dir, const uint8_t *body, uint32_t len); /* body: as above */

#endif
