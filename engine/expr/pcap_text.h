/* SPDX-License-Identifier: MIT */
/* pcap_text.h: what a packet must be like for conditions on its fields to hold, in the language of
 * pcap-filter(7), so that a kernel can drop most of the others.
 *
 * The text lets pass every packet for which they hold, and others as well: of IPv4 it
 * looks at headers without options only, of IPv6 at those of TCP, UDP and ICMP without extension
 * headers, and whatever else there is (tags, tunnels, other link layers) passes, as it does where
 * they are more than comparisons of header fields with numbers and subnets. A header that is cut is
 * the business of who compiles the text: see kernelbpf.h.
 */
#ifndef EXPR_PCAP_TEXT_H
#define EXPR_PCAP_TEXT_H

#include "engine/core/text.h"
#include <weir/expr.h>

#define PCAP_TEXT_MAX 2000 /* bytes; what would be longer lets everything pass */

/* Appends the text for n conditions, all of which are to hold, over records of `in`; false: every
 * packet may meet them, and nothing is appended (or to->failed). */
bool pcap_text(const struct weir_expr *const *e, uint32_t n, const struct weir_schema *in,
        struct text *to);

#endif
