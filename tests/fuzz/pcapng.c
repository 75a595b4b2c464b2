/* SPDX-License-Identifier: MIT */
/* pcapng.c: any bytes behind a pcapng section header. */
#define FUZZ_HEAD                                                                                  \
	"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"     \
	"\x1c\0\0\0"
#include "trace.h"
