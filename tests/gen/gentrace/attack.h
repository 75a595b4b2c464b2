/* SPDX-License-Identifier: MIT */
/* attack.h: what runs beside the connections: a port scan and a SYN flood. */
#ifndef ATTACK_H
#define ATTACK_H

/* Each sends one packet. The scanner walks the ports of one server after another, and may be
 * refused; the flood comes from spoofed sources. */
void attack_scan(void);
void attack_flood(void);

#endif
