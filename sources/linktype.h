/* SPDX-License-Identifier: MIT */
/* linktype.h: what link types are called, for people. */
#ifndef LINKTYPE_H
#define LINKTYPE_H

#include <stdint.h>

/* "Ethernet" for 1; "unknown" where libpcap has no name. */
const char *linktype_name(uint16_t linktype);

#endif
