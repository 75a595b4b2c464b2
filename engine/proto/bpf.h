/* SPDX-License-Identifier: MIT */
/* bpf.h: filter expressions of libpcap over packets of any link type.
 *
 * An expression means other bytes on every link type, so it is compiled for each that turns up,
 * once. Names of hosts and networks are refused: looking them up would let whoever writes a query
 * make the daemon talk to a name server, and wait for it.
 */
#ifndef BPF_H
#define BPF_H

#include <weir/batch.h>

#define BPF_TEXT_MAX 4096 /* bytes of an expression */

struct bpf;

/* Whether the expression compiles for Ethernet or, failing that, another common link type. 0, or
 * -EINVAL and the reason in why. */
int bpf_check(const char *text, char *why, size_t size);

/* Borrows text. NULL: out of memory. One thread at a time. */
struct bpf *bpf_new(const char *text);
void bpf_free(struct bpf *p); /* NULL is fine */

/* The rows of in[0..n) whose packet matches, to `out` (which may be `in`). packet: bytes; linktype:
 * u64; len: u64, the original length, NULL: that of the bytes. *ret_unknown grows by the rows whose
 * link type the expression does not compile for. Their number or -ENOMEM. */
int bpf_select(struct bpf *p, const struct weir_col *packet, const struct weir_col *linktype,
        const struct weir_col *len, const uint16_t *in, uint32_t n, uint16_t *out,
        uint64_t *ret_unknown);

#endif
