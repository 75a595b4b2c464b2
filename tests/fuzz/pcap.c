/* SPDX-License-Identifier: MIT */
/* pcap.c: any bytes behind a pcap magic: no read outside the packet, no loop, no leak. */
#define FUZZ_HEAD "\xd4\xc3\xb2\xa1\x02\0\x04\0"
#include "trace.h"
