// SPDX-License-Identifier: MIT
/* column_upper.c: columns of TCP, UDP and ICMP, and the payload.
 *
 *  |          source port          |       destination port        |  TCP, RFC 9293
 *  |                        sequence number                        |
 *  |                     acknowledgement number                    |
 *  | offset|  rsv  |C|E|U|A|P|R|S|F|             window            |
 */
#include "engine/proto/column.h"

/* Whether the header of protocol `bit` has bytes [0, n). */
#define HAS(bit, n) (d->have & (bit) && d->l4 + (n) <= d->end)

FILL_LAYER(srcport, L_SPORT, __builtin_bswap16(d->sport))
FILL_LAYER(dstport, L_DPORT, __builtin_bswap16(d->dport))

#define FILL_TCP(id, n, value) FILL_WORDS(id, L_TCP | L_FULL4, L_TCP, HAS(L_TCP, n), value)

FILL_TCP(seq, 8u, get32(AT(d->l4 + 4)))
FILL_TCP(ack, 12u, get32(AT(d->l4 + 8)))
FILL_TCP(flags, 14u, get16(AT(d->l4 + 12)) & 0xfff)
FILL_TCP(fin, 14u, AT(d->l4)[13] & 1)
FILL_TCP(syn, 14u, AT(d->l4)[13] >> 1 & 1)
FILL_TCP(rst, 14u, AT(d->l4)[13] >> 2 & 1)
FILL_TCP(psh, 14u, AT(d->l4)[13] >> 3 & 1)
FILL_TCP(fack, 14u, AT(d->l4)[13] >> 4 & 1)
FILL_TCP(urg, 14u, AT(d->l4)[13] >> 5 & 1)
FILL_TCP(ece, 14u, AT(d->l4)[13] >> 6 & 1)
FILL_TCP(cwr, 14u, AT(d->l4)[13] >> 7 & 1)
FILL_TCP(window, 16u, get16(AT(d->l4 + 14)))

#define FILL_UPPER(id, bit, n, value) FILL_WORDS(id, (bit) | L_FULL4, bit, HAS(bit, n), value)

FILL_UPPER(udplen, L_UDP, 6u, get16(AT(d->l4 + 4)))
FILL_UPPER(icmptype, L_ICMP, 1u, AT(d->l4)[0])
FILL_UPPER(icmpcode, L_ICMP, 2u, AT(d->l4)[1])

/* Offset at which the IP packet ends on the wire. */
static inline uint32_t wire_end(const struct weir_packet *pk, const struct layer *d)
{
	const uint8_t *h = pk->data + d->l3;
	uint32_t total = d->have & L_IP4 ? get16(h + 2) : get16(h + 4);

	if (total && d->have & L_IP6)
		total += 40;
	if (!total || d->l3 + total > pk->len) /* segmentation offload, jumbogram; a lie */
		return pk->len;
	return d->l3 + total;
}

/* TCP payload on the wire; -1: the header is cut or lies, or the segment goes on in another
 * fragment. */
static inline int64_t tcp_length(const struct weir_packet *pk, const struct layer *d)
{
	uint32_t header;

	if (!HAS(L_TCP, 13u) || d->have & L_FRAG)
		return -1;
	header = (pk->data[d->l4 + 12] >> 4) * 4u;
	if (header < 20)
		return -1;
	return (int64_t)wire_end(pk, d) - d->l4 - header;
}

int fill_tcplen(const struct column *c)
{
	uint64_t *out = c->col->data;
	struct rows r;

	if (!(c->any & L_TCP))
		return column_none(c);
	memset(&r, 0, sizeof r);
	for (uint32_t k = 0; k < c->n; k++) {
		int64_t len = tcp_length(&c->pk[k], &c->d[k]);

		out[k] = (uint64_t)len;
		r.bits[k / 64] |= (uint64_t)(len >= 0) << k % 64;
	}
	return column_valid(c, &r);
}

/* Offsets [*from, *to) of the payload among the captured bytes. */
static inline bool payload_of(
        const struct weir_packet *pk, const struct layer *d, uint32_t *from, uint32_t *to)
{
	uint32_t header = 0, len;

	if (!(d->have & L_L4))
		return false;
	*to = d->end;
	if (d->have & L_TCP) {
		if (!HAS(L_TCP, 13u))
			return false;
		header = (pk->data[d->l4 + 12] >> 4) * 4u;
		if (header < 20)
			return false;
	} else if (d->have & L_UDP) {
		if (!HAS(L_UDP, 6u))
			return false;
		header = 8;
		len = get16(pk->data + d->l4 + 4);
		if (len >= 8 && len < d->end - d->l4)
			*to = d->l4 + len;
	} else if (d->have & L_ICMP) {
		header = 8;
	}
	*from = d->l4 + header;
	return *from < *to;
}

int fill_payload(const struct column *c)
{
	struct weir_str *out = c->col->data;
	struct rows r;

	if (!(c->any & L_L4))
		return column_none(c);
	memset(&r, 0, sizeof r);
	for (uint32_t k = 0; k < c->n; k++) {
		uint32_t from = 0, to = 0;
		bool ok = payload_of(&c->pk[k], &c->d[k], &from, &to);

		out[k].p = ok ? c->pk[k].data + from : NULL;
		out[k].len = ok ? to - from : 0;
		r.bits[k / 64] |= (uint64_t)ok << k % 64;
	}
	return column_valid(c, &r);
}
