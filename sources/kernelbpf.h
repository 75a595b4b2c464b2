/* SPDX-License-Identifier: MIT */
/* kernelbpf.h: filter expressions of libpcap as programs that the kernel runs on a packet socket.
 *
 * The kernel has taken the VLAN tag out of a packet when its filter runs, and a program that was
 * compiled for whole packets would take a tagged packet for an untagged one. So each program here
 * first lets pass what has a tag: who asked for the filter looks at those again, whole.
 *
 * A packet that ends before a byte that a program looks at would be dropped, though the expression
 * be "that byte, or anything else". So each look is preceded by one at the packet's length, and
 * such packets pass, too.
 */
#ifndef KERNELBPF_H
#define KERNELBPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kernelbpf; /* a program, for the kernel and for here */

/* Compiles `text` for a link type (LINKTYPE_…); packets are cut to `snaplen` bytes. NULL: every
 * packet passes. 0, -EINVAL and the reason in why, or -ENOMEM. */
int kernelbpf_new(const char *text, uint16_t linktype, uint32_t snaplen, struct kernelbpf **ret,
        char *why, size_t size);
/* One that nothing passes; NULL: out of memory. */
struct kernelbpf *kernelbpf_nothing(void);
void kernelbpf_free(struct kernelbpf *p); /* NULL is fine */

const struct sock_fprog *kernelbpf_program(const struct kernelbpf *p);
/* Whether a whole packet passes the expression. */
bool kernelbpf_passes(
        const struct kernelbpf *p, const uint8_t *packet, uint32_t len, uint32_t caplen);

/* Whether that is what the kernel has found of a packet of this length without a tag. */
bool kernelbpf_is_exact(const struct kernelbpf *p, uint32_t len);

#endif
