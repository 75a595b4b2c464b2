/* SPDX-License-Identifier: MIT */
/* file_id.h: whether a file is one that was read before.
 *
 * Its name does not say: files are renamed, and overwritten under their names. Its inode alone does
 * not, either: it is used again as soon as a file is gone. So a file is known by its device and
 * inode and by a hash of its first bytes, which in a capture hold the time of the first packet.
 */
#ifndef FILE_ID_H
#define FILE_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define FILE_ID_HEAD 1024 /* bytes; the headers of dumpcap's pcapng take some 300 */

struct file_id {
	uint64_t dev, ino;
	uint32_t len;  /* bytes that were hashed, up to FILE_ID_HEAD: as many as there were */
	uint64_t hash; /* FNV-1a */
};

/* 0 or -errno. */
int file_id_of(int fd, struct file_id *ret);

/* Whether fd is the same file, perhaps longer now. */
bool file_id_is(const struct file_id *id, int fd);

/* A file with no first bytes may be any other of its inode. */
static inline bool file_id_is_vague(const struct file_id *id)
{
	return id->len < 40; /* a pcap header, and that of a packet */
}

#endif
