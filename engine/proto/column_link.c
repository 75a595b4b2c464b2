// SPDX-License-Identifier: MIT
/* column_link.c: columns of the frame itself and of the link layer. */
#include "engine/proto/column.h"

const uint8_t column_zeros[64];

#define FILL_PACKET(id, value)                                                                     \
	int fill_##id(const struct column *c)                                                      \
	{                                                                                          \
		const struct weir_packet *pk = c->pk;                                              \
		uint64_t *out = c->col->data;                                                      \
		uint32_t n = c->n;                                                                 \
                                                                                                   \
		_Pragma("GCC unroll 4") for (uint32_t k = 0; k < n; k++) out[k] =                  \
		        (uint64_t)pk[k].value;                                                     \
		return 0;                                                                          \
	}

FILL_PACKET(ts, ts)
FILL_PACKET(len, len)
FILL_PACKET(caplen, caplen)
FILL_PACKET(linktype, linktype)
FILL_PACKET(ifindex, ifindex)

int fill_packet(const struct column *c)
{
	struct weir_str *out = c->col->data;

	for (uint32_t k = 0; k < c->n; k++) {
		out[k].p = c->pk[k].data;
		out[k].len = c->pk[k].caplen;
	}
	return 0;
}

/* `at`: the address within an Ethernet header. */
static inline int fill_mac(
        const struct column *c, uint32_t at, bool (*other)(const struct weir_packet *, uint64_t *))
{
	uint64_t *out = c->col->data;
	struct rows r;

	memset(&r, 0, sizeof r);
	for (uint32_t k = 0; k < c->n; k++) {
		const struct weir_packet *pk = &c->pk[k];
		bool ok;

		if (pk->linktype == LT_ETHERNET && pk->caplen >= at + 6) {
			out[k] = get48(pk->data + at);
			ok = true;
		} else {
			out[k] = 0;
			ok = other(pk, &out[k]);
		}
		r.bits[k / 64] |= (uint64_t)ok << k % 64;
	}
	return column_valid(c, &r);
}

int fill_srcmac(const struct column *c)
{
	return fill_mac(c, 6, link_source);
}

int fill_dstmac(const struct column *c)
{
	return fill_mac(c, 0, link_destination);
}

FILL_LAYER(ethertype, L_TYPE, d->ethertype)
FILL_LAYER(vlan, L_VLAN, d->vlan)
