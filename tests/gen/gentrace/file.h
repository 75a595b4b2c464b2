/* SPDX-License-Identifier: MIT */
/* file.h: the trace as a file: pcap or pcapng, in either byte order, with times in microseconds or
 * nanoseconds. Buffered; ends the program where it cannot be written. */
#ifndef FILE_H
#define FILE_H

#include <stddef.h>
#include <stdint.h>

extern uint64_t file_now;  /* nanoseconds: the time of packets put now */
extern uint64_t file_sent; /* packets */

void file_open(void);
void file_close(void);

void file_header(void);
/* Then caplen bytes, and the end of the packet. */
void file_packet(uint32_t caplen, uint32_t len);
void file_put(const void *p, size_t n);
void file_packet_end(uint32_t caplen);

#endif
